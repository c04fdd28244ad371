//! The sidecar pod without its pod: the same programs, natively, on real loopback and real files.
//! Content comes from the origin through the puller to the web server; each line of its access log
//! reaches the store once, over rotations and over kills of the log-saver.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec};
use podlab_guest::runtime::{Flag, block_on};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that is killed at the end.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A port nobody listens on.
fn port() -> u16 {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

/// Runs a program's own `run` on a thread of its own, for as long as the test lasts.
fn start<F>(spec: &'static Spec, words: Vec<String>, run: fn(Args, Flag) -> F)
where
    F: Future<Output = Result<(), String>> + 'static,
{
    std::thread::spawn(move || {
        let args = spec.parse(&words, |_| None).unwrap();
        block_on(async move { run(args, Flag::default()).await }).unwrap();
    });
}

fn request(port: u16, method: &str, target: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.get(9..12)?.parse().ok()?, body.to_owned()))
}

fn get(port: u16, target: &str) -> Option<(u16, String)> {
    request(port, "GET", target, "")
}

/// Waits until `look` sees it.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "this did not happen within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn lines(store: u16) -> usize {
    get(store, "/logs/web").filter(|(s, _)| *s == 200).map_or(0, |(_, t)| t.lines().count())
}

fn log_saver(folder: &Path, store: u16) -> Process {
    let child = Command::new(env!("CARGO_BIN_EXE_log-saver"))
        .arg("--file")
        .arg(folder.join("log/access.log"))
        .args(["--store", &format!("http://127.0.0.1:{store}"), "--source", "web"])
        .args(["--interval", "5ms", "--batch", "1024"])
        .stderr(Stdio::null())
        .spawn();
    Process(child.unwrap())
}

#[test]
fn content_arrives_and_no_log_line_is_lost_or_doubled() {
    let folder = Folder::new("sidecar");
    let path = |name: &str| folder.0.join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(path("srv")).unwrap();
    let (origin, web, store) = (port(), port(), port());
    let listen = |port: u16| format!("--listen=127.0.0.1:{port}");

    start(
        &web::SPEC,
        vec![
            listen(web),
            format!("--root={}", path("srv")),
            format!("--access-log={}", path("log/access.log")),
            "--access-log-size=8000".into(),
        ],
        web::run,
    );
    eventually("web lives", || get(web, "/healthz"));
    assert_eq!(get(web, "/readyz").unwrap().0, 503, "there is no content yet");

    // The puller is there before its origin: it tries again.
    start(
        &content_puller::SPEC,
        vec![
            format!("--url=http://127.0.0.1:{origin}/content/index.html"),
            format!("--to={}", path("srv/index.html")),
            "--interval=20ms".into(),
        ],
        content_puller::run,
    );
    start(&origin::SPEC, vec![listen(origin), "--every=0".into()], origin::run);
    start(&log_store::SPEC, vec![listen(store)], log_store::run);
    eventually("the first content", || get(web, "/readyz").filter(|(s, _)| *s == 200));
    let mut sent = 0;
    let mut page = || {
        sent += 1;
        get(web, "/").unwrap()
    };
    assert!(page().1.contains("Version 1"));
    let put = eventually("a new version", || {
        request(origin, "PUT", "/content/index.html", "<h1>second</h1>")
    });
    assert_eq!(put.0, 201);
    eventually("the new version", || (page().1 == "<h1>second</h1>").then_some(()));

    // Bursts of requests; the log is rotated every seventy lines or so, and keeps four files. The
    // log-saver is killed in the middle of its work, and once it is away for a while.
    for burst in 0..24 {
        let mut saver = log_saver(&folder.0, store);
        for _ in 0..30 {
            assert_eq!(page().0, 200, "the log-saver's end is none of the web server's business");
        }
        let goal = sent_of(&folder.0).saturating_sub(60);
        eventually("most lines", || (lines(store) >= goal).then_some(()));
        if burst % 3 == 0 {
            std::thread::sleep(Duration::from_millis(burst));
        }
        saver.0.kill().unwrap();
        saver.0.wait().unwrap();
        if burst == 12 {
            (0..60).for_each(|_| assert_eq!(page().0, 200));
        }
    }
    let _saver = log_saver(&folder.0, store);
    let text = eventually("all lines", || {
        get(store, "/logs/web").map(|(_, text)| text).filter(|t| t.lines().count() >= sent)
    });
    let numbers: Vec<usize> = text
        .lines()
        .map(|line| line.rsplit_once("seq=").expect(line).1.parse().expect(line))
        .collect();
    assert_eq!(numbers, (1..=sent).collect::<Vec<_>>(), "each line once, in order");
    assert!(Path::new(&path("log/access.log.3")).exists(), "the log was rotated");
    assert!(sent > 700, "{sent}");
}

/// How many lines the web server has written: its last line's number.
fn sent_of(folder: &Path) -> usize {
    let read = |name: &str| std::fs::read_to_string(folder.join("log").join(name)).ok();
    let last = |text: String| text.lines().last()?.rsplit_once("seq=")?.1.parse().ok();
    read("access.log").and_then(last).or_else(|| read("access.log.1").and_then(last)).unwrap_or(0)
}
