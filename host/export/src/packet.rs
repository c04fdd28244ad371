//! IP packets as bytes: the least that a packet analyser needs.

use std::net::{IpAddr, SocketAddr};

/// The bits of a TCP header that say what a segment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub fin: bool,
    pub syn: bool,
    pub rst: bool,
    pub psh: bool,
    pub ack: bool,
}

impl Flags {
    fn bits(self) -> u8 {
        u8::from(self.fin)
            | u8::from(self.syn) << 1
            | u8::from(self.rst) << 2
            | u8::from(self.psh) << 3
            | u8::from(self.ack) << 4
    }
}

/// A TCP segment: what is in its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub seq: u32,
    pub ack: u32,
    pub flags: Flags,
}

/// A packet as an analyser sees it: some bytes, and how long it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub bytes: Vec<u8>,
    pub length: u32,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// The most payload that one packet carries: an IPv4 packet has at most 65,535 bytes.
pub(crate) const MOST: usize = 65_000;

/// The Internet checksum (RFC 1071) of `parts`, as if they were one; each but the last is of even
/// length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits")
}

/// The addresses as the checksum of TCP and UDP covers them.
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            out.extend(from.octets());
            out.extend(to.octets());
            out.extend([0, protocol]);
            out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
        _ => {
            for ip in [from, to] {
                out.extend(v6(ip));
            }
            out.extend(length.to_be_bytes());
            out.extend([0, 0, 0, protocol]);
        }
    }
    out
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The IP header, `body` after it; `length` is that of the body on the wire.
fn ip(from: IpAddr, to: IpAddr, protocol: u8, body: &[u8], length: u32) -> Packet {
    let mut out = Vec::with_capacity(body.len() + 40);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = u16::try_from(length + 20).expect("the payload was cut to what fits");
            out.extend([0x45, 0]);
            out.extend(total.to_be_bytes());
            // No identification; "don't fragment"; 64 hops; the checksum follows.
            out.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            out.extend(from.octets());
            out.extend(to.octets());
            let sum = checksum(&[&out]);
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        _ => {
            out.extend([0x60, 0, 0, 0]);
            out.extend(u16::try_from(length).expect("cut to what fits").to_be_bytes());
            out.extend([protocol, 64]);
            out.extend(v6(from));
            out.extend(v6(to));
        }
    }
    let header = u32::try_from(out.len()).expect("a header is short");
    out.extend_from_slice(body);
    Packet { bytes: out, length: header + length }
}

/// A segment with the first bytes of a payload that is `length` bytes long on the wire.
///
/// # Panics
/// If `length` is more than [`MOST`].
pub(crate) fn tcp(segment: Segment, payload: &[u8], length: usize) -> Packet {
    assert!(length <= MOST && payload.len() <= length, "cut into segments before");
    let mut body = Vec::with_capacity(20 + payload.len());
    body.extend(segment.from.port().to_be_bytes());
    body.extend(segment.to.port().to_be_bytes());
    body.extend(segment.seq.to_be_bytes());
    body.extend(segment.ack.to_be_bytes());
    body.extend([5 << 4, segment.flags.bits(), 0xff, 0xff, 0, 0, 0, 0]);
    body.extend_from_slice(payload);
    finish(segment.from.ip(), segment.to.ip(), TCP, body, 20 + length, 16)
}

/// A datagram, likewise.
pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8], length: usize) -> Packet {
    assert!(length <= MOST && payload.len() <= length, "a datagram fits into a packet");
    let mut body = Vec::with_capacity(8 + payload.len());
    body.extend(from.port().to_be_bytes());
    body.extend(to.port().to_be_bytes());
    body.extend(u16::try_from(8 + length).expect("cut to what fits").to_be_bytes());
    body.extend([0, 0]);
    body.extend_from_slice(payload);
    finish(from.ip(), to.ip(), UDP, body, 8 + length, 6)
}

fn finish(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    mut body: Vec<u8>,
    length: usize,
    at: usize,
) -> Packet {
    // A checksum over bytes that were not kept cannot be had; analysers do not check one of a
    // packet that is cut.
    let length = u32::try_from(length).expect("at most MOST and a header");
    if body.len() == length as usize {
        let sum = checksum(&[&pseudo_header(from, to, protocol, length), &body]);
        // UDP says "no checksum" with 0.
        let sum = if protocol == UDP && sum == 0 { 0xffff } else { sum };
        body[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    ip(from, to, protocol, &body, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn checksums_of_a_whole_packet_add_up() {
        for (from, to) in [("10.0.0.1:80", "10.0.0.2:90"), ("[fd00::1]:80", "[fd00::2]:90")] {
            let flags = Flags { ack: true, psh: true, ..Flags::default() };
            let segment = Segment { from: addr(from), to: addr(to), seq: 7, ack: 9, flags };
            let packet = tcp(segment, b"hello", 5);
            assert_eq!(packet.length as usize, packet.bytes.len());
            let header = if addr(from).is_ipv4() { 20 } else { 40 };
            if header == 20 {
                assert_eq!(checksum(&[&packet.bytes[..20]]), 0, "IP header");
            }
            let pseudo = pseudo_header(addr(from).ip(), addr(to).ip(), TCP, 25);
            assert_eq!(checksum(&[&pseudo, &packet.bytes[header..]]), 0, "TCP");
        }
    }

    #[test]
    fn a_packet_that_is_cut_says_how_long_it_was() {
        let packet = udp(addr("10.0.0.1:80"), addr("10.0.0.2:90"), b"he", 500);
        assert_eq!(packet.bytes.len(), 30);
        assert_eq!(packet.length, 528);
        assert_eq!(u16::from_be_bytes([packet.bytes[2], packet.bytes[3]]), 528);
    }
}
