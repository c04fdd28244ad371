//! The API server as programs in pods reach it: an end of the virtual network that speaks HTTP.
//!
//! It stands behind the Service `default/kubernetes`. A request carries the bearer token of a
//! service account, and may what its roles allow. What a program changes here is a consequence
//! of the world, not an input: a replay does it again. Nothing in a world speaks TLS, so both
//! ports of the Service, 443 and 80, take plain HTTP.

mod http;

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{NamespaceSpec, TcpStream};
use podlab_sim::Time;
use serde_json::json;

use crate::api::{Api, Body, LogFollow, Request, Response, WatchStream, is_streaming};
use crate::control_plane::{ControlPlane, Shared};
use crate::store::Error;
use http::{Connection, Incoming, Refused};

/// What the end is called on the network, for partitions and the like.
pub const NAME: &str = "kube-system/kube-apiserver";
/// Its address, away from those of nodes.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(172, 18, 255, 254);
/// Where it listens, as kubeadm's does.
const PORT: u16 = 6443;
/// How many connections it serves at once.
const MAX_OPEN: usize = 4096;
/// The longest watch if the client names no limit (`--min-request-timeout`; a real server adds
/// a random part).
const LONGEST_WATCH: Duration = Duration::from_secs(1800);
/// How often a watch that asked for them gets a bookmark.
const BOOKMARK: Duration = Duration::from_secs(60);

/// Starts to serve.
pub(crate) fn start(control: &ControlPlane) {
    let shared = &control.shared;
    let place =
        shared.trace.place(shared.sim.now().as_nanos(), "", "kube-system", "", "kube-apiserver");
    let namespace = shared.net.namespace(NamespaceSpec {
        name: NAME.into(),
        node: "control-plane".into(),
        place,
        ipv4: ADDRESS,
        ipv6: None,
        hostname: "control-plane".into(),
        search: Vec::new(),
        external: false,
    });
    publish(shared);
    let store = shared.store.acting_at(place);
    let api = Arc::new(Api::new(&store).with_logs(control.logs()));
    let stack = namespace.stack(place);
    let listener = stack
        .listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT))
        .expect("nothing else is in this namespace");
    let (shared, open) = (shared.clone(), Arc::new(AtomicUsize::new(0)));
    shared.clone().sim.spawn(async move {
        // As long as this task lives, the end of the network does.
        let _namespace = namespace;
        while let Ok(stream) = listener.accept().await {
            if open.fetch_add(1, Ordering::Relaxed) >= MAX_OPEN {
                // Dropped: the client sees the connection end, and tries again.
                open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let (shared, api, open) = (shared.clone(), api.clone(), open.clone());
            shared.clone().sim.spawn(async move {
                serve(&shared, &api, stream).await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
}

/// Endpoints of the Service `kubernetes` (`pkg/controlplane/reconcilers`): nothing selects them.
fn publish(shared: &Shared) {
    let address = ADDRESS.to_string();
    let labels = json!({"endpointslice.kubernetes.io/skip-mirror": "true"});
    let endpoints = json!({
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "subsets": [{"addresses": [{"ip": address}],
            "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}]}],
    });
    let slice = json!({
        "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": PORT, "protocol": "TCP"}],
    });
    for (kind, object) in [("endpoints", endpoints), ("endpointslices.discovery.k8s.io", slice)] {
        shared.store.create(kind, object).expect("the store has none of this name yet");
    }
}

/// Serves a connection until it ends.
async fn serve(shared: &Arc<Shared>, api: &Api, stream: TcpStream) {
    let mut connection = Connection::new(&shared.sim, stream);
    loop {
        let incoming = match connection.next().await {
            Ok(incoming) => incoming,
            Err(Refused::Over) => return,
            Err(Refused::Answer(error)) => {
                connection.answer(&Response::error(&error), false, true).await;
                return connection.linger().await;
            }
        };
        shared.sim.sleep(shared.delays().api).await;
        let Incoming { request, token, keep, chunks } = incoming;
        let head = request.method == "HEAD";
        let mut response = answer(api, request, token.as_deref());
        let sent = match std::mem::replace(&mut response.body, Body::Full(Bytes::new())) {
            Body::Full(bytes) => {
                response.body = Body::Full(bytes);
                connection.answer(&response, keep, !head).await
            }
            Body::Watch(watch) => {
                connection.begin(&response, chunks).await
                    && follow(shared, &mut connection, Following::Watch(watch), chunks).await
            }
            Body::Log(log) => {
                connection.begin(&response, chunks).await
                    && follow(shared, &mut connection, Following::Log(log), chunks).await
            }
        };
        if !sent {
            return;
        }
        if !keep {
            return connection.linger().await;
        }
    }
}

/// Answers in the name of the token's account.
fn answer(api: &Api, mut request: Request, token: Option<&str>) -> Response {
    if let Some(token) = token {
        match api.authenticate(token) {
            Ok(user) => request.user = user,
            Err(error) => return Response::error(&error),
        }
    }
    if request.method == "HEAD" {
        request.method = "GET".into();
    }
    if is_streaming(&request.path) {
        let text =
            "exec, attach and portforward are not served inside a world: use them from outside";
        return Response::error(&Error::new(501, "NotImplemented", text));
    }
    api.handle(&request)
}

enum Following {
    Watch(Box<WatchStream>),
    Log(Box<LogFollow>),
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        match self {
            Following::Watch(watch) => watch.next().await,
            Following::Log(log) => log.next().await,
        }
    }
}

/// What a stream waits for.
enum Next {
    Piece(Option<Bytes>),
    Gone,
    Time,
}

/// Sends a stream until it ends, its time is over, or the client has gone (`false`).
async fn follow(
    shared: &Shared,
    connection: &mut Connection,
    mut stream: Following,
    chunks: bool,
) -> bool {
    let (limit, bookmarks) = match &stream {
        Following::Watch(watch) => {
            let limit = watch.timeout_seconds.map_or(LONGEST_WATCH, Duration::from_secs);
            (shared.sim.now() + limit.min(LONGEST_WATCH * 2), watch.bookmarks)
        }
        Following::Log(_) => (Time::MAX, false),
    };
    let mut bookmark = if bookmarks { shared.sim.now() + BOOKMARK } else { Time::MAX };
    loop {
        let next = {
            let mut piece = pin!(stream.next());
            let mut gone = pin!(connection.gone());
            let mut time = pin!(shared.sim.sleep_until(limit.min(bookmark)));
            poll_fn(|cx| {
                if let Poll::Ready(piece) = piece.as_mut().poll(cx) {
                    return Poll::Ready(Next::Piece(piece));
                }
                if gone.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Next::Gone);
                }
                time.as_mut().poll(cx).map(|()| Next::Time)
            })
            .await
        };
        let piece = match next {
            Next::Piece(Some(piece)) => piece,
            Next::Gone => return false,
            Next::Time if shared.sim.now() < limit => {
                bookmark = shared.sim.now() + BOOKMARK;
                match &mut stream {
                    Following::Watch(watch) => watch.bookmark(),
                    Following::Log(_) => continue,
                }
            }
            Next::Piece(None) | Next::Time => {
                return connection.piece(&Bytes::new(), chunks).await && chunks;
            }
        };
        if !piece.is_empty() && !connection.piece(&piece, chunks).await {
            return false;
        }
    }
}
