//! A broker, the sidecar and each main container, natively, over loopback and a directory.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec};
use podlab_guest::runtime::{Flag, block_on, sleep, spawn};

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn args(spec: &Spec, words: &[String]) -> Args {
    spec.parse(words, |_| None).unwrap()
}

/// Runs a program on a thread of its own.
fn start<F>(
    run: impl FnOnce(Args, Flag) -> F + Send + 'static,
    spec: &'static Spec,
    words: &[String],
) where
    F: Future<Output = Result<(), String>> + 'static,
{
    let words = words.to_vec();
    std::thread::spawn(move || {
        let args = args(spec, &words);
        block_on(async move { run(args, Flag::default()).await }).unwrap();
    });
}

fn wait_for(port: u16) {
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn broker() -> u16 {
    let port = port();
    let words = [
        format!("--listen=127.0.0.1:{port}"),
        "--redis=-".into(),
        "--amqp=-".into(),
        "--tries=2".into(),
    ];
    start(queue::run, &queue::SPEC, &words);
    wait_for(port);
    port
}

fn ask(port: u16, line: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: q\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(head.as_bytes()).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    out.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Waits until the figures of a queue say this.
fn until(port: u16, queue: &str, what: &str) -> String {
    let begun = Instant::now();
    loop {
        let stats = ask(port, &format!("GET /queues/{queue}"), "");
        if stats.contains(what) {
            return stats;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} never came: {stats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn worker_words(broker: u16, dir: &Path, more: &[&str]) -> Vec<String> {
    let mut words = vec![
        format!("--broker=http://127.0.0.1:{broker}"),
        format!("--dir={}", dir.display()),
        "--listen=127.0.0.1:0".into(),
        "--poll=5ms".into(),
        "--wait=100ms".into(),
        "--retry-delay=10ms".into(),
    ];
    words.extend(more.iter().map(|w| (*w).to_owned()));
    words
}

#[test]
fn pi_until_the_queue_is_empty() {
    let (broker, dir) = (broker(), folder("pi"));
    let tasks: Vec<String> =
        (0..10).map(|n| format!("{{\"samples\":1000,\"seed\":{n}}}")).collect();
    ask(broker, "POST /queues/tasks?each=line", &tasks.join("\n"));
    let words = worker_words(broker, &dir, &["--results=results", "--until-empty"]);
    start(queue_worker::run, &queue_worker::SPEC, &words);
    // The main container ends by itself when there is nothing left.
    let words = [format!("--dir={}", dir.display())];
    let main = args(&pi::SPEC, &words);
    block_on(async move { pi::run(main, Flag::default()).await }).unwrap();
    until(broker, "tasks", "\"done\":10,");
    until(broker, "results", "\"published\":10,");
    let result = ask(broker, "POST /queues/results/take", "");
    assert!(result.starts_with("{\"samples\":1000,\"inside\":"), "{result}");
}

#[test]
fn poison_is_put_aside_and_csv_is_read() {
    let (broker, dir) = (broker(), folder("encoder"));
    let good = "{\"text\": \"a, \\\"b\\\"\", \"to\": \"hex\"}";
    let bad = "{\"text\": \"x\", \"to\": \"morse\"}\nnothing\n[1]";
    ask(broker, "POST /queues/tasks?each=line", &format!("{bad}\n{good}"));
    let words = worker_words(broker, &dir, &["--results=results", "--format=csv"]);
    start(queue_worker::run, &queue_worker::SPEC, &words);
    let page = port();
    let words = [format!("--dir={}", dir.display()), format!("--listen=127.0.0.1:{page}")];
    start(encoder::run, &encoder::SPEC, &words);
    until(broker, "tasks", "\"dead\":3,");
    let dead = ask(broker, "GET /queues/tasks/dead", "");
    for why in ["morse", "no JSON", "no JSON object"] {
        assert!(dead.contains(why), "{dead}");
    }
    until(broker, "results", "\"published\":1,");
    assert_eq!(ask(broker, "POST /queues/results/take", ""), "to,encoded\nhex,612c20226222\n");
    assert_eq!(ask(page, "GET /healthz", ""), "ok\n");
    assert_eq!(ask(page, "GET /stats", ""), "{\"done\":1,\"failed\":2,\"busy\":false}");
}

#[test]
fn a_result_that_never_appears_is_a_failure_and_a_heartbeat_keeps_the_task_until_then() {
    let (broker, dir) = (broker(), folder("silent"));
    ask(broker, "POST /queues/tasks", "{}");
    let words = worker_words(broker, &dir, &["--visibility=150ms", "--deadline=600ms"]);
    start(queue_worker::run, &queue_worker::SPEC, &words);
    let stats = until(broker, "tasks", "\"dead\":1,");
    // Two tries, four times as long as a task is kept without a heartbeat.
    assert!(stats.contains("\"delivered\":2,") && stats.contains("\"expired\":0"), "{stats}");
    assert!(ask(broker, "GET /queues/tasks/dead", "").contains("no result in time"));
}

#[test]
fn asked_to_end_it_gives_the_task_back() {
    let (broker, dir) = (broker(), folder("graceful"));
    ask(broker, "POST /queues/tasks", "{}");
    let words = worker_words(broker, &dir, &[]);
    block_on(async move {
        let stop = Flag::default();
        let end = stop.clone();
        spawn(async move {
            sleep(Duration::from_millis(300)).await;
            end.raise();
        });
        queue_worker::run(args(&queue_worker::SPEC, &words), stop).await
    })
    .unwrap();
    let stats = ask(broker, "GET /queues/tasks", "");
    assert!(stats.contains("\"waiting\":1,\"taken\":0") && stats.contains("\"returned\":1"));
    assert_eq!(std::fs::read_dir(dir.join("in")).unwrap().count(), 0);
}

#[test]
fn mails_are_sent_once_by_their_keys() {
    let (broker, dir, sink) = (broker(), folder("mailer"), port());
    start(mail_sink::run, &mail_sink::SPEC, &[format!("--listen=127.0.0.1:{sink}")]);
    wait_for(sink);
    let good = "{\"to\": \"a@example.org\", \"subject\": \"hi\"}";
    ask(broker, "POST /queues/tasks?each=line", &format!("{good}\n{{\"to\": \"nobody\"}}"));
    // Sent before, by somebody who never said so.
    let mut socket = TcpStream::connect(("127.0.0.1", sink)).unwrap();
    let before = "POST /mail HTTP/1.1\r\nHost: s\r\nIdempotency-Key: tasks-1\r\nX-Task: 1\r\n\
                  Connection: close\r\n\r\n";
    socket.write_all(before.as_bytes()).unwrap();
    socket.read_to_string(&mut String::new()).unwrap();
    start(queue_worker::run, &queue_worker::SPEC, &worker_words(broker, &dir, &[]));
    let server = format!("--server=http://127.0.0.1:{sink}/mail");
    start(mailer::run, &mailer::SPEC, &[server, format!("--dir={}", dir.display())]);
    until(broker, "tasks", "\"dead\":1,");
    until(broker, "tasks", "\"done\":1,");
    let stats = ask(sink, "GET /stats", "");
    assert_eq!(stats, "{\"received\":2,\"sent\":1,\"known\":1,\"tasks\":1,\"doubled\":0}");
    // A key too long to remember is refused, and not sent without one.
    let long = format!("POST /mail HTTP/1.1\r\nIdempotency-Key: {}\r\nX-Task: 9", "k".repeat(300));
    let mut socket = TcpStream::connect(("127.0.0.1", sink)).unwrap();
    let request = format!("{long}\r\nHost: s\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(ask(sink, "GET /stats", ""), stats);
}

/// A broker that speaks AMQP: its ports for HTTP and for AMQP.
fn amqp_broker() -> (u16, u16) {
    let (http, amqp) = (port(), port());
    let words = [
        format!("--listen=127.0.0.1:{http}"),
        format!("--amqp=127.0.0.1:{amqp}"),
        "--redis=-".into(),
    ];
    start(queue::run, &queue::SPEC, &words);
    wait_for(http);
    wait_for(amqp);
    (http, amqp)
}

fn amqp_words(amqp: u16, dir: &Path, more: &[&str]) -> Vec<String> {
    let mut words = worker_words(0, dir, more);
    words[0] = format!("--broker=amqp://127.0.0.1:{amqp}");
    words.push("--protocol=amqp".into());
    words
}

/// Waits until the figures of all queues say this.
fn until_stats(port: u16, what: &str) {
    let begun = Instant::now();
    loop {
        let stats = ask(port, "GET /stats", "");
        if stats.contains(what) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{what} never came: {stats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn over_amqp_tasks_are_done_and_poison_is_a_dead_letter() {
    let ((http, amqp), dir) = (amqp_broker(), folder("amqp"));
    let words = amqp_words(amqp, &dir, &["--results=results", "--queue=pi", "--tries=2"]);
    start(queue_worker::run, &queue_worker::SPEC, &words);
    start(pi::run, &pi::SPEC, &[format!("--dir={}", dir.display())]);
    until_stats(http, "\"pi\":{\"ready\":0");
    let tasks = "{\"samples\":1000,\"seed\":1}\nthis is no JSON\n{\"samples\":1000,\"seed\":2}";
    assert_eq!(ask(http, "POST /amqp/pi?each=line", tasks), "{\"published\":3,\"rejected\":0}");
    until_stats(http, "\"results\":{\"ready\":2,");
    until_stats(http, "\"pi.dead\":{\"ready\":1,");
    let pi = "\"pi\":{\"ready\":0,\"unacked\":0,\"consumers\":1,\"published\":3,\"delivered\":4,\
              \"acknowledged\":2,\"requeued\":1,\"dead\":1}";
    until_stats(http, pi);
}

#[test]
fn over_amqp_a_task_lives_as_long_as_its_connection() {
    let ((http, amqp), dir) = (amqp_broker(), folder("amqp-silent"));
    let words = amqp_words(amqp, &dir, &["--queue=q", "--deadline=1m", "--visibility=2s"]);
    let main = args(&queue_worker::SPEC, &words);
    block_on(async move {
        let stop = Flag::default();
        let end = stop.clone();
        spawn(async move {
            // Nobody answers. The heartbeats keep the task; then the worker is asked to end.
            sleep(Duration::from_millis(300)).await;
            spawn(async move {
                let published = std::thread::spawn(move || ask(http, "POST /amqp/q", "{}"));
                sleep(Duration::from_secs(5)).await;
                published.join().unwrap();
                let stats = ask(http, "GET /stats", "");
                assert!(
                    stats.contains("\"unacked\":1") && stats.contains("\"requeued\":0"),
                    "{stats}"
                );
                end.raise();
            });
        });
        queue_worker::run(main, stop).await
    })
    .unwrap();
    until_stats(http, "\"ready\":1,\"unacked\":0");
}

#[test]
fn brokers_that_misbehave_are_tried_again_and_break_nothing() {
    for (protocol, answer) in [
        ("amqp", &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]),
        ("amqp", b"\x01\0\0\xff\xff\xff\xff"),
        ("amqp", b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce"),
        ("http", b"\xff\xff\r\n\r\n"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nx"),
    ] {
        let dir = folder(&format!("broken-{protocol}-{}", answer.len()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = listener.local_addr().unwrap().port();
        let (asked, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let _asked = socket.read(&mut [0; 500]);
                let _answered = socket.write_all(answer);
                if asked.send(()).is_err() {
                    return;
                }
            }
        });
        let mut words = worker_words(broker, &dir, &["--timeout=200ms"]);
        words.push(format!("--protocol={protocol}"));
        words[0] = format!("--broker={protocol}://127.0.0.1:{broker}");
        block_on(async move {
            let stop = Flag::default();
            let end = stop.clone();
            spawn(async move {
                // Tried again, and again.
                while wait.try_iter().count() < 1 {
                    sleep(Duration::from_millis(10)).await;
                }
                while wait.try_iter().count() < 1 {
                    sleep(Duration::from_millis(10)).await;
                }
                end.raise();
            });
            queue_worker::run(args(&queue_worker::SPEC, &words), stop).await
        })
        .unwrap();
        assert_eq!(std::fs::read_dir(dir.join("in")).unwrap().count(), 0);
    }
}
