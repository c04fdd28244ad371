//! `/api/worlds/{id}/kube/...`: that world's Kubernetes API, for its owner, and
//! `/api/worlds/{id}/as/{capability}/kube/...`, for the user of a capability.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{FromRequest as _, Path, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response as HttpResponse;
use podlab_kube::api::{Body, LogFollow, Request, Response, WatchStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Answer, change, kube_streams};
use crate::app::{App, Served, lock};
use crate::error::ApiError;
use crate::live::Live;

/// A watch that does not say how long it lasts ends after this.
const WATCH: Duration = Duration::from_secs(45 * 60);
/// No watch lasts longer.
const MAX_WATCH: u64 = 24 * 3600;
/// How often a client that wants them gets bookmarks.
const BOOKMARK: Duration = Duration::from_secs(60);
/// Changes are gathered for this long before they are sent.
const GATHER: Duration = Duration::from_millis(5);

/// The API without a path.
pub async fn root(
    state: State<Arc<App>>,
    Path(id): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    answer(state.0, Asker::owner(id), method, uri, headers, body).await
}

/// Any path of the API.
pub async fn handle(
    state: State<Arc<App>>,
    Path((id, _)): Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    any(state.0, Asker::owner(id), request).await
}

/// The API without a path, for the user of a capability.
pub async fn root_as(
    state: State<Arc<App>>,
    Path((id, capability)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let asker = Asker::of(&state.0, id, &capability)?;
    answer(state.0, asker, method, uri, headers, body).await
}

/// Any path of the API, for the user of a capability.
pub async fn handle_as(
    state: State<Arc<App>>,
    Path((id, capability, _)): Path<(String, String, String)>,
    request: HttpRequest,
) -> Answer {
    let asker = Asker::of(&state.0, id, &capability)?;
    any(state.0, asker, request).await
}

/// Who asks, of which world.
pub(super) struct Asker {
    /// The world.
    pub world: String,
    /// Their name.
    pub user: String,
    /// The path of the API that they use.
    pub base: String,
}

impl Asker {
    /// Whoever reaches the server without a capability.
    pub fn owner(world: String) -> Asker {
        Asker { base: format!("/api/worlds/{world}/kube"), world, user: "admin".into() }
    }

    pub fn of(app: &App, world: String, capability: &str) -> Result<Asker, ApiError> {
        let live = app.world(&world)?;
        let base = format!("/api/worlds/{world}/as/{capability}/kube");
        // A learner's own kubectl does what their page does.
        if app.workshop().is_some_and(|w| w.is_key(live.number(), capability)) {
            return Ok(Asker { user: "admin".into(), base, world });
        }
        let known = lock(live.identities());
        // As for a world that is not there: a guess learns nothing.
        let identity = known.of(capability).ok_or_else(|| {
            ApiError::not_found(
                "there is no such identity",
                "Ask whoever gave you the address for a new one.",
            )
        })?;
        Ok(Asker { user: identity.name.clone(), base, world })
    }
}

async fn any(app: Arc<App>, asker: Asker, request: HttpRequest) -> Answer {
    let target = target(&asker, request.uri())?;
    let path = target.split('?').next().unwrap_or("");
    if kube_streams::wanted(request.headers(), path) {
        let mut asked = Request::new(request.method().as_str(), &target);
        asked.user = match impersonated(&app, &asker, request.headers()).await? {
            Ok(user) => user,
            Err(refusal) => return to_http(refusal, app.world(&asker.world)?, None, false),
        };
        return kube_streams::serve(app, asker.world, asked, request).await;
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let headers = request.headers().clone();
    let body = Bytes::from_request(request, &app)
        .await
        .map_err(|e| ApiError::of_status(e.status(), e.body_text()))?;
    answer(app, asker, method, uri, headers, body).await
}

/// As whom the asker acts: `kubectl --as`.
async fn impersonated(
    app: &Arc<App>,
    asker: &Asker,
    headers: &HeaderMap,
) -> Result<Result<String, Response>, ApiError> {
    let named: Vec<&str> = headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("impersonate-"))
        .collect();
    if named.is_empty() {
        return Ok(Ok(asker.user.clone()));
    }
    let wanted = headers.get("impersonate-user").and_then(|v| v.to_str().ok()).unwrap_or("");
    let (user, wanted) = (asker.user.clone(), wanted.to_owned());
    let only_user = named == ["impersonate-user"];
    change(app, &asker.world, move |live| live.impersonate(&user, &wanted, only_user)).await
}

/// What is asked for below the world's Kubernetes API, as it was sent: segments may be encoded in
/// ways that matter.
fn target(asker: &Asker, uri: &Uri) -> Result<String, ApiError> {
    let whole = uri.path_and_query().map_or("", |p| p.as_str());
    match whole.strip_prefix(&asker.base) {
        Some(rest) if rest.starts_with('/') => Ok(rest.to_owned()),
        Some(rest) => Ok(format!("/{rest}")),
        None => Err(ApiError::bad(
            "the path cannot be read",
            "Use plain characters for the world's id.",
        )),
    }
}

async fn answer(
    app: Arc<App>,
    asker: Asker,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let target = target(&asker, &uri)?;
    let text = |name: header::HeaderName| {
        headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    };
    // kube-apiserver answers HEAD as GET without a body.
    let head = method == Method::HEAD;
    let verb = if head { "GET" } else { method.as_str() };
    let mut request = Request::new(verb, &target).with_body(&text(header::CONTENT_TYPE), body);
    request.accept = text(header::ACCEPT);
    let live = app.world(&asker.world)?;
    request.user = match impersonated(&app, &asker, &headers).await? {
        Ok(user) => user,
        Err(refusal) => return to_http(refusal, live, None, head),
    };
    if request.mutates()
        && request.param("fieldManager").is_empty()
        && !request.content_type.starts_with("application/apply-patch")
    {
        // `prefixFromUserAgent` of `k8s.io/apiserver`.
        let agent = text(header::USER_AGENT);
        let name: String = agent.split('/').next().unwrap_or_default().chars().take(128).collect();
        if !name.is_empty() {
            request.query.push(("fieldManager".into(), name));
        }
    }
    let pretty = pretty(&request, &headers);
    // What is asked for by its hash never changes.
    let lasting = request.path.starts_with("/openapi/v3/") && !request.param("hash").is_empty();
    let mut response = change(&app, &asker.world, move |live| live.api(request)).await?;
    if pretty {
        response = indented(response);
    }
    let lasting = lasting && response.status == 200;
    let served = match response.body {
        Body::Full(_) => None,
        _ => Some(app.stream(&asker.world)?),
    };
    let mut answer = to_http(response, live, served, head)?;
    let kept = if lasting { "public, immutable" } else { "no-cache, private" };
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    Ok(answer)
}

/// Whether people are to read the answer (`isPrettyPrint` of `k8s.io/apiserver`).
fn pretty(request: &Request, headers: &HeaderMap) -> bool {
    match request.param("pretty") {
        "" => {
            let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
            let known = ["curl", "Wget", "Mozilla/5.0"];
            agent.is_some_and(|a| known.iter().any(|k| a.starts_with(k)))
        }
        text => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

fn indented(mut response: Response) -> Response {
    if let Body::Full(bytes) = &response.body
        && response.content_type.starts_with("application/json")
        && let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes)
    {
        response.body = Body::Full(format!("{value:#}").into());
    }
    response
}

fn to_http(response: Response, live: Arc<Live>, served: Option<Served>, head: bool) -> Answer {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut out =
        HttpResponse::builder().status(status).header(header::CONTENT_TYPE, response.content_type);
    for warning in &response.warnings {
        // RFC 7234, 5.5: the text is a quoted string.
        let line = warning.replace(char::is_control, " ");
        let quoted = line.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            out = out.header(header::WARNING, value);
        }
    }
    let body = match response.body {
        _ if head => HttpBody::empty(),
        Body::Full(bytes) => HttpBody::from(bytes),
        stream => follow(Following::new(stream, live, served)),
    };
    out.body(body).map_err(|e| ApiError::internal(e.to_string()))
}

enum Pull {
    Whole(Option<Bytes>),
    Watch(Box<WatchStream>),
    Log(Box<LogFollow>),
}

impl Pull {
    fn try_next(&mut self) -> Option<Bytes> {
        match self {
            Pull::Whole(bytes) => bytes.take(),
            Pull::Watch(watch) => watch.try_next(),
            Pull::Log(log) => log.try_next(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Pull::Whole(bytes) => bytes.is_none(),
            Pull::Watch(watch) => watch.is_over(),
            Pull::Log(log) => log.is_over(),
        }
    }
}

/// A watch or a log that somebody follows.
pub(super) struct Following {
    pull: Pull,
    changes: watch::Receiver<u64>,
    live: Arc<Live>,
    rewinds: u64,
    deadline: Instant,
    bookmark: Instant,
    _served: Option<Served>,
}

impl Following {
    /// Begins to follow a body.
    pub fn new(body: Body, live: Arc<Live>, served: Option<Served>) -> Following {
        let (pull, lasts) = match body {
            Body::Full(bytes) => (Pull::Whole(Some(bytes)), WATCH),
            Body::Watch(watch) => {
                let seconds = watch.timeout_seconds.map(|s| Duration::from_secs(s.min(MAX_WATCH)));
                (Pull::Watch(watch), seconds.unwrap_or(WATCH))
            }
            Body::Log(log) => (Pull::Log(log), Duration::from_secs(MAX_WATCH)),
        };
        let now = Instant::now();
        Following {
            pull,
            changes: live.changes(),
            rewinds: live.view().rewinds,
            live,
            deadline: now + lasts,
            bookmark: now + BOOKMARK,
            _served: served,
        }
    }

    /// All there is by now, as one piece; waits until there is something. `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changes.mark_unchanged();
            let mut piece = Vec::new();
            while let Some(part) = self.pull.try_next() {
                piece.extend_from_slice(&part);
                if piece.len() > 256 << 10 {
                    break;
                }
            }
            if !piece.is_empty() {
                return Some(piece.into());
            }
            let view = self.live.view();
            // Going back makes what was seen untrue: the client must look again.
            if self.pull.is_over() || view.gone.is_some() || view.rewinds != self.rewinds {
                return None;
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    changed.ok()?;
                    tokio::time::sleep(GATHER).await;
                }
                () = tokio::time::sleep_until(self.deadline) => return None,
                () = tokio::time::sleep_until(self.bookmark) => {
                    self.bookmark += BOOKMARK;
                    if let Pull::Watch(watch) = &mut self.pull
                        && watch.bookmarks
                    {
                        return Some(watch.bookmark());
                    }
                }
            }
        }
    }
}

fn follow(following: Following) -> HttpBody {
    HttpBody::from_stream(futures_util::stream::unfold(following, |mut following| async {
        let piece = following.next().await?;
        Some((Ok::<_, Infallible>(piece), following))
    }))
}
