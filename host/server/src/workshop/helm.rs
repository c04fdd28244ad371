//! Who acts in a learner's world: the learner, or the instructor whom they have invited.
//!
//! A raised hand is an invitation, and so is a button of its own. While the instructor acts the
//! learner looks on, so that nobody works against the other; either hands back. Without an
//! invitation the instructor looks on.
//!
//! What lasts is let in by its first request, and ends when somebody else takes over: sessions
//! with programs and forwarded ports are hung up, terminals close by themselves ([`Helm`]).

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use podlab_kube::api::Request;

use crate::app::App;
use crate::error::ApiError;
use crate::workshop::register::Seat;
use crate::workshop::viewer::Viewer;
use crate::workshop::{Workshop, no_seat};

/// How far somebody may go in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// They may do everything.
    Act,
    /// They may do everything, in the place of the learner with this seat.
    ActFor(u32),
    /// They may look: somebody else's world, or their own while the instructor acts in it.
    Look,
    /// For them there is no such world.
    None,
}

/// Whether a request only looks. What is not known here acts: a new route is closed to lookers
/// until somebody opens it.
pub fn looks(route: &str, method: &Method, path: &str) -> bool {
    if method != Method::GET && method != Method::HEAD {
        return false;
    }
    match route.strip_prefix("/api/worlds/{id}").unwrap_or("?") {
        "" | "/trace" | "/density" | "/recording" | "/stream" | "/export/{format}"
        | "/identities" => true,
        "/kube" | "/kube/" | "/kube/{*path}" => reads(path),
        "/as/{capability}/kube" | "/as/{capability}/kube/" | "/as/{capability}/kube/{*path}" => {
            reads(path)
        }
        // The terminal runs commands, and what is sent to a Service reaches a program.
        _ => false,
    }
}

/// Whether a GET of the Kubernetes API only looks: exec, attach, portforward and proxy do not. The
/// path is read as the API will read it.
fn reads(path: &str) -> bool {
    let path = Request::new("GET", path).path;
    let mut parts = path.split('/').skip_while(|p| !matches!(*p, "pods" | "services" | "nodes"));
    // The kind, the name (which may be anything), and what of it.
    parts.nth(1);
    !parts.any(|p| matches!(p, "exec" | "attach" | "portforward" | "proxy"))
}

impl Workshop {
    /// How far `viewer` may go in world `number`; `issued` is whether they hold a capability
    /// that is good for it.
    pub fn right(&self, viewer: Viewer, number: u64, issued: bool) -> Right {
        self.read(|record| {
            let place = record.worlds.get(&number);
            let driven =
                place.and_then(|p| record.seats.get(&p.seat)).is_some_and(|seat| seat.driven);
            match (viewer, place) {
                (Viewer::Owner, _) => Right::Act,
                _ if issued => {
                    if driven {
                        Right::Look
                    } else {
                        Right::Act
                    }
                }
                (Viewer::Instructor, None) => Right::Act,
                (Viewer::Instructor, Some(place)) if driven => Right::ActFor(place.seat),
                (Viewer::Instructor, Some(_)) => Right::Look,
                (Viewer::Learner(seat), Some(place)) if place.seat == seat => {
                    if driven {
                        Right::Look
                    } else {
                        Right::Act
                    }
                }
                (Viewer::Learner(_), None)
                    if record.moment.as_ref().is_some_and(|m| m.world == number) =>
                {
                    Right::Look
                }
                _ => Right::None,
            }
        })
    }

    /// What is said to somebody who may only look.
    pub fn only_look(&self, viewer: Viewer, number: u64) -> ApiError {
        let place = self.place(number);
        let name = self.read(|record| {
            let seat = place.as_ref().and_then(|p| record.seats.get(&p.seat));
            seat.map(|s| s.name.clone()).unwrap_or_default()
        });
        match (viewer, place) {
            (Viewer::Instructor, _) => ApiError::new(
                StatusCode::FORBIDDEN,
                "NotInvited",
                format!("this is the world of {name}, and you do not act in it"),
                "With a raised hand or an invitation you can take over; until then you can watch.",
            ),
            (_, None) => ApiError::new(
                StatusCode::FORBIDDEN,
                "OnlyShown",
                "this world is shown to you, to look at",
                "Go back to your own world to try things out.",
            ),
            _ => ApiError::new(
                StatusCode::CONFLICT,
                "Driven",
                "the instructor acts in your world at the moment",
                "Watch, or take your world back with the button at the top of the page.",
            ),
        }
    }

    /// A learner invites the instructor into their worlds, or takes them back.
    ///
    /// # Errors
    /// If there is no such seat.
    pub fn invite(&self, app: &App, seat: u32, invited: bool) -> Result<(), ApiError> {
        self.turn_over(app, seat, |seat| {
            seat.invited = invited;
            if !invited {
                hand_back(seat);
            }
            Ok(())
        })
    }

    /// The instructor takes over in the worlds of a seat, or hands back.
    ///
    /// # Errors
    /// If there is no such seat, or its learner has not asked for it.
    pub fn drive(&self, app: &App, seat: u32, driven: bool) -> Result<(), ApiError> {
        self.turn_over(app, seat, |seat| {
            if !driven {
                hand_back(seat);
                return Ok(());
            }
            if !seat.hand && !seat.invited && !seat.driven {
                return Err(ApiError::new(
                    StatusCode::FORBIDDEN,
                    "NotInvited",
                    format!("{} has not invited you", seat.name),
                    "Ask them to raise their hand, or to press the button that lets you help.",
                ));
            }
            seat.driven = true;
            Ok(())
        })
    }

    /// Changes who acts. If that is somebody else than before, whatever they had open in those
    /// worlds ends.
    fn turn_over(
        &self,
        app: &App,
        number: u32,
        f: impl FnOnce(&mut Seat) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let (before, after) = self.change(|record| {
            let seat = record.seats.get_mut(&number).ok_or_else(|| no_seat(number))?;
            let before = seat.driven;
            f(seat)?;
            Ok((before, seat.driven))
        })?;
        if before == after {
            return Ok(());
        }
        for live in app.worlds() {
            if self.place(live.number()).is_some_and(|p| p.seat == number) {
                live.hang_up("somebody else acts in this world now");
                app.driver().poke(&live);
            }
        }
        Ok(())
    }
}

/// The world is its learner's again, who was helped; another visit takes another invitation.
fn hand_back(seat: &mut Seat) {
    (seat.driven, seat.invited, seat.hand) = (false, false, false);
}

/// By which right something that lasts goes on.
#[derive(Clone, Default)]
pub struct Helm(Option<Held>);

#[derive(Clone)]
struct Held {
    workshop: Arc<Workshop>,
    viewer: Viewer,
    number: u64,
    issued: bool,
}

impl Helm {
    /// The right of `viewer` in world `number`.
    pub fn new(workshop: &Arc<Workshop>, viewer: Viewer, number: u64, issued: bool) -> Helm {
        Helm(Some(Held { workshop: workshop.clone(), viewer, number, issued }))
    }

    /// Waits until whoever acts may act no longer.
    pub async fn lost(self) {
        let Some(Held { workshop, viewer, number, issued }) = self.0 else {
            return std::future::pending().await;
        };
        let mut changes = workshop.changes();
        loop {
            changes.mark_unchanged();
            if matches!(workshop.right(viewer, number, issued), Right::Look | Right::None) {
                return;
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Helm {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Helm, Infallible> {
        // Where no workshop is held nobody takes anything from anybody.
        Ok(parts.extensions.get::<Helm>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_look_looks() {
        let get = |route: &str, below: &str| {
            looks(
                &format!("/api/worlds/{{id}}{route}"),
                &Method::GET,
                &format!("/api/worlds/w1{below}"),
            )
        };
        for (route, below) in [
            ("", ""),
            ("/stream", "/stream"),
            ("/kube/{*path}", "/kube/api/v1/namespaces/default/pods/web/log"),
            ("/kube/{*path}", "/kube/api/v1/namespaces/default/pods/exec"),
            ("/kube/{*path}", "/kube/apis/apps/v1/namespaces/exec/deployments"),
            ("/as/{capability}/kube/{*path}", "/as/abc/kube/api/v1/pods"),
        ] {
            assert!(get(route, below), "{below}");
        }
        let pod = "/kube/api/v1/namespaces/default/pods/web";
        for (route, below) in [
            ("/terminal", "/terminal".to_owned()),
            ("/as/{capability}/terminal", "/as/abc/terminal".to_owned()),
            ("/proxy/{target}", "/proxy/web:80".to_owned()),
            ("/new", "/new".to_owned()),
            ("/kube/{*path}", format!("{pod}/exec")),
            ("/kube/{*path}", format!("{pod}/attach")),
            ("/kube/{*path}", format!("{pod}/portforward")),
            ("/kube/{*path}", format!("{pod}/proxy/index.html")),
            ("/kube/{*path}", format!("{pod}/%65xec")),
            ("/kube/{*path}", "/kube/api/v1/namespaces/default/services/web/proxy/".to_owned()),
            ("/as/{capability}/kube/{*path}", format!("/as/abc{pod}/exec")),
        ] {
            assert!(!get(route, &below), "{below}");
        }
        let post = looks("/api/worlds/{id}/kube/{*path}", &Method::POST, "/api/worlds/w1/kube/api");
        assert!(!post && !looks("/api/worlds", &Method::GET, "/api/worlds"));
    }
}
