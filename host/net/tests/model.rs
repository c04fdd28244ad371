//! TCP against a model: whatever programs do and links do to them, bytes arrive exactly once,
//! in order, and complete unless somebody gave up on them.

mod world;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{Errno, LinkEnd, LinkEnds, LinkProps, TcpOptions, TcpStream};
use podlab_sim::{Handle, Stop, Time};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use world::World;

/// What one side does.
#[derive(Clone, Debug)]
struct Side {
    /// Pieces to write, and how long to wait before each, in µs.
    writes: Vec<(usize, u64)>,
    /// Whether the end is sent before the socket is closed.
    shutdown: bool,
    /// How much to read at a time, how long to wait after each, and where to stop; `None` is
    /// at the end.
    read: (usize, u64, Option<usize>),
    buffers: (usize, usize),
}

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    sides: [Side; 2],
    links: [LinkProps; 2],
    /// When partitions begin and how long they last, in ms.
    partitions: Vec<(u64, u64)>,
}

fn side() -> impl Strategy<Value = Side> {
    let size = prop_oneof![4 => 1..2000usize, 1 => 1..300_000usize];
    let pause = prop_oneof![3 => Just(0), 1 => 0..300_000u64];
    let writes = prop::collection::vec((size, pause.clone()), 0..12);
    let limit = prop_oneof![3 => Just(None), 1 => (0..100_000usize).prop_map(Some)];
    let read = (1..100_000usize, prop_oneof![3 => Just(0), 1 => 0..20_000u64], limit);
    let buffers = (2304..300_000usize, 2304..300_000usize);
    (writes, any::<bool>(), read, buffers).prop_map(|(writes, shutdown, read, buffers)| Side {
        writes,
        shutdown,
        read,
        buffers,
    })
}

fn link() -> impl Strategy<Value = LinkProps> {
    (
        0..50_000u64,
        0..20_000u64,
        prop_oneof![Just(0), 1_000_000..1_000_000_000u64],
        prop_oneof![Just(0.0), 0.0..0.3f64],
    )
        .prop_map(|(latency, jitter, bandwidth, loss)| LinkProps {
            latency: Some(Duration::from_micros(latency)),
            jitter: Some(Duration::from_micros(jitter)),
            bandwidth: Some(bandwidth),
            loss: Some(loss),
            ..LinkProps::default()
        })
}

fn case() -> impl Strategy<Value = Case> {
    let partitions = prop::collection::vec((0..2000u64, 1..5000u64), 0..3);
    (any::<u64>(), [side(), side()], [link(), link()], partitions)
        .prop_map(|(seed, sides, links, partitions)| Case { seed, sides, links, partitions })
}

/// What became of it, side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    sent: usize,
    write_error: Option<Errno>,
    got: Vec<u8>,
    /// `Some(Ok)`: the end was read.
    end: Option<Result<(), Errno>>,
}

fn byte(side: usize, at: usize) -> u8 {
    (at * 31 + at / 251 + side * 7) as u8
}

async fn write(
    h: Handle,
    stream: Arc<TcpStream>,
    n: usize,
    side: Side,
    out: Arc<Mutex<[Outcome; 2]>>,
) {
    for (len, pause) in &side.writes {
        if *pause > 0 {
            h.sleep(Duration::from_micros(*pause)).await;
        }
        let from = out.lock().unwrap()[n].sent;
        let mut data: Bytes = (from..from + len).map(|i| byte(n, i)).collect();
        while !data.is_empty() {
            match stream.socket().write_some(&mut data) {
                Ok(written) => out.lock().unwrap()[n].sent += written,
                Err(Errno::WouldBlock) => {
                    std::future::poll_fn(|cx| stream.socket().poll_write(cx)).await;
                }
                Err(error) => {
                    out.lock().unwrap()[n].write_error = Some(error);
                    return;
                }
            }
        }
    }
    if side.shutdown {
        // After a reset there is nothing to shut down.
        let _ = stream.shutdown_write();
    }
}

async fn read(
    h: Handle,
    stream: Arc<TcpStream>,
    n: usize,
    side: Side,
    out: Arc<Mutex<[Outcome; 2]>>,
) {
    let (max, pause, limit) = side.read;
    loop {
        if limit.is_some_and(|l| out.lock().unwrap()[n].got.len() >= l) {
            return;
        }
        match stream.read(max).await {
            Ok(data) if data.is_empty() => {
                out.lock().unwrap()[n].end = Some(Ok(()));
                return;
            }
            Ok(data) => {
                assert!(data.len() <= max);
                out.lock().unwrap()[n].got.extend_from_slice(&data);
            }
            Err(error) => {
                out.lock().unwrap()[n].end = Some(Err(error));
                return;
            }
        }
        if pause > 0 {
            h.sleep(Duration::from_micros(pause)).await;
        }
    }
}

fn run(case: &Case) -> (Option<[Outcome; 2]>, podlab_trace::Digest) {
    let mut w = World::new(case.seed);
    let end = |n: &str| LinkEnd::Namespace(n.into());
    let ends = LinkEnds { from: end("a"), to: end("b") };
    w.net.set_link(ends.clone(), case.links[0]);
    w.net.set_link(ends.reversed(), case.links[1]);
    let out: Arc<Mutex<[Outcome; 2]>> = Arc::default();
    let begin = {
        let (h, out, case) = (w.handle(), out.clone(), case.clone());
        move |n: usize, stream: TcpStream| {
            let side = case.sides[n].clone();
            let (send_buffer, receive_buffer) = side.buffers;
            let options = TcpOptions { send_buffer, receive_buffer, ..stream.socket().options() };
            stream.socket().set_options(options).unwrap();
            let stream = Arc::new(stream);
            let writer = write(h.clone(), stream.clone(), n, side.clone(), out.clone());
            // A side that has not shut down ends its direction when both its halves are done,
            // which would wait for ever if both sides did so.
            let side = Side {
                read: (side.read.0, side.read.1, side.read.2.or((!side.shutdown).then_some(0))),
                ..side
            };
            let reader = read(h.clone(), stream, n, side, out.clone());
            h.spawn(writer);
            h.spawn(reader);
        }
    };
    let listener = w.b.listen("10.0.1.2:80".parse().unwrap()).unwrap();
    let (client, begin_server) = (w.a.clone(), begin.clone());
    let connect_error: Arc<Mutex<Option<Errno>>> = Arc::default();
    let failed = connect_error.clone();
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        begin_server(1, stream);
        // Keeps listening, so that a SYN sent twice is not refused.
        std::future::pending::<()>().await;
        drop(listener);
    });
    w.spawn(async move {
        match client.connect("10.0.1.2:80".parse().unwrap()).await {
            Ok(stream) => begin(0, stream),
            Err(error) => *failed.lock().unwrap() = Some(error),
        }
    });
    let partition = LinkEnds { from: LinkEnd::Any, to: LinkEnd::Any };
    let (h, net) = (w.handle(), w.net.clone());
    let partitions = case.partitions.clone();
    w.spawn(async move {
        for (wait, len) in partitions {
            h.sleep(Duration::from_millis(wait)).await;
            net.set_link(partition.clone(), LinkProps { partitioned: true, ..Default::default() });
            h.sleep(Duration::from_millis(len)).await;
            assert!(net.clear_link(&partition));
        }
    });
    assert_eq!(w.sim.run_until(Time::MAX, 50_000_000), Stop::Idle);
    if let Some(error) = *connect_error.lock().unwrap() {
        // Seven SYNs in a row can be lost.
        assert_eq!(error, Errno::TimedOut);
        return (None, w.trace.digest());
    }
    let out = out.lock().unwrap().clone();
    let done = |n: usize| {
        let all: usize = case.sides[n].writes.iter().map(|w| w.0).sum();
        let wrote = out[n].write_error.is_some() || out[n].sent == all;
        let limit = case.sides[n].read.2.or((!case.sides[n].shutdown).then_some(0));
        wrote && (out[n].end.is_some() || limit.is_some_and(|l| out[n].got.len() >= l))
    };
    if done(0) && done(1) {
        assert_eq!(w.net.connections(), 0, "nothing is left of a connection");
    }
    (Some(out), w.trace.digest())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_arrive_once_in_order_and_complete(case in case()) {
        let (out, digest) = run(&case);
        // The same once more is the same.
        prop_assert_eq!(run(&case), (out.clone(), digest));
        let patient = |n: usize| case.sides[n].read.2.is_none() && case.sides[n].shutdown;
        let Some(out) = out else { return Ok(()) };
        for (n, o) in out.iter().enumerate() {
            let peer = &out[1 - n];
            let right = o.got.iter().enumerate().all(|(i, b)| *b == byte(1 - n, i));
            prop_assert!(right, "side {n} got other bytes than were sent");
            prop_assert!(o.got.len() <= peer.sent, "side {n} got more than was sent");
            match o.end {
                // A reset is told once; whoever asks next sees an end (as on Linux).
                Some(Ok(())) if o.write_error.is_some() => {}
                Some(Ok(())) => prop_assert_eq!(o.got.len(), peer.sent, "the end came early"),
                Some(Err(Errno::ConnReset)) => {
                    prop_assert!(!patient(1 - n), "side {} reset without a reason", 1 - n);
                }
                Some(Err(error)) => {
                    // The peer ended its direction, then refused what came.
                    prop_assert!(error == Errno::Closed && !patient(1 - n), "{error}");
                }
                // A reset that a partition swallows is not sent again: its receiver, if it has
                // nothing to send, waits for ever. And data that its program left behind is
                // given up after eight retransmissions. Both as in reality.
                None => {
                    let lossy = case.links.iter().any(|l| l.loss != Some(0.0));
                    let lost = !case.partitions.is_empty() && (lossy || !patient(1 - n));
                    prop_assert!(!patient(n) || lost, "side {n} waits for ever");
                }
            }
            match o.write_error {
                None => {
                    let all: usize = case.sides[n].writes.iter().map(|w| w.0).sum();
                    // Who writes to someone that neither reads nor closes waits for ever.
                    prop_assert!(o.sent == all || !patient(1 - n), "{} of {all}", o.sent);
                }
                Some(error) => {
                    let fits = matches!(error, Errno::ConnReset | Errno::Closed);
                    prop_assert!(fits && !patient(1 - n), "{error}");
                }
            }
            if patient(0) && patient(1) && o.end.is_some() {
                prop_assert_eq!(&o.end, &Some(Ok(())));
            }
        }
    }
}

#[test]
fn another_seed_is_another_trace() {
    let side = Side {
        writes: vec![(5000, 1000); 5],
        shutdown: true,
        read: (700, 0, None),
        buffers: (9000, 9000),
    };
    let link = LinkProps {
        loss: Some(0.2),
        latency: Some(Duration::from_millis(1)),
        ..Default::default()
    };
    let case = |seed| Case {
        seed,
        sides: [side.clone(), side.clone()],
        links: [link, link],
        partitions: Vec::new(),
    };
    let (out, digest) = run(&case(1));
    let (other, other_digest) = run(&case(2));
    assert_eq!(out, other, "what programs see is the same");
    assert_ne!(digest, other_digest);
}
