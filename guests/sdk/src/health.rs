//! Health over HTTP for programs that serve nothing else: sidecars that follow files, clients.

use std::cell::RefCell;
use std::rc::Rc;

use crate::args::{Args, Opt, opt};
use crate::connections::listen;
use crate::http::{self, Limits, Response};
use crate::runtime::{Flag, spawn};

/// The option that asks for it.
pub const OPTION: Opt =
    opt("health", "ADDR", "-", "HTTP: /healthz, /readyz, such as 0.0.0.0:8082; - for nowhere");

/// How a program is.
#[derive(Clone, Default)]
pub struct Health(Rc<RefCell<String>>);

impl Health {
    /// Serves `/healthz` (200 while the program lives) and `/readyz` (503 with the reason while it is
    /// ill) where `--health` says, until `stop`.
    ///
    /// # Errors
    /// If it is no address, or is taken.
    pub async fn serve(args: &Args, stop: &Flag) -> Result<Health, String> {
        let health = Health::default();
        if let Some(listener) = listen(args, OPTION.name).await? {
            let (own, stop) = (health.clone(), stop.clone());
            let handler: http::Handler = Rc::new(move |request| {
                let response = own.answer(&request.path);
                Box::pin(async move { response })
            });
            spawn(async move {
                if let Err(error) = http::serve(listener, handler, Limits::default(), stop).await {
                    crate::log::error("serving-failed", &[("error", &error)]);
                }
            });
        }
        Ok(health)
    }

    /// It cannot do its work now, and why.
    pub fn ill(&self, why: &str) {
        why.clone_into(&mut self.0.borrow_mut());
    }

    /// It can.
    pub fn well(&self) {
        self.0.borrow_mut().clear();
    }

    fn answer(&self, path: &str) -> Response {
        let ill = self.0.borrow();
        match path {
            "/readyz" if !ill.is_empty() => Response::text(503, ill.as_str()),
            "/healthz" | "/readyz" => Response::text(200, "ok"),
            _ => Response::text(404, "there are /healthz, /readyz"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_program_lives_and_is_not_ready() {
        let health = Health::default();
        let status = |path: &str| health.answer(path).status;
        assert_eq!((status("/healthz"), status("/readyz"), status("/")), (200, 200, 404));
        health.ill("the store does not answer");
        assert_eq!((status("/healthz"), status("/readyz")), (200, 503));
        health.well();
        assert_eq!(status("/readyz"), 200);
    }
}
