//! TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::{fact, say};

/// Two ends of one connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let client =
        TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    let (server, _) = listener.accept().expect("the other end");
    (client, server)
}

fn settle() {
    std::thread::sleep(Duration::from_millis(20));
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_or(1, |a| a.port())
}

pub fn facts() {
    binding();
    connecting();
    ending();
    waiting();
    moving();
    options();
}

fn binding() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr().expect("its address");
    fact("ephemeral port is not 0", addr.port() != 0);
    fact("ephemeral port is unprivileged", addr.port() >= 1024);
    fact("bound address", addr.ip());
    say("bind the same port", TcpListener::bind(addr).map(drop));
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
    say("bind the same port on any address", TcpListener::bind(any).map(drop));
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), addr.port()));
    say("bind the same port on 127.0.0.2", TcpListener::bind(other).map(drop));
    say("bind a foreign address", TcpListener::bind("203.0.113.7:0").map(drop));
    drop(listener);
    say("bind again after closing", TcpListener::bind(addr).map(drop));
    // After a connection that the server closed first: SO_REUSEADDR is set by std on Unix.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr().expect("its address");
    let client = TcpStream::connect(addr).expect("a connection");
    let (server, _) = listener.accept().expect("the other end");
    drop((server, listener));
    settle();
    drop(client);
    say("bind again after a connection", TcpListener::bind(addr).map(drop));
    say(
        "bind [::1]",
        TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map(|a| a.ip()),
    );
    let first = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let second = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let ports =
        (first.local_addr().map(|a| a.port()).ok(), second.local_addr().map(|a| a.port()).ok());
    fact("two ephemeral ports differ", ports.0 != ports.1);
    say("listener take_error", first.take_error().map(|e| e.map(|e| e.kind())));
}

fn connecting() {
    let port = free_port();
    say("connect to a closed port", TcpStream::connect(("127.0.0.1", port)).map(drop));
    say(
        "connect to a closed port on [::1]",
        TcpStream::connect((Ipv6Addr::LOCALHOST, port)).map(drop),
    );
    say("connect by name", TcpStream::connect(("localhost", port)).map(drop));
    let nobody: &[SocketAddr] = &[];
    say("connect to no address", TcpStream::connect(nobody).map(drop));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let addr = listener.local_addr().expect("its address");
    let both = [SocketAddr::from(([127, 0, 0, 1], port)), addr];
    say(
        "connect to the second of two addresses",
        TcpStream::connect(&both[..]).map(|s| s.peer_addr().ok() == Some(addr)),
    );
    let client = TcpStream::connect(addr).expect("a connection");
    let (_first, _) = listener.accept().expect("the other end of the first");
    let (server, from) = listener.accept().expect("the other end");
    fact("client's local address", client.local_addr().map(|a| a.ip()).ok());
    fact("client's peer is the listener", client.peer_addr().ok() == Some(addr));
    fact("server's local address is the listener's", server.local_addr().ok() == Some(addr));
    fact("accept tells the client's address", client.local_addr().ok() == Some(from));
    fact("server's peer", server.peer_addr().ok() == Some(from));
    // Before accept: the backlog takes connection and bytes.
    let mut early = TcpStream::connect(addr).expect("a connection");
    say("write before accept", early.write(b"early"));
    let (mut late, _) = listener.accept().expect("the other end");
    let mut bytes = [0; 16];
    say("read what was written before accept", late.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    // A listener that goes away with a connection in its backlog.
    let mut waiting = TcpStream::connect(addr).expect("a connection");
    drop(listener);
    settle();
    say("read from a connection nobody accepted", waiting.read(&mut bytes));
    say("connect after the listener closed", TcpStream::connect(addr).map(drop));
    say("established connections go on", early.write(b"more"));
    say("and are read", late.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say(
        "connect_timeout to a closed port",
        TcpStream::connect_timeout(&addr, Duration::from_secs(1)).map(drop),
    );
    say("connect_timeout to a closed port, then write", {
        TcpStream::connect_timeout(&addr, Duration::from_secs(1))
            .and_then(|mut s| s.write(b"x"))
            .map_err(refused)
    });
    say("connect_timeout to an open port", {
        let open = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let addr = open.local_addr().expect("its address");
        TcpStream::connect_timeout(&addr, Duration::from_secs(1)).and_then(|mut s| s.write(b"x"))
    });
    say("connect_timeout of zero", TcpStream::connect_timeout(&addr, Duration::ZERO).map(drop));
}

fn ending() {
    let mut bytes = [0; 16];
    let (mut client, mut server) = pair();
    say("shutdown write", client.shutdown(Shutdown::Write));
    say("peer reads the end", server.read(&mut bytes));
    say("and again", server.read(&mut bytes));
    say("peer still writes", server.write(b"answer"));
    say("half closed side reads it", client.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("half closed side writes", client.write(b"x"));
    drop(server);
    say("then reads the end", client.read(&mut bytes));

    let (mut client, server) = pair();
    drop(server);
    settle();
    say("read after the peer closed", client.read(&mut bytes));
    say("first write after the peer closed", client.write(b"x"));
    settle();
    say("second write after the peer closed", client.write(b"x"));
    settle();
    say("read after that", client.read(&mut bytes));

    let (mut client, server) = pair();
    client.write_all(b"nobody reads this").expect("room");
    settle();
    drop(server);
    settle();
    say("read after the peer closed with unread data", client.read(&mut bytes));
    say("read once more", client.read(&mut bytes));
    say("write after the reset", client.write(b"x"));

    let (mut client, mut server) = pair();
    client.write_all(b"last words").expect("room");
    drop(client);
    settle();
    say("read what a closed peer wrote", server.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("then the end", server.read(&mut bytes));

    let (mut client, mut server) = pair();
    say("shutdown both", client.shutdown(Shutdown::Both));
    say("read after shutdown both", client.read(&mut bytes));
    say("write after shutdown both", client.write(b"x"));
    say("peer reads the end of both", server.read(&mut bytes));
    say("shutdown again", client.shutdown(Shutdown::Both));

    let (mut client, mut server) = pair();
    server.write_all(b"abc").expect("room");
    settle();
    say("shutdown read", client.shutdown(Shutdown::Read));
    say("peer writes to a side that does not read", server.write(b"def"));
    say("other direction after shutdown read", client.write(b"ghi"));
    say("peer reads it", server.read(&mut bytes).map(|n| bytes[..n].to_vec()));
}

/// Whether it is told at once or at the first use, it is not a connection.
fn refused(_: io::Error) -> io::Error {
    ErrorKind::ConnectionRefused.into()
}

fn waiting() {
    let mut bytes = [0; 16];
    let (mut client, mut server) = pair();
    say("nonblocking", client.set_nonblocking(true));
    say("nonblocking read of nothing", client.read(&mut bytes));
    server.write_all(b"abc").expect("room");
    settle();
    say("nonblocking read of something", client.read(&mut bytes));
    say("nonblocking read of nothing more", client.read(&mut bytes));
    drop(server);
    settle();
    say("nonblocking read of the end", client.read(&mut bytes));

    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    listener.set_nonblocking(true).expect("nonblocking");
    say("nonblocking accept of nobody", listener.accept().map(drop));
    let _client =
        TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection");
    settle();
    say("nonblocking accept of somebody", listener.accept().map(drop));

    let (mut client, server) = pair();
    say("read timeout of zero", client.set_read_timeout(Some(Duration::ZERO)));
    say("set read timeout", client.set_read_timeout(Some(Duration::from_millis(60))));
    say("read timeout", client.read_timeout());
    let start = Instant::now();
    say("read times out", client.read(&mut bytes).map_err(timed_out));
    let took = start.elapsed().as_millis();
    fact("and took about that long", (55..1000).contains(&took));
    drop(server);
    settle();
    say("read timeout and the end", client.read(&mut bytes));

    let (mut client, _server) = pair();
    client.set_nonblocking(true).expect("nonblocking");
    let piece = vec![7; 64 << 10];
    let mut total = 0usize;
    let end = loop {
        match client.write(&piece) {
            Ok(n) => total += n,
            Err(error) => break error.kind(),
        }
        if total > 64 << 20 {
            break ErrorKind::Other;
        }
    };
    fact("writing to a peer that does not read ends in", end);
    fact("after more than 64 KiB", total > 64 << 10);
}

/// POSIX leaves open which of the two it is.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn moving() {
    let (mut client, mut server) = pair();
    client.set_nonblocking(true).expect("nonblocking");
    server.set_nonblocking(true).expect("nonblocking");
    let size = 5_000_000usize;
    let data: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
    let (mut sent, mut received, mut sum, mut closed) = (0, 0usize, 0u64, false);
    let mut buffer = vec![0; 40_000];
    while !closed {
        if sent < size {
            match client.write(&data[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return fact("large transfer: write", e.kind()),
            }
            if sent == size {
                client.shutdown(Shutdown::Write).expect("shutdown");
            }
        }
        match server.read(&mut buffer) {
            Ok(0) => closed = true,
            Ok(n) => {
                for (i, byte) in buffer[..n].iter().enumerate() {
                    sum =
                        sum.wrapping_mul(31).wrapping_add(u64::from(*byte) ^ (received + i) as u64);
                }
                received += n;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return fact("large transfer: read", e.kind()),
        }
    }
    fact("large transfer", (received, sum));

    let (mut client, mut server) = pair();
    for piece in [&b"a"[..], b"bc", b"def"] {
        client.write_all(piece).expect("room");
    }
    settle();
    let mut bytes = [0; 4];
    say("bytes have no borders", server.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("the rest", server.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("write of nothing", client.write(&[]));
    client.write_all(b"peek").expect("room");
    settle();
    say("peek", server.peek(&mut bytes).map(|n| bytes[..n].to_vec()));
    say("read after peek", server.read(&mut bytes).map(|n| bytes[..n].to_vec()));
    let slices = [io::IoSlice::new(b"one "), io::IoSlice::new(b"two")];
    let mut more = [0; 16];
    say("write in pieces reaches the peer", client.write_vectored(&slices).map(|n| n > 0));
    settle();
    say("its beginning", server.read(&mut more).map(|n| more[..n.min(4)].to_vec()));
}

fn options() {
    let (client, server) = pair();
    say("set_nodelay", client.set_nodelay(true));
    say("nodelay", client.nodelay());
    say("set_ttl", client.set_ttl(42));
    say("ttl", client.ttl());
    say("ttl of zero", client.set_ttl(0));
    say("take_error", client.take_error().map(|e| e.map(|e| e.kind())));
    say("try_clone", client.try_clone().map(drop));
    drop(server);
}
