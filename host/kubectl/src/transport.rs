//! What the verbs need from the world outside: requests to the API, a clock, programs' streams.
//!
//! Over HTTP, over a world in the same process, or over a store in a test: the verbs cannot tell.

use std::pin::Pin;

/// A future that may move between threads.
pub type Future<'a, T> = Pin<Box<dyn core::future::Future<Output = T> + Send + 'a>>;

/// A request to the API server.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// "GET", "POST", ...
    pub method: &'static str,
    /// Path and query, percent-encoded.
    pub target: String,
    /// The header `Accept`.
    pub accept: &'static str,
    /// The header `Content-Type`, "" without a body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer of the API server.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The texts of the `Warning` headers.
    pub warnings: Vec<String>,
    /// The body.
    pub body: Body,
}

/// A body: whole, or coming piece by piece.
pub enum Body {
    /// All of it.
    Full(Vec<u8>),
    /// A watch, or a log that is followed.
    Stream(Box<dyn Pieces>),
}

/// A body that comes piece by piece.
pub trait Pieces: Send {
    /// The next piece; `None` at the end.
    fn next(&mut self) -> Future<'_, Option<Vec<u8>>>;
}

/// What comes out of a program that was started by exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Standard output.
    Out(Vec<u8>),
    /// Standard error.
    Err(Vec<u8>),
    /// It ended with this code.
    Exit(i32),
    /// It could not be run to its end.
    Failed(String),
}

/// A program that was started by exec.
pub trait Session: Send {
    /// What comes out next; `None` after the end.
    fn next(&mut self) -> Future<'_, Option<Event>>;
}

/// A way to a world's API server.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the answer's head.
    ///
    /// # Errors
    /// If the server cannot be reached, in words.
    fn send(&self, request: Request) -> Future<'_, Result<Response, String>>;

    /// The time of the world, ns since 1970: ages count from it.
    fn now(&self) -> i64;

    /// Waits so many milliseconds of the user's time.
    fn pause(&self, millis: u64) -> Future<'_, ()>;

    /// Starts a program in a container; `target` is the path and query of the exec subresource.
    /// What it reads is `stdin`, then what the user types if `follow`.
    ///
    /// # Errors
    /// The answer of the server if it refuses.
    fn exec(
        &self,
        target: String,
        stdin: Vec<u8>,
        follow: bool,
    ) -> Future<'_, Result<Box<dyn Session>, Response>>;

    /// The address that `cluster-info` shows.
    fn server(&self) -> String;
}
