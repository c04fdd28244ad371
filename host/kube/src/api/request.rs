//! What a client asks, as data: mutations are recorded inputs of a world.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A request to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// "GET", "POST", ...
    pub method: String,
    /// The path, percent-decoded, without the query.
    pub path: String,
    /// The query, decoded, in the order given.
    pub query: Vec<(String, String)>,
    /// The header `Accept`.
    pub accept: String,
    /// The header `Content-Type`.
    pub content_type: String,
    /// Who asks ("admin", "system:serviceaccount:default:default"); nobody: the process itself.
    pub user: String,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A request without a body. `target` may have a query, percent-encoded.
    pub fn new(method: &str, target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: method.into(),
            path: decode(path, false),
            query: query
                .split('&')
                .filter(|p| !p.is_empty())
                .map(|p| {
                    let (key, value) = p.split_once('=').unwrap_or((p, ""));
                    (decode(key, true), decode(value, true))
                })
                .collect(),
            accept: "application/json".into(),
            user: "admin".into(),
            ..Request::default()
        }
    }

    /// The same with a body.
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Request {
        self.content_type = content_type.into();
        self.body = body.into();
        self
    }

    /// The first value of a query parameter, "" if there is none.
    pub fn param(&self, name: &str) -> &str {
        self.query.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }

    /// Whether a query parameter is on (as Go's conversion of query values reads it: present,
    /// and neither "false" nor "0").
    pub fn flag(&self, name: &str) -> bool {
        self.query.iter().any(|(k, v)| k == name && v != "false" && v != "0")
    }

    /// Whether nothing is to be stored.
    pub fn dry_run(&self) -> bool {
        self.query.iter().any(|(k, v)| k == "dryRun" && v == "All")
    }

    /// Whether it may change the world, and so is an input. A dry run and a review only look.
    pub fn mutates(&self) -> bool {
        matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE")
            && !self.dry_run()
            && !self.path.starts_with("/apis/authorization.k8s.io/")
            && !self.path.starts_with("/apis/authentication.k8s.io/")
    }
}

fn decode(text: &str, plus: bool) -> String {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        match (bytes[i], hex(bytes.get(i + 1)), hex(bytes.get(i + 2))) {
            (b'%', Some(a), Some(b)) => {
                out.push((a * 16 + b) as u8);
                i += 2;
            }
            (b'+', _, _) if plus => out.push(b' '),
            (other, _, _) => out.push(other),
        }
        i += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
