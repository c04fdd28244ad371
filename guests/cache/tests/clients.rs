//! Clients that others wrote talk to the cache, natively; and bytes that no client should send.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use podlab_guest::runtime::{Flag, block_on};

/// Starts a cache on free ports: memcached, redis, admin.
fn start() -> [u16; 3] {
    let ports = [(); 3].map(|()| {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    });
    let words: Vec<String> = ["memcached", "redis", "admin"]
        .iter()
        .zip(ports)
        .map(|(name, port)| format!("--{name}=127.0.0.1:{port}"))
        .chain(["--patience=300ms".to_owned()])
        .collect();
    std::thread::spawn(move || {
        let args = cache::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move { cache::run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", ports[2])).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    ports
}

/// Sends bytes, ends its half, and reads all answers.
fn raw(port: u16, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(bytes).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    out
}

#[test]
fn a_memcached_client() {
    let [port, ..] = start();
    let client = memcache::connect(format!("memcache://127.0.0.1:{port}?protocol=ascii")).unwrap();
    client.set("name", "Ada", 0).unwrap();
    assert_eq!(client.get::<String>("name").unwrap().as_deref(), Some("Ada"));
    assert_eq!(client.get::<String>("nobody").unwrap(), None);
    client.set("n", 41, 0).unwrap();
    assert_eq!(client.increment("n", 1).unwrap(), 42);
    // This client reports NOT_STORED as success: the value tells.
    client.add("n", 1, 0).unwrap();
    assert_eq!(client.get::<String>("n").unwrap().as_deref(), Some("42"));
    client.append("name", " L.").unwrap();
    let many = client.gets::<String>(&["name", "n", "x"]).unwrap();
    assert_eq!(many.len(), 2);
    assert_eq!(many["name"], "Ada L.");
    let (_, _, cas) = client.gets::<(Vec<u8>, u32, Option<u64>)>(&["n"]).unwrap()["n"].clone();
    let cas = cas.unwrap();
    assert!(client.cas("n", 7, 0, cas).unwrap());
    assert!(!client.cas("n", 8, 0, cas).unwrap());
    assert!(client.touch("n", 100).unwrap());
    assert!(client.delete("n").unwrap() && !client.delete("n").unwrap());
    assert!(client.version().unwrap()[0].1.starts_with(env!("CARGO_PKG_VERSION")));
    client.flush().unwrap();
    assert_eq!(client.get::<String>("name").unwrap(), None);
}

#[test]
fn a_redis_client_in_both_versions() {
    let [_, port, _] = start();
    for version in ["resp2", "resp3"] {
        let url = format!("redis://127.0.0.1:{port}/?protocol={version}");
        let mut c = redis::Client::open(url).unwrap().get_connection().unwrap();
        let run = |words: &[&str]| {
            let mut cmd = redis::cmd(words[0]);
            cmd.arg(&words[1..]);
            cmd
        };
        assert_eq!(run(&["SET", "a", "1", "EX", "100"]).query::<String>(&mut c).unwrap(), "OK");
        assert_eq!(run(&["INCR", "a"]).query::<i64>(&mut c).unwrap(), 2);
        assert_eq!(run(&["TTL", "a"]).query::<i64>(&mut c).unwrap(), 100);
        let got: Vec<Option<String>> = run(&["MGET", "a", "x"]).query(&mut c).unwrap();
        assert_eq!(got, [Some("2".into()), None]);
        let info: redis::InfoDict = run(&["INFO"]).query(&mut c).unwrap();
        assert_eq!(info.get::<String>("role").as_deref(), Some("master"));
        let error = run(&["NOPE"]).query::<()>(&mut c).unwrap_err();
        assert!(error.to_string().contains("unknown command"), "{error}");
        let (a, b): (String, i64) =
            redis::pipe().cmd("SET").arg("p").arg(5).cmd("INCR").arg("p").query(&mut c).unwrap();
        assert_eq!((a.as_str(), b), ("OK", 6));
    }
}

#[test]
fn bytes_that_no_client_should_send() {
    let [mc, redis, _] = start();
    assert_eq!(raw(mc, b"nonsense\r\nversion\r\n").lines().next(), Some("ERROR"));
    // The refused block is swallowed, and the next request is understood.
    let mut large = b"set k 0 0 2000000\r\n".to_vec();
    large.extend(vec![b'x'; 2_000_002]);
    large.extend(b"get k\r\n");
    assert_eq!(raw(mc, &large), "SERVER_ERROR object too large for cache\r\nEND\r\n");
    assert_eq!(
        raw(mc, b"set k 0 0 2\r\nabcd\r\nget k\r\n"),
        "CLIENT_ERROR bad data chunk\r\nEND\r\n"
    );
    // (The client crate gives up at the first line of stats.)
    assert!(raw(mc, b"stats\r\n").contains("STAT curr_items 0\r\n"));
    // Half a request, and the end: no answer, no harm.
    assert_eq!(raw(mc, b"set k 0 0 2\r\na"), "");
    assert_eq!(raw(redis, b"*1\r\n$3\r\nGE"), "");
    assert_eq!(
        raw(redis, b"*1\r\n:1\r\nPING\r\n"),
        "-ERR Protocol error: expected '$', got ':'\r\n"
    );
    assert_eq!(raw(redis, b"PING\r\nQUIT\r\nPING\r\n"), "+PONG\r\n+OK\r\n");
    assert_eq!(raw(mc, b"set k 0 0 1 noreply\r\n1\r\nget k\r\n"), "VALUE k 0 1\r\n1\r\nEND\r\n");
}

#[test]
fn a_slow_loris_is_let_go() {
    let [mc, ..] = start();
    let mut socket = TcpStream::connect(("127.0.0.1", mc)).unwrap();
    socket.write_all(b"get so").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(socket.read(&mut [0; 10]).unwrap(), 0, "the server closes");
    // A connection that has not begun a request may wait as long as it likes.
    let mut idle = TcpStream::connect(("127.0.0.1", mc)).unwrap();
    std::thread::sleep(Duration::from_millis(600));
    idle.write_all(b"version\r\n").unwrap();
    let mut answer = [0; 7];
    idle.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"VERSION");
}
