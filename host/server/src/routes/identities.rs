//! `/api/worlds/{id}/identities`: who else may use a world's Kubernetes API, and how far.

use std::sync::Arc;

use axum::Json as AxumJson;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use podlab_kube::api::Request;
use serde_json::{Value, json};

use super::{Answer, Json, blocking, change, ok};
use crate::app::{App, lock};
use crate::error::ApiError;
use crate::identities::Identity;
use crate::live::Live;

/// The roles that every cluster has for the users of a namespace.
const ROLES: [&str; 3] = ["view", "edit", "admin"];
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces";

fn shown(identity: &Identity) -> Value {
    json!({ "name": identity.name, "namespace": identity.namespace, "role": identity.role })
}

/// `GET /api/worlds/{id}/identities`
pub async fn list(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer {
    let live = app.world(&id)?;
    let all: Vec<Value> = lock(live.identities()).list().iter().map(shown).collect();
    ok(json!({ "identities": all }))
}

/// `POST /api/worlds/{id}/identities`
pub async fn issue(State(app): State<Arc<App>>, Path(id): Path<String>, body: Json) -> Answer {
    let fields = body.fields(&["name", "namespace", "role"])?;
    let text = |field: &str| fields.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let remedy =
        "Write for example {\"name\": \"anna\", \"namespace\": \"team-a\", \"role\": \"edit\"}.";
    let identity = Identity {
        name: text("name"),
        namespace: text("namespace"),
        role: match text("role").as_str() {
            "" => "edit".into(),
            role => role.to_owned(),
        },
    };
    let label = |text: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=50).contains(&text.len())
            && text.bytes().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    if !label(&identity.name) || !label(&identity.namespace) || identity.name == "admin" {
        return Err(ApiError::bad(
            "`name` and `namespace` are 1 to 50 of a-z, 0-9 and -, and the name is not admin",
            remedy,
        ));
    }
    if !ROLES.contains(&identity.role.as_str()) {
        return Err(ApiError::bad(
            format!("there is no role {:?} for the users of a namespace", identity.role),
            format!("The roles are {}.", ROLES.join(", ")),
        ));
    }
    let (capability, world) = change(&app, &id, move |live| {
        {
            let known = lock(live.identities());
            if known.named(&identity.name).is_some() {
                return Err(ApiError::conflict(
                    format!("there is an identity {} already", identity.name),
                    "Revoke it first: DELETE .../identities/NAME.",
                ));
            }
            if !known.room() {
                return Err(ApiError::too_many(
                    "this world has as many identities as it may have",
                    "Revoke one: DELETE .../identities/NAME.",
                ));
            }
        }
        bind(live, &identity)?;
        let capability = lock(live.identities()).issue(identity).map_err(ApiError::internal)?;
        Ok((capability, live.id().to_owned()))
    })
    .await?;
    let path = format!("/api/worlds/{world}/as/{capability}/kube");
    Ok((StatusCode::CREATED, AxumJson(json!({ "capability": capability, "path": path })))
        .into_response())
}

/// `DELETE /api/worlds/{id}/identities/{name}`
pub async fn revoke(
    State(app): State<Arc<App>>,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    let live = app.world(&id)?;
    let gone = lock(live.identities()).revoke(&name);
    let Some(identity) = gone else {
        return Err(ApiError::not_found(
            format!("there is no identity {name:?}"),
            "GET .../identities lists them.",
        ));
    };
    blocking(move || {
        let path =
            format!("{BINDINGS}/{}/rolebindings/podlab:{}", identity.namespace, identity.name);
        // A rewind may have taken the binding already.
        send(&live, Request::new("DELETE", &path), &[200, 404])
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lets the user do in the namespace what the role says; makes the namespace if it is not there.
fn bind(live: &Live, identity: &Identity) -> Result<(), ApiError> {
    let Identity { name, namespace, role } = identity;
    let post = |path: &str, body: Value| {
        Request::new("POST", path).with_body("application/json", body.to_string())
    };
    send(live, post("/api/v1/namespaces", json!({"metadata": {"name": namespace}})), &[201, 409])?;
    const GROUP: &str = "rbac.authorization.k8s.io";
    let binding = json!({
        "metadata": {"name": format!("podlab:{name}")},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": GROUP, "kind": "User", "name": name}],
    });
    let path = format!("{BINDINGS}/{namespace}/rolebindings");
    send(live, post(&path, binding), &[201])
}

fn send(live: &Live, request: Request, fine: &[u16]) -> Result<(), ApiError> {
    let response = live.api(request)?;
    if fine.contains(&response.status) {
        return Ok(());
    }
    let status = response.bytes().and_then(|b| serde_json::from_slice::<Value>(b).ok());
    let why = status.and_then(|s| s["message"].as_str().map(str::to_owned)).unwrap_or_default();
    Err(ApiError::refused(why, "Choose another name or namespace."))
}
