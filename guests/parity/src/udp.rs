//! UDP.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::{fact, say};

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let addr = socket.local_addr().expect("its address");
    (socket, addr)
}

pub fn facts() {
    let mut bytes = [0; 64];
    let (a, at_a) = socket();
    let (b, at_b) = socket();
    fact("udp ephemeral port", at_a.port() != 0 && at_a.port() != at_b.port());
    say("udp bind the same port", UdpSocket::bind(at_a).map(drop));
    say("udp bind the port of a TCP listener", {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        UdpSocket::bind(listener.local_addr().expect("its address")).map(drop)
    });
    say("udp peer before connect", a.peer_addr().map_err(|e| e.kind()).map_err(Into::into));
    say("udp send before connect", a.send(b"x").map(drop));
    say("udp send_to", a.send_to(b"hello", at_b));
    say(
        "udp recv_from",
        b.recv_from(&mut bytes).map(|(n, from)| (bytes[..n].to_vec(), from == at_a)),
    );
    say("udp empty datagram", a.send_to(b"", at_b));
    say("udp empty datagram arrives", b.recv_from(&mut bytes).map(|(n, _)| n));
    for text in [&b"one"[..], b"two", b"three"] {
        a.send_to(text, at_b).expect("sent");
    }
    for _ in 0..3 {
        say("udp borders stay", b.recv_from(&mut bytes).map(|(n, _)| bytes[..n].to_vec()));
    }
    a.send_to(&[9; 40], at_b).expect("sent");
    a.send_to(b"next", at_b).expect("sent");
    let mut small = [0; 8];
    say("udp a short buffer truncates", b.recv_from(&mut small).map(|(n, _)| n));
    say("udp the rest is gone", b.recv_from(&mut bytes).map(|(n, _)| bytes[..n].to_vec()));
    say("udp set read timeout", b.set_read_timeout(Some(Duration::from_millis(200))));
    say("udp no read timeout", b.set_read_timeout(None));
    b.set_nonblocking(true).expect("nonblocking");
    say("udp nonblocking recv of nothing", b.recv(&mut bytes));
    b.set_nonblocking(false).expect("blocking");
    say("udp too large", a.send_to(&vec![0; 65_508], at_b).map_err(large));
    say("udp as large as can be", a.send_to(&vec![5; 65_507], at_b));
    let mut large = vec![0; 70_000];
    say("udp arrives whole", b.recv_from(&mut large).map(|(n, _)| n));
    say("udp to port 0", a.send_to(b"x", (Ipv4Addr::LOCALHOST, 0)).map(drop));
    say("udp to the other family", a.send_to(b"x", (Ipv6Addr::LOCALHOST, at_b.port())).map(drop));

    // A connected socket hears its peer only.
    let (c, at_c) = socket();
    say("udp connect", b.connect(at_a));
    say("udp peer", b.peer_addr().map(|p| p == at_a));
    c.send_to(b"stranger", at_b).expect("sent");
    a.send_to(b"friend", at_b).expect("sent");
    say("udp connected socket hears its peer", b.recv(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("udp connected send", b.send(b"back"));
    say(
        "udp arrives",
        a.recv_from(&mut bytes).map(|(n, from)| (bytes[..n].to_vec(), from == at_b)),
    );
    say("udp connect to another", b.connect(at_c));
    c.send_to(b"now", at_b).expect("sent");
    say("udp hears the new peer", b.recv(&mut bytes).map(|n| bytes[..n].to_vec()));

    // A port that nobody has.
    let (gone, at_gone) = socket();
    drop(gone);
    let (d, _) = socket();
    d.connect(at_gone).expect("connected");
    d.set_nonblocking(true).expect("nonblocking");
    say("udp send to nobody", d.send(b"x"));
    std::thread::sleep(Duration::from_millis(20));
    say("udp which is refused", d.recv(&mut bytes));
    say("udp unconnected send to nobody", a.send_to(b"x", at_gone));
    std::thread::sleep(Duration::from_millis(20));
    say("udp is not told", a.send_to(b"x", at_c));

    a.send_to(b"peek", at_c).ok();
    say("udp peek", c.peek(&mut bytes).map(|n| n > 0));
    say("udp set_ttl", a.set_ttl(7));
    say("udp ttl", a.ttl());
    say("udp broadcast", a.set_broadcast(true));
    say(
        "udp [::1]",
        UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).and_then(|s| s.local_addr()).map(|a| a.ip()),
    );
}

/// std knows no kind for EMSGSIZE.
fn large(_: std::io::Error) -> std::io::Error {
    std::io::ErrorKind::InvalidInput.into()
}
