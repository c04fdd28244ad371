//! Programs as a learner writes them, run natively.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use podlab_guest::http::{Client, Reply, Url};
use podlab_guest::net::TcpListener;
use podlab_guest::runtime::{Flag, block_on, race, sleep, spawn};
use script::engine::{self, Wrong};
use script::state::State;

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A directory of this test's own.
fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("podlab-script-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A program that has been started.
struct Running {
    port: u16,
    stop: Flag,
    done: Rc<std::cell::RefCell<Option<Result<(), String>>>>,
}

impl Running {
    fn start(text: &str, args: &[&str]) -> Running {
        let (path, port) = (folder().join("main.rhai"), port());
        std::fs::write(&path, text).unwrap();
        let mut words = vec![
            format!("--listen=127.0.0.1:{port}"),
            "--timeout=2s".to_owned(),
            "--operations=200000".to_owned(),
            path.to_string_lossy().into_owned(),
        ];
        words.extend(args.iter().map(|a| (*a).to_owned()));
        let args = script::SPEC.parse(&words, |_| None).unwrap();
        let (stop, done) = (Flag::default(), Rc::default());
        let running = Running { port, stop: stop.clone(), done };
        let slot = running.done.clone();
        spawn(async move {
            let result = script::run(args, stop).await;
            *slot.borrow_mut() = Some(result);
        });
        running
    }

    fn url(&self, target: &str) -> String {
        format!("http://127.0.0.1:{}{target}", self.port)
    }

    async fn ask(&self, target: &str) -> Reply {
        let url = Url::parse(&self.url(target)).unwrap();
        let mut client = Client::new("test", Duration::from_secs(5)).keep(false);
        for _ in 0..200 {
            match client.send("GET", &url, &[], b"").await {
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                    sleep(Duration::from_millis(5)).await;
                }
                other => return other.unwrap(),
            }
        }
        panic!("nobody listens");
    }

    async fn text(&self, target: &str) -> String {
        String::from_utf8(self.ask(target).await.body).unwrap()
    }

    async fn end(&self) -> Result<(), String> {
        for _ in 0..1000 {
            if let Some(result) = self.done.borrow_mut().take() {
                return result;
            }
            sleep(Duration::from_millis(5)).await;
        }
        panic!("the program does not end");
    }
}

/// Runs a program that ends by itself.
fn runs(text: &str, args: &[&str]) -> Result<(), String> {
    let (text, args) = (text.to_owned(), args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    block_on(async move {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Running::start(&text, &args).end().await
    })
}

fn wrong(text: &str) -> Wrong {
    let state = State::new(Flag::default(), Duration::from_secs(1), Vec::new(), 1000, 1);
    engine::compile(&engine::engine(&Rc::new(state)), text).unwrap_err()
}

#[test]
fn requests_are_answered_and_state_stays() {
    block_on(async {
        let program = Running::start(
            r#"
            let seen = 0;
            on_request(|req| {
                seen += 1;
                switch req.path {
                    "/count" => #{seen: seen, who: req.query.who},
                    "/list" => [1, 2.5, "x", true, ()],
                    "/gone" => respond(410, "gone", #{"x-why": "old"}),
                    "/none" => (),
                    "/bad" => req.nothing(),
                    _ => "you asked for " + req.path,
                }
            });
            "#,
            &[],
        );
        assert_eq!(program.text("/a%20b").await, "you asked for /a b");
        let reply = program.ask("/count?who=Ada+L").await;
        assert_eq!(reply.headers.get("content-type"), Some("application/json"));
        assert_eq!(reply.body, br#"{"seen":2,"who":"Ada L"}"#);
        assert_eq!(program.text("/list").await, r#"[1,2.5,"x",true,null]"#);
        let gone = program.ask("/gone").await;
        assert_eq!((gone.status, gone.headers.get("x-why")), (410, Some("old")));
        assert_eq!(program.ask("/none").await.status, 204);
        // A handler that fails costs its own request only.
        assert_eq!(program.ask("/bad").await.status, 500);
        assert_eq!(program.ask("/readyz").await.status, 200);
        assert_eq!(program.text("/count?who=x").await, r#"{"seen":7,"who":"x"}"#);
        program.stop.raise();
        assert_eq!(program.end().await, Ok(()));
    });
}

#[test]
fn it_is_alive_while_it_waits_and_handlers_take_turns() {
    block_on(async {
        let program = Running::start(
            r#"
            let at_work = 0;
            let most = 0;
            ready(false);
            on_request(|req| {
                at_work += 1;
                if at_work > most { most = at_work; }
                sleep("150ms");
                at_work -= 1;
                most
            });
            sleep("100ms");
            ready(true);
            while sleep("20ms") {}
            "#,
            &[],
        );
        assert_eq!(program.ask("/readyz").await.status, 503);
        let began = Instant::now();
        let three = race(race(program.text("/"), pending()), pending());
        let health = async {
            sleep(Duration::from_millis(20)).await;
            let asked = Instant::now();
            assert_eq!(program.ask("/healthz").await.status, 200);
            assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
        };
        health.await;
        drop(three);
        let (a, b) = both(program.text("/"), program.text("/")).await;
        assert_eq!((a.as_str(), b.as_str()), ("1", "1"));
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(program.ask("/readyz").await.status, 200);
        program.stop.raise();
        assert_eq!(program.end().await, Ok(()));
    });
}

fn pending() -> std::future::Pending<()> {
    std::future::pending()
}

async fn both<A: 'static>(a: impl Future<Output = A>, b: impl Future<Output = A>) -> (A, A) {
    let (mut a, mut b) = (std::pin::pin!(a), std::pin::pin!(b));
    let (mut first, mut second) = (None, None);
    std::future::poll_fn(move |cx| {
        if first.is_none()
            && let std::task::Poll::Ready(v) = a.as_mut().poll(cx)
        {
            first = Some(v);
        }
        if second.is_none()
            && let std::task::Poll::Ready(v) = b.as_mut().poll(cx)
        {
            second = Some(v);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => std::task::Poll::Ready((a, b)),
            (f, s) => {
                (first, second) = (f, s);
                std::task::Poll::Pending
            }
        }
    })
    .await
}

#[test]
fn programs_ask_each_other() {
    block_on(async {
        let server = Running::start(
            r#"on_request(|req| #{method: req.method, body: req.body, kind: req.headers["content-type"]});"#,
            &[],
        );
        server.ask("/healthz").await;
        let client = Running::start(
            r#"
            on_request(|req| {
                let to = args()[0];
                let reply = http::post(to + "/x", #{n: 7});
                let echo = json::parse(reply.body);
                let nobody = http::get("http://127.0.0.1:1/");
                let late = http::request(#{url: to, method: "put", body: "b", headers: #{"content-type": "a/b"}, timeout: "3s"});
                [reply.status, reply.ok, echo.method, json::parse(echo.body).n, echo.kind,
                 nobody.status, nobody.ok, nobody.error != "", json::parse(late.body).kind]
            });
            "#,
            &[&server.url("")],
        );
        let text = client.text("/").await;
        assert_eq!(text, r#"[200,true,"POST",7,"application/json",0,false,true,"a/b"]"#);
    });
}

#[test]
fn a_conversation_in_text() {
    let port = port();
    block_on(async move {
        let listener = TcpListener::bind(([127, 0, 0, 1], port).into()).await.unwrap();
        spawn(async move {
            while let Ok(stream) = listener.accept().await {
                let heard = stream.read(100).await.unwrap();
                let heard = String::from_utf8(heard).unwrap();
                let answer = format!("heard {}\r\nVALUE 5\r\nabcde rest", heard.trim());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let program = Running::start(
            r#"
            let to = args()[0];
            if tcp::ask(to, "get k\r\n") != "heard get k" { throw "ask" }
            let c = tcp::connect(to);
            c.write("hello\r\n");
            if c.read_line() != "heard hello" { throw "line" }
            if c.read_line() != "VALUE 5" { throw "second" }
            if c.read(5) != "abcde" { throw "read" }
            if c.read_line() != " rest" { throw "rest" }
            if c.read_line() != () { throw "end" }
            c.close();
            let said = "";
            try { c.write("x"); } catch (e) { said = e; }
            if !said.contains("closed") { throw "said " + said }
            "#,
            &[&format!("127.0.0.1:{port}")],
        );
        assert_eq!(program.end().await, Ok(()));
    });
}

#[test]
fn files() {
    let dir = folder();
    let text = r#"
        let dir = args()[0];
        file::make_dir(dir + "/d");
        file::write(dir + "/d/a.part", "one\n");
        file::append(dir + "/d/a.part", "two\n");
        file::rename(dir + "/d/a.part", dir + "/d/a");
        if file::read(dir + "/d/a") != "one\ntwo\n" { throw "read" }
        if file::read(dir + "/d/a", 4) != "two\n" { throw "from" }
        if file::size(dir + "/d/a") != 8 { throw "size" }
        file::write(dir + "/d/b", "");
        if file::list(dir + "/d") != ["a", "b"] { throw "list" }
        file::remove(dir + "/d/b");
        if file::exists(dir + "/d/b") { throw "exists" }
        file::read(dir + "/nothing");
    "#;
    let error = runs(text, &[dir.to_str().unwrap()]).unwrap_err();
    assert!(error.contains("main.rhai:14:15: ") && error.contains("/nothing: "), "{error}");
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let at = |text: &str| wrong(text).place;
    assert_eq!(at("let a = 1;\nlet = 2;"), "2:5");
    assert_eq!(at("on_request(|req| {\n  req.path\n"), "3:1");
    let error = runs("fn deep(n) {\n  n.nothing()\n}\n\ndeep(1);", &[]).unwrap_err();
    assert!(error.contains("main.rhai:2:5: ") && error.contains("nothing"), "{error}");
    let error = runs("\nthrow \"no\"", &[]).unwrap_err();
    assert!(error.ends_with("main.rhai:2:1: no"), "{error}");
}

#[test]
fn what_never_ends_is_ended() {
    let bounded = |text: &str| runs(text, &[]).unwrap_err();
    assert!(bounded("loop {}").contains("operations without a wait"));
    assert!(bounded("fn f(n) { f(n + 1) } f(0)").contains("tack"));
    assert!(bounded("let s = \"x\"; loop { s += s; }").contains("ength"));
    assert!(bounded("let a = []; loop { a += a; a.push(1); }").contains("ize"));
    // Waiting is no work: this does more operations than are allowed at once.
    assert_eq!(runs("for i in 0..30 { for j in 0..10000 {} sleep(\"1ms\"); }", &[]), Ok(()));
    assert!(bounded("sleep(\"soon\")").contains("no time such as"));
}

#[test]
fn sigterm_ends_a_loop_and_runs_the_hooks() {
    let mark = folder().join("mark");
    let path = mark.clone();
    block_on(async move {
        let path = path.to_str().unwrap().to_owned();
        // `loop` with a sleep: the second sleep after SIGTERM ends it.
        let endless = Running::start(
            r#"on_stop(|| file::append(args()[0], "hook")); loop { sleep(60); file::append(args()[0], "turn "); }"#,
            &[&path],
        );
        // `while sleep`: ends by itself, and what follows is still done.
        let polite = Running::start(r#"while sleep(60) {} print("bye");"#, &[]);
        sleep(Duration::from_millis(50)).await;
        endless.stop.raise();
        polite.stop.raise();
        assert_eq!((endless.end().await, polite.end().await), (Ok(()), Ok(())));
    });
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "turn hook");
}

#[test]
fn again_and_again() {
    block_on(async {
        let program = Running::start(
            r#"let n = 0; every("10ms", || { n += 1; }); on_request(|req| `${n}`);"#,
            &[],
        );
        program.ask("/healthz").await;
        sleep(Duration::from_millis(100)).await;
        let n: u32 = program.text("/").await.parse().unwrap();
        assert!((3..=15).contains(&n), "{n}");
        // Also while the body waits, and from a handler.
        let program = Running::start(
            r#"
            let n = 0;
            let more = || { n += 100; };
            every("10ms", || { n += 1; if n == 2 { every("5ms", more); } });
            on_request(|req| `${n}`);
            while sleep("5s") {}
            "#,
            &[],
        );
        program.ask("/healthz").await;
        sleep(Duration::from_millis(150)).await;
        let n: u32 = program.text("/").await.parse().unwrap();
        assert!(n > 100, "{n}");
        program.stop.raise();
        assert_eq!(program.end().await, Ok(()));
    });
}

#[test]
fn words() {
    let text = r#"
        if env("NO_SUCH_VARIABLE", "x") != "x" || env("NO_SUCH_VARIABLE") != "" { throw "env" }
        if args() != ["a", "b"] { throw "args" }
        for i in 0..100 { let n = random(10); if n < 0 || n > 9 { throw "random" } }
        if random() >= 1.0 || now() < 1.0e9 || uptime() > 10.0 { throw "numbers" }
        let buckets = [0, 0, 0, 0];
        for i in 0..400 { buckets[hash(`user-${i}`) % 4] += 1; }
        for n in buckets { if n < 70 || n > 130 { throw `hash ${buckets}` } }
        let value = #{a: [1, -2.5, "\"q\"", true, ()], b: #{c: "é"}};
        if json::stringify(json::parse(json::stringify(value))) != json::stringify(value) { throw "json" }
        let failed = false;
        try { json::parse("{oops"); } catch { failed = true; }
        if !failed { throw "parse" }
        log::info("done", #{n: 3, text: "a b"});
    "#;
    assert_eq!(runs(text, &["a", "b"]), Ok(()));
}
