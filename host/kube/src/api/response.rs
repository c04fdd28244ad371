//! What the API server answers.

use bytes::Bytes;
use serde::Serialize;

use super::log::LogFollow;
use super::watch::WatchStream;
use crate::store::Error;

/// An answer.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`.
    pub content_type: String,
    /// `Warning` headers: the texts (send as `299 - "text"`).
    pub warnings: Vec<String>,
    /// The body.
    pub body: Body,
}

/// A body: whole, or pulled piece by piece by whoever serves it.
pub enum Body {
    /// All of it.
    Full(Bytes),
    /// Events of a watch, a JSON object each.
    Watch(Box<WatchStream>),
    /// A log that is followed.
    Log(Box<LogFollow>),
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, value: &impl Serialize) -> Response {
        Response {
            status,
            content_type: "application/json".into(),
            warnings: Vec::new(),
            body: Body::Full(bytes(value).into()),
        }
    }

    /// A plain answer.
    pub fn text(status: u16, text: impl Into<Bytes>) -> Response {
        Response {
            status,
            content_type: "text/plain; charset=utf-8".into(),
            warnings: Vec::new(),
            body: Body::Full(text.into()),
        }
    }

    /// An error as `Status`.
    pub fn error(error: &Error) -> Response {
        Response::json(error.code, &error.to_status())
    }

    /// The body, if it is whole.
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Full(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// As JSON.
pub(super) fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("names are texts, and writing into memory does not fail")
}
