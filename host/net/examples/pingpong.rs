//! How fast the virtual loopback is in real time: `cargo run -p podlab-net --example pingpong`
//! prints one JSON object a line. Tracing is on, as always.
#![allow(clippy::disallowed_types, reason = "it measures real time")]

use std::time::Instant;

use bytes::Bytes;
use podlab_net::{NamespaceSpec, Net, NetOptions, Stack};
use podlab_sim::{Sim, Stop, Time};
use podlab_trace::Trace;

const ROUNDS: u32 = 100_000;
const BULK: u64 = 1 << 30;
const PIECE: usize = 256 << 10;

fn world() -> (Sim, Trace, Stack) {
    let sim = Sim::new(1, 0);
    let trace = Trace::default();
    let net = Net::new(&sim.handle(), &trace, NetOptions::default());
    let place = trace.place(0, "node-1", "default", "pod", "");
    let namespace = net.namespace(NamespaceSpec {
        name: "default/pod".into(),
        node: "node-1".into(),
        place,
        ipv4: [10, 0, 0, 1].into(),
        ipv6: None,
        hostname: "pod".into(),
        search: Vec::new(),
        external: false,
    });
    let stack = namespace.stack(trace.place(0, "node-1", "default", "pod", "main"));
    (sim, trace, stack)
}

fn drive(sim: &mut Sim) {
    assert_eq!(sim.run_until(Time::MAX, u64::MAX), Stop::Idle);
}

/// Round trips of `request` and `answer`.
fn round_trips(request: &'static [u8], answer: &'static [u8]) -> f64 {
    let (mut sim, trace, stack) = world();
    let addr = "127.0.0.1:7".parse().expect("an address");
    let listener = stack.listen(addr).expect("the port is free");
    let h = sim.handle();
    h.spawn(async move {
        let stream = listener.accept().await.expect("a client comes");
        loop {
            let data = stream.read(4096).await.expect("the client is kind");
            if data.is_empty() {
                return;
            }
            stream.write_all(Bytes::copy_from_slice(answer)).await.expect("the client is kind");
        }
    });
    h.spawn(async move {
        let stream = stack.connect(addr).await.expect("somebody listens");
        for _ in 0..ROUNDS {
            stream.write_all(Bytes::copy_from_slice(request)).await.expect("it listens");
            assert_eq!(stream.read(4096).await.expect("it answers"), answer);
        }
    });
    let start = Instant::now();
    drive(&mut sim);
    let took = start.elapsed().as_secs_f64();
    assert!(trace.last() > u64::from(2 * ROUNDS), "everything is in the trace");
    took
}

fn bulk() -> f64 {
    let (mut sim, _, stack) = world();
    let addr = "127.0.0.1:7".parse().expect("an address");
    let listener = stack.listen(addr).expect("the port is free");
    let h = sim.handle();
    h.spawn(async move {
        let stream = listener.accept().await.expect("a client comes");
        let mut total = 0;
        loop {
            let data = stream.read(PIECE).await.expect("the client is kind");
            if data.is_empty() {
                break;
            }
            total += data.len() as u64;
        }
        assert_eq!(total, BULK);
    });
    h.spawn(async move {
        let stream = stack.connect(addr).await.expect("somebody listens");
        let piece = Bytes::from(vec![7; PIECE]);
        for _ in 0..BULK / PIECE as u64 {
            stream.write_all(piece.clone()).await.expect("it listens");
        }
    });
    let start = Instant::now();
    drive(&mut sim);
    start.elapsed().as_secs_f64()
}

fn main() {
    let http = (
        b"GET /index.html HTTP/1.1\r\nHost: web\r\nAccept: */*\r\n\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello".as_slice(),
    );
    for (what, (request, answer)) in [("four bytes", (&b"ping"[..], &b"pong"[..])), ("http", http)]
    {
        let seconds = round_trips(request, answer);
        println!(
            r#"{{"figure":"round trips on the loopback","of":"{what}","count":{ROUNDS},"seconds":{seconds:.3}}}"#
        );
    }
    let seconds = bulk();
    let rate = BULK as f64 / seconds / f64::from(1 << 30);
    println!(r#"{{"figure":"bulk over the loopback","GiB/s":{rate:.2},"seconds":{seconds:.3}}}"#);
}
