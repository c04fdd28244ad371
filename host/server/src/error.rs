//! The errors that clients see: `{"error": {"reason", "message", "remedy"}}`.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was not answered as asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// One word that programs can tell apart.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// In how many seconds it is worth another try, where that is known (`Retry-After`).
    pub retry_after: Option<u64>,
}

impl ApiError {
    /// An error.
    pub fn new(
        status: StatusCode,
        reason: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ApiError {
        ApiError {
            status,
            reason,
            message: message.into(),
            remedy: remedy.into(),
            retry_after: None,
        }
    }

    /// The same, worth another try in so many seconds.
    #[must_use]
    pub fn after(mut self, seconds: u64) -> ApiError {
        self.retry_after = Some(seconds);
        self
    }

    /// 400: the request cannot be understood.
    pub fn bad(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message, remedy)
    }

    /// 404: there is no such thing.
    pub fn not_found(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "NotFound", message, remedy)
    }

    /// 409: not in this state.
    pub fn conflict(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, "Conflict", message, remedy)
    }

    /// 422: understood, and refused.
    pub fn refused(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Refused", message, remedy)
    }

    /// 429: a limit of the server is reached.
    pub fn too_many(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TooMany", message, remedy)
    }

    /// 500: a fault of the server or of a world.
    pub fn internal(message: impl Into<String>) -> ApiError {
        let remedy =
            "This is a bug: please report it, with the recording of the world if there is one.";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal", message, remedy)
    }

    /// The error that stands for a bare status, as axum's own refusals are.
    pub fn of_status(status: StatusCode, message: String) -> ApiError {
        let (reason, remedy) = match status.as_u16() {
            404 => ("NotFound", "GET /api/openapi.json lists every path."),
            405 => (
                "MethodNotAllowed",
                "The Allow header and /api/openapi.json say which methods this path has.",
            ),
            408 => ("Timeout", "Send the request faster."),
            413 => ("TooLarge", "Send less: /api/openapi.json states the limits."),
            415 => (
                "UnsupportedMediaType",
                "Send JSON with the header Content-Type: application/json.",
            ),
            422 => ("Refused", "Compare the body with /api/openapi.json."),
            426 => ("UpgradeRequired", "Open this path as a WebSocket."),
            s if s >= 500 => ("Internal", "This is a bug: please report it."),
            _ => ("BadRequest", "Compare the request with /api/openapi.json."),
        };
        let message = if message.trim().is_empty() {
            status.canonical_reason().unwrap_or("the request failed").to_owned()
        } else {
            message.trim().to_owned()
        };
        ApiError::new(status, reason, message, remedy)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error =
            json!({ "reason": self.reason, "message": self.message, "remedy": self.remedy });
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(Told);
        response
    }
}

/// Marks an answer whose error has its final form.
#[derive(Clone, Copy)]
pub struct Told;
