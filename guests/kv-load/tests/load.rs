//! Every request is answered, in both protocols, with and without pipelining.

use std::net::{TcpListener, TcpStream};

use podlab_guest::runtime::{Flag, block_on};

#[test]
fn a_cache_answers_all() {
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (memcached, redis, admin) = (port(), port(), port());
    let words: Vec<String> = [("memcached", memcached), ("redis", redis), ("admin", admin)]
        .map(|(name, port)| format!("--{name}=127.0.0.1:{port}"))
        .into();
    std::thread::spawn(move || {
        let args = cache::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move { cache::run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", admin)).is_err() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for (protocol, port) in [("memcached", memcached), ("redis", redis)] {
        for pipeline in [1, 20] {
            let words = [
                format!("--to=127.0.0.1:{port}"),
                format!("--protocol={protocol}"),
                format!("--pipeline={pipeline}"),
                "--requests=1000".to_owned(),
            ];
            let args = kv_load::SPEC.parse(&words, |_| None).unwrap();
            block_on(async move { kv_load::run(args, Flag::default()).await }).unwrap();
        }
    }
    let mut client = podlab_guest::http::Client::new("test", std::time::Duration::from_secs(5));
    let stats = block_on(async move {
        let url = format!("http://127.0.0.1:{admin}/stats");
        let url = podlab_guest::http::Url::parse(&url).unwrap();
        client.send("GET", &url, &[], &[]).await.unwrap().body
    });
    let stats = String::from_utf8(stats).unwrap();
    assert!(stats.contains("\"commands\":4000,"), "{stats}");
}
