//! The fields of messages that are passed on: which stay behind, and which are added.

use podlab_guest::http::{Headers, Request, Rest};

/// Fields of a connection, not of a message (RFC 9110, 7.6.1), and those of framing, which is
/// written anew.
const OWN: [&str; 11] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-authorization",
    "proxy-authenticate",
    "content-length",
    "expect",
];
/// What we say ourselves about a caller.
const FORWARDED: [&str; 8] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-scheme",
    "x-scheme",
    "x-real-ip",
    "forwarded",
];

/// Which fields of a message are passed on.
fn passed(headers: &Headers) -> impl Iterator<Item = &(String, String)> {
    headers.0.iter().filter(|(name, _)| {
        !OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
            && !headers.has_token("connection", name)
    })
}

/// What is said about a caller.
pub struct Caller<'a> {
    /// Its address.
    pub peer: &'a str,
    /// The port it called.
    pub port: u16,
    /// The name it called, the port included.
    pub host: &'a str,
    /// Names the request if it has no name yet.
    pub id: &'a str,
    /// Whether what the caller says of others before it is believed.
    pub trusted: bool,
}

/// The head of a request as it is passed on.
pub fn request(request: &Request, rest: Rest, caller: &Caller) -> Vec<u8> {
    let path = match request.target.strip_prefix("http://") {
        Some(after) => after.find('/').map_or("/", |i| &after[i..]),
        None => &request.target,
    };
    let mut out = format!("{} {path} HTTP/1.1\r\nHost: {}\r\n", request.method, caller.host);
    let mut add = |name: &str, value: &str| out.push_str(&format!("{name}: {value}\r\n"));
    for (name, value) in passed(&request.headers) {
        let ours = FORWARDED.iter().any(|own| name.eq_ignore_ascii_case(own));
        if !ours && !name.eq_ignore_ascii_case("host") {
            add(name, value);
        }
    }
    let told = |name: &str| request.headers.get(name).filter(|_| caller.trusted);
    let chain = told("x-forwarded-for").map(|before| format!("{before}, {}", caller.peer));
    let first = told("x-forwarded-for").and_then(|all| all.split(',').next()).map(str::trim);
    add("X-Real-IP", first.unwrap_or(caller.peer));
    add("X-Forwarded-For", chain.as_deref().unwrap_or(caller.peer));
    add("X-Forwarded-Host", told("x-forwarded-host").unwrap_or(caller.host));
    add("X-Forwarded-Port", told("x-forwarded-port").unwrap_or(&caller.port.to_string()));
    add("X-Forwarded-Proto", told("x-forwarded-proto").unwrap_or("http"));
    if request.headers.get("x-request-id").is_none() {
        add("X-Request-ID", caller.id);
    }
    match rest {
        Rest::Chunks => add("Transfer-Encoding", "chunked"),
        Rest::Length(n) => add("Content-Length", &n.to_string()),
        // A body of nothing is said to be one, if the caller said so.
        _ if request.headers.get("content-length").is_some() => add("Content-Length", "0"),
        _ => {}
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// How the body of an answer is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// As long as it is said to be.
    Plain,
    /// In chunks.
    Chunked,
    /// Until the connection ends.
    UntilClose,
}

/// The head of an answer as it is passed on, and how its body is.
pub fn answer(
    status: u16,
    phrase: &str,
    headers: &Headers,
    rest: Rest,
    (minor, close): (u8, bool),
) -> (Vec<u8>, Sent) {
    let sent = match rest {
        Rest::Done | Rest::Length(_) => Sent::Plain,
        _ if minor == 0 => Sent::UntilClose,
        _ => Sent::Chunked,
    };
    let mut out = format!("HTTP/1.1 {status} {phrase}\r\n");
    for (name, value) in passed(headers) {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    match (sent, headers.get("content-length")) {
        (Sent::Plain, Some(length)) => out.push_str(&format!("Content-Length: {length}\r\n")),
        (Sent::Chunked, _) => out.push_str("Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    out.push_str(if close || sent == Sent::UntilClose {
        "Connection: close\r\n\r\n"
    } else {
        "\r\n"
    });
    (out.into_bytes(), sent)
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests {
    use podlab_guest::http::parse_head;
    use proptest::prelude::*;

    use super::*;

    fn asked(text: &str) -> Request {
        let head = parse_head(text.as_bytes(), 10_000).unwrap().unwrap();
        Request::from_head(head, "10.1.1.1").unwrap()
    }

    fn forwarded(text: &str, trusted: bool) -> Headers {
        let asked = asked(text);
        let rest = Rest::of_request(&asked.headers).unwrap();
        let caller = Caller { peer: "10.1.1.1", port: 80, host: "shop.example", id: "id", trusted };
        parse_head(&request(&asked, rest, &caller), 10_000).unwrap().unwrap().headers
    }

    #[test]
    fn what_belongs_to_a_connection_stays_behind() {
        let headers = forwarded(
            "POST /a?b HTTP/1.1\r\nHost: shop.example\r\nConnection: close, X-Secret\r\n\
             X-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nAccept: */*\r\n\
             Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
            false,
        );
        let names: Vec<&str> = headers.0.iter().map(|(n, _)| n.as_str()).collect();
        let wanted = [
            "Host",
            "Accept",
            "X-Real-IP",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "X-Request-ID",
            "Transfer-Encoding",
        ];
        assert_eq!(names, wanted);
    }

    #[test]
    fn a_caller_is_believed_only_if_it_is_trusted() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n\
                    X-Request-ID: mine\r\nX-Forwarded-Proto: https\r\n\r\n";
        let get = |trusted, name: &str| forwarded(text, trusted).get(name).unwrap().to_owned();
        assert_eq!(get(false, "X-Forwarded-For"), "10.1.1.1");
        assert_eq!(get(false, "X-Real-IP"), "10.1.1.1");
        assert_eq!(get(false, "X-Forwarded-Proto"), "http");
        assert_eq!(get(true, "X-Forwarded-For"), "9.9.9.9, 10.1.1.1");
        assert_eq!(get(true, "X-Real-IP"), "9.9.9.9");
        assert_eq!(get(true, "X-Forwarded-Proto"), "https");
        assert_eq!(get(false, "X-Request-ID"), "mine");
    }

    #[test]
    fn answers_are_framed_for_who_asked() {
        let headers = |pairs: &[(&str, &str)]| {
            Headers(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
        };
        let text = |rest, pairs: &[(&str, &str)], minor| {
            let (head, sent) = answer(200, "OK", &headers(pairs), rest, (minor, false));
            (String::from_utf8(head).unwrap(), sent)
        };
        let (head, sent) =
            text(Rest::Length(3), &[("Content-Length", "3"), ("Connection", "close")], 1);
        assert_eq!(
            (head.as_str(), sent),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Sent::Plain)
        );
        let (head, sent) = text(Rest::UntilClose, &[], 1);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!((head.as_str(), sent), (chunked, Sent::Chunked));
        let (head, sent) = text(Rest::Chunks, &[("Transfer-Encoding", "chunked")], 0);
        let close = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
        assert_eq!((head.as_str(), sent), (close, Sent::UntilClose));
        // The answer to HEAD says how long the body would be.
        let (head, _) = text(Rest::Done, &[("Content-Length", "3")], 1);
        assert!(head.contains("Content-Length: 3"));
    }

    proptest! {
        /// Whatever fields come, one message goes on: with one framing, and one Host.
        #[test]
        fn one_message_stays_one(
            fields in prop::collection::vec(("[a-zA-Z-]{1,12}", "[!-~]{0,16}"), 0..12),
            length in prop::option::of(0u64..10),
        ) {
            let mut text = "POST /x HTTP/1.1\r\nHost: shop.example\r\n".to_owned();
            for (name, value) in &fields {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            if let Some(n) = length {
                text.push_str(&format!("Content-Length: {n}\r\n"));
            }
            text.push_str("\r\n");
            let head = parse_head(text.as_bytes(), 10_000).unwrap().unwrap();
            let refused = Request::from_head(head.clone(), "p").is_err()
                || Rest::of_request(&head.headers).is_err();
            if !refused {
                let headers = forwarded(&text, false);
                let count = |name: &str| headers.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).count();
                prop_assert_eq!(count("host"), 1);
                prop_assert!(count("content-length") + count("transfer-encoding") <= 1);
                prop_assert_eq!(Rest::of_request(&headers).unwrap(), Rest::of_request(&head.headers).unwrap());
            }
        }
    }
}
