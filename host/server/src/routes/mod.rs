//! The HTTP API, one file for each part.

mod exercises;
mod export;
mod guiding;
mod identities;
mod images;
mod kube;
mod kube_streams;
mod patterns;
mod proxy;
mod recordings;
mod stream;
mod terminal;
mod time;
mod trace;
mod workshop;
mod worlds;

pub use patterns::told as pattern_json;
pub use trace::event_json;

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post, put};
use axum::{Json as AxumJson, Router, middleware};
use serde_json::json;

use crate::app::{App, Limits};
use crate::error::ApiError;
use crate::guard::guard;
use crate::live::Live;
use crate::openapi;
use crate::workshop::gate::gate;

/// What a handler returns.
pub(crate) type Answer = Result<Response, ApiError>;

/// A router that remembers its paths, so that a test can compare them with the description.
struct Routes {
    router: Router<Arc<App>>,
    paths: Vec<(&'static str, &'static [&'static str])>,
}

impl Routes {
    fn add(
        mut self,
        path: &'static str,
        methods: &'static [&'static str],
        handler: MethodRouter<Arc<App>>,
    ) -> Routes {
        self.router = self.router.route(path, handler);
        self.paths.push((path, methods));
        self
    }

    /// The same handler under a path that only ends in a slash more.
    fn also(mut self, path: &str, handler: MethodRouter<Arc<App>>) -> Routes {
        self.router = self.router.route(path, handler);
        self
    }
}

fn routes(limits: &Limits) -> Routes {
    let image = DefaultBodyLimit::max(limits.image);
    let proxied = DefaultBodyLimit::max(limits.proxied);
    let recording = DefaultBodyLimit::max(limits.recording);
    let every: &[&str] = &["get", "post", "put", "patch", "delete", "head", "options"];
    let kube_methods: &[&str] = &["get", "post", "put", "patch", "delete"];
    Routes { router: Router::new(), paths: Vec::new() }
        .add("/healthz", &["get"], get(|| async { "ok\n" }))
        .add("/metrics", &["get"], get(workshop::metrics))
        .add("/api/workshop", &["get"], get(workshop::about))
        .add("/api/workshop/join", &["post"], post(workshop::join))
        .add("/api/workshop/return", &["post"], post(workshop::come_back))
        .add("/api/workshop/instructor", &["post"], post(workshop::instruct))
        .add("/api/workshop/leave", &["post"], post(workshop::leave))
        .add("/api/workshop/queue", &["get"], get(workshop::queue))
        .add("/api/workshop/seat", &["post"], post(workshop::sit_down))
        .add("/api/workshop/kubeconfig", &["post"], post(workshop::kubeconfig))
        .add("/api/workshop/me", &["get"], get(workshop::me))
        .add("/api/workshop/home", &["post"], post(workshop::home))
        .add("/api/workshop/hand", &["post"], post(workshop::hand))
        .add("/api/workshop/answer", &["post"], post(workshop::answer))
        .add("/api/workshop/hints", &["post"], post(workshop::hints))
        .add("/api/workshop/board", &["get", "post"], get(workshop::board).post(workshop::lead))
        .add("/api/workshop/invite", &["post"], post(guiding::invite))
        .add("/api/workshop/give", &["post"], post(guiding::give))
        .add(
            "/api/workshop/moment",
            &["post", "delete"],
            post(guiding::show).delete(guiding::unshow),
        )
        .add(
            "/api/workshop/projector",
            &["get", "post"],
            get(workshop::projector).post(guiding::project),
        )
        .add("/api/workshop/worlds/{id}", &["get"], get(guiding::whose))
        .add("/api/workshop/seats/{seat}/drive", &["post"], post(guiding::drive))
        .add("/api/workshop/results", &["get"], get(workshop::results))
        .add("/api/workshop/seats/{seat}", &["delete"], delete(workshop::free))
        .add("/api/workshop/seats/{seat}/lower", &["post"], post(workshop::lower))
        .add("/api/workshop/seats/{seat}/word", &["post"], post(workshop::word))
        .add("/api/openapi.json", &["get"], get(|| async { AxumJson(openapi::document()) }))
        .add("/api/patterns", &["get"], get(patterns::list))
        .add("/api/patterns/{name}", &["get"], get(patterns::one))
        .add("/api/patterns/{name}/exercises", &["get"], get(exercises::list))
        .add("/api/patterns/{name}/exercises/{slug}", &["get"], get(exercises::one))
        .add("/api/patterns/{name}/exercises/{slug}/lint", &["post"], post(exercises::lint))
        .add("/api/patterns/{name}/exercises/{slug}/world", &["post"], post(exercises::world))
        .add("/api/patterns/{name}/exercises/{slug}/check", &["post"], post(exercises::check))
        .add("/api/images", &["get"], get(images::list))
        .add("/api/images/{*name}", &["put"], put(images::put).layer(image))
        .add("/api/recordings", &["post"], post(recordings::open).layer(recording))
        .add("/api/worlds", &["get", "post"], get(worlds::list).post(worlds::create))
        .add("/api/worlds/{id}", &["get", "delete"], get(worlds::one).merge(delete(worlds::remove)))
        .add("/api/worlds/{id}/time", &["post"], post(time::set))
        .add("/api/worlds/{id}/faults", &["post"], post(worlds::fault))
        .add("/api/worlds/{id}/trace", &["get"], get(trace::lines))
        .add("/api/worlds/{id}/density", &["get"], get(trace::density))
        .add("/api/worlds/{id}/recording", &["get"], get(trace::recording))
        .add("/api/worlds/{id}/export/{format}", &["get"], get(export::download))
        .add("/api/worlds/{id}/stream", &["get"], get(stream::open))
        .add("/api/worlds/{id}/terminal", &["get"], get(terminal::open))
        .add("/api/worlds/{id}/as/{capability}/terminal", &["get"], get(terminal::open_as))
        .add("/api/worlds/{id}/kube", kube_methods, any(kube::root))
        .also("/api/worlds/{id}/kube/", any(kube::root))
        .add("/api/worlds/{id}/kube/{*path}", kube_methods, any(kube::handle))
        .add("/api/worlds/{id}/as/{capability}/kube", kube_methods, any(kube::root_as))
        .also("/api/worlds/{id}/as/{capability}/kube/", any(kube::root_as))
        .add("/api/worlds/{id}/as/{capability}/kube/{*path}", kube_methods, any(kube::handle_as))
        .add(
            "/api/worlds/{id}/identities",
            &["get", "post"],
            get(identities::list).post(identities::issue),
        )
        .add("/api/worlds/{id}/identities/{name}", &["delete"], delete(identities::revoke))
        .add("/api/worlds/{id}/proxy/{target}", every, any(proxy::root).layer(proxied))
        .also("/api/worlds/{id}/proxy/{target}/", any(proxy::root).layer(proxied))
        .add("/api/worlds/{id}/proxy/{target}/{*path}", every, any(proxy::handle).layer(proxied))
}

/// The whole server as a service.
pub fn router(app: Arc<App>) -> Router {
    let limit = DefaultBodyLimit::max(app.options().limits.body);
    routes(&app.options().limits)
        .router
        .fallback(page)
        .method_not_allowed_fallback(wrong_method)
        .layer(limit)
        .layer(middleware::from_fn_with_state(app.clone(), gate))
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn wrong_method(method: Method, uri: axum::http::Uri) -> ApiError {
    ApiError::of_status(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}

/// A file of the page, or an error.
async fn page(State(app): State<Arc<App>>, request: Request) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query());
    let method = request.method();
    if method == Method::GET || method == Method::HEAD {
        if let Some(response) = app.assets().serve(method, path, query, request.headers()) {
            return response;
        }
        if path == "/" {
            return ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "NoPage",
                "this podlab was built without the page",
                "Run `cargo xtask build`, then start target/podlab.",
            )
            .into_response();
        }
    }
    let remedy = "GET /api/openapi.json lists every path; the page is at /.";
    ApiError::not_found(format!("there is nothing at {path}"), remedy).into_response()
}

/// A JSON body; what is wrong with it is told in the form of all errors.
pub(crate) struct Json(pub serde_json::Value);

impl FromRequest<Arc<App>> for Json {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Json, ApiError> {
        match AxumJson::<serde_json::Value>::from_request(request, app).await {
            Ok(AxumJson(value)) => Ok(Json(value)),
            Err(rejection) => {
                let reason = if matches!(rejection, JsonRejection::JsonSyntaxError(_)) {
                    "JsonSyntax"
                } else {
                    ""
                };
                let mut error = ApiError::of_status(rejection.status(), rejection.body_text());
                if !reason.is_empty() {
                    error.reason = reason;
                    error.remedy = "Correct the JSON of the body.".into();
                }
                Err(error)
            }
        }
    }
}

impl Json {
    /// The fields of the object, if it has only those that are known.
    pub fn fields(
        self,
        known: &[&str],
    ) -> Result<serde_json::Map<String, serde_json::Value>, ApiError> {
        let serde_json::Value::Object(fields) = self.0 else {
            return Err(ApiError::bad(
                "the body is not a JSON object",
                format!("Send an object with {}.", known.join(", ")),
            ));
        };
        match fields.keys().find(|k| !known.contains(&k.as_str())) {
            Some(unknown) => Err(ApiError::bad(
                format!("the field {unknown:?} is not known here"),
                format!("Known fields: {}.", known.join(", ")),
            )),
            None => Ok(fields),
        }
    }
}

/// Does something with a world on a thread that may wait, then lets the driver look at it.
pub(crate) async fn change<T: Send + 'static>(
    app: &Arc<App>,
    id: &str,
    f: impl FnOnce(&Live) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let live = app.world(id)?;
    let poked = app.clone();
    blocking(move || {
        let result = f(&live);
        poked.driver().poke(&live);
        result
    })
    .await
}

/// Runs something that may wait or compute for a while.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(f).await {
        Ok(result) => result,
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

pub(crate) fn ok(value: serde_json::Value) -> Answer {
    Ok(AxumJson(value).into_response())
}

/// A number of a query, or its default.
///
/// # Errors
/// If it is no number.
pub(crate) fn number(
    query: &[(String, String)],
    name: &str,
    default: u64,
) -> Result<u64, ApiError> {
    match query.iter().find(|(k, _)| k == name) {
        None => Ok(default),
        Some((_, text)) => text.parse().map_err(|_| {
            ApiError::bad(
                format!("{name}={text:?} is not a number"),
                format!("Write for example {name}=100."),
            )
        }),
    }
}

/// What every successful change of a world answers with.
pub(crate) fn status(live: &Live) -> serde_json::Value {
    json!({ "world": live.status() })
}

#[cfg(test)]
mod tests;
