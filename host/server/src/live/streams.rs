//! Clients at the streams of a world's programs and ports.

use podlab_kube::api::{Request, Response, Streaming};
use podlab_kube::control_plane::SessionSpec;
use podlab_world::{Input, Outcome};

use super::Live;
use crate::error::ApiError;
use crate::outside::Incoming;

impl Live {
    /// What a request for exec, attach or portforward asks for, or the answer to give instead.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn streaming(&self, request: &Request) -> Result<Result<Streaming, Response>, ApiError> {
        self.with(|inner| inner.world.streaming(request))
    }

    /// The user as whom `user` may act when they want to be `wanted`, or the answer to give instead.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn impersonate(
        &self,
        user: &str,
        wanted: &str,
        only_user: bool,
    ) -> Result<Result<String, Response>, ApiError> {
        self.with(|inner| inner.world.impersonate(user, wanted, only_user))
    }

    /// Begins a session; its number and what comes out of it, or why there is none.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn session(&self, spec: SessionSpec) -> Result<Result<(u64, Incoming), String>, ApiError> {
        self.with(|inner| {
            let (id, incoming) = inner.connections.open();
            let SessionSpec { namespace, pod, container, command, stdin, terminal } = spec;
            let input = Input::Session { id, namespace, pod, container, command, stdin, terminal };
            match inner.input(input) {
                Outcome::Refused(why) => {
                    inner.connections.close(id);
                    Err(why)
                }
                _ => Ok((id, incoming)),
            }
        })
    }

    /// Opens a connection to `target` and sends nothing yet.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn open(&self, target: &str) -> Result<(u64, Incoming), ApiError> {
        self.with(|inner| {
            let (id, incoming) = inner.connections.open();
            inner.input(Input::Open { id, target: target.into() });
            (id, incoming)
        })
    }

    /// Ends all connections and sessions from outside: somebody else acts here from now on.
    pub fn hang_up(&self, why: &str) {
        // A world that is dead or gone has none.
        let _ = self.with(|inner| {
            let open = inner.connections.numbers();
            inner.connections.break_all(why);
            for id in open {
                inner.input(Input::Drop { id });
            }
        });
    }

    /// How many bytes of a session's input wait for its program.
    ///
    /// # Errors
    /// See [`Live::with`].
    pub fn backlog(&self, id: u64) -> Result<usize, ApiError> {
        self.with(|inner| inner.world.session_backlog(id))
    }
}
