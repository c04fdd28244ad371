//! A request as a command that sends it again, from outside the world.

use std::fmt::Write as _;

use crate::model::show;

/// The `curl` that sends the request with this head and body to `base` (which ends before the
/// path): `None` where it is no HTTP request.
pub fn curl(base: &str, head: &str, body: &[u8]) -> Option<String> {
    let (first, fields) = show::head(head);
    let mut words = first.split_whitespace();
    let (method, path) = (words.next()?, words.next()?);
    if !words.next()?.starts_with("HTTP/") || !path.starts_with('/') {
        return None;
    }
    let mut out = String::from("curl -i");
    if method != "GET" {
        let _ = write!(out, " -X {}", quoted(method));
    }
    let own = ["host", "content-length", "connection", "transfer-encoding", "user-agent"];
    for (name, value) in fields.iter().filter(|(n, _)| !own.contains(&n.to_lowercase().as_str())) {
        let _ = write!(out, " -H {}", quoted(&format!("{name}: {value}")));
    }
    if let Some(text) = show::text(body).filter(|t| !t.is_empty()) {
        let _ = write!(out, " --data-binary {}", quoted(text));
    }
    let _ = write!(out, " {}", quoted(&format!("{base}{path}")));
    Some(out)
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_again() {
        let head =
            "PUT /a?b=1 HTTP/1.1\r\nHost: web:8080\r\nX-A: it's\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(
            curl("http://h/proxy/web:8080", head, b"hi").as_deref(),
            Some(
                r"curl -i -X 'PUT' -H 'X-A: it'\''s' --data-binary 'hi' 'http://h/proxy/web:8080/a?b=1'"
            )
        );
        assert_eq!(curl("", "GET / HTTP/1.1\r\n", b"").as_deref(), Some("curl -i '/'"));
        assert_eq!(curl("", "HTTP/1.1 200 OK\r\n", b""), None);
        assert_eq!(curl("", "PING", b""), None);
    }
}
