//! Requests and responses, and how they are parsed.

use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Header fields in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first field of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Whether a comma-separated field holds `token`.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let fields = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, v)| v.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

/// The head of a message: its first line and fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The three parts of the first line.
    pub line: [String; 3],
    /// The fields.
    pub headers: Headers,
    /// How many bytes it took, the empty line included.
    pub length: usize,
}

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status that says so.
    pub status: u16,
    /// In words.
    pub reason: &'static str,
}

const fn refuse(status: u16, reason: &'static str) -> Refusal {
    Refusal { status, reason }
}

/// Parses a head from the start of `bytes`; `None` if its end is not there yet.
///
/// # Errors
/// 400 for what is no head, 414 for a first line longer than allowed, 431 for more fields or bytes.
pub fn parse_head(bytes: &[u8], max: usize) -> Result<Option<Head>, Refusal> {
    let mut lines = Vec::new();
    let mut start = 0;
    loop {
        let Some(end) = bytes[start..].iter().position(|b| *b == b'\n') else {
            if bytes.len() > max {
                return Err(too_large(lines.len()));
            }
            return Ok(None);
        };
        let line = &bytes[start..start + end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        start += end + 1;
        if start > max {
            return Err(too_large(lines.len()));
        }
        if line.is_empty() {
            // RFC 9112, 2.2: an empty line before the first is ignored.
            if lines.is_empty() {
                continue;
            }
            break;
        }
        lines.push(line);
        if lines.len() > 101 {
            return Err(refuse(431, "too many header fields"));
        }
    }
    let text = |b: &[u8]| {
        let fine = b.iter().all(|c| *c == b'\t' || (*c >= 0x20 && *c != 0x7f));
        fine.then(|| String::from_utf8_lossy(b).into_owned())
    };
    let bad = refuse(400, "the head holds control characters");
    let first = text(lines[0]).ok_or(bad)?;
    let mut words = first.splitn(3, ' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let line = [word(), word(), word()];
    let mut headers = Headers::default();
    for field in &lines[1..] {
        let field = text(field).ok_or(bad)?;
        let (name, value) = field.split_once(':').ok_or(refuse(400, "a field without colon"))?;
        if !is_token(name) {
            return Err(refuse(400, "a field name that is no token"));
        }
        headers.0.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Some(Head { line, headers, length: start }))
}

/// In the first line it is the target that is too long, later it is the fields.
fn too_large(lines: usize) -> Refusal {
    match lines {
        0 => refuse(414, "the first line is too long"),
        _ => refuse(431, "the head is too large"),
    }
}

/// The characters of a token (RFC 9110, 5.6.2).
fn is_token(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !text.is_empty() && text.chars().all(fine)
}

/// The size of a chunk: hexadecimal digits, and perhaps extensions.
pub(crate) fn chunk_size(line: &str) -> Option<usize> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    // `from_str_radix` alone would take a sign.
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    usize::from_str_radix(digits, 16).ok().filter(|_| plain)
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Headers {
    /// How the body is framed (RFC 9112, 6.3); contradictions are refused, since they hide attacks.
    pub(crate) fn framing(&self) -> Result<Option<Framing>, Refusal> {
        let all = |name: &'static str| {
            self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).collect::<Vec<_>>()
        };
        let lengths = all("content-length");
        if let [(_, coding), more @ ..] = &all("transfer-encoding")[..] {
            if !lengths.is_empty() {
                return Err(refuse(400, "both Content-Length and Transfer-Encoding"));
            }
            if !coding.eq_ignore_ascii_case("chunked") || !more.is_empty() {
                return Err(refuse(501, "this transfer coding is not known"));
            }
            return Ok(Some(Framing::Chunked));
        }
        let Some((_, first)) = lengths.first() else { return Ok(None) };
        let digits = !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit());
        match first.parse::<u64>() {
            Ok(n) if digits && lengths.iter().all(|(_, v)| v == first) => {
                Ok(Some(Framing::Length(n)))
            }
            _ => Err(refuse(400, "Content-Length is no number")),
        }
    }
}

/// Methods that are methods somewhere (RFC 9110, 9; RFC 5789): what else comes is 501, and what a
/// program does not do with a resource is 405.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// A request with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The target as it came: `/a%20b?c=d`.
    pub target: String,
    /// The decoded path: `/a b`.
    pub path: String,
    /// What follows the question mark, still encoded.
    pub query: String,
    /// 1.0 (0) or 1.1 (1).
    pub minor: u8,
    /// The fields.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// Who sent it: an address.
    pub peer: String,
}

impl Request {
    /// Reads the head of a request; its body is not there yet.
    ///
    /// # Errors
    /// What is wrong with it, as a status.
    pub fn from_head(head: Head, peer: &str) -> Result<Request, Refusal> {
        let [method, target, version] = head.line;
        let minor = match version.as_str() {
            "HTTP/1.1" => 1,
            "HTTP/1.0" => 0,
            v if v.starts_with("HTTP/") => return Err(refuse(505, "only HTTP/1.1 is spoken here")),
            _ => return Err(refuse(400, "the first line is no request line")),
        };
        if !is_token(&method) {
            return Err(refuse(400, "the method is no token"));
        }
        if !METHODS.contains(&method.as_str()) {
            return Err(refuse(501, "this method is not known"));
        }
        let hosts = head.headers.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case("host")).count();
        if hosts > 1 || minor == 1 && hosts == 0 {
            return Err(refuse(400, "HTTP/1.1 needs one Host field"));
        }
        let local = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |i| &rest[i..]),
            None => target.as_str(),
        };
        let (path, query) = local.split_once('?').unwrap_or((local, ""));
        if !path.starts_with('/') && path != "*" {
            return Err(refuse(400, "the target is no path"));
        }
        let path = decode(path).ok_or(refuse(400, "the path is badly encoded"))?;
        let (query, peer, headers) = (query.to_owned(), peer.to_owned(), head.headers);
        Ok(Request { method, target, path, query, minor, headers, body: Vec::new(), peer })
    }

    /// The decoded value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key).as_deref() == Some(name)).then(|| decode(&value.replace('+', " ")))?
        })
    }

    /// Whether the sender will send another on the same connection.
    pub fn keep_alive(&self) -> bool {
        match self.minor {
            0 => self.headers.has_token("connection", "keep-alive"),
            _ => !self.headers.has_token("connection", "close"),
        }
    }
}

/// Percent-decoding; `None` if it is wrong, no UTF-8, or hides a NUL.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let mut digit = || bytes.next().and_then(|d| (d as char).to_digit(16));
            let value = (digit()? * 16 + digit()?) as u8;
            out.push(value);
        } else {
            out.push(b);
        }
    }
    if out.contains(&0) { None } else { String::from_utf8(out).ok() }
}

/// What a response carries.
#[derive(Debug)]
pub enum Body {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many bytes of a file.
    File(File, u64),
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Fields, beside those the server adds (Date, Content-Length, Connection).
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Body,
}

impl Response {
    /// With a content type and a body.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type".to_owned(), kind.to_owned())];
        Response { status, headers, body: Body::Bytes(body.into()) }
    }

    /// One line of text.
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        let mut text = text.into();
        text.push('\n');
        Response::new(status, "text/plain; charset=utf-8", text)
    }

    /// A JSON document.
    pub fn json(status: u16, text: impl Into<String>) -> Response {
        Response::new(status, "application/json", text.into())
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Response {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With another body.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Response {
        self.body = body;
        self
    }

    /// How many bytes the body has.
    pub fn length(&self) -> u64 {
        match &self.body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(_, length) => *length,
        }
    }

    /// The head as it is sent.
    pub(crate) fn head(&self, close: bool) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.status >= 200 && self.status != 204 && self.status != 304 {
            out.push_str(&format!("Content-Length: {}\r\n", self.length()));
        }
        out.push_str(&format!("Date: {}\r\n", http_date(SystemTime::now())));
        out.push_str(if close { "Connection: close\r\n\r\n" } else { "\r\n" });
        out.into_bytes()
    }
}

/// The phrase of a status (RFC 9110, 15).
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        422 => "Unprocessable Content",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Status",
    }
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month (0 to 11), day of a count of days since 1970.
fn civil(days: i64) -> (i64, usize, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 2 } else { mp - 10 };
    (yoe + era * 400 + i64::from(month < 2), month as usize, doy - (153 * mp + 2) / 5 + 1)
}

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() as i64;
    let (days, s) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let name = DAYS[(days % 7) as usize];
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    format!("{name}, {day:02} {} {year:04} {h:02}:{m:02}:{s:02} GMT", MONTHS[month])
}

/// Reads what [`http_date`] writes.
pub fn parse_http_date(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split([' ', ':']).collect();
    let [_, day, month, year, h, m, s, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|n| *n == month)?;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    let first = (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
    let days = (first..first + 366).find(|d| civil(*d) == (year, month, day))?;
    let number = |t: &str| t.parse::<u64>().ok().filter(|n| *n <= 60);
    let seconds = days as u64 * 86_400 + number(h)? * 3600 + number(m)? * 60 + number(s)?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Request, u16> {
        let head = parse_head(text.as_bytes(), 1000).map_err(|r| r.status)?.ok_or(0u16)?;
        Request::from_head(head, "p").map_err(|r| r.status)
    }

    #[test]
    fn what_is_refused_and_how() {
        let status = |text: &str| request(text).map(|_| 200).unwrap_or_else(|s| s);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\n"), 0);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
        assert_eq!(status("nonsense\r\n\r\n"), 400);
        assert_eq!(status("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHo st: a\r\n\r\n"), 400);
        let long = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(2000));
        assert_eq!(status(&long), 431);
    }

    #[test]
    fn contradicting_lengths_are_refused() {
        let framing = |fields: &[(&str, &str)]| {
            let own = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            Headers(own).framing().map_err(|r| r.status)
        };
        assert_eq!(framing(&[("content-length", "5")]), Ok(Some(Framing::Length(5))));
        assert_eq!(framing(&[("content-length", "+5")]), Err(400));
        assert_eq!(framing(&[("content-length", "5"), ("Content-Length", "6")]), Err(400));
        let both = [("content-length", "5"), ("transfer-encoding", "chunked")];
        assert_eq!(framing(&both), Err(400));
    }

    #[test]
    fn parameters_are_decoded() {
        let r = request("GET /a%20b?x=1&grep=a+b%26 HTTP/1.0\r\n\r\n").unwrap();
        assert_eq!((r.path.as_str(), r.parameter("grep").as_deref()), ("/a b", Some("a b&")));
        assert!(!r.keep_alive());
    }

    #[test]
    fn dates_go_both_ways() {
        let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(time));
        assert_eq!(parse_http_date("yesterday"), None);
        let leap = UNIX_EPOCH + Duration::from_secs(1_709_164_800);
        assert_eq!(parse_http_date(&http_date(leap)), Some(leap));
    }
}
