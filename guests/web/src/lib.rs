//! A static web server over a directory.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use podlab_guest::args::{Args, Spec, opt};
use podlab_guest::http::{self, Body, Limits, Request, Response, http_date, parse_http_date};
use podlab_guest::logfile::LogFile;
use podlab_guest::runtime::Flag;
use podlab_guest::{log, program};

/// The command line.
pub const SPEC: Spec = Spec {
    name: "web",
    version: env!("CARGO_PKG_VERSION"),
    about: "Serves the files of a directory over HTTP/1.1 and keeps an access log.",
    options: &[
        opt("listen", "ADDR", "0.0.0.0:8080", "where to listen"),
        opt("root", "DIR", "/srv", "what to serve"),
        opt("access-log", "FILE", "/var/log/web/access.log", "the access log; '-' for none"),
        opt("access-log-size", "BYTES", "1048576", "rotate the access log past this size"),
    ],
};

struct Site {
    root: PathBuf,
    access: Option<RefCell<LogFile>>,
}

/// Serves until `stop`.
///
/// # Errors
/// A wrong option, a port that is taken, a log that cannot be opened.
pub async fn run(args: Args, stop: Flag) -> Result<(), String> {
    let access = match args.text("access-log").as_str() {
        "-" => None,
        path => {
            let limit = args.number("access-log-size")?;
            let file = LogFile::open(Path::new(path), limit);
            Some(RefCell::new(file.map_err(|e| format!("{path}: {e}"))?))
        }
    };
    let site = Rc::new(Site { root: args.text("root").into(), access });
    let listener = program::listen(&args).await?;
    let handler: http::Handler = Rc::new(move |request| {
        let site = site.clone();
        Box::pin(async move { site.answer(&request) })
    });
    http::serve(listener, handler, Limits::default(), stop).await.map_err(|e| e.to_string())
}

impl Site {
    fn answer(&self, request: &Request) -> Response {
        match request.path.as_str() {
            "/healthz" => return Response::text(200, "ok"),
            "/readyz" if self.root.join("index.html").is_file() => {
                return Response::text(200, "ready");
            }
            "/readyz" => return Response::text(503, "there is no index.html yet"),
            _ => {}
        }
        let response = self.file(request);
        self.record(request, &response);
        response
    }

    fn file(&self, request: &Request) -> Response {
        if request.method != "GET" && request.method != "HEAD" {
            return Response::text(405, "only GET and HEAD").with("Allow", "GET, HEAD");
        }
        let Some(path) = below(&self.root, &request.path) else {
            return Response::text(400, "the path leaves the site");
        };
        match open(&path) {
            Ok((file, length, modified, name)) => {
                let etag = etag(length, modified);
                if fresh(request, &etag, modified) {
                    let mut same = Response::new(304, kind(&name), "");
                    same = same.with("ETag", etag);
                    return same;
                }
                Response::new(200, kind(&name), "")
                    .with("ETag", etag)
                    .with("Last-Modified", http_date(modified))
                    .with_body(Body::File(file, length))
            }
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Response::text(403, "this file cannot be read")
            }
            Err(_) => Response::text(404, "there is no such file"),
        }
    }

    /// The combined log format, and a number.
    fn record(&self, request: &Request, response: &Response) {
        let Some(access) = &self.access else { return };
        let field = |name| request.headers.get(name).unwrap_or("-").replace('"', "'");
        let line = |seq| {
            format!(
                "{} - - [{}] \"{} {} HTTP/1.{}\" {} {} \"{}\" \"{}\" seq={seq}",
                request.peer,
                http_date(SystemTime::now()),
                request.method,
                request.target.replace('"', "%22"),
                request.minor,
                response.status,
                response.length(),
                field("referer"),
                field("user-agent"),
            )
        };
        // A full disk must not stop the site: the loss is said where the platform keeps it.
        if let Err(error) = access.borrow_mut().append(line) {
            log::warn("access-log-failed", &[("error", &error)]);
        }
    }
}

/// The file a path names, or `None` if it climbs out.
fn below(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let inside = relative.components().all(|c| matches!(c, Component::Normal(_)));
    (inside && !path.contains('\\')).then(|| root.join(relative))
}

fn open(path: &Path) -> io::Result<(File, u64, SystemTime, PathBuf)> {
    let path = if fs::metadata(path)?.is_dir() { path.join("index.html") } else { path.into() };
    let file = File::open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, metadata.len(), metadata.modified().unwrap_or(UNIX_EPOCH), path))
}

fn etag(length: u64, modified: SystemTime) -> String {
    let nanos = modified.duration_since(UNIX_EPOCH).map(|d| d.as_nanos()).unwrap_or_default();
    format!("\"{nanos:x}-{length:x}\"")
}

/// Whether the caller has it already (RFC 9110, 13.1).
fn fresh(request: &Request, etag: &str, modified: SystemTime) -> bool {
    if let Some(known) = request.headers.get("if-none-match") {
        return known.trim() == "*" || known.split(',').any(|t| t.trim() == etag);
    }
    let since = request.headers.get("if-modified-since").and_then(parse_http_date);
    let seconds = |t: SystemTime| t.duration_since(UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or(0);
    since.is_some_and(|s| seconds(modified) <= seconds(s))
}

fn kind(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "txt" | "md" | "log" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_climbs_out() {
        let root = Path::new("/srv");
        assert_eq!(below(root, "/a/b.html"), Some("/srv/a/b.html".into()));
        assert_eq!(below(root, "/"), Some("/srv/".into()));
        for path in ["/../etc/passwd", "/a/../../etc", "/a\\..\\b", "/.."] {
            assert_eq!(below(root, path), None, "{path}");
        }
        assert_eq!(below(root, "//etc/passwd"), Some("/srv/etc/passwd".into()));
    }
}
