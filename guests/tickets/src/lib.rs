//! Sells tickets, and tells how that goes in a JSON of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::program;
use podlab_guest::runtime::{Flag, sleep, spawn};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "tickets",
    version: env!("CARGO_PKG_VERSION"),
    about: "Sells tickets by itself; GET /status is a JSON of its own. PUT /mode?errors=&garbage=",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("rate", "N", "10", "customers a second; 0 for none"),
        opt("format", "NAME", "v1", "the status' format: v1 or v2"),
    ],
};

struct Tickets {
    born: Instant,
    second: bool,
    requests: Cell<u64>,
    failures: Cell<u64>,
    queue: Cell<u64>,
    /// Of a hundred customers so many leave without a ticket.
    errors: Cell<u64>,
    garbage: Cell<bool>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let rate: f64 = args.number("rate")?;
    if !(0.0..=10_000.0).contains(&rate) {
        return Err("--rate: 0 to 10000 customers a second".into());
    }
    let second = match args.text("format").as_str() {
        "v1" => false,
        "v2" => true,
        other => return Err(format!("--format: {other:?} is neither v1 nor v2")),
    };
    let tickets = Rc::new(Tickets {
        born: Instant::now(),
        second,
        requests: Cell::new(0),
        failures: Cell::new(0),
        queue: Cell::new(0),
        errors: Cell::new(0),
        garbage: Cell::new(false),
    });
    if rate > 0.0 {
        let tickets = tickets.clone();
        spawn(async move {
            loop {
                sleep(Duration::from_secs_f64(1.0 / rate)).await;
                tickets.sell();
            }
        });
    }
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let tickets = tickets.clone();
        Box::pin(async move { tickets.answer(&request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Tickets {
    fn sell(&self) {
        let n = self.requests.get() + 1;
        self.requests.set(n);
        self.queue.set(n % 5);
        // Spread evenly: 61 and 100 have no common divisor.
        if n * 61 % 100 < self.errors.get() {
            self.failures.set(self.failures.get() + 1);
        }
    }

    fn answer(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/healthz" | "/readyz") => Response::text(200, "ok"),
            ("GET", "/status") if self.garbage.get() => {
                Response::json(200, "{\"requests\": oops, \u{fffd}")
            }
            ("GET", "/status") => Response::json(200, self.status()),
            ("POST", "/sell") => {
                self.sell();
                Response::text(200, "sold")
            }
            ("PUT", "/mode") => {
                if let Some(errors) = request.parameter("errors") {
                    let Some(errors) = errors.parse().ok().filter(|e| *e <= 100) else {
                        return Response::text(400, "errors is 0 to 100 of a hundred");
                    };
                    self.errors.set(errors);
                }
                if let Some(garbage) = request.parameter("garbage") {
                    self.garbage.set(garbage == "true");
                }
                Response::text(200, "ok")
            }
            _ => Response::text(404, "there are GET /status, POST /sell, PUT /mode, /healthz"),
        }
    }

    fn status(&self) -> String {
        let (requests, failures) = (self.requests.get(), self.failures.get());
        let (queue, age) = (self.queue.get(), self.born.elapsed());
        if self.second {
            return format!(
                "{{\"version\":2,\"counters\":[{{\"name\":\"requests\",\"value\":{requests}}},\
                 {{\"name\":\"failures\",\"value\":{failures}}}],\"queueLength\":{queue},\
                 \"uptimeSeconds\":{:.3}}}",
                age.as_secs_f64()
            );
        }
        format!(
            "{{\"requests\":{requests},\"failures\":{failures},\"queue\":{{\"length\":{queue}}},\
             \"uptime_ms\":{}}}",
            age.as_millis()
        )
    }
}
