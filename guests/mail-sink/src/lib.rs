//! A mail server that counts what it sends. What came before under the same key is not sent again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::program;
use podlab_guest::runtime::{Flag, sleep};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "mail-sink",
    version: env!("CARGO_PKG_VERSION"),
    about: "A mail server that only counts: POST /mail, GET /stats.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("delay", "TIME", "0", "from sending a mail to saying so"),
    ],
};

/// Mails that are remembered: then it says no.
const MOST: usize = 100_000;

#[derive(Default)]
struct Sink {
    received: u64,
    sent: u64,
    known: u64,
    keys: BTreeMap<String, u64>,
    tasks: BTreeMap<String, u64>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let sink = Rc::new(RefCell::new(Sink::default()));
    let delay = args.duration("delay")?;
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let sink = sink.clone();
        Box::pin(async move { answer(&sink, &request, delay).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

async fn answer(sink: &RefCell<Sink>, request: &Request, delay: Duration) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/healthz" | "/readyz") => Response::text(200, "ok"),
        ("GET", "/stats") => Response::json(200, sink.borrow().stats()),
        ("POST", "/mail") => {
            let response = sink.borrow_mut().mail(request);
            sleep(delay).await;
            response
        }
        _ => Response::text(404, "there are POST /mail, GET /stats, /healthz and /readyz"),
    }
}

impl Sink {
    fn mail(&mut self, request: &Request) -> Response {
        let field = |name: &str| request.headers.get(name).unwrap_or_default().to_owned();
        let (key, task) = (field("idempotency-key"), field("x-task"));
        if key.len() > 200 || task.len() > 200 {
            return Response::text(400, "Idempotency-Key and X-Task have at most 200 bytes");
        }
        if self.keys.len() >= MOST || self.tasks.len() >= MOST {
            return Response::text(507, "more mails than can be remembered");
        }
        self.received += 1;
        if let Some(number) = self.keys.get(&key) {
            self.known += 1;
            return Response::json(200, format!("{{\"mail\":{number},\"known\":true}}"));
        }
        self.sent += 1;
        if !key.is_empty() {
            self.keys.insert(key, self.sent);
        }
        if !task.is_empty() {
            *self.tasks.entry(task).or_default() += 1;
        }
        Response::json(201, format!("{{\"mail\":{},\"known\":false}}", self.sent))
    }

    fn stats(&self) -> String {
        let doubled = self.tasks.values().filter(|n| **n > 1).count();
        format!(
            "{{\"received\":{},\"sent\":{},\"known\":{},\"tasks\":{},\"doubled\":{doubled}}}",
            self.received,
            self.sent,
            self.known,
            self.tasks.len()
        )
    }
}
