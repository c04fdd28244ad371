//! A root over leaves, and a root over roots, natively: the merged answer is that of one node.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use podlab_guest::args::Spec;
use podlab_guest::runtime::{Flag, block_on};

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start<F: Future<Output = Result<(), String>> + 'static>(
    spec: &'static Spec,
    run: fn(podlab_guest::args::Args, Flag) -> F,
    words: &[&str],
) -> u16 {
    let port = free();
    let words = words.iter().map(|w| (*w).to_owned());
    let words: Vec<String> = words.chain([format!("--listen=127.0.0.1:{port}")]).collect();
    std::thread::spawn(move || {
        let args = spec.parse(&words, |_| None).unwrap();
        block_on(async move { run(args, Flag::default()).await }).unwrap();
    });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    port
}

fn leaf(shard: &str, more: &[&str]) -> u16 {
    let shard = format!("--shard={shard}");
    let words = [&[shard.as_str(), "--documents=500", "--read-time=0"], more].concat();
    start(&search_leaf::SPEC, search_leaf::run, &words)
}

fn root(leaves: &[String], more: &[&str]) -> u16 {
    let leaves = format!("--leaves={}", leaves.join(","));
    start(&scatter_root::SPEC, scatter_root::run, &[&[leaves.as_str()], more].concat())
}

fn at(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Head and body.
fn get(port: u16, path: &str) -> (String, serde_json::Value) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    let (head, body) = out.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), serde_json::from_str(body).unwrap_or(serde_json::Value::Null))
}

#[test]
fn the_merged_answer_is_that_of_one_node() {
    let whole = leaf("0/1", &[]);
    let leaves: Vec<u16> = (0..4).map(|n| leaf(&format!("{n}/4"), &[])).collect();
    let flat = root(&leaves.iter().map(|p| at(*p)).collect::<Vec<_>>(), &[]);
    let left = root(&[at(leaves[0]), at(leaves[1])], &[]);
    let right = root(&[at(leaves[2]), at(leaves[3])], &[]);
    let tree = root(&[format!("{}*2", at(left)), format!("{}*2", at(right))], &[]);
    for path in ["/search?q=leader+lease&k=20", "/search?q=the", "/search?q=kakari"] {
        let (_, one) = get(whole, path);
        for port in [flat, tree] {
            let (head, many) = get(port, path);
            assert_eq!(one["hits"], many["hits"], "{path}");
            assert_eq!(one["matches"], many["matches"], "{path}");
            assert!(head.contains("X-Shards: 4 of 4"), "{head}");
        }
    }
    let words = get(whole, "/words").1;
    assert_eq!(words["counts"], get(tree, "/words").1["counts"]);
    assert_eq!(get(flat, "/words?top=3").1["counts"].as_object().unwrap().len(), 3);
    assert!(
        get(flat, "/search?q=").0.contains(" 400 ")
            && get(flat, "/search?q=a&k=0").0.contains(" 400 ")
    );
}

#[test]
fn what_is_missing_is_said() {
    let leaves = [at(leaf("0/3", &[])), at(leaf("1/3", &[])), at(free())];
    let port = root(&leaves, &["--deadline=300ms"]);
    let (head, answer) = get(port, "/search?q=the");
    assert!(head.contains("X-Shards: 2 of 3"), "{head}");
    assert_eq!(answer["shards"]["missing"][0], "127.0.0.1");
    let outer = root(&[format!("{}*3", at(port)), format!("{}*5", at(free()))], &[]);
    assert!(get(outer, "/search?q=the").0.contains("X-Shards: 2 of 8"));
    let nobody = root(&[at(free())], &[]);
    assert!(get(nobody, "/search?q=the").0.contains(" 503 "));
}

#[test]
fn an_answer_to_another_question_is_left_out() {
    let leaves = [at(leaf("0/2", &[])), at(leaf("1/2", &["--wrong-percent=100"]))];
    let (head, answer) = get(root(&leaves, &[]), "/search?q=leader");
    assert!(head.contains("X-Shards: 1 of 2"), "{head}");
    assert!(answer["hits"].as_array().unwrap().iter().all(|h| h["doc"].as_u64().unwrap() % 2 == 0));
}

#[test]
fn a_second_request_does_not_wait_for_the_first() {
    let late = ["--straggle-percent=100", "--straggle-time=2s"];
    let leaves = [format!("{}|{}", at(leaf("0/1", &late)), at(leaf("0/1", &[])))];
    let port = root(&leaves, &["--deadline=5s", "--hedge-after=20ms", "--hedge-budget=100"]);
    let begun = std::time::Instant::now();
    for _ in 0..4 {
        assert!(get(port, "/search?q=the").0.contains("X-Shards: 1 of 1"));
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let stats = get(port, "/stats").1;
    assert_eq!((&stats["hedges"], &stats["hedgesWon"]), (&2.into(), &2.into()), "{stats}");
    // Without a budget the deadline is what is left.
    let port = root(&leaves, &["--deadline=300ms", "--hedge-after=20ms", "--hedge-budget=0"]);
    assert!(get(port, "/search?q=the").0.contains(" 503 "));
}

/// A leaf that answers each connection with these bytes, a few at a time, and then does as `after` says:
/// `true` closes, `false` keeps the connection open and silent.
fn hostile(bytes: Vec<u8>, pause: Duration, after: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let (mut socket, bytes) = (socket.unwrap(), bytes.clone());
            std::thread::spawn(move || {
                let _asked = socket.read(&mut [0; 1000]);
                for part in bytes.chunks(if pause.is_zero() { 60_000 } else { 1 }) {
                    if socket.write_all(part).is_err() {
                        return;
                    }
                    std::thread::sleep(pause);
                }
                if !after {
                    std::thread::sleep(Duration::from_secs(60));
                }
            });
        }
    });
    port
}

#[test]
fn leaves_that_misbehave_cost_their_own_part_and_no_time() {
    let body = "{\"query\":\"the\",\"k\":10,\"matches\":0,\"hits\":[]}";
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let other = whole.replace("\"the\"", "\"not\"");
    let long =
        format!("HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n{}", "x".repeat(9_000_000));
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "k".repeat(1_000_000));
    let none = Duration::ZERO;
    let leaves = [
        at(leaf("0/1", &[])),
        // Slow: a byte every 50 ms. Half an answer, then silence, or the end. No HTTP at all.
        at(hostile(whole.clone().into_bytes(), Duration::from_millis(50), false)),
        at(hostile(whole.as_bytes()[..60].to_vec(), none, false)),
        at(hostile(whole.as_bytes()[..60].to_vec(), none, true)),
        at(hostile(b"\xff\xff\xff\r\n\r\n".to_vec(), none, true)),
        at(hostile(Vec::new(), none, true)),
        // Too much of everything; another question's answer.
        at(hostile(long.into_bytes(), none, false)),
        at(hostile(head.into_bytes(), none, false)),
        at(hostile(other.into_bytes(), none, false)),
    ];
    let port = root(&leaves, &["--deadline=800ms"]);
    for _ in 0..3 {
        let begun = std::time::Instant::now();
        let (head, answer) = get(port, "/search?q=the");
        assert!(head.contains("X-Shards: 1 of 9"), "{head}");
        assert_eq!(answer["hits"].as_array().unwrap().len(), 10);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
    let stats = get(port, "/stats").1;
    // Garbage three times, an answer to another question at least once, and too much of everything.
    assert!(stats["wrong"].as_u64().unwrap() >= 6 && stats["partial"] == 3, "{stats}");
    // Questions nobody should ask.
    for path in [
        format!("/search?q={}", "a".repeat(300)),
        format!("/search?q={}", ["a"; 9].join("+")),
        "/search?q=a&k=101".to_owned(),
        "/search?q=a&k=-1".to_owned(),
        "/search".to_owned(),
    ] {
        assert!(get(port, &path).0.contains(" 400 "), "{path}");
        assert!(get(at_port(&leaves[0]), &path).0.contains(" 400 "), "{path}");
    }
}

fn at_port(url: &str) -> u16 {
    url.rsplit_once(':').unwrap().1.parse().unwrap()
}
