//! Packets for Wireshark and its like: the pcapng format
//! (draft-ietf-opsawg-pcapng, sections 3 and 4).
//!
//! Each pod is an interface. A packet stands once, at the interface of the pod that sent it, with
//! the addresses that the connecting program used, so that following a stream works also through
//! a Service. What the world does not do by itself (handshakes, acknowledgements) is written as
//! the least that makes a whole conversation. Comments name the event in the trace.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};

use podlab_trace::{ConnId, Dir, Event, Kind, PlaceId, State};

use crate::packet::{self, Flags, MOST, Packet, Segment};

/// Raw IP, no link layer (LINKTYPE_RAW).
const RAW: u16 = 101;

/// Writes a trace as pcapng.
pub struct Pcapng<W> {
    out: W,
    epoch_ns: u64,
    state: State,
    interfaces: BTreeMap<String, u32>,
    connections: BTreeMap<ConnId, Conversation>,
    packets: u64,
}

/// A connection as packets.
struct Conversation {
    client: PlaceId,
    server: PlaceId,
    from: SocketAddr,
    to: SocketAddr,
    about: String,
    /// Whether the three steps of the handshake were written.
    open: bool,
    over: bool,
    forth: Half,
    back: Half,
}

/// One direction.
#[derive(Default)]
struct Half {
    /// How far the sequence numbers have come.
    next: u32,
    /// What the far end has by when.
    under_way: Vec<(u64, u32)>,
    /// What the far end has seen.
    seen: u32,
}

impl Half {
    fn seen_at(&mut self, now: u64) -> u32 {
        let seen = &mut self.seen;
        self.under_way.retain(|(at, end)| {
            let there = *at <= now;
            if there {
                *seen = *end;
            }
            !there
        });
        self.seen
    }
}

impl Conversation {
    fn half(&mut self, dir: Dir) -> &mut Half {
        match dir {
            Dir::ToServer => &mut self.forth,
            Dir::ToClient => &mut self.back,
        }
    }

    /// The header of a segment in this direction that begins where the last one ended.
    fn segment(&mut self, dir: Dir, now: u64, flags: Flags) -> Segment {
        let (from, to, other) = match dir {
            Dir::ToServer => (self.from, self.to, Dir::ToClient),
            Dir::ToClient => (self.to, self.from, Dir::ToServer),
        };
        let ack = if flags.ack { self.half(other).seen_at(now) } else { 0 };
        Segment { from, to, seq: self.half(dir).next, ack, flags }
    }

    fn sender(&self, dir: Dir) -> PlaceId {
        match dir {
            Dir::ToServer => self.client,
            Dir::ToClient => self.server,
        }
    }
}

fn other(dir: Dir) -> Dir {
    match dir {
        Dir::ToServer => Dir::ToClient,
        Dir::ToClient => Dir::ToServer,
    }
}

const SYN: Flags = Flags { syn: true, fin: false, rst: false, psh: false, ack: false };
const ACK: Flags = Flags { ack: true, syn: false, fin: false, rst: false, psh: false };

impl<W: Write> Pcapng<W> {
    /// Begins a file. `epoch_ns` is what the world's wall clock showed at its beginning, in ns
    /// since 1970.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn new(out: W, epoch_ns: u64) -> io::Result<Pcapng<W>> {
        let mut file = Pcapng {
            out,
            epoch_ns,
            state: State::default(),
            interfaces: BTreeMap::new(),
            connections: BTreeMap::new(),
            packets: 0,
        };
        let mut body = Vec::new();
        body.extend(0x1A2B_3C4Du32.to_le_bytes());
        body.extend(1u16.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        body.extend(u64::MAX.to_le_bytes());
        option(&mut body, 4, b"Podlab");
        end_of_options(&mut body);
        file.block(0x0A0D_0D0A, &body)?;
        Ok(file)
    }

    /// Takes in the next event; its packets are written if `wanted`.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn take(&mut self, event: &Event, wanted: bool) -> io::Result<()> {
        let now = event.at;
        match &event.kind {
            Kind::Connect { conn, from, to, target, via, peer } => {
                let mut about = String::new();
                if !via.is_empty() {
                    about = format!("through Service {via} to {target}");
                }
                let new = Conversation {
                    client: event.place,
                    server: *peer,
                    from: *from,
                    to: *to,
                    about,
                    open: false,
                    over: false,
                    forth: Half::default(),
                    back: Half::default(),
                };
                self.connections.insert(*conn, new);
                if wanted {
                    self.segment(*conn, Dir::ToServer, event, SYN, &[], 0)?;
                }
                if let Some(c) = self.connections.get_mut(conn) {
                    c.forth.next = 1;
                    c.forth.seen = 1;
                }
            }
            Kind::Accept { conn } => {
                if let Some(c) = self.connections.get_mut(conn) {
                    c.server = event.place;
                }
                if wanted {
                    self.open(*conn, event)?;
                }
            }
            Kind::Refuse { conn, reason } => {
                if reason == "refused" && wanted {
                    let flags = Flags { rst: true, ack: true, ..Flags::default() };
                    self.segment(*conn, Dir::ToClient, event, flags, &[], 0)?;
                }
                self.connections.remove(conn);
            }
            Kind::Data { conn, dir, len, payload, arrives, .. } => {
                if wanted {
                    self.open(*conn, event)?;
                    self.data(*conn, *dir, event, payload, *len as usize)?;
                }
                if let Some(c) = self.connections.get_mut(conn) {
                    let half = c.half(*dir);
                    half.next = half.next.wrapping_add(*len);
                    half.under_way.push((*arrives, half.next));
                }
            }
            Kind::Shut { conn, dir } => {
                if wanted {
                    self.open(*conn, event)?;
                    let flags = Flags { fin: true, ack: true, ..Flags::default() };
                    self.segment(*conn, *dir, event, flags, &[], 0)?;
                }
                if let Some(c) = self.connections.get_mut(conn) {
                    let half = c.half(*dir);
                    half.next = half.next.wrapping_add(1);
                    half.under_way.push((now, half.next));
                }
                if wanted {
                    self.segment(*conn, other(*dir), event, ACK, &[], 0)?;
                }
            }
            Kind::Reset { conn, dir } => {
                if wanted {
                    let flags = Flags { rst: true, ack: true, ..Flags::default() };
                    self.segment(*conn, *dir, event, flags, &[], 0)?;
                }
                if let Some(c) = self.connections.get_mut(conn) {
                    c.over = true;
                }
            }
            Kind::Close { conn } => {
                self.connections.remove(conn);
            }
            Kind::Datagram { from, to, len, payload, arrives, .. } if wanted => {
                let len = (*len as usize).min(MOST);
                let kept = &payload[..payload.len().min(len)];
                let comment = format!(
                    "event {}{}",
                    event.seq,
                    if *arrives == u64::MAX { ", lost" } else { "" }
                );
                let packet = packet::udp(*from, *to, kept, len);
                self.packet(event.place, now, &packet, &comment)?;
            }
            _ => {}
        }
        self.state.apply(event);
        Ok(())
    }

    /// Writes what is left and gives the writer back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// How many packets there are so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// The rest of the handshake, where it is not written yet.
    fn open(&mut self, conn: ConnId, event: &Event) -> io::Result<()> {
        let Some(c) = self.connections.get_mut(&conn) else { return Ok(()) };
        if c.open {
            return Ok(());
        }
        c.open = true;
        let flags = Flags { syn: true, ack: true, ..Flags::default() };
        self.segment(conn, Dir::ToClient, event, flags, &[], 0)?;
        if let Some(c) = self.connections.get_mut(&conn) {
            c.back.next = 1;
            c.back.seen = 1;
        }
        self.segment(conn, Dir::ToServer, event, ACK, &[], 0)
    }

    fn data(
        &mut self,
        conn: ConnId,
        dir: Dir,
        event: &Event,
        payload: &[u8],
        len: usize,
    ) -> io::Result<()> {
        let flags = Flags { ack: true, psh: true, ..Flags::default() };
        let (mut at, begin) = (0, self.connections.get_mut(&conn).map(|c| c.half(dir).next));
        while at < len {
            let size = (len - at).min(MOST);
            let kept = payload.get(at..payload.len().min(at + size)).unwrap_or(&[]);
            self.segment(conn, dir, event, flags, kept, size)?;
            at += size;
            if let Some(c) = self.connections.get_mut(&conn) {
                let half = c.half(dir);
                half.next = half.next.wrapping_add(u32::try_from(size).unwrap_or(0));
            }
        }
        // Whoever called counts the bytes, wanted or not.
        if let (Some(c), Some(begin)) = (self.connections.get_mut(&conn), begin) {
            c.half(dir).next = begin;
        }
        Ok(())
    }

    fn segment(
        &mut self,
        conn: ConnId,
        dir: Dir,
        event: &Event,
        flags: Flags,
        payload: &[u8],
        len: usize,
    ) -> io::Result<()> {
        let Some(c) = self.connections.get_mut(&conn) else { return Ok(()) };
        if c.over {
            return Ok(());
        }
        let segment = c.segment(dir, event.at, flags);
        let place = c.sender(dir);
        let mut comment = format!("event {}", event.seq);
        if flags.syn && !flags.ack && !c.about.is_empty() {
            comment = format!("{comment}, {}", c.about);
        }
        let packet = packet::tcp(segment, payload, len);
        self.packet(place, event.at, &packet, &comment)
    }

    fn packet(
        &mut self,
        place: PlaceId,
        at: u64,
        packet: &Packet,
        comment: &str,
    ) -> io::Result<()> {
        let interface = self.interface(place)?;
        let time = self.epoch_ns + at;
        let mut body = Vec::with_capacity(packet.bytes.len() + 64);
        body.extend(interface.to_le_bytes());
        body.extend(u32::try_from(time >> 32).expect("half of 64 bits").to_le_bytes());
        body.extend(u32::try_from(time & 0xffff_ffff).expect("half of 64 bits").to_le_bytes());
        body.extend(u32::try_from(packet.bytes.len()).expect("a packet is short").to_le_bytes());
        body.extend(packet.length.to_le_bytes());
        body.extend_from_slice(&packet.bytes);
        pad(&mut body);
        option(&mut body, 1, comment.as_bytes());
        end_of_options(&mut body);
        self.packets += 1;
        self.block(6, &body)
    }

    /// The interface of a place: its pod's, else its node's, else that of the outside.
    fn interface(&mut self, place: PlaceId) -> io::Result<u32> {
        let name = match self.state.places.get(&place) {
            Some(p) if !p.pod.is_empty() => format!("{}/{}", p.namespace, p.pod),
            Some(p) if !p.node.is_empty() => p.node.clone(),
            Some(p) if !p.container.is_empty() => p.container.clone(),
            _ => "outside".into(),
        };
        if let Some(number) = self.interfaces.get(&name) {
            return Ok(*number);
        }
        let number = u32::try_from(self.interfaces.len()).expect("few interfaces");
        let mut body = Vec::new();
        body.extend(RAW.to_le_bytes());
        body.extend(0u16.to_le_bytes());
        body.extend(0u32.to_le_bytes());
        option(&mut body, 2, name.as_bytes());
        // Times in 10^-9 s.
        option(&mut body, 9, &[9]);
        end_of_options(&mut body);
        self.block(1, &body)?;
        self.interfaces.insert(name, number);
        Ok(number)
    }

    /// Names of addresses, so that an analyser can show pods instead of numbers.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn names(&mut self, names: &[(IpAddr, String)]) -> io::Result<()> {
        let mut body = Vec::new();
        for (ip, name) in names {
            let (kind, address) = match ip {
                IpAddr::V4(ip) => (1u16, ip.octets().to_vec()),
                IpAddr::V6(ip) => (2u16, ip.octets().to_vec()),
            };
            let length = u16::try_from(address.len() + name.len() + 1).unwrap_or(u16::MAX);
            body.extend(kind.to_le_bytes());
            body.extend(length.to_le_bytes());
            body.extend(address);
            body.extend(name.as_bytes());
            body.push(0);
            pad(&mut body);
        }
        body.extend([0; 4]);
        self.block(4, &body)
    }

    fn block(&mut self, kind: u32, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 12).expect("a block is short");
        self.out.write_all(&kind.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(body)?;
        self.out.write_all(&length.to_le_bytes())
    }
}

fn pad(body: &mut Vec<u8>) {
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(65_000)];
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).expect("cut").to_le_bytes());
    body.extend_from_slice(value);
    pad(body);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}
