//! Counts visits, in a Redis that it knows one address of.

use std::cell::Cell;
use std::rc::Rc;

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::keyvalue::Client;
use podlab_guest::resp::Value;
use podlab_guest::runtime::Flag;
use podlab_guest::{json, log, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "visits",
    version: env!("CARGO_PKG_VERSION"),
    about: "Counts visits in Redis: /visit?page=P counts one, /count?page=P only looks.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("redis", "ADDR", "localhost:6379", "the Redis"),
        opt("redis-timeout", "TIME", "1s", "how long it may take"),
    ],
};

struct Visits {
    redis: Client,
    counted: Cell<u64>,
    failed: Cell<u64>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let redis = Client::new(&args.text("redis"), args.duration("redis-timeout")?)?;
    let visits = Rc::new(Visits { redis, counted: Cell::new(0), failed: Cell::new(0) });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let visits = visits.clone();
        Box::pin(async move { visits.answer(&request).await })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Visits {
    async fn answer(&self, request: &Request) -> Response {
        let page = request.parameter("page").unwrap_or_else(|| "home".into());
        let command = match request.path.as_str() {
            "/healthz" | "/readyz" => return Response::text(200, "ok"),
            "/stats" => {
                let (counted, failed) = (self.counted.get(), self.failed.get());
                return Response::json(
                    200,
                    format!("{{\"counted\":{counted},\"failed\":{failed}}}"),
                );
            }
            "/visit" => "INCR",
            "/count" => "GET",
            _ => {
                return Response::text(
                    404,
                    "there are /visit?page=, /count?page=, /stats, /healthz",
                );
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if page.is_empty() || page.len() > 100 || !page.chars().all(plain) {
            return Response::text(400, "page is a word of letters, digits, '-', '_' and '.'");
        }
        let key = format!("visits:{page}");
        let count = match self.redis.redis(&[command.as_bytes(), key.as_bytes()]).await {
            Ok(Value::Int(n)) => Ok(n),
            Ok(Value::Null) => Ok(0),
            Ok(Value::Bulk(text)) => {
                String::from_utf8_lossy(&text).parse().map_err(|_| "this is no count".to_owned())
            }
            Ok(Value::Error(text)) => Err(text),
            Ok(other) => Err(format!("{other:?} is no count")),
            Err(error) => Err(error.to_string()),
        };
        match count {
            Ok(n) => {
                self.counted.set(self.counted.get() + u64::from(command == "INCR"));
                let page = json::string(&page);
                Response::json(200, format!("{{\"page\":{page},\"visits\":{n}}}"))
            }
            Err(error) => {
                self.failed.set(self.failed.get() + 1);
                log::warn("not-counted", &[("page", &page), ("error", &error)]);
                Response::text(503, error)
            }
        }
    }
}
