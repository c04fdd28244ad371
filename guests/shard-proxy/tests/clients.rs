//! Clients that others wrote talk to several caches through the proxy, natively.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use podlab_guest::args::Spec;
use podlab_guest::runtime::{Flag, block_on};

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a program on a thread of its own, until the tests end.
fn start<F: Future<Output = Result<(), String>> + 'static>(
    spec: &'static Spec,
    run: fn(podlab_guest::args::Args, Flag) -> F,
    words: Vec<String>,
    port: u16,
) {
    std::thread::spawn(move || {
        let args = spec.parse(&words, |_| None).unwrap();
        block_on(async move { run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `n` caches and a proxy before them: its port and that of its page.
fn sharded(protocol: &str, n: usize, more: &[&str]) -> (u16, u16) {
    let shards: Vec<String> = (0..n)
        .map(|_| {
            let port = free();
            let mut words: Vec<String> =
                ["memcached", "redis", "admin"].map(|o| format!("--{o}=-")).into();
            words.push(format!("--{protocol}=127.0.0.1:{port}"));
            start(&cache::SPEC, cache::run, words, port);
            format!("127.0.0.1:{port}")
        })
        .collect();
    proxy(protocol, &shards.join(","), more)
}

fn proxy(protocol: &str, shards: &str, more: &[&str]) -> (u16, u16) {
    let (port, admin) = (free(), free());
    let words = [
        format!("--protocol={protocol}"),
        format!("--listen=127.0.0.1:{port}"),
        format!("--admin=127.0.0.1:{admin}"),
        format!("--shards={shards}"),
    ];
    let words = words.into_iter().chain(more.iter().map(|w| (*w).to_owned())).collect();
    start(&shard_proxy::SPEC, shard_proxy::run, words, port);
    (port, admin)
}

fn page(port: u16, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let text = raw(port, request.as_bytes());
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn raw(port: u16, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(bytes).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    out
}

#[test]
fn a_memcached_client_sees_one_cache() {
    let (port, admin) = sharded("memcached", 3, &[]);
    let client = memcache::connect(format!("memcache://127.0.0.1:{port}?protocol=ascii")).unwrap();
    for n in 0..100 {
        client.set(&format!("key-{n}"), n, 0).unwrap();
    }
    let keys: Vec<String> = (0..120).map(|n| format!("key-{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let found = client.gets::<u32>(&keys).unwrap();
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|(key, n)| *key == format!("key-{n}")));
    assert_eq!(client.increment("key-5", 10).unwrap(), 15);
    assert!(client.delete("key-5").unwrap() && !client.delete("key-5").unwrap());
    let stats = page(admin, "/stats");
    assert_eq!(stats.matches("\"alive\":true").count(), 3, "{stats}");
    assert!(!stats.contains("\"requests\":0"), "each has its share: {stats}");
    let owners = page(admin, "/map?sample=1000");
    assert_eq!(owners.lines().count(), 1000);
    client.flush().unwrap();
    assert_eq!(client.get::<u32>("key-7").unwrap(), None);
}

#[test]
fn a_redis_client_sees_one_redis() {
    let (port, _) = sharded("redis", 3, &[]);
    for version in ["resp2", "resp3"] {
        let url = format!("redis://127.0.0.1:{port}/?protocol={version}");
        let mut c = redis::Client::open(url).unwrap().get_connection().unwrap();
        let mut set = redis::cmd("MSET");
        for n in 0..50 {
            set.arg(format!("k{n}")).arg(n);
        }
        assert_eq!(set.query::<String>(&mut c).unwrap(), "OK");
        let got: Vec<Option<u32>> =
            redis::cmd("MGET").arg(&["k7", "nope", "k0", "k49"]).query(&mut c).unwrap();
        assert_eq!(got, [Some(7), None, Some(0), Some(49)]);
        assert_eq!(redis::cmd("INCR").arg("k7").query::<i64>(&mut c).unwrap(), 8);
        let gone: i64 = redis::cmd("DEL").arg(&["k1", "k2", "k3", "x"]).query(&mut c).unwrap();
        assert_eq!(gone, 3);
        let error = redis::cmd("INCR").arg("k8").arg("x").query::<i64>(&mut c).unwrap_err();
        assert!(error.to_string().contains("wrong number"), "{error}");
        let error = redis::cmd("SUBSCRIBE").arg("x").query::<()>(&mut c).unwrap_err();
        assert!(error.to_string().contains("unknown command"), "{error}");
        let values: Vec<i64> = redis::pipe()
            .cmd("SET")
            .arg("p")
            .arg(1)
            .ignore()
            .cmd("INCR")
            .arg("p")
            .cmd("INCR")
            .arg("p")
            .query(&mut c)
            .unwrap();
        assert_eq!(values, [2, 3], "a pipeline keeps its order");
    }
}

#[test]
fn wrong_bytes_get_the_protocols_answer() {
    let (mc, _) = sharded("memcached", 2, &["--patience=300ms"]);
    assert_eq!(
        raw(mc, b"nonsense\r\nset a 0 0 1 noreply\r\n1\r\nget a\r\nquit\r\n"),
        "ERROR\r\nVALUE a 0 1\r\n1\r\nEND\r\n"
    );
    let large = [b"set k 0 0 2000000\r\n".to_vec(), vec![b'x'; 2_000_002], b"get k\r\n".to_vec()];
    assert_eq!(raw(mc, &large.concat()), "SERVER_ERROR object too large for cache\r\nEND\r\n");
    let mut loris = TcpStream::connect(("127.0.0.1", mc)).unwrap();
    loris.write_all(b"ge").unwrap();
    assert_eq!(loris.read(&mut [0; 9]).unwrap(), 0);
}

/// A shard that answers what it likes, connection by connection; counts what it was asked.
fn liar(answers: &'static [&'static [u8]]) -> (u16, std::sync::mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for n in 0.. {
            let (mut socket, _) = listener.accept().unwrap();
            let mut bytes = vec![0; 1000];
            let Ok(got) = socket.read(&mut bytes) else { continue };
            bytes.truncate(got);
            let _listening = tell.send(bytes);
            let _closed = socket.write_all(answers[std::cmp::min(n, answers.len() - 1)]);
        }
    });
    (port, asked)
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    let (shard, asked) = liar(&[b""]);
    let limits = ["--failure-limit=1000", "--timeout=2s"];
    let (port, _) = proxy("memcached", &format!("127.0.0.1:{shard}"), &limits);
    let closed = "SERVER_ERROR the shard closed the connection\r\n";
    for write in ["incr n 1\r\n", "set n 0 0 1\r\n1\r\n", "delete n\r\n", "touch n 1\r\n"] {
        assert_eq!(raw(port, write.as_bytes()), closed);
    }
    assert_eq!(raw(port, b"get n\r\n"), closed);
    let seen: Vec<Vec<u8>> = asked.try_iter().collect();
    let reads = seen.iter().filter(|b| b.starts_with(b"get")).count();
    assert_eq!((seen.len(), reads), (6, 2), "a read is asked twice, a write once");
}

#[test]
fn an_answer_to_another_question_is_no_answer() {
    let (shard, _asked) = liar(&[b"VALUE other 0 1\r\n1\r\nEND\r\n"]);
    let (port, admin) = proxy("memcached", &format!("127.0.0.1:{shard}"), &["--retry-after=1h"]);
    let answer = raw(port, b"get mine\r\n");
    assert!(answer.starts_with("SERVER_ERROR") && !answer.contains("VALUE"), "{answer}");
    assert!(page(admin, "/stats").contains("\"ejections\":1"), "two bad answers in a row");
    assert_eq!(raw(port, b"get mine\r\n"), "SERVER_ERROR no shard is alive\r\n");
}

#[test]
fn a_dead_shard_is_left_out_and_taken_back() {
    // A port where nobody listens yet.
    let (dead, live) = (free(), free());
    let cache = |port: u16| {
        let words = ["memcached", "redis", "admin"].map(|o| format!("--{o}=-"));
        let words = words.into_iter().chain([format!("--memcached=127.0.0.1:{port}")]).collect();
        start(&cache::SPEC, cache::run, words, port);
    };
    cache(live);
    let shards = format!("127.0.0.1:{live},127.0.0.1:{dead}");
    let (port, admin) = proxy("memcached", &shards, &["--retry-after=100ms"]);
    let answers: Vec<String> =
        (0..50).map(|n| raw(port, format!("set key-{n} 0 0 1\r\n1\r\n").as_bytes())).collect();
    let errors = answers.iter().filter(|a| a.starts_with("SERVER_ERROR")).count();
    assert!(errors <= 2, "the first requests find out: {answers:?}");
    assert!(page(admin, "/map?sample=100").lines().all(|l| l.ends_with(&live.to_string())));
    cache(dead);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !page(admin, "/map?sample=100").contains(&dead.to_string()) {
        assert!(std::time::Instant::now() < deadline, "it was never taken back");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn hot_keys_have_copies() {
    let (port, admin) = sharded("memcached", 4, &["--hot-prefix=hot:", "--hot-copies=3"]);
    assert_eq!(raw(port, b"set hot:1 0 0 1\r\nx\r\n"), "STORED\r\n");
    for _ in 0..30 {
        assert_eq!(raw(port, b"get hot:1\r\n"), "VALUE hot:1 0 1\r\nx\r\nEND\r\n");
    }
    assert!(raw(port, b"incr hot:1 1\r\n").starts_with("SERVER_ERROR this key has copies"));
    assert_eq!(page(admin, "/map?key=hot:1").split(',').count(), 3);
    let stats = page(admin, "/stats");
    assert_eq!(stats.matches("\"requests\":11").count(), 3, "{stats}");
    assert_eq!(raw(port, b"delete hot:1\r\nget hot:1\r\n"), "DELETED\r\nEND\r\n");
}
