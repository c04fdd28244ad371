//! How much enters a world from outside, all its life long.
//!
//! All of it is kept: in the recording, in memory and on disk. So there is an end to it, or a
//! client that sends in a loop would take the room of all others.

use axum::http::StatusCode;
use podlab_kube::api::Request;
use podlab_world::Input;

use super::{Inner, Live};
use crate::error::ApiError;

/// What an input takes beside its bytes.
const EACH: u64 = 256;

/// What a request takes.
pub(super) fn request(request: &Request) -> u64 {
    EACH + (request.path.len() + request.body.len()) as u64
}

/// What an input takes.
pub(super) fn input(input: &Input) -> u64 {
    match input {
        Input::Api(asked) => request(asked),
        Input::Send { bytes, .. } => EACH + bytes.len() as u64,
        _ => EACH,
    }
}

impl Live {
    /// The same, taking at most so many bytes.
    pub fn taking(self, bytes: u64) -> Live {
        super::lock(&self.inner).limit = bytes;
        self
    }
}

impl Inner {
    /// Makes room for so many bytes more.
    ///
    /// # Errors
    /// If as much has entered as may.
    pub(super) fn take(&mut self, bytes: u64) -> Result<(), ApiError> {
        let entered = self.entered.saturating_add(bytes);
        if entered > self.limit {
            return Err(ApiError::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "WorldFull",
                format!("this world has taken in {} MiB, and takes no more", self.limit >> 20),
                "Go on in a new world; what is in this one can still be looked at.",
            ));
        }
        self.entered = entered;
        Ok(())
    }
}
