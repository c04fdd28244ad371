//! What each request must show, and what it may then reach.
//!
//! One function decides ([`demand`]), by the route that matched. A route that it does not know
//! is the instructor's; everything below a world is its owner's. So a new route is closed until
//! somebody opens it here.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::{App, lock};
use crate::error::ApiError;
use crate::routes::blocking;
use crate::workshop::Workshop;
use crate::workshop::helm::{Helm, Right, looks};
use crate::workshop::viewer::{Shown, Viewer, hide, shown};

/// What a request must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Open,
    /// The ticket of somebody who waits for a seat.
    Ticket,
    /// Any seat.
    Seat,
    /// The seat whose world it is.
    World,
    /// The same, or a capability in the path that the world itself issued.
    Issued,
    /// The instructor's secret.
    Instructor,
}

/// What a request to a route must show; `None` is no route, but a file of the page.
pub fn demand(route: Option<&str>, method: &Method) -> Demand {
    let Some(route) = route else { return Demand::Open };
    let reads = method == Method::GET || method == Method::HEAD;
    match route {
        "/healthz" | "/api/workshop" => Demand::Open,
        // Whoever waits leaves the queue; whoever is nobody has nothing to lose.
        "/api/workshop/leave" => Demand::Open,
        "/api/workshop/queue" | "/api/workshop/seat" => Demand::Ticket,
        "/api/workshop/join" | "/api/workshop/return" | "/api/workshop/instructor" => Demand::Open,
        "/api/workshop/me" | "/api/workshop/hand" | "/api/workshop/answer" => Demand::Seat,
        "/api/workshop/invite" | "/api/workshop/kubeconfig" => Demand::Seat,
        "/api/workshop/hints" | "/api/workshop/home" => Demand::Seat,
        "/api/openapi.json" | "/api/patterns" | "/api/images" if reads => Demand::Seat,
        "/api/worlds" => Demand::Seat,
        r if r.starts_with("/api/patterns/{name}") => Demand::Seat,
        r if r.starts_with("/api/worlds/{id}/as/{capability}/") => Demand::Issued,
        r if r == "/api/worlds/{id}" || r.starts_with("/api/worlds/{id}/") => Demand::World,
        _ => Demand::Instructor,
    }
}

/// Lets a request through as who sends it, or says why not.
pub async fn gate(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let Some(workshop) = app.workshop().cloned() else {
        request.extensions_mut().insert(Viewer::Owner);
        return next.run(request).await;
    };
    let capability = shown(request.headers());
    let viewer = capability.as_ref().map_or(Viewer::Nobody, |c| workshop.who(c));
    hide(request.headers_mut());
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let demand = demand(route.as_deref(), request.method());
    let path = request.uri().path().to_owned();
    let what = route.as_deref().unwrap_or_default();
    let asked = Asked { demand, looks: looks(what, request.method(), &path), path: &path };
    match admit(&app, &workshop, viewer, &asked).await {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted.viewer);
            request.extensions_mut().insert(admitted.helm);
            if let (Viewer::Waiting(_), Some(capability)) = (viewer, capability) {
                request.extensions_mut().insert(Shown(capability));
            }
        }
        Err(refusal) if what.contains("/kube") => return in_kubernetes(&refusal),
        Err(refusal) => return refusal.into_response(),
    }
    let mut response = next.run(request).await;
    if route.is_some_and(|r| r.starts_with("/api/worlds/{id}/proxy/")) {
        // A program in a world must not put another seat into the browser that looks at it.
        response.headers_mut().remove(header::SET_COOKIE);
        response.headers_mut().remove(HeaderName::from_static("clear-site-data"));
    }
    response
}

/// What a request is for.
struct Asked<'a> {
    demand: Demand,
    /// Whether it only looks.
    looks: bool,
    path: &'a str,
}

/// As whom a request goes on.
struct Admitted {
    viewer: Viewer,
    helm: Helm,
}

/// # Errors
/// If the request may not go on.
async fn admit(
    app: &Arc<App>,
    workshop: &Arc<Workshop>,
    viewer: Viewer,
    asked: &Asked<'_>,
) -> Result<Admitted, ApiError> {
    let as_they_are = Admitted { viewer, helm: Helm::default() };
    match (asked.demand, viewer) {
        (Demand::Open, _) | (Demand::Seat | Demand::Instructor, Viewer::Instructor) => {
            Ok(as_they_are)
        }
        (Demand::Seat, Viewer::Learner(_)) | (Demand::Ticket, Viewer::Waiting(_)) => {
            Ok(as_they_are)
        }
        (Demand::Ticket, Viewer::Learner(_) | Viewer::Instructor) => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "NotWaiting",
            "you do not wait for a seat",
            "Go on in your world.",
        )),
        (Demand::World | Demand::Issued, _) => {
            let mut parts = asked.path.split('/').skip(3);
            let id = parts.next().unwrap_or_default();
            let nothing = || {
                if matches!(viewer, Viewer::Nobody | Viewer::Waiting(_)) {
                    no_seat()
                } else {
                    App::no_world(id)
                }
            };
            let number = App::number(id).ok_or_else(nothing)?;
            let issued = asked.demand == Demand::Issued
                && parts.nth(1).is_some_and(|capability| is_issued(app, id, capability));
            let right = workshop.right(viewer, number, issued);
            let acts_for = match right {
                Right::None => return Err(nothing()),
                Right::Look if !asked.looks => return Err(workshop.only_look(viewer, number)),
                // What they make there is the learner's, as everything else in that world is.
                Right::ActFor(seat) if !asked.looks => Viewer::Learner(seat),
                _ => viewer,
            };
            // Whoever let others in could act on after handing back.
            if acts_for != viewer && asked.path.split('/').nth(4) == Some("identities") {
                return Err(ApiError::conflict(
                    "only its learner may let others into this world",
                    "Ask the learner to do it.",
                ));
            }
            if let Viewer::Learner(_) = viewer
                && asked.path.ends_with("/time")
                && workshop.read(|r| r.paused)
            {
                return Err(ApiError::conflict(
                    "the instructor has paused all worlds",
                    "Look at what has happened; time goes on when the instructor says so.",
                ));
            }
            wake(app, id).await?;
            Ok(Admitted { viewer: acts_for, helm: Helm::new(workshop, viewer, number, issued) })
        }
        (_, Viewer::Nobody | Viewer::Waiting(_)) => Err(no_seat()),
        _ => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "InstructorOnly",
            "only the instructor may do this",
            "Ask the instructor.",
        )),
    }
}

/// A refusal as clients of the Kubernetes API read it (`metav1.Status`).
fn in_kubernetes(refusal: &ApiError) -> Response {
    let status = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{}. {}", refusal.message, refusal.remedy),
        "reason": refusal.reason, "code": refusal.status.as_u16(),
    });
    let mut answer = refusal.clone().into_response();
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    *answer.body_mut() = axum::body::Body::from(status.to_string());
    answer
}

/// Brings a world back that was put to disk.
async fn wake(app: &Arc<App>, id: &str) -> Result<(), ApiError> {
    if let Ok(live) = app.world(id) {
        live.touch();
        return Ok(());
    }
    let (app, id) = (app.clone(), id.to_owned());
    blocking(move || app.wake(&id).map(|_| ())).await
}

/// Whether a capability is good for a world: the workshop's own for its learner's kubectl, or one
/// that the world has issued, while it runs.
fn is_issued(app: &App, id: &str, capability: &str) -> bool {
    let own = app.workshop().zip(App::number(id)).is_some_and(|(w, n)| w.is_key(n, capability));
    own || app.world(id).is_ok_and(|live| lock(live.identities()).of(capability).is_some())
}

pub(crate) fn no_seat() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "NoSeat",
        "this is a workshop, and you have no seat in it",
        "Open the page of the workshop and join with its code.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_closed() {
        let get = |route| demand(Some(route), &Method::GET);
        assert_eq!(demand(None, &Method::GET), Demand::Open);
        assert_eq!(get("/api/anything/new"), Demand::Instructor);
        assert_eq!(get("/metrics"), Demand::Instructor);
        assert_eq!(get("/api/workshop/new"), Demand::Instructor);
        assert_eq!(get("/api/worlds/{id}/new"), Demand::World);
        assert_eq!(demand(Some("/api/images/{*name}"), &Method::PUT), Demand::Instructor);
        assert_eq!(demand(Some("/api/images"), &Method::POST), Demand::Instructor);
    }
}
