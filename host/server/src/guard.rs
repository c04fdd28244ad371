//! Who may ask, and the headers of every answer.
//!
//! A page of any web site can make a browser send requests to this machine. Two things stop it:
//! the Host header must name this server (a rebound DNS name does not), and a request that says
//! where it comes from (Origin, Sec-Fetch-Site) must come from here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::{ApiError, Told};

/// What the page may load and do.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a page that comes from inside a world may do: anything but be part of this origin.
const WORLD_POLICY: &str = "sandbox allow-scripts allow-forms";
/// How much of a refusal's text is read.
const MAX_TEXT: usize = 64 << 10;

/// Which names this server answers to.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Names allowed on purpose.
    pub allowed: Vec<String>,
    /// Whether any address literal will do, because the server listens beyond this machine. A
    /// rebinding attack needs a name, never an address.
    pub any_address: bool,
}

impl Names {
    /// Whether a Host header may be answered.
    pub fn host(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        if host == "localhost" || self.allowed.iter().any(|a| a.eq_ignore_ascii_case(&host)) {
            return true;
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => self.any_address || address.is_loopback(),
            Err(_) => false,
        }
    }

    /// Whether a request with this Origin may be answered under this Host.
    pub fn origin(&self, origin: &str, authority: &str) -> bool {
        let Some((scheme, from)) = origin.split_once("://") else { return false };
        if scheme != "http" && scheme != "https" {
            return false;
        }
        from.eq_ignore_ascii_case(authority)
            || host_of(from)
                .is_some_and(|h| self.allowed.iter().any(|a| a.eq_ignore_ascii_case(&h)))
    }
}

/// The host of `host:port`, in lower case; of `[::1]:80`, `[::1]`.
fn host_of(authority: &str) -> Option<String> {
    let host = match authority.strip_prefix('[') {
        Some(rest) => format!("[{}]", rest.split_once(']')?.0),
        None => authority.split(':').next()?.to_owned(),
    };
    (!host.is_empty() && !authority.contains('@')).then(|| host.to_ascii_lowercase())
}

fn refusal(names: &Names, request: &Request) -> Option<ApiError> {
    let text =
        |name| request.headers().get(name).map(|v: &HeaderValue| v.to_str().unwrap_or("\u{fffd}"));
    let uri = request.uri();
    let authority =
        uri.authority().map(|a| a.as_str()).or_else(|| text(header::HOST)).unwrap_or("");
    if !names.host(authority) {
        return Some(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "ForeignHost",
            format!("this server does not answer to the name {authority:?}"),
            "Use http://127.0.0.1 or http://localhost, or start it with --allow-host NAME.",
        ));
    }
    let foreign = |from: &str| {
        Some(ApiError::new(
            StatusCode::FORBIDDEN,
            "ForeignOrigin",
            format!("a page from {from} may not use this server"),
            "Open the page from this server, or start it with --allow-host NAME.",
        ))
    };
    if let Some(origin) = text(header::ORIGIN)
        && !names.origin(origin, authority)
    {
        return foreign(&format!("{origin:?}"));
    }
    let sec = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let elsewhere = matches!(sec("sec-fetch-site"), Some("cross-site" | "same-site"))
        && !request.headers().contains_key(header::ORIGIN);
    // Following a link to the page is fine; anything under /api is not for links.
    let link = sec("sec-fetch-mode") == Some("navigate") && !uri.path().starts_with("/api/");
    if elsewhere && !link {
        return foreign("another site");
    }
    None
}

/// Refuses foreign requests; gives every answer its headers and every error its form.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let from_world = is_proxy(request.uri().path());
    let kubernetes = is_kube(request.uri().path());
    let (method, began) = (request.method().clone(), Instant::now());
    // The route, never the path: that may hold a capability.
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let mut response = match refusal(&app.options().names, &request) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    let status = response.status();
    tell(&method, route.as_deref().unwrap_or("page"), status, began.elapsed());
    let told = response.extensions().get::<Told>().is_some();
    if (status.is_client_error() || status.is_server_error()) && !told && !from_world && !kubernetes
    {
        response = formed(response).await;
    }
    let policy = if from_world && response.extensions().get::<Told>().is_none() {
        WORLD_POLICY
    } else {
        POLICY
    };
    security(response.headers_mut(), policy);
    response
}

/// Puts a request into the log: all for who asks for that much, and always those that failed here.
fn tell(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let (method, ms) = (method.as_str(), took.as_secs_f64() * 1e3);
    let status = status.as_u16();
    if status == 500 {
        tracing::error!(method, route, status, ms, "a request failed");
    } else {
        tracing::debug!(method, route, status, ms, "a request");
    }
}

/// Gives a bare refusal (of the router, of an extractor) the form of all errors.
async fn formed(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, MAX_TEXT).await.unwrap_or_default();
    let message = String::from_utf8_lossy(&text).into_owned();
    let mut out = ApiError::of_status(parts.status, message).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = parts.headers.get(&name) {
            out.headers_mut().insert(name, value.clone());
        }
    }
    out
}

fn security(headers: &mut HeaderMap<HeaderValue>, policy: &'static str) {
    let mut set = |name: &'static str, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    set("content-security-policy", policy);
    set("x-content-type-options", "nosniff");
    set("x-frame-options", "DENY");
    set("referrer-policy", "no-referrer");
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn part_of_world(path: &str) -> Option<&str> {
    path.strip_prefix("/api/worlds/")?.split('/').nth(1)
}

fn is_proxy(path: &str) -> bool {
    part_of_world(path) == Some("proxy")
}

fn is_kube(path: &str) -> bool {
    matches!(part_of_world(path), Some("kube" | "as"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let names = Names::default();
        for good in ["127.0.0.1:7878", "localhost:7878", "LOCALHOST", "[::1]:7878", "127.8.8.8"] {
            assert!(names.host(good), "{good}");
        }
        for bad in [
            "evil.example:7878",
            "192.168.0.2:7878",
            "localhost.evil.example",
            "",
            "a@localhost",
            "[::1",
        ] {
            assert!(!names.host(bad), "{bad}");
        }
        let open = Names { allowed: vec!["lab.example".into()], any_address: true };
        assert!(
            open.host("192.168.0.2:7878")
                && open.host("lab.example:80")
                && !open.host("evil.example")
        );
    }

    #[test]
    fn only_pages_of_this_server_may_ask() {
        let names = Names { allowed: vec!["lab.example".into()], any_address: false };
        let host = "127.0.0.1:7878";
        assert!(names.origin("http://127.0.0.1:7878", host));
        assert!(names.origin("https://lab.example", host));
        for bad in ["null", "http://127.0.0.1:3000", "http://evil.example", "file://127.0.0.1:7878"]
        {
            assert!(!names.origin(bad, host), "{bad}");
        }
    }
}
