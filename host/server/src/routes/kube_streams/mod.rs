//! exec, attach and port-forward: requests that become streams in both directions.
//!
//! # Layout
//! - `wire`: bytes both ways, over a WebSocket or a connection that was upgraded
//! - `channels`: the streams of a program over either; `session`: exec and attach
//! - `forward`: ports, as kubectl (SPDY) and kube-rs (channels) carry them
//!
//! | client | exec, attach | portforward |
//! | --- | --- | --- |
//! | kubectl from 1.30 (1.31 by default) | WebSocket `v5.channel.k8s.io` | SPDY/3.1 within a WebSocket |
//! | kubectl before that | SPDY/3.1 | SPDY/3.1 |
//! | kube-rs and other libraries | WebSocket `v4` or `v5.channel.k8s.io` | WebSocket `v4.channel.k8s.io` |

mod channels;
mod forward;
mod session;
mod wire;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request as HttpRequest};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use hyper_util::rt::TokioIo;
use podlab_kube::api::{Body as KubeBody, Request, Response, Streaming};
use podlab_world::Input;

use super::{Answer, change};
use crate::app::App;
use crate::error::ApiError;
use crate::live::Live;
use crate::outside::Incoming;
use wire::Wire;

const STREAM_PROTOCOL: HeaderName = HeaderName::from_static("x-stream-protocol-version");
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const FORWARD: &str = "portforward.k8s.io";
/// Protocols of sessions, the best first.
const SESSION: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// The same over SPDY. What is older cannot carry exit codes.
const SPDY_SESSION: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// A message of a client is not longer than this.
const MAX_MESSAGE: usize = 4 << 20;
/// A program that has so much input before it is given more when it has read some.
const ENOUGH: usize = 1 << 20;

/// Whether a request wants to become a stream.
pub fn wanted(headers: &HeaderMap, path: &str) -> bool {
    headers.contains_key(header::UPGRADE) && podlab_kube::api::is_streaming(path)
}

/// Serves one.
pub async fn serve(app: Arc<App>, id: String, asked: Request, request: HttpRequest) -> Answer {
    let (mut parts, _) = request.into_parts();
    let streaming = {
        let asked = asked.clone();
        change(&app, &id, move |live| live.streaming(&asked)).await?
    };
    let streaming = match streaming {
        Ok(streaming) => streaming,
        Err(refusal) => return Ok(plain(refusal)),
    };
    let served = app.stream(&id)?;
    let world = World { app, id };
    let websocket = list(&parts.headers, &header::UPGRADE).iter().any(|u| u == "websocket");
    if websocket {
        let offered = list(&parts.headers, &header::SEC_WEBSOCKET_PROTOCOL);
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &())
            .await
            .map_err(|e| ApiError::bad(e.body_text(), "Send a WebSocket handshake."))?;
        let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
        let known: &[&'static str] = match &streaming {
            Streaming::Session(..) => &SESSION,
            Streaming::Forward { .. } => &[TUNNEL, "v4.channel.k8s.io"],
        };
        let Some(chosen) = known.iter().find(|k| offered.iter().any(|o| o.eq_ignore_ascii_case(k)))
        else {
            return Err(no_protocol(&offered, known));
        };
        let chosen: &'static str = chosen;
        return Ok(upgrade.protocols([chosen]).on_upgrade(move |socket| async move {
            match streaming {
                Streaming::Session(spec, out, err) => {
                    let five = chosen == SESSION[0];
                    let client = channels::Client::websocket(socket, out, err, five);
                    session::run(world, spec, client).await;
                }
                Streaming::Forward { namespace, pod, .. } if chosen == TUNNEL => {
                    forward::spdy(world, &namespace, &pod, Wire::WebSocket(socket)).await;
                }
                Streaming::Forward { namespace, pod, ports } => {
                    forward::channels(world, &namespace, &pod, &ports, socket).await;
                }
            }
            drop(served);
        }));
    }
    let answer = spdy(&mut parts, &streaming)?;
    let Some(upgraded) = parts.extensions.remove::<hyper::upgrade::OnUpgrade>() else {
        return Err(ApiError::bad("this connection cannot be upgraded", "Use HTTP/1.1."));
    };
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let wire = Wire::Raw(Box::new(TokioIo::new(upgraded)));
        match streaming {
            Streaming::Session(spec, out, err) => {
                if let Some(client) = channels::Client::spdy(wire, &spec, out, err).await {
                    session::run(world, spec, client).await;
                }
            }
            Streaming::Forward { namespace, pod, .. } => {
                forward::spdy(world, &namespace, &pod, wire).await;
            }
        }
        drop(served);
    });
    Ok(answer)
}

/// The answer that switches to SPDY.
fn spdy(parts: &mut Parts, streaming: &Streaming) -> Result<HttpResponse, ApiError> {
    if !list(&parts.headers, &header::UPGRADE).iter().any(|u| u == "spdy/3.1") {
        return Err(ApiError::bad(
            "the upgrade is to neither a WebSocket nor SPDY/3.1",
            "Use kubectl 1.29 or later, or a Kubernetes client library.",
        ));
    }
    let offered = list(&parts.headers, &STREAM_PROTOCOL);
    let known: &[&'static str] = match streaming {
        Streaming::Session(..) => &SPDY_SESSION,
        Streaming::Forward { .. } => &[FORWARD],
    };
    let Some(chosen) = known.iter().find(|k| offered.iter().any(|o| o == **k)) else {
        return Err(no_protocol(&offered, known));
    };
    let mut answer = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(STREAM_PROTOCOL, HeaderValue::from_static(chosen));
    Ok(answer)
}

fn no_protocol(offered: &[String], known: &[&str]) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "UnknownProtocol",
        format!("unable to upgrade: none of the protocols {offered:?} is spoken here"),
        format!("Speak one of {}.", known.join(", ")),
    )
}

/// The values of a header that is a list, in lower case but for protocol names.
fn list(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let all = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(',')).map(|v| v.trim().to_ascii_lowercase()).collect()
}

/// An answer that is whole.
fn plain(response: Response) -> HttpResponse {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::BAD_REQUEST);
    let body = match response.body {
        KubeBody::Full(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    (status, [(header::CONTENT_TYPE, response.content_type.to_string())], body).into_response()
}

/// The world that a stream belongs to.
#[derive(Clone)]
pub(super) struct World {
    app: Arc<App>,
    id: String,
}

impl World {
    /// A world of the server.
    pub fn new(app: Arc<App>, id: String) -> World {
        World { app, id }
    }

    /// The server.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Does something with it.
    pub async fn change<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Live) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        change(&self.app, &self.id, f).await
    }

    /// Lets an input enter.
    pub async fn input(&self, input: Input) -> Result<(), ApiError> {
        self.change(move |live| live.input(input).map(drop)).await
    }

    /// Gives bytes to a connection or session.
    pub async fn send(&self, id: u64, bytes: Bytes) -> Result<(), ApiError> {
        self.input(Input::Send { id, bytes: bytes.to_vec().into() }).await
    }

    async fn open(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
    ) -> Result<(u64, Incoming), ApiError> {
        let target = format!("inside/{namespace}/{pod}/{port}");
        self.change(move |live| live.open(&target)).await
    }

    /// Whether a program has so much input that it is not given more.
    async fn is_full(&self, id: u64) -> bool {
        self.change(move |live| live.backlog(id)).await.is_ok_and(|n| n > ENOUGH)
    }

    /// Drops a connection or session, if it still is there.
    pub async fn drop(&self, id: u64) {
        // A world that is gone has none.
        let _ = self
            .change(move |live| {
                live.disconnect(id);
                Ok(())
            })
            .await;
    }
}
