//! Keeps logs that others send, each byte once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::runtime::Flag;
use podlab_guest::{json, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "log-store",
    version: env!("CARGO_PKG_VERSION"),
    about: "Keeps logs: POST /logs/SOURCE?stream=ID&offset=N, GET /logs/SOURCE?grep=&from=, GET /stats.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("max-bytes", "BYTES", "16777216", "what all logs together may take"),
    ],
};

/// Sources and streams that can exist.
const NAMES: usize = 1000;

/// One source: its lines, and how far each stream of it has been received.
#[derive(Default)]
struct Log {
    text: Vec<u8>,
    streams: BTreeMap<String, u64>,
    duplicates: u64,
}

/// All logs.
#[derive(Default)]
struct Store {
    logs: BTreeMap<String, Log>,
    limit: usize,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let store = Store { limit: args.number("max-bytes")?, ..Store::default() };
    let store = Rc::new(RefCell::new(store));
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let store = store.clone();
        Box::pin(async move { store.borrow_mut().answer(&request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Store {
    fn answer(&mut self, request: &Request) -> Response {
        let source = request.path.strip_prefix("/logs/").filter(|s| !s.is_empty());
        match (request.method.as_str(), request.path.as_str(), source) {
            ("GET", "/healthz" | "/readyz", _) => Response::text(200, "ok"),
            ("GET", "/stats", _) => Response::json(200, self.stats()),
            ("POST", _, Some(source)) => self.append(source, request),
            ("GET", _, Some(source)) => self.query(source, request),
            (_, _, None) => Response::text(404, "there are /logs/SOURCE and /stats"),
            _ => Response::text(405, "only GET and POST").with("Allow", "GET, POST"),
        }
    }

    /// Appends what is new of a piece that begins at `offset` of its stream: sending a piece again
    /// changes nothing, and a gap is refused with the offset that is expected.
    fn append(&mut self, source: &str, request: &Request) -> Response {
        let offset = request.parameter("offset").and_then(|o| o.parse::<u64>().ok());
        let Some(offset) = offset else { return Response::text(400, "offset must be a number") };
        let stream = request.parameter("stream").unwrap_or_default();
        let total: usize = self.logs.values().map(|l| l.text.len()).sum();
        let names: usize = self.logs.values().map(|l| l.streams.len()).sum();
        let known = self.logs.get(source).and_then(|l| l.streams.get(&stream)).copied();
        if known.is_none() && names >= NAMES || source.len() + stream.len() > 200 {
            return Response::text(507, "there are too many streams, or their names are too long");
        }
        let next = known.unwrap_or(0);
        if offset > next {
            return Response::json(409, format!("{{\"next\":{next}}}"));
        }
        let again = (next - offset).min(request.body.len() as u64) as usize;
        let new = &request.body[again..];
        if total + new.len() > self.limit {
            return Response::text(507, "the store is full");
        }
        let log = self.logs.entry(source.to_owned()).or_default();
        log.text.extend_from_slice(new);
        log.duplicates += again as u64;
        let next = next + new.len() as u64;
        log.streams.insert(stream, next);
        Response::json(200, format!("{{\"next\":{next}}}")).with("X-Next", next.to_string())
    }

    fn query(&self, source: &str, request: &Request) -> Response {
        let Some(log) = self.logs.get(source) else {
            return Response::text(404, "nothing came from this source yet");
        };
        let from = request.parameter("from").and_then(|f| f.parse().ok()).unwrap_or(0);
        let text = log.text.get(from..).unwrap_or_default();
        let body = match request.parameter("grep") {
            None => text.to_vec(),
            Some(wanted) => {
                let mut out = String::new();
                for line in String::from_utf8_lossy(text).lines().filter(|l| l.contains(&wanted)) {
                    out.push_str(line);
                    out.push('\n');
                }
                out.into_bytes()
            }
        };
        Response::new(200, "text/plain; charset=utf-8", body)
    }

    fn stats(&self) -> String {
        let mut parts = Vec::new();
        for (source, log) in &self.logs {
            parts.push(format!(
                "{}:{{\"bytes\":{},\"lines\":{},\"streams\":{},\"duplicateBytes\":{}}}",
                json::string(source),
                log.text.len(),
                log.text.iter().filter(|b| **b == b'\n').count(),
                log.streams.len(),
                log.duplicates
            ));
        }
        format!("{{\"sources\":{{{}}}}}", parts.join(","))
    }
}
