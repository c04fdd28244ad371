//! TCP as programs see it.

mod world;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{Errno, LinkEnd, LinkEnds, LinkProps};
use podlab_sim::Time;
use podlab_trace::Kind;
use world::{World, bytes, pod, read_all};

#[test]
fn a_request_and_its_answer_over_localhost() {
    let mut w = World::new(1);
    let (server, client, say) = (w.a.clone(), w.a.clone(), w.say());
    w.spawn(async move {
        let listener = server.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        let stream = listener.accept().await.unwrap();
        let got = read_all(&stream).await.unwrap();
        stream.write_all(Bytes::from([b"you said ", &got[..]].concat())).await.unwrap();
    });
    let h = w.handle();
    w.spawn(async move {
        h.yield_now().await;
        let stream = client.connect("127.0.0.1:80".parse().unwrap()).await.unwrap();
        say(format!("{:?}", stream.socket().local_addr().unwrap()));
        stream.write_all(bytes("hi")).await.unwrap();
        stream.shutdown_write().unwrap();
        say(String::from_utf8(read_all(&stream).await.unwrap()).unwrap());
    });
    assert_eq!(w.run(), ["0.000020000s 127.0.0.1:32768", "0.000040000s you said hi"]);
    assert_eq!(
        w.story(),
        [
            "listens on 0.0.0.0:80",
            "#1 connect 127.0.0.1:32768 to 127.0.0.1:80",
            "#1 -> 2 bytes",
            "#1 -> end of data",
            "#1 accept",
            "#1 <- 11 bytes",
            "#1 <- end of data",
            "no longer listens on 0.0.0.0:80",
            "#1 closed",
        ]
    );
}

/// A server at `10.0.1.2:80` that accepts one connection and hands it to `then`.
fn serve<F>(w: &World, then: impl FnOnce(podlab_net::TcpStream) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let listener = w.b.listen("0.0.0.0:80".parse().unwrap()).unwrap();
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        then(stream).await;
    });
}

fn web() -> std::net::SocketAddr {
    "10.0.1.2:80".parse().unwrap()
}

fn cut(both: [&str; 2]) -> [LinkEnds; 2] {
    let [from, to] = both.map(|n| LinkEnd::Namespace(n.into()));
    let ends = LinkEnds { from, to };
    [ends.reversed(), ends]
}

const PARTITION: LinkProps = LinkProps {
    latency: None,
    jitter: None,
    bandwidth: None,
    loss: None,
    duplicate: None,
    partitioned: true,
};

#[test]
fn nobody_listens_is_refused_after_a_round_trip() {
    let mut w = World::new(1);
    for (client, to) in [(&w.a, "10.0.1.2:80"), (&w.far, "10.0.1.2:80"), (&w.a, "[::1]:80")] {
        let (client, say) = (client.clone(), w.say());
        w.spawn(async move {
            let e = client.connect(to.parse().unwrap()).await.err().unwrap();
            say(format!("{e}"));
        });
    }
    assert_eq!(
        w.run(),
        [
            "0.000020000s connection refused",
            "0.000100000s connection refused",
            "0.000500104s connection refused",
        ]
    );
    assert!(w.story().contains(&"#1 refused".to_owned()), "{:?}", w.story());
}

#[test]
fn a_host_that_is_not_there_times_out_after_all_retries() {
    let mut w = World::new(1);
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        say(format!("{}", client.connect("10.9.9.9:80".parse().unwrap()).await.err().unwrap()));
    });
    // 1 + 2 + 4 + 8 + 16 + 32 + 64 s, as with Linux' six retries.
    assert_eq!(w.run(), ["127.000000000s connection timed out"]);
}

#[test]
fn a_connect_gets_through_when_the_partition_heals() {
    let mut w = World::new(1);
    serve(&w, |stream| async move {
        read_all(&stream).await.unwrap();
    });
    cut(["a", "b"]).into_iter().for_each(|ends| w.net.set_link(ends, PARTITION));
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        client.connect(web()).await.unwrap();
        say("connected".into());
    });
    assert!(w.run_until(Time::from_millis(2500)).is_empty());
    for ends in cut(["a", "b"]) {
        assert!(w.net.clear_link(&ends));
    }
    assert_eq!(w.run(), ["3.000100000s connected"]);
}

#[test]
fn data_waits_for_a_partition_to_heal_and_keeps_its_order() {
    let mut w = World::new(1);
    let say = w.say();
    serve(&w, |stream| async move {
        loop {
            let part = stream.read(100).await.unwrap();
            say(format!("{part:?}"));
            if part.is_empty() {
                return;
            }
        }
    });
    let (client, h) = (w.a.clone(), w.handle());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        stream.write_all(bytes("one ")).await.unwrap();
        h.sleep(Duration::from_secs(1)).await;
        stream.write_all(bytes("two ")).await.unwrap();
        h.sleep(Duration::from_millis(100)).await;
        stream.write_all(bytes("three")).await.unwrap();
    });
    assert_eq!(w.run_until(Time::from_millis(500)).len(), 1);
    cut(["a", "b"]).into_iter().for_each(|ends| w.net.set_link(ends, PARTITION));
    assert!(w.run_until(Time::from_secs(2)).is_empty());
    cut(["a", "b"]).iter().for_each(|ends| assert!(w.net.clear_link(ends)));
    // Sent again after 0.2, 0.6, 1.4 s.
    assert_eq!(w.run(), ["2.400150000s b\"two three\"", "2.400150000s b\"\""]);
    let data: Vec<(u64, u64, u32)> = w
        .events()
        .into_iter()
        .filter_map(|e| match e.kind {
            Kind::Data { offset, arrives, retries, .. } => Some((offset, arrives, retries)),
            _ => None,
        })
        .collect();
    let healed = 2_400_150_000;
    assert_eq!(data[0].2, 0);
    assert_eq!(data[1..], [(4, u64::MAX, 0), (8, u64::MAX, 0), (4, healed, 3), (8, healed, 3)]);
}

#[test]
fn a_partition_that_lasts_ends_in_a_time_out_for_the_writer_only() {
    let mut w = World::new(1);
    let say = w.say();
    serve(&w, |stream| async move {
        say(format!("server: {:?}", stream.read(9).await));
    });
    let (client, h, say) = (w.a.clone(), w.handle(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        h.sleep(Duration::from_secs(1)).await;
        stream.write_all(bytes("x")).await.unwrap();
        say(format!("client: {:?}", stream.read(9).await));
        say(format!("client: {:?}", stream.read(9).await));
        say(format!("client: {:?}", stream.write_all(bytes("y")).await));
    });
    w.run_until(Time::from_millis(500));
    cut(["a", "b"]).into_iter().for_each(|ends| w.net.set_link(ends, PARTITION));
    // 924.6 s later, as with Linux' 15 retries.
    assert_eq!(
        w.run(),
        [
            "925.600100000s client: Err(TimedOut)",
            "925.600100000s client: Ok(b\"\")",
            "925.600100000s client: Err(Closed)",
        ]
    );
}

#[test]
fn loss_is_delay() {
    let mut w = World::new(7);
    let ends = LinkEnds { from: LinkEnd::Any, to: LinkEnd::Any };
    w.net.set_link(ends, LinkProps { loss: Some(0.3), ..LinkProps::default() });
    let say = w.say();
    serve(&w, move |stream| async move {
        say(format!("{}", read_all(&stream).await.unwrap().len()));
    });
    let (client, h) = (w.a.clone(), w.handle());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        for _ in 0..50 {
            stream.write_all(bytes("0123456789")).await.unwrap();
            h.sleep(Duration::from_millis(1)).await;
        }
    });
    let said = w.run();
    assert!(said.len() == 1 && said[0].ends_with(" 500"), "{said:?}");
    let retries: u32 = w
        .events()
        .iter()
        .map(|e| if let Kind::Data { retries, .. } = e.kind { retries } else { 0 })
        .sum();
    assert!((8..40).contains(&retries), "{retries}");
    assert!(w.sim.now() > Time::from_millis(250));
}

#[test]
fn a_full_backlog_drops_syns_and_the_client_tries_again() {
    let mut w = World::new(1);
    let listener = w.b.tcp(false).unwrap();
    listener.bind(web()).unwrap();
    listener.listen(1).unwrap();
    for _ in 0..3 {
        let (client, say) = (w.a.clone(), w.say());
        w.spawn(async move {
            let stream = client.connect(web()).await.unwrap();
            say("connected".into());
            let _ = stream.read(1).await;
        });
    }
    let connected = "0.000100000s connected";
    assert_eq!(w.run_until(Time::from_millis(500)), [connected, connected], "backlog + 1");
    drop(listener.accept().unwrap());
    assert_eq!(w.run_until(Time::from_secs(5)), ["1.000100000s connected"]);
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    let mut w = World::new(1);
    let say = w.say();
    serve(&w, move |stream| async move {
        assert_eq!(stream.read(9).await.unwrap(), "");
        for part in ["a", "b"] {
            stream.write_all(bytes(part)).await.unwrap();
        }
        say(format!("{:?}", stream.socket().try_write(bytes("c"))));
        stream.socket().shutdown(false, true).unwrap();
        say(format!("{:?}", stream.socket().try_write(bytes("d"))));
    });
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        stream.shutdown_write().unwrap();
        assert_eq!(stream.write_all(bytes("x")).await, Err(Errno::Closed));
        say(format!("{:?}", read_all(&stream).await.map(|d| d.len())));
    });
    assert_eq!(w.run(), ["0.000150000s Ok(1)", "0.000150000s Err(Closed)", "0.000200000s Ok(3)"]);
}

#[test]
fn closing_with_unread_data_resets() {
    let mut w = World::new(1);
    let h = w.handle();
    serve(&w, move |stream| async move {
        h.sleep(Duration::from_secs(1)).await;
        assert_eq!(stream.socket().readable(), 6);
        drop(stream);
    });
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        stream.write_all(bytes("unread")).await.unwrap();
        say(format!("{:?}", stream.read(9).await));
        say(format!("{:?}", stream.read(9).await));
        say(format!("{:?}", stream.write_all(bytes("x")).await));
    });
    let said = w.run();
    let what: Vec<&str> = said.iter().map(|s| s.split_once(' ').unwrap().1).collect();
    assert_eq!(what, ["Err(ConnReset)", "Ok(b\"\")", "Err(Closed)"]);
    assert!(w.story().contains(&"#1 reset".to_owned()));
}

#[test]
fn writing_to_a_closed_peer_is_a_broken_pipe_after_its_reset() {
    let mut w = World::new(1);
    serve(&w, |stream| async move { stream.close() });
    let (client, h, say) = (w.a.clone(), w.handle(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        assert_eq!(stream.read(9).await.unwrap(), "", "the end came first");
        say(format!("{:?}", stream.socket().try_write(bytes("x"))));
        h.sleep(Duration::from_millis(1)).await;
        say(format!("{:?}", stream.socket().try_write(bytes("y"))));
    });
    assert_eq!(w.run(), ["0.000200000s Ok(1)", "0.001200000s Err(Closed)"]);
}

#[test]
fn a_slow_reader_slows_the_writer() {
    let mut w = World::new(1);
    let (h, say) = (w.handle(), w.say());
    serve(&w, move |stream| async move {
        h.sleep(Duration::from_secs(1)).await;
        let data = read_all(&stream).await.unwrap();
        let right = data.iter().enumerate().all(|(i, b)| *b == i as u8);
        say(format!("read {} {right}", data.len()));
    });
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        let all: Vec<u8> = (0..2_000_000u32).map(|i| i as u8).collect();
        let mut rest = Bytes::from(all);
        let n = stream.socket().write_some(&mut rest).unwrap();
        say(format!("wrote {n}, then {:?}", stream.socket().try_write(bytes("x"))));
        stream.write_all(rest).await.unwrap();
        say("wrote all".into());
    });
    let said = w.run();
    assert_eq!(said[0], "0.000100000s wrote 524288, then Err(WouldBlock)");
    assert!(said[1].starts_with("1.00") && said[1].ends_with("wrote all"), "{said:?}");
    assert!(said[2].ends_with("read 2000000 true"), "{said:?}");
}

#[test]
fn small_writes_do_not_escape_the_buffers() {
    let mut w = World::new(1);
    serve(&w, |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let (client, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        let mut n = 0;
        while stream.socket().try_write(bytes("x")).is_ok() {
            n += 1;
        }
        say(format!("{n}"));
        assert_eq!(stream.socket().writable(), 0);
    });
    // 1024 segments in the window, then bytes in the send buffer.
    assert_eq!(w.run(), [format!("0.000100000s {}", 1024 + (256 << 10))]);
}

#[test]
fn addresses_are_shared_within_a_pod() {
    let w = World::new(1);
    let other = w.a.namespace().stack(w.trace.place(0, "n1", "default", "a", "sidecar"));
    let bind = |stack: &podlab_net::Stack, addr: &str| {
        let addr: std::net::SocketAddr = addr.parse().unwrap();
        let socket = stack.tcp(addr.is_ipv6()).unwrap();
        socket.bind(addr).map(|()| socket)
    };
    let held = bind(&w.a, "0.0.0.0:80").unwrap();
    assert_eq!(bind(&other, "127.0.0.1:80").err(), Some(Errno::AddrInUse));
    assert_eq!(bind(&other, "10.0.1.1:80").err(), Some(Errno::AddrInUse));
    assert_eq!(bind(&other, "[::]:80").err(), Some(Errno::AddrInUse), "a dual-stack wildcard");
    assert!(bind(&other, "[::1]:80").is_ok());
    assert!(bind(&w.b, "0.0.0.0:80").is_ok(), "another pod");
    assert_eq!(bind(&w.a, "10.0.1.2:81").err(), Some(Errno::AddrNotAvailable));
    assert_eq!(held.bind("0.0.0.0:81".parse().unwrap()), Err(Errno::Invalid));
    assert_eq!(held.bind("[::1]:81".parse().unwrap()), Err(Errno::Invalid));
    assert_eq!(w.a.tcp(true).unwrap().bind("127.0.0.1:1".parse().unwrap()), Err(Errno::Family));
    let any = bind(&w.a, "0.0.0.0:0").unwrap();
    assert_eq!(any.local_addr().unwrap().port(), 32768);
    drop(held);
    assert!(bind(&other, "127.0.0.1:80").is_ok());
}

#[test]
fn a_dual_stack_wildcard_takes_ipv4_in_ipv6s_clothes() {
    let mut w = World::new(1);
    let (listener, say) = (w.b.listen("[::]:80".parse().unwrap()).unwrap(), w.say());
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        let socket = stream.socket();
        say(format!("{} {}", socket.local_addr().unwrap(), socket.peer_addr().unwrap()));
    });
    let client = w.a.clone();
    w.spawn(async move {
        read_all(&client.connect(web()).await.unwrap()).await.unwrap();
    });
    assert_eq!(w.run(), ["0.000150000s [::ffff:10.0.1.2]:80 [::ffff:10.0.1.1]:32768"]);
}

#[test]
fn a_program_that_ends_leaves_what_the_kernel_would_send() {
    let mut w = World::new(1);
    let (server, h) = (w.b.clone(), w.handle());
    let listener = server.listen(web()).unwrap();
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        stream.write_all(bytes("last words")).await.unwrap();
        h.sleep(Duration::from_millis(5)).await;
        server.close();
        assert_eq!(stream.read(1).await, Err(Errno::ConnAborted));
        assert!(server.tcp(false).is_err());
        drop(stream);
        std::future::pending::<()>().await;
        drop(listener);
    });
    for _ in 0..2 {
        let (client, say) = (w.a.clone(), w.say());
        w.spawn(async move {
            let stream = client.connect(web()).await.unwrap();
            say(format!("{:?}", read_all(&stream).await.map(|d| d.len())));
            say(format!("{:?}", client.connect(web()).await.err()));
        });
    }
    let said = w.run();
    let what: Vec<&str> = said.iter().map(|s| s.split_once(' ').unwrap().1).collect();
    // One was accepted, the other waited and is turned away.
    let mut sorted = what.clone();
    sorted.sort_unstable();
    assert_eq!(
        sorted,
        ["Err(ConnReset)", "Ok(10)", "Some(ConnRefused)", "Some(ConnRefused)"],
        "{what:?}"
    );
}

#[test]
fn a_deleted_pod_answers_nobody() {
    let mut w = World::new(1);
    let listener = w.b.listen(web()).unwrap();
    let (b, h) = (w.b.clone(), w.handle());
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        h.sleep(Duration::from_secs(1)).await;
        b.namespace().close();
        assert_eq!(stream.read(1).await, Err(Errno::ConnAborted));
        assert_eq!(listener.accept().await.err(), Some(Errno::ConnAborted));
        assert!(b.udp(false).is_err());
    });
    let (client, h, say) = (w.a.clone(), w.handle(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        h.sleep(Duration::from_secs(2)).await;
        say(format!("{:?}", client.connect(web()).await.err()));
        stream.write_all(bytes("anyone?")).await.unwrap();
        say(format!("{:?}", stream.read(1).await));
    });
    let said = w.run();
    assert_eq!(said, ["129.000100000s Some(TimedOut)", "1053.600100000s Err(TimedOut)"]);
}

#[test]
fn whoever_gets_the_address_of_a_deleted_pod_resets_its_connections() {
    let mut w = World::new(1);
    serve(&w, |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let (client, h, say) = (w.a.clone(), w.handle(), w.say());
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        h.sleep(Duration::from_secs(2)).await;
        stream.write_all(bytes("anyone?")).await.unwrap();
        say(format!("{:?}", stream.read(1).await));
    });
    w.run_until(Time::from_secs(1));
    w.b.namespace().close();
    let _new = pod(&w.net, &w.trace, w.sim.now().as_nanos(), "c", "n2", "10.0.1.2");
    assert_eq!(w.run(), ["2.200100000s Err(ConnReset)"]);
}

#[test]
fn sockets_are_bounded() {
    let options = podlab_net::NetOptions { sockets: 3, ..Default::default() };
    let w = World::with(1, options);
    let held: Vec<_> = (0..3).map(|_| w.a.tcp(false).unwrap()).collect();
    assert_eq!(w.a.tcp(false).err(), Some(Errno::TooManySockets));
    assert_eq!(w.a.udp(false).err(), Some(Errno::TooManySockets));
    drop(held);
    assert!(w.a.tcp(false).is_ok());
}

#[test]
fn a_failed_connect_may_be_tried_again_on_the_same_socket() {
    let mut w = World::new(1);
    let socket = w.a.tcp(false).unwrap();
    socket.connect(web()).unwrap();
    assert_eq!(socket.connect(web()), Err(Errno::Already));
    assert_eq!(socket.finish_connect(), Err(Errno::WouldBlock));
    w.run();
    assert_eq!(socket.finish_connect(), Err(Errno::ConnRefused));
    serve(&w, |stream| async move { drop(stream) });
    socket.connect(web()).unwrap();
    w.run();
    assert_eq!(socket.finish_connect(), Ok(()));
    assert_eq!(socket.connect(web()), Err(Errno::IsConnected));
    assert_eq!(socket.try_read(1).unwrap(), "");
}

#[test]
fn messages_are_found_and_answers_know_their_requests() {
    let mut w = World::new(1);
    serve(&w, |stream| async move {
        stream.read(9999).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        stream.write_all(bytes(answer)).await.unwrap();
        stream.read(9999).await.unwrap();
    });
    let client = w.a.clone();
    w.spawn(async move {
        let stream = client.connect(web()).await.unwrap();
        stream.write_all(bytes("GET /x HTTP/1.1\r\n")).await.unwrap();
        stream.write_all(bytes("Host: web\r\n\r\n")).await.unwrap();
        assert!(stream.read(9999).await.unwrap().ends_with(b"hi"));
    });
    w.run();
    let events = w.events();
    let messages: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.kind {
            Kind::Message { summary, answers, exchange, .. } => {
                Some((e.seq, e.place, summary.as_str(), *answers, *exchange))
            }
            _ => None,
        })
        .collect();
    let request = messages[0].0;
    assert_eq!(messages[0].1, w.a.place());
    assert_eq!((messages[0].2, messages[0].3, messages[0].4), ("GET /x", 0, 1));
    assert_eq!((messages[1].1, messages[1].2, messages[1].3), (w.b.place(), "200 OK", request));
    // The answer was caused by the bytes of the request.
    let answer = events.iter().find(|e| e.seq == messages[1].0).unwrap();
    assert!(matches!(events[answer.cause as usize - 1].kind, Kind::Data { .. }));
}
