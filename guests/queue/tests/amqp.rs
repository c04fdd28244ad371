//! AMQP over real sockets, byte by byte: restarts, clients that fall silent, the end of the program.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use podlab_guest::runtime::{Flag, block_on, sleep, spawn};

fn start(more: &[&str], end_after: Option<Duration>) -> u16 {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let words =
        [format!("--amqp=127.0.0.1:{port}"), "--listen=127.0.0.1:0".into(), "--redis=-".into()];
    let words: Vec<String> =
        words.into_iter().chain(more.iter().map(|w| (*w).to_owned())).collect();
    std::thread::spawn(move || {
        let args = queue::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move {
            let stop = Flag::default();
            if let Some(time) = end_after {
                let stop = stop.clone();
                spawn(async move {
                    sleep(time).await;
                    stop.raise();
                });
            }
            queue::run(args, stop).await
        })
        .unwrap();
    });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    port
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(channel.to_be_bytes());
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
    out.push(0xCE);
    out
}

fn method(channel: u16, class: u16, id: u16, arguments: &[u8]) -> Vec<u8> {
    frame(1, channel, &[&class.to_be_bytes(), &id.to_be_bytes(), arguments].concat())
}

fn short(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

struct Client(TcpStream);

impl Client {
    /// Logs in and opens channel 1.
    fn open(port: u16, heartbeat: u16) -> Client {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.write_all(b"AMQP\0\0\x09\x01").unwrap();
        let mut client = Client(socket);
        client.until(10, 10);
        let response = b"\0\0\0\x0c\0guest\0guest";
        let ok = [b"\0\0\0\0", &short("PLAIN")[..], response, &short("en_US")].concat();
        client.send(&method(0, 10, 11, &ok));
        client.until(10, 30);
        let tune = [&9u16.to_be_bytes()[..], &4096u32.to_be_bytes(), &heartbeat.to_be_bytes()];
        client.send(&method(0, 10, 31, &tune.concat()));
        client.send(&method(0, 10, 40, &[&short("/")[..], &short(""), &[0]].concat()));
        client.until(10, 41);
        client.send(&method(1, 20, 10, &short("")));
        client.until(20, 11);
        client
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next frame: its kind, and its payload.
    fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 7];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]) as usize;
        let mut rest = vec![0; length + 1];
        self.0.read_exact(&mut rest)?;
        assert_eq!(rest.pop(), Some(0xCE));
        Ok((head[0], rest))
    }

    /// The arguments of the next method, which must be this one.
    fn until(&mut self, class: u16, id: u16) -> Vec<u8> {
        loop {
            let (kind, payload) = self.read().unwrap();
            if kind == 8 {
                continue;
            }
            let wanted = [class.to_be_bytes(), id.to_be_bytes()].concat();
            assert_eq!((kind, &payload[..4]), (1, &wanted[..]), "{payload:?}");
            return payload[4..].to_vec();
        }
    }

    fn declare(&mut self, queue: &str, flags: u8) {
        self.send(&method(1, 50, 10, &[&[0, 0], &short(queue)[..], &[flags], &[0; 4]].concat()));
        self.until(50, 11);
    }

    /// Publishes to the default exchange; persistent ones have delivery mode 2.
    fn publish(&mut self, queue: &str, persistent: bool, body: &[u8]) {
        let arguments = [&[0, 0], &short("")[..], &short(queue), &[0]].concat();
        self.send(&method(1, 60, 40, &arguments));
        let properties: &[u8] = if persistent { &[0x10, 0, 2] } else { &[0, 0] };
        let size = (body.len() as u64).to_be_bytes();
        self.send(&frame(2, 1, &[&60u16.to_be_bytes(), &[0, 0], &size[..], properties].concat()));
        self.send(&frame(3, 1, body));
    }

    /// Takes a message, acknowledged at once: its body.
    fn get(&mut self, queue: &str) -> Option<Vec<u8>> {
        self.send(&method(1, 60, 70, &[&[0, 0], &short(queue)[..], &[1]].concat()));
        let (_, payload) = self.read().unwrap();
        if payload[..4] == [0, 60, 0, 72] {
            return None;
        }
        assert_eq!(payload[..4], [0, 60, 0, 71]);
        self.read().unwrap();
        Some(self.read().unwrap().1)
    }
}

#[test]
fn what_is_persistent_in_a_durable_queue_outlives_the_program() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("amqp");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("queue.aof");
    let _none = std::fs::remove_file(&file);
    let journal = format!("--journal={}", file.display());
    let mut client = Client::open(start(&[&journal], None), 0);
    client.declare("durable", 2);
    client.declare("fleeting", 0);
    // exchange.declare "news", durable; both queues bound to it.
    let exchange = [&[0, 0], &short("news")[..], &short("direct"), &[2], &[0; 4]].concat();
    client.send(&method(1, 40, 10, &exchange));
    client.until(40, 11);
    let bind = [&[0, 0], &short("durable")[..], &short("news"), &short("k"), &[0], &[0; 4]];
    client.send(&method(1, 50, 20, &bind.concat()));
    client.until(50, 21);
    for (body, persistent) in [(b"1", true), (b"2", false), (b"3", true), (b"4", true)] {
        client.publish("durable", persistent, body);
    }
    client.publish("fleeting", true, b"5");
    assert_eq!(client.get("durable").unwrap(), b"1");
    // The first program writes nothing more: as if it had been killed.
    let mut client = Client::open(start(&[&journal], None), 0);
    assert_eq!(client.get("durable").unwrap(), b"3");
    assert_eq!(client.get("durable").unwrap(), b"4");
    assert_eq!(client.get("durable"), None);
    client.send(&method(1, 60, 40, &[&[0, 0], &short("news")[..], &short("k"), &[0]].concat()));
    client.send(&frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    client.send(&method(1, 60, 70, &[&[0, 0], &short("durable")[..], &[1]].concat()));
    client.until(60, 71);
    client.read().unwrap();
    let fleeting = [&[0, 0], &short("fleeting")[..], &[1]].concat();
    client.send(&method(1, 60, 70, &fleeting));
    let closed = client.until(20, 40);
    assert_eq!(closed[..2], 404u16.to_be_bytes());
}

#[test]
fn who_falls_silent_is_let_go() {
    let port = start(&["--patience=300ms"], None);
    let ends = |mut client: Client, least: u64, most: u64| {
        let begun = Instant::now();
        while client.read().is_ok() {}
        let took = begun.elapsed();
        let bounds = Duration::from_millis(least)..Duration::from_millis(most);
        assert!(bounds.contains(&took), "{took:?}");
    };
    // In the middle of a log-in, of a frame, of a message.
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(b"AMQP\0").unwrap();
    ends(Client(socket), 200, 2000);
    let mut client = Client::open(port, 0);
    client.send(&[1, 0, 1, 0, 0]);
    ends(client, 200, 2000);
    let mut client = Client::open(port, 0);
    client.declare("q", 0);
    client.publish("q", false, b"whole");
    let arguments = [&[0, 0], &short("")[..], &short("q"), &[0]].concat();
    client.send(&method(1, 60, 40, &arguments));
    client.send(&frame(2, 1, &[0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]));
    ends(client, 200, 2000);
    // Nothing unfinished, but no heartbeat either: two seconds, and one that was agreed to be none.
    let mut quiet = Client::open(port, 0);
    ends(Client::open(port, 1), 1800, 4000);
    assert_eq!(quiet.get("q").unwrap(), b"whole");
    assert_eq!(quiet.get("q"), None, "half a message is none");
}

#[test]
fn asked_to_end_it_says_so() {
    let port = start(&[], Some(Duration::from_millis(300)));
    let mut client = Client::open(port, 0);
    let closed = client.until(10, 50);
    assert_eq!(closed[..2], 320u16.to_be_bytes());
    client.send(&method(0, 10, 51, &[]));
    assert!(client.read().is_err());
}
