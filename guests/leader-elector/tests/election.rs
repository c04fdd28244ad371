//! Electors on threads against a small API server that only knows one Lease.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::net;
use podlab_guest::runtime::{Flag, block_on, sleep, spawn};
use serde_json::{Value, json};

type Lease = Arc<Mutex<Option<Value>>>;
type Switch = Arc<AtomicBool>;

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A way to the Lease that can be cut.
fn api(lease: &Lease) -> (u16, Switch) {
    let (port, cut) = (port(), Switch::default());
    let (lease, cut_off) = (lease.clone(), cut.clone());
    std::thread::spawn(move || {
        block_on(async move {
            let address = ([127, 0, 0, 1], port).into();
            let listener = net::TcpListener::bind(address).await.unwrap();
            let handler: http::Handler = Rc::new(move |request| {
                let (lease, cut) = (lease.clone(), cut_off.load(Ordering::SeqCst));
                Box::pin(async move {
                    if cut {
                        sleep(Duration::from_secs(60)).await;
                    }
                    answer(&mut lease.lock().unwrap(), &request)
                })
            });
            http::serve(listener, handler, Limits::default(), Flag::default()).await
        })
        .unwrap();
    });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    (port, cut)
}

/// As an API server: creating what is there and replacing what has changed is a conflict.
fn answer(lease: &mut Option<Value>, request: &Request) -> Response {
    let all = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let status = |code: u16| Response::json(code, json!({ "code": code }).to_string());
    let version = |lease: &Value| {
        let text = lease["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned();
        text.parse::<u64>().unwrap()
    };
    let given = || serde_json::from_slice::<Value>(&request.body).unwrap();
    match (request.method.as_str(), &lease) {
        ("GET", Some(lease)) if request.path == format!("{all}/job") => {
            Response::json(200, lease.to_string())
        }
        ("GET", None) => status(404),
        ("POST", None) if request.path == all => {
            let mut new = given();
            new["metadata"]["resourceVersion"] = json!("1");
            *lease = Some(new.clone());
            Response::json(201, new.to_string())
        }
        ("PUT", Some(old)) if version(old) == version(&given()) => {
            let mut new = given();
            new["metadata"]["resourceVersion"] = json!((version(old) + 1).to_string());
            *lease = Some(new.clone());
            Response::json(200, new.to_string())
        }
        ("POST" | "PUT", Some(_)) => status(409),
        _ => status(400),
    }
}

struct Running {
    page: u16,
    stop: Switch,
    thread: std::thread::JoinHandle<()>,
}

/// An elector: lease 2 s, renew 1 s, retry 100 ms, jitter 1.2.
fn elector(name: &str, api: u16) -> Running {
    let (page, stop) = (port(), Switch::default());
    let words = [
        format!("--identity={name}"),
        format!("--api=http://127.0.0.1:{api}"),
        format!("--listen=127.0.0.1:{page}"),
        "--lease=job".into(),
        "--namespace=default".into(),
        "--account=/nowhere".into(),
        "--lease-duration=2s".into(),
        "--renew-deadline=1s".into(),
        "--retry-period=100ms".into(),
    ];
    let switch = stop.clone();
    let thread = std::thread::spawn(move || {
        let args = leader_elector::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move {
            let flag = Flag::default();
            let raise = flag.clone();
            spawn(async move {
                while !switch.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(5)).await;
                }
                raise.raise();
            });
            leader_elector::run(args, flag).await
        })
        .unwrap();
    });
    while TcpStream::connect(("127.0.0.1", page)).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    Running { page, stop, thread }
}

fn get(port: u16, path: &str) -> Value {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: e\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let mut out = String::new();
    socket.read_to_string(&mut out).unwrap();
    serde_json::from_str(out.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn leads(e: &Running) -> bool {
    get(e.page, "/status")["leading"] == true
}

/// Waits until it leads, while `other` must not at the same time; how long that took.
fn until_leads(e: &Running, other: Option<&Running>) -> Duration {
    let begun = Instant::now();
    loop {
        // First the one that led: between the two answers it may only stop.
        let overlap = other.is_some_and(leads);
        if leads(e) {
            assert!(!overlap || !other.is_some_and(leads), "two lead");
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it never led");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_is_cut_off_stops_before_another_begins_and_tokens_grow() {
    let lease = Lease::default();
    let ((api_a, cut), (api_b, _)) = (api(&lease), api(&lease));
    let a = elector("a", api_a);
    until_leads(&a, None);
    let b = elector("b", api_b);
    std::thread::sleep(Duration::from_millis(500));
    assert!(leads(&a) && !leads(&b));
    assert_eq!(get(b.page, "/"), json!({ "name": "a" }));
    let first = get(a.page, "/status")["token"].as_u64().unwrap();
    cut.store(true, Ordering::SeqCst);
    let took = until_leads(&b, Some(&a));
    // leaseDuration + retryPeriod x (1 + jitter), and room for a busy machine.
    assert!(took < Duration::from_millis(2000 + 220 + 1000), "{took:?}");
    assert!(took > Duration::from_millis(1500), "it must not take over early: {took:?}");
    let second = get(b.page, "/status")["token"].as_u64().unwrap();
    assert_eq!(second, first + 1);
    // Back again, it follows.
    cut.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    while get(a.page, "/")["name"] != "b" {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never learns of b");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(leads(&b) && !leads(&a));
}

#[test]
fn a_leader_that_ends_hands_over_at_once() {
    let lease = Lease::default();
    let (port, _) = api(&lease);
    let a = elector("a", port);
    until_leads(&a, None);
    let b = elector("b", port);
    std::thread::sleep(Duration::from_millis(300));
    a.stop.store(true, Ordering::SeqCst);
    let took = until_leads(&b, None);
    assert!(took < Duration::from_millis(1500), "the lease has 2 s, and was given up: {took:?}");
    a.thread.join().unwrap();
    let lease = lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "b");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 2);
}

#[test]
fn of_many_who_begin_together_one_leads_and_stays() {
    let lease = Lease::default();
    let (port, _) = api(&lease);
    let all: Vec<Running> = (0..5).map(|n| elector(&format!("e{n}"), port)).collect();
    let begun = Instant::now();
    while !all.iter().any(leads) {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody leads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let holder = get(all[0].page, "/")["name"].clone();
    for _ in 0..30 {
        assert_eq!(all.iter().filter(|e| leads(e)).count(), 1);
        std::thread::sleep(Duration::from_millis(100));
    }
    let spec = lease.lock().unwrap().clone().unwrap()["spec"].clone();
    assert_eq!(spec["leaseTransitions"], 0, "nothing flaps");
    assert!(holder == "" || spec["holderIdentity"] == holder);
}

#[test]
fn settings_under_which_two_could_lead_are_refused() {
    let run = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let args = leader_elector::SPEC.parse(&words, |_| None).unwrap();
        block_on(async move { leader_elector::run(args, Flag::default()).await }).unwrap_err()
    };
    assert!(run(&["--identity=a", "--lease-duration=5s"]).contains("--renew-deadline"));
    assert!(run(&["--identity=a", "--renew-deadline=2s"]).contains("--retry-period"));
    assert!(run(&["--identity=a", "--lease=a/b"]).contains("--lease"));
}
