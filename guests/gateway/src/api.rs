//! The API server: lists in pages, watches line by line, patches of a status. Answers are bounded.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::http::{Fault, Head, Reader, Rest, Url};
use podlab_guest::net::TcpStream;
use podlab_guest::runtime::timeout;
use serde_json::Value;

/// Objects in a page of a list.
const PAGE: usize = 500;
/// Bytes of a page, and of one event of a watch.
const LARGEST: usize = 16 << 20;
/// How often a watch says that there is nothing to say.
const BOOKMARK: Duration = Duration::from_secs(60);

/// Why something was not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The version is too old: list again.
    Gone,
    /// The server's answer, for people.
    Answer(u16, String),
    /// There was none.
    Away(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Gone => f.write_str("the version is too old"),
            Refused::Answer(status, why) => write!(f, "the API server answered {status} {why}"),
            Refused::Away(why) => f.write_str(why),
        }
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Refused {
        Refused::Away(fault.to_string())
    }
}

/// Where the API server is, and who we are.
#[derive(Clone, Debug)]
pub struct Api {
    url: Url,
    token: String,
    limit: Duration,
}

/// A list.
pub struct List {
    /// Its objects.
    pub items: Vec<Value>,
    /// As of this version.
    pub version: String,
}

struct Answer {
    reader: Reader,
    rest: Rest,
}

impl Api {
    /// `token` is the file that says who we are; an answer must come within `limit`.
    pub fn new(url: Url, token: String, limit: Duration) -> Api {
        Api { url, token, limit }
    }

    /// Lists what is at `path`, page by page.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn list(&self, path: &str) -> Result<List, Refused> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let more = if next.is_empty() { String::new() } else { format!("&continue={next}") };
            let mut page = self.value("GET", &format!("{path}?limit={PAGE}{more}"), None).await?;
            if let Value::Array(objects) = page["items"].take() {
                items.extend(objects);
            }
            let meta = &page["metadata"];
            // Base64 of the server's own: only `+`, `/` and `=` need care in a query.
            let token = meta["continue"].as_str().unwrap_or_default();
            next = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
            if next.is_empty() {
                let version = meta["resourceVersion"].as_str().unwrap_or_default().to_owned();
                return Ok(List { items, version });
            }
        }
    }

    /// Watches what is at `path` from `version` on, for `span`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn watch(&self, path: &str, version: &str, span: Duration) -> Result<Watch, Refused> {
        let seconds = span.as_secs().max(1);
        let path = format!(
            "{path}?watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
        );
        let answer = self.ask("GET", &path, None).await?;
        // Bookmarks come every minute or so.
        let patience = span.min(BOOKMARK) + self.limit;
        Ok(Watch { answer, line: Vec::new(), patience })
    }

    /// Reads what is at `path`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn get(&self, path: &str) -> Result<Value, Refused> {
        self.value("GET", path, None).await
    }

    /// Replaces what is at `path`, unless it has changed since it was read.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn put(&self, path: &str, object: &Value) -> Result<(), Refused> {
        self.value("PUT", path, Some(object)).await.map(drop)
    }

    async fn value(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let whole = async { self.ask(method, path, body).await?.whole().await };
        let bytes = timeout(self.limit, whole).await.unwrap_or_else(|| Err(late()))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Refused::Away(format!("the answer is no JSON: {e}")))
    }

    /// Asks; the answer's status is good, and its body is yet to be read.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Refused> {
        timeout(self.limit, self.exchange(method, path, body)).await.unwrap_or_else(|| Err(late()))
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Refused> {
        // Read each time: the kubelet puts a new one there before the old one ends.
        let token = fs::read_to_string(&self.token).unwrap_or_default();
        let mut message = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: gateway\r\n\
             Accept: application/json\r\nConnection: close\r\n",
            self.url.host
        );
        if !token.trim().is_empty() {
            message.push_str(&format!("Authorization: Bearer {}\r\n", token.trim()));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        if !body.is_empty() {
            message.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        message.push_str("\r\n");
        message.push_str(&body);
        let away = |e: std::io::Error| Refused::Away(e.to_string());
        let stream = TcpStream::connect(&self.url.host, self.url.port).await.map_err(away)?;
        stream.write_all(message.as_bytes()).await.map_err(away)?;
        let mut reader = Reader::new(Rc::new(stream));
        let none = || Refused::Away("the API server closed before it answered".to_owned());
        let head = reader.head(64 << 10).await?.ok_or_else(none)?;
        let status = status(&head).ok_or_else(|| Refused::Away("the answer is no HTTP".into()))?;
        let rest = Rest::of_answer(method, status, &head.headers).map_err(Fault::from)?;
        let answer = Answer { reader, rest };
        match status {
            200 | 201 => Ok(answer),
            410 => Err(Refused::Gone),
            _ => {
                let why: Value = serde_json::from_slice(&answer.whole().await?).unwrap_or_default();
                let why = why["message"].as_str().unwrap_or_default().to_owned();
                Err(Refused::Answer(status, why))
            }
        }
    }
}

impl Answer {
    async fn whole(mut self) -> Result<Vec<u8>, Refused> {
        let mut all = Vec::new();
        loop {
            let piece = self.reader.piece(&mut self.rest).await?;
            if piece.is_empty() {
                return Ok(all);
            }
            all.extend(piece);
            if all.len() > LARGEST {
                return Err(Refused::Away("the answer is too large".to_owned()));
            }
        }
    }
}

/// The status of an answer.
pub fn status(head: &Head) -> Option<u16> {
    let known = head.line[0].starts_with("HTTP/1.");
    head.line[1].parse().ok().filter(|s| known && (100..=999).contains(s))
}

fn late() -> Refused {
    Refused::Away("no answer in time".to_owned())
}

/// What happened to an object.
#[derive(Debug)]
pub enum Event {
    /// It is there, like this.
    Set(Value),
    /// It was removed.
    Removed(Value),
    /// Nothing, but the version is this one now.
    Bookmark(String),
}

/// Changes as they happen.
pub struct Watch {
    answer: Answer,
    line: Vec<u8>,
    patience: Duration,
}

impl Watch {
    /// The next change; `None` when the server ends the watch, as it does after its span.
    ///
    /// # Errors
    /// See [`Refused`]. A server that says nothing for longer than the span is away.
    pub async fn next(&mut self) -> Result<Option<Event>, Refused> {
        loop {
            if let Some(end) = self.line.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return read(&line).map(Some);
            }
            if self.line.len() > LARGEST {
                return Err(Refused::Away("an event is too large".to_owned()));
            }
            let Answer { reader, rest } = &mut self.answer;
            let piece = timeout(self.patience, reader.piece(rest)).await;
            let silent = || Refused::Away("the watch has gone silent".to_owned());
            let piece = piece.ok_or_else(silent)??;
            if piece.is_empty() {
                return Ok(None);
            }
            self.line.extend(piece);
        }
    }
}

/// One line of a watch.
fn read(line: &[u8]) -> Result<Event, Refused> {
    let mut event: Value = serde_json::from_slice(line)
        .map_err(|e| Refused::Away(format!("an event is no JSON: {e}")))?;
    let object = event["object"].take();
    match event["type"].as_str().unwrap_or_default() {
        "ADDED" | "MODIFIED" => Ok(Event::Set(object)),
        "DELETED" => Ok(Event::Removed(object)),
        "BOOKMARK" => Ok(Event::Bookmark(version(&object))),
        _ if object["code"] == 410 => Err(Refused::Gone),
        _ => Err(Refused::Answer(500, object["message"].as_str().unwrap_or_default().to_owned())),
    }
}

/// The version of an object.
pub fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read() {
        let read = |text: &str| read(text.as_bytes());
        let added = r#"{"type":"ADDED","object":{"metadata":{"name":"a"}}}"#;
        assert!(matches!(read(added), Ok(Event::Set(o)) if o["metadata"]["name"] == "a"));
        let mark = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#;
        assert!(matches!(read(mark), Ok(Event::Bookmark(v)) if v == "7"));
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#;
        assert!(matches!(read(gone), Err(Refused::Gone)));
        assert!(matches!(read("{"), Err(Refused::Away(_))));
    }
}
