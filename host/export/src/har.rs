//! HTTP Archive 1.2, as browsers' network panels and many viewers read it
//! (<http://www.softwareishard.com/blog/har-12-spec/>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podlab_trace::{Event, State, text};
use serde_json::{Value, json};

use crate::exchange::{Exchange, Exchanges, Message};

/// Collects the HTTP exchanges of a trace.
pub struct Har {
    epoch_ns: u64,
    state: State,
    exchanges: Exchanges,
    entries: Vec<(u64, Value)>,
}

impl Har {
    /// `epoch_ns` is what the world's wall clock showed at its beginning, in ns since 1970.
    pub fn new(epoch_ns: u64) -> Har {
        let exchanges = Exchanges::default();
        Har { epoch_ns, state: State::default(), exchanges, entries: Vec::new() }
    }

    /// Takes in the next event; only messages that are `wanted` appear.
    pub fn take(&mut self, event: &Event, wanted: bool) {
        if wanted {
            self.exchanges.take(&self.state, event);
        }
        for exchange in self.exchanges.drain() {
            self.entry(&exchange);
        }
        self.state.apply(event);
    }

    /// The archive. Requests without an answer have the status 0.
    pub fn finish(mut self) -> Value {
        for exchange in std::mem::take(&mut self.exchanges).finish() {
            self.entry(&exchange);
        }
        self.entries.sort_by_key(|(began, _)| *began);
        let entries: Vec<Value> = self.entries.into_iter().map(|(_, entry)| entry).collect();
        json!({"log": {
            "version": "1.2",
            "creator": {"name": "Podlab", "version": env!("CARGO_PKG_VERSION")},
            "entries": entries,
        }})
    }

    fn entry(&mut self, exchange: &Exchange) {
        if !exchange.protocol.starts_with("http/") {
            return;
        }
        let request = request_head(&exchange.request.head);
        let host = header(&request.headers, "host").unwrap_or(exchange.to.as_str()).to_owned();
        let url = if request.target.starts_with('/') {
            format!("http://{host}{}", request.target)
        } else {
            request.target.clone()
        };
        let query: Vec<Value> = request
            .target
            .split_once('?')
            .map(|(_, query)| query.split('&'))
            .into_iter()
            .flatten()
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                json!({"name": name, "value": value})
            })
            .collect();
        let mut asked = json!({
            "method": request.method, "url": url, "httpVersion": request.version,
            "cookies": [], "headers": headers(&request.headers), "queryString": query,
            "headersSize": exchange.request.head.len(), "bodySize": exchange.request.body_len,
        });
        if exchange.request.body_len > 0 {
            let (text, encoding) = content(&exchange.request);
            let mime = header(&request.headers, "content-type").unwrap_or("");
            asked["postData"] = json!({"mimeType": mime, "text": text});
            if encoding {
                asked["postData"]["comment"] = "base64".into();
            }
        }
        let (answered, wait, receive) = match &exchange.response {
            None => (no_answer(), 0, 0),
            Some(message) => {
                let sent = exchange.request.arrives.min(message.began);
                let wait = message.began.saturating_sub(sent);
                let receive = match message.arrives {
                    u64::MAX => 0,
                    at => at.saturating_sub(message.began),
                };
                (response(message), wait, receive)
            }
        };
        let send = match exchange.request.arrives {
            u64::MAX => 0,
            at => at.saturating_sub(exchange.request.began),
        };
        let began = exchange.request.began;
        let mut entry = json!({
            "startedDateTime": instant(self.epoch_ns + began),
            "time": ms(send + wait + receive),
            "request": asked,
            "response": answered,
            "cache": {},
            "timings": {"send": ms(send), "wait": ms(wait), "receive": ms(receive)},
            "connection": exchange.conn.to_string(),
            "_client": text::place(&self.state, exchange.request.place),
            "_server": text::place(&self.state, exchange.server),
            "_event": exchange.request.seq,
        });
        if let Some((ip, _)) = exchange.to.rsplit_once(':') {
            entry["serverIPAddress"] = ip.trim_matches(['[', ']']).into();
        }
        if !exchange.via.is_empty() {
            entry["comment"] = format!("through Service {}", exchange.via).into();
        }
        self.entries.push((began, entry));
    }
}

struct RequestHead {
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, String)>,
}

fn lines(head: &str) -> (&str, Vec<(String, String)>) {
    let mut lines = head.lines();
    let first = lines.next().unwrap_or("");
    let fields = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    (first, fields)
}

fn request_head(head: &str) -> RequestHead {
    let (first, headers) = lines(head);
    let mut words = first.split_whitespace().map(str::to_owned);
    RequestHead {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        version: words.next().unwrap_or_default(),
        headers,
    }
}

fn header<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
}

fn headers(fields: &[(String, String)]) -> Vec<Value> {
    fields.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The kept bytes as text, or base64.
fn content(message: &Message) -> (String, bool) {
    match std::str::from_utf8(&message.body) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (STANDARD.encode(&message.body), true),
    }
}

fn response(message: &Message) -> Value {
    let (first, fields) = lines(&message.head);
    let mut words = first.splitn(3, ' ');
    let version = words.next().unwrap_or("");
    let status: u16 = words.next().and_then(|s| s.parse().ok()).unwrap_or(0);
    let (text, encoded) = content(message);
    let mut content = json!({
        "size": message.body_len,
        "mimeType": header(&fields, "content-type").unwrap_or(""),
        "text": text,
    });
    if encoded {
        content["encoding"] = "base64".into();
    }
    if (message.body.len() as u64) < message.body_len {
        content["comment"] = format!("the first {} bytes", message.body.len()).into();
    }
    json!({
        "status": status, "statusText": words.next().unwrap_or(""), "httpVersion": version,
        "cookies": [], "headers": headers(&fields), "content": content,
        "redirectURL": header(&fields, "location").unwrap_or(""),
        "headersSize": message.head.len(), "bodySize": message.body_len,
    })
}

fn no_answer() -> Value {
    json!({
        "status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": [],
        "content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1,
        "bodySize": -1, "comment": "no answer",
    })
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// RFC 3339 with microseconds, in UTC.
pub(crate) fn instant(unix_ns: u64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(unix_ns));
    at.map(|t| format!("{t:.6}")).unwrap_or_default()
}
