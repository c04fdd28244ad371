//! The gateway on loopback, with a small API server that can be cut off, and backends on threads.

#[path = "serving/world.rs"]
mod world;

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;
use world::{Backend, World, backend, ingress};

#[test]
fn requests_go_where_ingresses_say() {
    let (a, b) = (Backend::start("a"), Backend::start("b"));
    let world = World::start(&[]);
    world.service("a", &[a.port]);
    world.service("b", &[b.port]);
    world.put("ingresses", ingress("one", "shop.example", &[("/", "a"), ("/b", "b")]));
    let got = world.until(
        "GET /b/x?y=%20z HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        "b: ",
    );
    assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    assert!(got.contains("b: GET /b/x?y=%20z HTTP/1.1"), "{got}");
    for field in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: shop.example",
        "x-forwarded-proto: http",
        "x-request-id: ",
    ] {
        assert!(got.to_lowercase().contains(field), "{field} is not in {got}");
    }
    assert!(!got.contains("6.6.6.6"));
    assert!(world.get("shop.example", "/bb").contains("a: GET /bb"));
    let other = world.get("else.example", "/b");
    assert!(
        other.starts_with("HTTP/1.1 404 ") && other.contains("no Ingress is for else.example/b")
    );
    let out = world.get("shop.example", "/b/../../x");
    assert!(out.starts_with("HTTP/1.1 404 "), "{out}");
    // Kubernetes shows where it is reached.
    world.wait("the status", || {
        let address = json!([{"ip": "203.0.113.9"}]);
        world.object("ingresses", "one")["status"]["loadBalancer"]["ingress"] == address
    });
}

#[test]
fn what_is_missing_is_said_and_heals() {
    let a = Backend::start("a");
    let world = World::start(&[]);
    world.put("ingresses", ingress("one", "", &[("/", "a"), ("/typo", "b")]));
    world.service("a", &[]);
    let none = world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "no endpoint is ready");
    assert!(none.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{none}");
    assert!(world.get("h", "/typo").contains("there is no such Service"));
    world.service("a", &[a.port]);
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: GET /");
    // Somebody who is gone, beside one who is there: nobody notices.
    world.service("a", &[world::free_port(), a.port, world::free_port()]);
    for _ in 0..20 {
        assert!(world.get("h", "/").starts_with("HTTP/1.1 200 "));
    }
    world.service("a", &[world::free_port()]);
    let refused = world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 502 ");
    assert!(refused.contains("refused"), "{refused}");
}

#[test]
fn a_canary_takes_its_share() {
    let (a, b) = (Backend::start("a"), Backend::start("b"));
    let world = World::start(&[]);
    world.service("a", &[a.port]);
    world.service("b", &[b.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    let mut canary = ingress("two", "", &[("/", "b")]);
    let at = |name: &str| format!("nginx.ingress.kubernetes.io/{name}");
    canary["metadata"]["annotations"] = json!({
        at("canary"): "true", at("canary-weight"): "30", at("canary-by-header"): "x-canary",
    });
    world.put("ingresses", canary.clone());
    world.until("GET / HTTP/1.1\r\nHost: h\r\nX-Canary: always\r\n\r\n", "b: ");
    assert!(world.send("GET / HTTP/1.1\r\nHost: h\r\nX-Canary: never\r\n\r\n").contains("a: "));
    // 300 draws of 0.3: 90, and six standard deviations of 7.9 either way.
    let share = (0..300).filter(|_| world.get("h", "/").contains("b: ")).count();
    assert!((42..=138).contains(&share), "{share} of 300");
    // Nobody behind it: it takes nothing.
    world.service("b", &[]);
    world.until("GET / HTTP/1.1\r\nHost: h\r\nX-Canary: always\r\n\r\n", "a: ");
    world.service("b", &[b.port]);
    canary["metadata"]["annotations"][at("canary-weight")] = json!("100");
    world.put("ingresses", canary);
    world.wait("all traffic moves", || (0..30).all(|_| world.get("h", "/").contains("b: ")));
    let page = world.metrics();
    let of_b = "gateway_requests_total{backend=\"default/b:80\",canary=\"true\",ingress=\"default/one\",status=\"200\"}";
    assert!(page.contains(of_b), "{page}");
}

#[test]
fn the_api_server_may_go_away() {
    let a = Backend::start("a");
    let world = World::start(&["--api-timeout=700ms", "--watch-span=1s"]);
    world.service("a", &[a.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: ");
    assert!(world.metrics().contains("gateway_api_up 1"));
    world.cut(true);
    world.wait("it is noticed", || world.metrics().contains("gateway_api_up 0"));
    for _ in 0..5 {
        assert!(world.get("h", "/").contains("a: "));
    }
    // What it missed is too old to be told: it lists anew.
    world.put("ingresses", ingress("one", "", &[("/only", "a")]));
    world.forget();
    world.cut(false);
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 ");
    world.wait("it is back", || world.metrics().contains("gateway_api_up 1"));
    assert!(world.get("h", "/only").contains("a: "));
}

#[test]
fn bodies_are_passed_on_piece_by_piece() {
    let a = Backend::start("a");
    let world = World::start(&["--proxy-body-size=100000"]);
    world.service("a", &[a.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: ");
    let chunked = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nT: 1\r\n\r\n";
    assert!(world.send(chunked).ends_with("hello world"), "{}", world.send(chunked));
    let continued =
        "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
    let got = world.send(continued);
    assert!(
        got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK") && got.ends_with("ok"),
        "{got}"
    );
    let large = "x".repeat(99_000);
    let text = format!("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 99000\r\n\r\n{large}");
    assert!(world.send(&text).ends_with(&large));
    let refused = world.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
    let sneaked = format!(
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        100_001,
        "x".repeat(100_001)
    );
    assert!(world.send(&sneaked).starts_with("HTTP/1.1 413 "));
    // An answer that ends with its connection comes in chunks, and cut short it is seen to be.
    let ended = world.get("h", "/until-close");
    assert!(
        ended.contains("Transfer-Encoding: chunked") && ended.ends_with("0\r\n\r\n"),
        "{ended}"
    );
    let cut = world.get("h", "/cut");
    assert!(cut.contains("Content-Length: 10") && cut.ends_with("half"), "{cut}");
    assert!(world.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("\r\n\r\n"));
    let old = world.send("GET / HTTP/1.0\r\n\r\n");
    assert!(old.contains("Connection: close") && old.contains("a: GET /"), "{old}");
}

#[test]
fn connections_are_kept_on_both_sides() {
    let a = Backend::start("a");
    let world = World::start(&[]);
    world.service("a", &[a.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: ");
    let before = a.connections();
    let mut stream = world.connect();
    for n in 0..10 {
        write!(stream, "GET /{n} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains(&format!("a: GET /{n} ")) {
            let mut piece = [0; 1000];
            let n = stream.read(&mut piece).unwrap();
            assert_ne!(n, 0);
            seen.extend(&piece[..n]);
        }
    }
    assert!(a.connections() <= before + 1, "{} connections", a.connections() - before);
    // One that was closed meanwhile is not used for what must not be sent twice.
    a.close_idle();
    std::thread::sleep(Duration::from_millis(50));
    let post = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    assert!(world.send(post).starts_with("HTTP/1.1 200 "));
    assert!(world.get("h", "/").starts_with("HTTP/1.1 200 "));
}

#[test]
fn slow_and_odd_backends_have_their_status() {
    let a = Backend::start("a");
    let world = World::start(&["--proxy-read-timeout=300ms"]);
    world.service("a", &[a.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: ");
    let slow = world.get("h", "/never");
    assert!(
        slow.starts_with("HTTP/1.1 504 Gateway Timeout") && slow.contains("no answer in time"),
        "{slow}"
    );
    let odd = world.get("h", "/nonsense");
    assert!(odd.starts_with("HTTP/1.1 502 Bad Gateway"), "{odd}");
    let closed = world.get("h", "/closed");
    assert!(
        closed.starts_with("HTTP/1.1 502 ") && closed.contains("closed before it answered"),
        "{closed}"
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let world = World::start(&[]);
    let status = |text: &str| world.send(text).get(9..12).unwrap_or("none").to_owned();
    assert_eq!(status("nonsense\r\n\r\n"), "400");
    assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "400");
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), "400");
    let smuggled =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status(smuggled), "400");
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000))), "414");
    assert_eq!(status("CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n"), "405");
}

#[test]
fn a_request_at_hand_is_finished_before_the_end() {
    let a = Backend::start("a");
    let world = World::start(&["--shutdown-grace-period=300ms"]);
    world.service("a", &[a.port]);
    world.put("ingresses", ingress("one", "", &[("/", "a")]));
    world.until("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "a: ");
    let mut slow = world.connect();
    write!(slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    world.stop();
    std::thread::sleep(Duration::from_millis(100));
    // Not everybody has heard of it yet.
    assert!(world.get("h", "/").starts_with("HTTP/1.1 200 "));
    assert!(backend::ask(world.status, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").contains("503"));
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("a: GET /slow"), "{answer}");
    world.wait("the end", || world.ended());
}
