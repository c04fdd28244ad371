//! A server of content that changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::program;
use podlab_guest::runtime::Flag;

/// The command line.
pub const SPEC: Spec = Spec {
    name: "origin",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves content that has versions: GET and PUT /content/NAME, with ETag.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("every", "TIME", "10s", "a new version of the default page so often; 0 for never"),
    ],
};

/// Pages that can be put; more is refused.
const PAGES: usize = 64;

struct Origin {
    started: Instant,
    every: Duration,
    pages: RefCell<BTreeMap<String, (u64, Vec<u8>)>>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let every = args.duration("every")?;
    let origin = Rc::new(Origin { started: Instant::now(), every, pages: RefCell::default() });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let origin = origin.clone();
        Box::pin(async move { origin.answer(request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Origin {
    fn answer(&self, request: Request) -> Response {
        if request.path == "/healthz" || request.path == "/readyz" {
            return Response::text(200, "ok");
        }
        let Some(name) = request.path.strip_prefix("/content/").filter(|n| !n.is_empty()) else {
            return Response::text(404, "content is below /content/");
        };
        match request.method.as_str() {
            "GET" | "HEAD" => self.get(name, &request),
            "PUT" => self.put(name, request.body),
            _ => Response::text(405, "only GET, HEAD and PUT").with("Allow", "GET, HEAD, PUT"),
        }
    }

    fn get(&self, name: &str, request: &Request) -> Response {
        let (version, body) = match self.pages.borrow().get(name) {
            Some(page) => page.clone(),
            None if name == "index.html" => self.default_page(),
            None => return Response::text(404, "there is no such content"),
        };
        let etag = format!("\"v{version}\"");
        if request.headers.get("if-none-match").is_some_and(|known| known == etag) {
            return Response::new(304, "text/html; charset=utf-8", "").with("ETag", etag);
        }
        Response::new(200, "text/html; charset=utf-8", body)
            .with("ETag", etag)
            .with("X-Version", version.to_string())
    }

    /// The page that moves by itself: its version is a function of time, so nothing needs a timer.
    fn default_page(&self) -> (u64, Vec<u8>) {
        let passed = self.started.elapsed().as_nanos();
        let version = passed.checked_div(self.every.as_nanos()).unwrap_or(0) as u64 + 1;
        let page = format!(
            "<!doctype html>\n<title>Version {version}</title>\n<h1>Version {version}</h1>\n"
        );
        (version, page.into_bytes())
    }

    fn put(&self, name: &str, body: Vec<u8>) -> Response {
        let automatic = if name == "index.html" { self.default_page().0 } else { 0 };
        let mut pages = self.pages.borrow_mut();
        if pages.len() >= PAGES && !pages.contains_key(name) {
            return Response::text(507, "there are too many pages");
        }
        let before = pages.get(name).map(|(version, _)| *version);
        let version = before.unwrap_or(automatic) + 1;
        pages.insert(name.to_owned(), (version, body));
        let status = if before.is_some() { 200 } else { 201 };
        Response::json(status, format!("{{\"version\":{version}}}"))
    }
}
