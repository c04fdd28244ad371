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
use crate::workshop::viewer::{Viewer, hide, shown};

/// What a request must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Open,
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
        "/api/workshop/join" | "/api/workshop/return" | "/api/workshop/instructor" => Demand::Open,
        "/api/workshop/me" | "/api/workshop/hand" | "/api/workshop/answer" => Demand::Seat,
        "/api/workshop/hints" | "/api/workshop/home" | "/api/workshop/leave" => Demand::Seat,
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
    let viewer = capability.map_or(Viewer::Nobody, |c| workshop.who(&c));
    hide(request.headers_mut());
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let demand = demand(route.as_deref(), request.method());
    let path = request.uri().path().to_owned();
    if let Err(refusal) = admit(&app, &workshop, viewer, demand, &path).await {
        return refusal.into_response();
    }
    request.extensions_mut().insert(viewer);
    let mut response = next.run(request).await;
    if route.is_some_and(|r| r.starts_with("/api/worlds/{id}/proxy/")) {
        // A program in a world must not put another seat into the browser that looks at it.
        response.headers_mut().remove(header::SET_COOKIE);
        response.headers_mut().remove(HeaderName::from_static("clear-site-data"));
    }
    response
}

/// # Errors
/// If the request may not go on.
async fn admit(
    app: &Arc<App>,
    workshop: &Workshop,
    viewer: Viewer,
    demand: Demand,
    path: &str,
) -> Result<(), ApiError> {
    match (demand, viewer) {
        (Demand::Open, _) | (Demand::Seat | Demand::Instructor, Viewer::Instructor) => Ok(()),
        (Demand::Seat, Viewer::Learner(_)) => Ok(()),
        (Demand::World | Demand::Issued, _) => {
            let mut parts = path.split('/').skip(3);
            let id = parts.next().unwrap_or_default();
            let issued = demand == Demand::Issued
                && parts.nth(1).is_some_and(|capability| is_issued(app, id, capability));
            let number = App::number(id);
            let may = number.is_some_and(|n| workshop.may(viewer, n));
            if !may && !issued {
                return Err(if viewer == Viewer::Nobody { no_seat() } else { App::no_world(id) });
            }
            if let Viewer::Learner(_) = viewer
                && path.ends_with("/time")
                && workshop.read(|r| r.paused)
            {
                return Err(ApiError::conflict(
                    "the instructor has paused all worlds",
                    "Look at what has happened; time goes on when the instructor says so.",
                ));
            }
            wake(app, id).await
        }
        (_, Viewer::Nobody) => Err(no_seat()),
        _ => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "InstructorOnly",
            "only the instructor may do this",
            "Ask the instructor.",
        )),
    }
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

/// Whether a world that runs has issued this capability.
fn is_issued(app: &App, id: &str, capability: &str) -> bool {
    app.world(id).is_ok_and(|live| lock(live.identities()).of(capability).is_some())
}

fn no_seat() -> ApiError {
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
