//! The HTTP server over a real socket: what is malformed gets the protocol's own error, what is
//! unusual gets its answer, and nobody's bad manners reach the next connection.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener as Blocking, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::net::TcpListener;
use podlab_guest::runtime::{Flag, block_on};

/// A server that says what it understood, with small limits.
fn serve() -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        block_on(async move {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listener = TcpListener::bind(any).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let handler: http::Handler = Rc::new(|request: Request| {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let response = match request.method.as_str() {
                    "GET" | "HEAD" | "POST" => {
                        Response::text(200, format!("{} {} [{body}]", request.method, request.path))
                    }
                    _ => Response::text(405, "no").with("Allow", "GET, HEAD, POST"),
                };
                Box::pin(async move { response })
            });
            let limits = Limits {
                head: 1000,
                body: 1000,
                request: Duration::from_millis(300),
                idle: Duration::from_millis(600),
                connections: 3,
            };
            http::serve(listener, handler, limits, Flag::default()).await
        })
    });
    told.recv().unwrap()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// All that comes until the server closes.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// Sends bytes, half-closes, and returns all that comes.
fn exchange(server: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // The server may refuse, and close, before it has read all.
    let _refused = stream.write_all(bytes);
    let _gone = stream.shutdown(Shutdown::Write);
    rest(&stream)
}

fn statuses(text: &str) -> Vec<u16> {
    let words = text.lines().filter_map(|l| l.strip_prefix("HTTP/1.1 ")?.split(' ').next());
    words.filter_map(|word| word.parse().ok()).collect()
}

/// What each request is answered with; all also end the connection.
#[test]
fn malformed_requests_get_the_protocol_s_error() {
    let server = serve();
    let long = "x".repeat(2000);
    let with = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}");
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    for (what, request, status) in [
        ("no request line", "hello\r\n\r\n".to_owned(), 400),
        ("two words", "GET /\r\n\r\n".into(), 400),
        ("too many words", "GET / x HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("TLS", "\x16\x03\x01\x02\n\r\n\r\n".into(), 400),
        ("no token as method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
        ("a method in lower case", "get / HTTP/1.1\r\nHost: a\r\n\r\n".into(), 501),
        ("no path", "GET index HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a bad escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a NUL in the path", "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n".into(), 400),
        ("a long target", format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("a long target without end", format!("GET /{long}"), 414),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), 505),
        ("no Host", "GET / HTTP/1.1\r\n\r\n".into(), 400),
        ("two Hosts", with("Host: b\r\n"), 400),
        ("a field without colon", with("Nonsense\r\n"), 400),
        ("a space before the colon", with("A : b\r\n"), 400),
        ("a folded field", with("A: b\r\n c\r\n"), 400),
        ("a control character", with("A: b\x01\r\n"), 400),
        ("a long field", with(&format!("A: {long}\r\n")), 431),
        ("many fields", with(&"A:\r\n".repeat(150)), 431),
        ("a length that is none", post("Content-Length: 1x", "a"), 400),
        ("a negative length", post("Content-Length: -1", "a"), 400),
        ("two lengths", post("Content-Length: 1\r\nContent-Length: 2", "ab"), 400),
        (
            "a length and chunks",
            post("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
            400,
        ),
        ("an unknown coding", post("Transfer-Encoding: gzip", ""), 501),
        ("two codings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", ""), 501),
        ("a large body", post("Content-Length: 1001", &long), 413),
        ("a huge body", post("Content-Length: 99999999999999", ""), 413),
        ("a body cut short", post("Content-Length: 10", "abc"), 400),
        ("a head cut short", "GET / HTTP/1.1\r\nHo".into(), 400),
        ("a chunk without size", chunked("x\r\nabc\r\n"), 400),
        ("a chunk with a sign", chunked("+3\r\nabc\r\n0\r\n\r\n"), 400),
        ("a chunk longer than it says", chunked("2\r\nabc\r\n0\r\n\r\n"), 400),
        ("a chunk cut short", chunked("5\r\nab"), 400),
        ("large chunks", chunked(&format!("3e8\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", &long[..1000])), 413),
        ("a chunk size that overflows", chunked("ffffffffffffffff\r\n"), 413),
        ("many trailers", chunked(&format!("0\r\n{}", "a: b\r\n".repeat(200))), 431),
    ] {
        let reply = exchange(server, request.as_bytes());
        assert_eq!(statuses(&reply), [status], "{what}: {reply:?}");
        assert!(reply.contains("Connection: close"), "{what}: {reply:?}");
    }
    // After all that it serves.
    assert_eq!(statuses(&exchange(server, with("").as_bytes())), [200]);
}

#[test]
fn unusual_but_fine_requests_are_answered() {
    let server = serve();
    for (request, answer) in [
        ("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a []"),
        ("GET /a%20b?q HTTP/1.1\nHost: a\n\n", "GET /a b []"),
        ("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b []"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / []"),
        ("POST / HTTP/1.1\r\nHost:\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "[abc]"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
             3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n",
            "[abc0123456789]",
        ),
    ] {
        let reply = exchange(server, request.as_bytes());
        assert_eq!(statuses(&reply), [200], "{request:?}: {reply:?}");
        assert!(reply.contains(answer), "{request:?}: {reply:?}");
    }
    let reply = exchange(server, b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&reply), [405]);
    assert!(reply.contains("Allow: GET, HEAD, POST"));
    let reply = exchange(server, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reply.ends_with("\r\n\r\n") && reply.contains("Content-Length: 10"), "{reply:?}");
}

#[test]
fn pipelined_requests_are_answered_in_order_until_one_is_wrong() {
    let server = serve();
    let get = |n: u32| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post =
        "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let all = [get(1), post.into(), get(2), "nonsense\r\n\r\n".into(), get(3)].concat();
    let reply = exchange(server, all.as_bytes());
    assert_eq!(statuses(&reply), [200, 200, 200, 400]);
    let at = |text: &str| reply.find(text).unwrap_or_else(|| panic!("no {text}: {reply}"));
    assert!(at("GET /1 []") < at("POST /p [x]") && at("POST /p [x]") < at("GET /2 []"));
}

#[test]
fn a_connection_is_kept_as_it_asks() {
    let server = serve();
    let mut stream = connect(server);
    for n in 0..3 {
        write!(stream, "GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut buffer = [0; 1000];
        let n = stream.read(&mut buffer).unwrap();
        assert!(!String::from_utf8_lossy(&buffer[..n]).contains("Connection: close"));
    }
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert!(rest(&stream).contains("Connection: close"));
}

#[test]
fn a_body_is_asked_for_if_the_sender_waits_for_that() {
    let mut stream = connect(serve());
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    .unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(rest(&stream).contains("POST / [ok]"));
}

#[test]
fn who_is_slow_or_silent_is_let_go_and_holds_up_nobody() {
    let server = serve();
    let mut slow = connect(server);
    slow.write_all(b"GET / HTTP/1.1\r\nHo").unwrap();
    let silent = connect(server);
    // The third and last of the connections the server bears.
    let reply = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&reply), [200]);
    assert_eq!(statuses(&rest(&slow)), [408]);
    assert_eq!(rest(&silent), "", "nothing was asked, so nothing is said");
}

#[test]
fn a_connection_beyond_the_limit_waits_in_the_backlog() {
    let server = serve();
    let held: Vec<TcpStream> = (0..3).map(|_| connect(server)).collect();
    std::thread::sleep(Duration::from_millis(50));
    let reply = exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(statuses(&reply), [200], "answered once the others have idled out");
    drop(held);
}

#[test]
fn the_client_refuses_answers_that_are_none() {
    for (answer, why) in [
        ("SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 OK\r\n\r\n", "no status"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "cut short"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nabc", "too large"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "a chunk of negative size"),
        ("", "nothing"),
    ] {
        let listener = Blocking::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _all_or_some = stream.read(&mut [0; 1000]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let result = block_on(async move {
            let url = http::Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
            let mut client = http::Client::new("test", Duration::from_secs(5));
            client.send("GET", &url, &[], &[]).await
        });
        assert!(result.is_err(), "{why}: {result:?}");
        server.join().unwrap();
    }
}
