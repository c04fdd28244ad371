//! `/api/images`: the programs that containers can run.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use podlab_world::Image;
use serde_json::{Value, json};

use super::{Answer, blocking, ok};
use crate::app::App;
use crate::error::ApiError;

fn described(image: &Image) -> Value {
    json!({ "name": image.name, "digest": image.digest, "bytes": image.wasm.len(), "entrypoint": image.entrypoint })
}

/// `GET /api/images`
pub async fn list(State(app): State<Arc<App>>) -> Answer {
    let images = app.images();
    let images: Vec<Value> = images.iter().map(|i| described(i)).collect();
    ok(json!({ "images": images }))
}

/// `PUT /api/images/NAME:TAG`
pub async fn put(State(app): State<Arc<App>>, Path(name): Path<String>, body: Bytes) -> Answer {
    if body.is_empty() {
        let remedy = "Send the wasm file as the body: curl --data-binary @FILE.wasm -X PUT URL.";
        return Err(ApiError::bad("the body is empty", remedy));
    }
    // Compiling takes a while, and must not hold up other requests.
    let image = blocking(move || app.add_image(&name, &body)).await?;
    Ok((StatusCode::CREATED, axum::Json(described(&image))).into_response())
}
