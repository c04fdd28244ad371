//! Takes orders, and sends its figures as statsd lines over UDP, as many libraries do.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::runtime::{Flag, sleep, spawn};
use podlab_guest::udp::UdpSocket;
use podlab_guest::{log, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "orders",
    version: env!("CARGO_PKG_VERSION"),
    about: "Takes orders by itself; its figures leave as statsd lines. PUT /mode?errors=&garbage=",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("statsd", "ADDR", "127.0.0.1:8125", "where the figures go"),
        opt("rate", "N", "10", "orders a second; 0 for none"),
    ],
};

struct Orders {
    socket: UdpSocket,
    to: SocketAddr,
    requests: Cell<u64>,
    failures: Cell<u64>,
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
        return Err("--rate: 0 to 10000 orders a second".into());
    }
    let to: SocketAddr = args.text("statsd").parse().map_err(|_| "--statsd: no such address")?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let any = any.parse().map_err(|_| "no address to send from")?;
    let socket = UdpSocket::bind(any).await.map_err(|e| format!("UDP: {e}"))?;
    let orders = Rc::new(Orders {
        socket,
        to,
        requests: Cell::new(0),
        failures: Cell::new(0),
        errors: Cell::new(0),
        garbage: Cell::new(false),
    });
    if rate > 0.0 {
        let orders = orders.clone();
        spawn(async move {
            loop {
                sleep(Duration::from_secs_f64(1.0 / rate)).await;
                orders.take().await;
            }
        });
    }
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let orders = orders.clone();
        Box::pin(async move { orders.answer(&request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Orders {
    async fn take(&self) {
        let n = self.requests.get() + 1;
        self.requests.set(n);
        let mut lines = format!(
            "orders.requests:1|c\norders.duration:{}|ms\norders.queue:{}|g",
            5 + n * 37 % 90,
            n % 4
        );
        // Spread evenly: 61 and 100 have no common divisor.
        if n * 61 % 100 < self.errors.get() {
            self.failures.set(self.failures.get() + 1);
            lines.push_str("\norders.failures:1|c");
        }
        if self.garbage.get() {
            lines.push_str("\norders.requests:many|c\n:::\norders.queue");
        }
        // Nobody is told whether figures arrive: orders are taken all the same.
        if let Err(error) = self.socket.send(lines.as_bytes(), self.to).await
            && n % 100 == 1
        {
            log::warn("figures-not-sent", &[("error", &error)]);
        }
    }

    fn answer(&self, request: &Request) -> Response {
        match (request.method.as_str(), request.path.as_str()) {
            (_, "/healthz" | "/readyz") => Response::text(200, "ok"),
            ("GET", "/truth") => {
                let (requests, failures) = (self.requests.get(), self.failures.get());
                let text = format!("{{\"requests\":{requests},\"failures\":{failures}}}");
                Response::json(200, text)
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
            _ => Response::text(404, "there are GET /truth, PUT /mode, /healthz"),
        }
    }
}
