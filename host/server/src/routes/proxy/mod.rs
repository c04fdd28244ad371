//! `/api/worlds/{id}/proxy/SERVICE[.NAMESPACE]:PORT/...`: a Service of a world from outside.
//!
//! A request becomes one HTTP/1.1 connection through the world's gateway; the answer is streamed
//! back as it comes. While the world is paused, the request waits.

mod answer;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::Response;
use podlab_world::gateway::Outside;

use super::{Answer, change};
use crate::app::App;
use crate::error::ApiError;
use crate::live::Live;
use crate::outside::Incoming;
use answer::{Head, Reader};

/// Headers that belong to one hop (RFC 9110, 7.6.1), and those that are written anew.
const NOT_FORWARDED: [&str; 14] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "expect",
    "origin",
    "referer",
];

/// The target's root without a slash.
pub async fn root(
    state: State<Arc<App>>,
    Path((id, target)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    forward(state.0, id, target, method, uri, headers, body).await
}

/// Any path of the target.
pub async fn handle(
    state: State<Arc<App>>,
    Path((id, target, _)): Path<(String, String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    forward(state.0, id, target, method, uri, headers, body).await
}

/// What goes into the world.
fn request(method: &Method, target: &str, path: &str, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(',').map(|n| n.trim().to_ascii_lowercase()))
        .collect();
    for (name, value) in headers {
        let own = NOT_FORWARDED.contains(&name.as_str()) || name.as_str().starts_with("sec-");
        if !own && !named.iter().any(|n| n == name.as_str()) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    if !body.is_empty() || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"Connection: close\r\n\r\n");
    out.extend_from_slice(body);
    out
}

async fn forward(
    app: Arc<App>,
    id: String,
    target: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let port = target.rsplit_once(':').and_then(|(host, port)| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.[]:".contains(&b);
        port.parse::<u16>().ok().filter(|p| *p > 0 && !host.is_empty() && host.bytes().all(plain))
    });
    if port.is_none() {
        return Err(ApiError::bad(
            format!("{target:?} is not a Service with a port"),
            "Write .../proxy/SERVICE:PORT/..., or SERVICE.NAMESPACE:PORT.",
        ));
    }
    // The path as it was sent, after the fifth part: /api/worlds/ID/proxy/TARGET.
    let whole = uri.path_and_query().map_or("/", |p| p.as_str());
    let rest = whole.splitn(7, '/').nth(6).map_or_else(
        || whole.find('?').map_or("/".to_owned(), |q| format!("/{}", &whole[q..])),
        |rest| format!("/{rest}"),
    );
    let bytes = request(&method, &target, &rest, &headers, &body);
    let to = target.clone();
    let live = app.world(&id)?;
    let (number, incoming) = change(&app, &id, move |live| live.connect(&to, bytes)).await?;
    let connection = Connection { app, live, number, incoming, ended: false };
    respond(connection, &method, &target).await
}

/// A connection that is dropped in the world when it is dropped here.
struct Connection {
    app: Arc<App>,
    live: Arc<Live>,
    number: u64,
    incoming: Incoming,
    ended: bool,
}

impl Connection {
    async fn next(&mut self) -> Outside {
        let event =
            self.incoming.next().await.unwrap_or_else(|| Outside::Failed("it was cut off".into()));
        self.ended |= matches!(event, Outside::Ended | Outside::Failed(_) | Outside::Exited(_));
        event
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (app, live, number) = (self.app.clone(), self.live.clone(), self.number);
        // Taking the world's lock may wait, which a destructor must not.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || {
                live.disconnect(number);
                app.driver().poke(&live);
            });
        }
    }
}

async fn respond(mut connection: Connection, method: &Method, target: &str) -> Answer {
    let gateway = |message: String| {
        ApiError::new(
            StatusCode::BAD_GATEWAY,
            "Unreachable",
            message,
            "Look at the Service and its endpoints: GET .../kube/api/v1/endpoints.",
        )
    };
    let mut head = Head::new(*method == Method::HEAD);
    let (parts, mut reader) = loop {
        match connection.next().await {
            Outside::Opened | Outside::Exited(_) => {}
            Outside::Data(bytes) => match head.take(&bytes) {
                Ok(Some(found)) => break found,
                Ok(None) => {}
                Err(why) => return Err(gateway(format!("{target} answered with no HTTP: {why}"))),
            },
            Outside::Ended => {
                return Err(gateway(format!("{target} closed the connection without an answer")));
            }
            Outside::Failed(why) => {
                return Err(gateway(format!("{target} cannot be reached: {why}")));
            }
        }
    };
    let mut out = Response::builder().status(parts.status);
    for (name, value) in &parts.headers {
        let lower = name.to_ascii_lowercase();
        if !NOT_FORWARDED.contains(&lower.as_str()) && lower != "content-security-policy" {
            out = out.header(name.as_str(), value.as_slice());
        }
    }
    if let Some(length) = parts.length {
        out = out.header(header::CONTENT_LENGTH, length);
    }
    let body = if reader.is_done() {
        Body::from(reader.rest())
    } else {
        let state = Some((connection, reader));
        Body::from_stream(futures_util::stream::unfold(state, |state| async {
            let (mut connection, mut reader) = state?;
            let piece = next_piece(&mut connection, &mut reader).await?;
            let broken = piece.is_err();
            Some((piece, (!broken).then_some((connection, reader))))
        }))
    };
    out.body(body).map_err(|e| {
        gateway(format!("{target} answered with headers that cannot be passed on: {e}"))
    })
}

/// The next bytes of the body; `None` at its end, an error where it is cut off.
async fn next_piece(
    connection: &mut Connection,
    reader: &mut Reader,
) -> Option<Result<Bytes, std::io::Error>> {
    loop {
        let ready = reader.rest();
        if !ready.is_empty() {
            return Some(Ok(ready));
        }
        if reader.is_done() {
            return None;
        }
        let cut = |why: String| Some(Err(std::io::Error::other(why)));
        match connection.next().await {
            Outside::Data(bytes) => {
                if let Err(why) = reader.take(&bytes) {
                    return cut(why);
                }
            }
            Outside::Ended if reader.ends_with_connection() => return None,
            Outside::Ended => return cut("the answer was cut off".into()),
            Outside::Failed(why) => return cut(why),
            Outside::Opened | Outside::Exited(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "x"),
            ("connection", "keep-alive, x-mine"),
            ("x-mine", "1"),
            ("accept", "*/*"),
            ("cookie", "a=b"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let text =
            String::from_utf8(request(&Method::POST, "web:80", "/a?b=c", &headers, b"hi")).unwrap();
        assert_eq!(
            text,
            "POST /a?b=c HTTP/1.1\r\nHost: web:80\r\naccept: */*\r\ncookie: a=b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        );
    }
}
