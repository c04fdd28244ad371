//! A request that somebody writes, or writes anew: what it says, and whether it can be sent.
//!
//! What it begins with may come from a program of the world, which is not to be trusted: whatever
//! it says, the request must go to the Service that it names and nowhere else.

use crate::model::show;

/// No path is longer, in bytes.
const PATH: usize = 4_000;
/// No more headers.
const HEADERS: usize = 50;
/// All headers together are no longer, in bytes.
const HEAD: usize = 8 << 10;
/// No body is longer, in bytes.
const BODY: usize = 1 << 20;

/// Headers that the browser or the connection writes itself (Fetch, "forbidden request-header").
const OWN: [&str; 23] = [
    "accept-charset",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
];

/// A request as it is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// "GET".
    pub method: String,
    /// "/index.html?a=b".
    pub path: String,
    /// A line "Name: value" for each.
    pub headers: String,
    /// The body.
    pub body: String,
}

/// What is wrong with one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// This is no method that a browser sends.
    Method(String),
    /// The path does not begin with a slash.
    Slash,
    /// The path has a character that it cannot have.
    Character(char),
    /// The path would lead out of the Service.
    Dots,
    /// The path is too long.
    Long,
    /// This line of the headers is no header.
    Line(usize),
    /// The browser writes this header itself.
    Own(String),
    /// There are too many headers, or they are too long.
    Headers,
    /// This method has no body.
    NoBody(String),
    /// The body is too long.
    Body,
}

impl Wrong {
    /// Which field it is about: "method", "path", "headers", "body".
    pub fn field(&self) -> &'static str {
        match self {
            Wrong::Method(_) => "method",
            Wrong::Slash | Wrong::Character(_) | Wrong::Dots | Wrong::Long => "path",
            Wrong::Line(_) | Wrong::Own(_) | Wrong::Headers => "headers",
            Wrong::NoBody(_) | Wrong::Body => "body",
        }
    }
}

fn token(text: &str) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(part)
}

fn own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OWN.contains(&name.as_str()) || name.starts_with("sec-") || name.starts_with("proxy-")
}

/// Whether one part of a path is `.` or `..`, however it is written.
fn dots(part: &str) -> bool {
    let plain = part.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

impl Draft {
    /// The request with this head and body, without what the browser writes itself; `None` where
    /// it is no HTTP request.
    pub fn of(head: &str, body: &[u8]) -> Option<Draft> {
        let (first, fields) = show::head(head);
        let mut words = first.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        if !words.next()?.starts_with("HTTP/") {
            return None;
        }
        let line = |(n, v): &(String, String)| format!("{n}: {v}");
        let lines: Vec<_> = fields.iter().filter(|(n, _)| !own(n)).map(line).collect();
        let body = show::text(body).unwrap_or_default().to_owned();
        Some(Draft { method, path, headers: lines.join("\n"), body })
    }

    /// The headers, if the request can be sent as it is.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn ready(&self) -> Result<Vec<(String, String)>, Wrong> {
        let upper = self.method.to_ascii_uppercase();
        let never = ["CONNECT", "TRACE", "TRACK"].contains(&upper.as_str());
        if !token(&self.method) || self.method.len() > 20 || never {
            return Err(Wrong::Method(self.method.clone()));
        }
        if !self.path.starts_with('/') {
            return Err(Wrong::Slash);
        }
        if self.path.len() > PATH {
            return Err(Wrong::Long);
        }
        let odd = |c: &char| c.is_whitespace() || c.is_control() || *c == '\\' || *c == '#';
        if let Some(c) = self.path.chars().find(odd) {
            return Err(Wrong::Character(c));
        }
        let path = self.path.split('?').next().unwrap_or_default();
        if path.split('/').any(dots) {
            return Err(Wrong::Dots);
        }
        if self.headers.len() > HEAD {
            return Err(Wrong::Headers);
        }
        let mut headers = Vec::new();
        for (i, line) in self.headers.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Wrong::Line(i + 1))?;
            let (name, value) = (name.trim(), value.trim());
            // A header is bytes: fetch takes those of Latin-1.
            let fits = |c: char| !c.is_control() && u32::from(c) <= 0xff;
            if !token(name) || !value.chars().all(fits) {
                return Err(Wrong::Line(i + 1));
            }
            if own(name) {
                return Err(Wrong::Own(name.to_owned()));
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
        if headers.len() > HEADERS {
            return Err(Wrong::Headers);
        }
        if !self.body.is_empty() && ["GET", "HEAD"].contains(&upper.as_str()) {
            return Err(Wrong::NoBody(self.method.clone()));
        }
        if self.body.len() > BODY {
            return Err(Wrong::Body);
        }
        Ok(headers)
    }
}

/// The Service and port that a request goes to, as the server's proxy has it: "web:8080". `None`
/// for what can be no such name.
pub fn target(host: &str) -> Option<String> {
    let host = host.trim();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    // A Service's door needs a port; 80 is that of HTTP.
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let named = name.len() <= 253 && name.bytes().all(plain);
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let port: u16 = port.parse().ok().filter(|p| *p > 0)?;
    (named && begins).then(|| format!("{name}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(method: &str, path: &str, headers: &str, body: &str) -> Draft {
        let [method, path, headers, body] = [method, path, headers, body].map(str::to_owned);
        Draft { method, path, headers, body }
    }

    #[test]
    fn a_request_is_taken_apart_and_can_be_sent() {
        let head = "PUT /a?b=1 HTTP/1.1\r\nHost: web:8080\r\nX-A: it's\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nSec-Fetch-Mode: cors\r\n\r\n";
        let found = Draft::of(head, b"hi").unwrap();
        assert_eq!(found, draft("PUT", "/a?b=1", "X-A: it's\nContent-Type: text/plain", "hi"));
        let headers = found.ready().unwrap();
        assert_eq!(headers[0], ("X-A".to_owned(), "it's".to_owned()));
        assert_eq!(headers.len(), 2);
        assert_eq!(Draft::of("HTTP/1.1 200 OK\r\n\r\n", b""), None);
        assert_eq!(Draft::of("PING", b""), None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_its_place() {
        let long = "x".repeat(PATH + 1);
        let many = "a: b\n".repeat(HEADERS + 1);
        for (bad, wrong) in [
            (draft("", "/", "", ""), Wrong::Method(String::new())),
            (draft("GET IT", "/", "", ""), Wrong::Method("GET IT".into())),
            (draft("connect", "/", "", ""), Wrong::Method("connect".into())),
            (draft("GET", "index", "", ""), Wrong::Slash),
            (draft("GET", "", "", ""), Wrong::Slash),
            (draft("GET", "/a b", "", ""), Wrong::Character(' ')),
            (draft("GET", "/a\\..\\b", "", ""), Wrong::Character('\\')),
            (draft("GET", "/a#b", "", ""), Wrong::Character('#')),
            (draft("GET", "/../../time", "", ""), Wrong::Dots),
            (draft("GET", "/a/%2E%2e/b?x", "", ""), Wrong::Dots),
            (draft("GET", "/.%2e", "", ""), Wrong::Dots),
            (draft("GET", &format!("/{long}"), "", ""), Wrong::Long),
            (draft("GET", "/", "no colon", ""), Wrong::Line(1)),
            (draft("GET", "/", "a: b\n\nb c: d", ""), Wrong::Line(3)),
            (draft("GET", "/", "a: \u{65e5}", ""), Wrong::Line(1)),
            (draft("GET", "/", "Host: other", ""), Wrong::Own("Host".into())),
            (draft("GET", "/", "Sec-Fetch-Site: none", ""), Wrong::Own("Sec-Fetch-Site".into())),
            (draft("GET", "/", &many, ""), Wrong::Headers),
            (draft("GET", "/", &format!("a: {}", "x".repeat(HEAD)), ""), Wrong::Headers),
            (draft("GET", "/", "", "body"), Wrong::NoBody("GET".into())),
            (draft("POST", "/", "", &"x".repeat(BODY + 1)), Wrong::Body),
        ] {
            let seen = bad.ready();
            assert_eq!(seen, Err(wrong.clone()), "{} {}", bad.method, bad.path);
            assert!(["method", "path", "headers", "body"].contains(&wrong.field()));
        }
        // Dots elsewhere are nothing special.
        assert!(draft("GET", "/a..b/.hidden?x=../..", "", "").ready().is_ok());
        assert!(draft("DELETE", "/日本", "", "x").ready().is_ok());
    }

    #[test]
    fn a_target_is_a_name_and_a_port() {
        assert_eq!(target("web:8080").as_deref(), Some("web:8080"));
        assert_eq!(target(" web.default ").as_deref(), Some("web.default:80"));
        for odd in
            ["", "..", "../..:80", "web:0", "web:http", "web/../x:80", "a:1:2", "@x", "web:99999"]
        {
            assert_eq!(target(odd), None, "{odd}");
        }
    }
}
