//! A greeting service, with an access log in a format of its own (JSON lines).

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Limits, Request, Response};
use podlab_guest::logfile::LogFile;
use podlab_guest::runtime::Flag;
use podlab_guest::{json, log, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "greeter",
    version: env!("CARGO_PKG_VERSION"),
    about: "Greets over HTTP: GET /?name=NAME.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("greeting-version", "N", "v1", "which greeting: v1 or v2"),
        opt("access-log", "FILE", "/var/log/greeter/requests.jsonl", "JSON lines; '-' for none"),
        opt("access-log-size", "BYTES", "1048576", "rotate the log past this size"),
    ],
};

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken, a log that cannot be opened.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let version = args.text("greeting-version");
    let word = match version.as_str() {
        "v1" => "Hello",
        "v2" => "Good to see you",
        other => return Err(format!("--greeting-version: {other:?} is neither v1 nor v2")),
    };
    let access = match args.text("access-log").as_str() {
        "-" => None,
        path => {
            let file = LogFile::open(Path::new(path), args.number("access-log-size")?);
            Some(Rc::new(RefCell::new(file.map_err(|e| format!("{path}: {e}"))?)))
        }
    };
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request: Request| {
        let response = answer(&request, word, &version);
        if let Some(access) = access.as_ref().filter(|_| !request.path.ends_with("z")) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let line = |seq| {
                format!(
                    "{{\"ms\":{},\"from\":{},\"method\":{},\"path\":{},\"status\":{},\"seq\":{seq}}}",
                    now.as_millis(),
                    json::string(&request.peer),
                    json::string(&request.method),
                    json::string(&request.target),
                    response.status
                )
            };
            if let Err(error) = access.borrow_mut().append(line) {
                log::warn("access-log-failed", &[("error", &error)]);
            }
        }
        Box::pin(async move { response })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

fn answer(request: &Request, word: &str, version: &str) -> Response {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET" | "HEAD", "/healthz" | "/readyz") => Response::text(200, "ok"),
        ("GET" | "HEAD", "/") => {
            let name = request.parameter("name").unwrap_or_else(|| "world".into());
            let greeting = json::string(&format!("{word}, {name}!"));
            let version = json::string(version);
            Response::json(200, format!("{{\"greeting\":{greeting},\"version\":{version}}}\n"))
        }
        ("GET" | "HEAD", _) => Response::text(404, "only / greets"),
        _ => Response::text(405, "only GET and HEAD").with("Allow", "GET, HEAD"),
    }
}
