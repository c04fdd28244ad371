//! Datagrams, names, Services, links, policies.

mod world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{
    Denied, DnsError, DnsFault, Errno, Flow, LinkEnd, LinkEnds, LinkProps, Service, ServicePort,
};
use podlab_sim::Time;
use podlab_trace::Kind;
use world::{World, bytes, read_all};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn service(endpoints: &[&str]) -> Service {
    let port = |port, udp| ServicePort {
        name: "main".into(),
        port,
        udp,
        endpoints: endpoints.iter().map(|e| addr(e)).collect(),
    };
    Service {
        name: "default/web".into(),
        ips: vec!["10.96.0.1".parse().unwrap()],
        ports: vec![port(80, false), port(53, true)],
    }
}

/// Greets every connection on port 8080 with the pod's own name.
fn greet(w: &World) {
    for (stack, name) in [(&w.a, "a"), (&w.b, "b"), (&w.far, "far")] {
        let listener = stack.listen(addr("0.0.0.0:8080")).unwrap();
        w.spawn(async move {
            loop {
                let stream = listener.accept().await.unwrap();
                stream.write_all(bytes(name)).await.unwrap();
            }
        });
    }
}

async fn ask(stack: &podlab_net::Stack, to: &str) -> Result<String, Errno> {
    let stream = stack.connect(addr(to)).await?;
    Ok(String::from_utf8(read_all(&stream).await?).unwrap())
}

#[test]
fn a_service_spreads_connections_over_its_endpoints() {
    let mut w = World::new(1);
    greet(&w);
    w.net.set_service(service(&["10.0.1.1:8080", "10.0.1.2:8080", "10.0.2.1:8080"]));
    for client in [&w.a, &w.outside] {
        let (client, say) = (client.clone(), w.say());
        w.spawn(async move {
            for _ in 0..30 {
                say(ask(&client, "10.96.0.1:80").await.unwrap());
            }
        });
    }
    let said = w.run_until(Time::from_secs(10));
    assert_eq!(said.len(), 60);
    for name in ["a", "b", "far"] {
        let n = said.iter().filter(|s| s.ends_with(&format!(" {name}"))).count();
        assert!((10..=32).contains(&n), "{name}: {n}");
    }
    let via = w.events().into_iter().any(|e| {
        matches!(e.kind, Kind::Connect { via, to, .. }
            if via == "default/web:main" && to == addr("10.96.0.1:80"))
    });
    assert!(via);
}

#[test]
fn a_connection_keeps_its_endpoint_and_a_service_without_any_refuses() {
    let mut w = World::new(1);
    let listener = w.b.listen(addr("0.0.0.0:8080")).unwrap();
    w.spawn(async move {
        let stream = listener.accept().await.unwrap();
        loop {
            let data = stream.read(99).await.unwrap();
            if data.is_empty() {
                return;
            }
            stream.write_all(data).await.unwrap();
        }
    });
    w.net.set_service(service(&["10.0.1.2:8080"]));
    let (client, net, say) = (w.a.clone(), w.net.clone(), w.say());
    w.spawn(async move {
        let stream = client.connect(addr("10.96.0.1:80")).await.unwrap();
        say(format!("{}", stream.socket().peer_addr().unwrap()));
        net.set_service(service(&[]));
        stream.write_all(bytes("still there?")).await.unwrap();
        say(format!("{:?}", stream.read(99).await));
        say(format!("{:?}", ask(&client, "10.96.0.1:80").await));
        net.set_service_on("n1", service(&["10.0.1.2:8080"]));
        say(format!("{:?}", client.connect(addr("10.96.0.1:80")).await.is_ok()));
        net.remove_service("default/web");
        say(format!("{:?}", ask(&client, "10.96.0.1:80").await));
    });
    let said = w.run_until(Time::from_secs(200));
    assert_eq!(
        said,
        [
            "0.000100000s 10.96.0.1:80",
            "0.000200000s Ok(b\"still there?\")",
            "0.000210000s Err(ConnRefused)",
            "0.000310000s true",
            "127.000310000s Err(TimedOut)",
        ]
    );
}

#[test]
fn datagrams_go_and_come() {
    let mut w = World::new(1);
    let (server, say) = (w.b.udp(false).unwrap(), w.say());
    server.bind(addr("0.0.0.0:53")).unwrap();
    w.spawn(async move {
        loop {
            let (data, from) = server.recv(4).await.unwrap();
            say(format!("{data:?} from {from}"));
            server.send(data, Some(from)).unwrap();
        }
    });
    let (client, say) = (w.a.udp(false).unwrap(), w.say());
    w.net.set_service(service(&["10.0.1.2:53"]));
    w.spawn(async move {
        assert_eq!(client.send(bytes("x"), None), Err(Errno::NotConnected));
        client.send(bytes("truncated"), Some(addr("10.0.1.2:53"))).unwrap();
        say(format!("{:?}", client.recv(99).await.unwrap()));
        client.connect(Some(addr("10.96.0.1:53"))).unwrap();
        client.send(bytes("vip"), None).unwrap();
        say(format!("{:?}", client.recv(99).await.unwrap()));
        let huge = Bytes::from(vec![0; 65_508]);
        assert_eq!(client.send(huge, None), Err(Errno::MessageTooLong));
    });
    assert_eq!(
        w.run(),
        [
            "0.000050000s b\"trun\" from 10.0.1.1:32768",
            "0.000100000s (b\"trun\", 10.0.1.2:53)",
            "0.000150000s b\"vip\" from 10.0.1.1:32768",
            "0.000200000s (b\"vip\", 10.96.0.1:53)",
        ]
    );
}

#[test]
fn a_connected_socket_hears_that_nobody_is_there() {
    let mut w = World::new(1);
    let (socket, say) = (w.a.udp(true).unwrap(), w.say());
    w.spawn(async move {
        socket.send(bytes("not connected"), Some(addr("[::1]:9"))).unwrap();
        socket.connect(Some(addr("[::1]:9"))).unwrap();
        socket.send(bytes("x"), None).unwrap();
        say(format!("{:?}", socket.recv(9).await));
    });
    assert_eq!(w.run(), ["0.000020000s Err(ConnRefused)"]);
}

#[test]
fn a_full_queue_drops_and_a_link_loses_and_doubles() {
    let mut w = World::new(1);
    let server = w.b.udp(false).unwrap();
    server.bind(addr("0.0.0.0:53")).unwrap();
    let client = w.a.udp(false).unwrap();
    let send = |n: usize| {
        for _ in 0..n {
            client.send(Bytes::from(vec![0; 1000]), Some(addr("10.0.1.2:53"))).unwrap();
        }
    };
    let count = || std::iter::from_fn(|| server.try_recv(9999).ok()).count();
    send(1000);
    w.run();
    assert_eq!(count(), 212_992 / 1256);
    let ends = LinkEnds { from: LinkEnd::Node("n1".into()), to: LinkEnd::Place(w.b.place()) };
    w.net.set_link(ends.clone(), LinkProps { loss: Some(0.5), ..Default::default() });
    send(100);
    w.run();
    let through = count();
    assert!((35..65).contains(&through), "{through}");
    w.net.set_link(ends, LinkProps { duplicate: Some(1.0), ..Default::default() });
    send(10);
    w.run();
    assert_eq!(count(), 20);
}

#[test]
fn what_is_on_the_wire_is_bounded() {
    let mut w = World::new(1);
    let (server, client) = (w.b.udp(false).unwrap(), w.a.udp(false).unwrap());
    server.bind(addr("0.0.0.0:53")).unwrap();
    for _ in 0..1000 {
        client.send(Bytes::from(vec![0; 60_000]), Some(addr("10.0.1.2:53"))).unwrap();
    }
    w.run();
    let sent = |e: &podlab_trace::Event| matches!(e.kind, Kind::Datagram { arrives, .. } if arrives != u64::MAX);
    assert_eq!(w.events().iter().filter(|e| sent(e)).count(), 68);
    client.send(bytes("again"), Some(addr("10.0.1.2:53"))).unwrap();
    w.run();
    assert!(sent(w.events().last().unwrap()));
}

#[test]
fn pods_may_have_ipv6() {
    let mut w = World::new(1);
    let stack = |name: &str, v4: &str, v6: &str| {
        let place = w.trace.place(0, "n1", "default", name, "");
        let spec = podlab_net::NamespaceSpec {
            name: name.into(),
            node: "n1".into(),
            place,
            ipv4: v4.parse().unwrap(),
            ipv6: Some(v6.parse().unwrap()),
            hostname: name.into(),
            search: Vec::new(),
            external: false,
        };
        w.net.namespace(spec).stack(place)
    };
    let (server, client) = (stack("s", "10.0.1.8", "fd00::8"), stack("c", "10.0.1.9", "fd00::9"));
    let listener = server.listen(addr("[::]:80")).unwrap();
    let say = w.say();
    w.spawn(async move {
        for _ in 0..2 {
            let stream = listener.accept().await.unwrap();
            say(stream.socket().peer_addr().unwrap().to_string());
        }
    });
    let (a, say) = (w.a.clone(), w.say());
    w.spawn(async move {
        for to in ["[fd00::8]:80", "10.0.1.8:80"] {
            read_all(&client.connect(addr(to)).await.unwrap()).await.unwrap();
        }
        say(format!("{:?}", client.resolve("c").await.unwrap()));
        say(format!("{:?}", a.connect(addr("[fd00::8]:80")).await.err()));
    });
    assert_eq!(
        w.run(),
        [
            "0.000150000s [fd00::9]:32768",
            "0.000350000s [::ffff:10.0.1.9]:32769",
            "0.000400000s [10.0.1.9, fd00::9]",
            "0.000400000s Some(Unreachable)",
        ]
    );
}

#[test]
fn names_are_looked_up_as_in_a_pod() {
    let mut w = World::new(1);
    let ip: std::net::IpAddr = "10.96.0.1".parse().unwrap();
    w.net.set_name("web.default.svc.cluster.local", vec![ip]);
    w.net.set_name("example.org.", vec!["192.168.0.7".parse().unwrap()]);
    let (client, net, say) = (w.a.clone(), w.net.clone(), w.say());
    w.spawn(async move {
        for name in
            ["localhost", "10.1.2.3", "a", "web", "WEB.default", "example.org.", "nope", "a b"]
        {
            say(format!("{:?}", client.resolve(name).await));
        }
        net.set_dns_fault(None, Some(DnsFault::ServerFailure));
        assert_eq!(client.resolve("web").await, Err(DnsError::ServerFailure));
        net.set_dns_fault(Some("a"), Some(DnsFault::Silent));
        say(format!("{:?}", client.resolve("web").await));
        net.set_dns_fault(Some("a"), None);
        net.set_dns_fault(None, None);
        assert_eq!(client.resolve("web").await, Ok(vec![ip]));
        let cut = LinkEnds { from: LinkEnd::Node("n1".into()), to: LinkEnd::Any };
        net.set_link(cut.clone(), LinkProps { partitioned: true, ..Default::default() });
        assert_eq!(client.resolve("web").await, Err(DnsError::Timeout));
        assert!(net.clear_link(&cut));
        net.remove_name("web.default.svc.cluster.local");
        assert_eq!(client.resolve("web").await, Err(DnsError::NoSuchName));
    });
    assert_eq!(
        w.run(),
        [
            "0.000000000s Ok([127.0.0.1, ::1])",
            "0.000000000s Ok([10.1.2.3])",
            "0.000000000s Ok([10.0.1.1])",
            "0.000500104s Ok([10.96.0.1])",
            "0.001500312s Ok([10.96.0.1])",
            "0.002000416s Ok([192.168.0.7])",
            "0.004000832s Err(NoSuchName)",
            "0.004000832s Err(Invalid)",
            "10.004500936s Err(Timeout)",
        ]
    );
    assert!(w.story().contains(&"resolve nope: NXDOMAIN".to_owned()));
}

#[test]
fn latency_and_bandwidth_are_those_of_the_link() {
    let mut w = World::new(1);
    greet(&w);
    let ends =
        LinkEnds { from: LinkEnd::Namespace("b".into()), to: LinkEnd::Namespace("a".into()) };
    let slow = Duration::from_millis(300);
    w.net.set_link(ends.clone(), LinkProps { latency: Some(slow), ..Default::default() });
    let (client, net, say) = (w.a.clone(), w.net.clone(), w.say());
    w.spawn(async move {
        say(format!("{:?}", ask(&client, "10.0.1.2:8080").await));
        net.clear_link(&ends);
        say(format!("{:?}", ask(&client, "10.0.1.2:8080").await));
        net.set_link(ends, LinkProps { bandwidth: Some(10_000), ..Default::default() });
        say(format!("{:?}", ask(&client, "10.0.1.2:8080").await));
    });
    let said = w.run();
    // Handshake there and back, then the greeting comes back after the acknowledgement.
    assert_eq!(said[0], "0.600100000s Ok(\"b\")");
    assert_eq!(said[1], "0.600300000s Ok(\"b\")");
    // SYN-ACK, one byte, the end: 66 + 67 + 66 bytes at 10 kbit/s take 159.2 ms; then latencies.
    assert_eq!(said[2], "0.759700000s Ok(\"b\")");
}

#[test]
fn a_policy_drops_what_it_denies() {
    let mut w = World::new(1);
    greet(&w);
    let far = w.far.namespace().place();
    w.net.set_policy(Some(Arc::new(move |flow: &Flow| {
        if flow.from == far { Err(Denied { by: "deny-far".into() }) } else { Ok(()) }
    })));
    for client in [&w.far, &w.a] {
        let (client, say) = (client.clone(), w.say());
        w.spawn(async move { say(format!("{:?}", ask(&client, "10.0.1.2:8080").await)) });
    }
    assert_eq!(w.run(), ["0.000200000s Ok(\"b\")", "127.000000000s Err(TimedOut)"]);
    assert!(w.story().iter().any(|s| s.ends_with("denied")));
}

#[test]
fn an_address_has_one_owner() {
    let w = World::new(1);
    let taken = podlab_net::NamespaceSpec {
        name: "thief".into(),
        node: "n2".into(),
        place: 1,
        ipv4: "10.0.1.1".parse().unwrap(),
        ipv6: None,
        hostname: "thief".into(),
        search: Vec::new(),
        external: false,
    };
    assert_eq!(w.net.try_namespace(taken.clone()).err(), Some(Errno::AddrInUse));
    w.a.namespace().close();
    assert!(w.a.namespace().is_closed() && w.net.try_namespace(taken).is_ok());
}
