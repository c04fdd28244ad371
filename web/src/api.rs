//! What the page asks the server.

use serde_json::Value;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A word for programs; "unreachable" if there was no answer at all.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// What to do about it, or empty.
    pub remedy: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, " {}", self.remedy)?;
        }
        Ok(())
    }
}

/// What is told when there is no answer.
pub fn unreachable(e: &JsValue) -> Failure {
    let message =
        e.as_string().or_else(|| e.dyn_ref::<js_sys::Error>().map(|e| e.message().into()));
    Failure {
        reason: "unreachable".into(),
        message: message.unwrap_or_default(),
        remedy: String::new(),
    }
}

/// Calls the server; `path` begins with "/api/".
///
/// # Errors
/// If the server cannot be reached, or says no.
pub async fn call(method: &str, path: &str, body: Option<Value>) -> Result<Value, Failure> {
    let window = web_sys::window().ok_or_else(|| unreachable(&JsValue::NULL))?;
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    if let Some(body) = &body {
        init.set_body(&JsValue::from_str(&body.to_string()));
    }
    let request =
        web_sys::Request::new_with_str_and_init(path, &init).map_err(|e| unreachable(&e))?;
    if body.is_some() {
        request.headers().set("Content-Type", "application/json").map_err(|e| unreachable(&e))?;
    }
    let response =
        JsFuture::from(window.fetch_with_request(&request)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = response.dyn_into().map_err(|e| unreachable(&e))?;
    let text = JsFuture::from(response.text().map_err(|e| unreachable(&e))?)
        .await
        .map_err(|e| unreachable(&e))?;
    let text = text.as_string().unwrap_or_default();
    let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if response.ok() { Ok(value) } else { Err(told(&response, &value)) }
}

/// What the server says against something.
pub async fn refusal(response: &web_sys::Response) -> Failure {
    let text = match response.text() {
        Ok(text) => JsFuture::from(text).await.ok().and_then(|t| t.as_string()),
        Err(_) => None,
    };
    told(response, &serde_json::from_str(&text.unwrap_or_default()).unwrap_or(Value::Null))
}

fn told(response: &web_sys::Response, value: &Value) -> Failure {
    let error = &value["error"];
    let field = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let mut failure =
        Failure { reason: field("reason"), message: field("message"), remedy: field("remedy") };
    if failure.message.is_empty() {
        failure.message = format!("{} {}", response.status(), response.status_text());
    }
    if failure.reason.is_empty() {
        failure.reason = response.status().to_string();
    }
    failure
}

/// Calls the Kubernetes API of a world: the whole answer as JSON, also where it is a Status that
/// says no.
///
/// # Errors
/// If there is no answer.
pub async fn kube(
    method: &str,
    path: &str,
    content_type: &str,
    body: Option<&str>,
) -> Result<(u16, Value), Failure> {
    let window = web_sys::window().ok_or_else(|| unreachable(&JsValue::NULL))?;
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    if let Some(body) = body {
        init.set_body(&JsValue::from_str(body));
    }
    let request =
        web_sys::Request::new_with_str_and_init(path, &init).map_err(|e| unreachable(&e))?;
    if !content_type.is_empty() {
        request.headers().set("Content-Type", content_type).map_err(|e| unreachable(&e))?;
    }
    let response =
        JsFuture::from(window.fetch_with_request(&request)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = response.dyn_into().map_err(|e| unreachable(&e))?;
    let text = JsFuture::from(response.text().map_err(|e| unreachable(&e))?)
        .await
        .map_err(|e| unreachable(&e))?;
    let text = text.as_string().unwrap_or_default();
    Ok((response.status(), serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// Sends a file.
///
/// # Errors
/// As [`call`].
pub async fn upload(path: &str, file: &web_sys::Blob) -> Result<Value, Failure> {
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(file);
    let request =
        web_sys::Request::new_with_str_and_init(path, &init).map_err(|e| unreachable(&e))?;
    let kind = "application/octet-stream";
    request.headers().set("Content-Type", kind).map_err(|e| unreachable(&e))?;
    let window = web_sys::window().ok_or_else(|| unreachable(&JsValue::NULL))?;
    let response =
        JsFuture::from(window.fetch_with_request(&request)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = response.dyn_into().map_err(|e| unreachable(&e))?;
    if !response.ok() {
        return Err(refusal(&response).await);
    }
    let text = JsFuture::from(response.text().map_err(|e| unreachable(&e))?)
        .await
        .map_err(|e| unreachable(&e))?;
    Ok(serde_json::from_str(&text.as_string().unwrap_or_default()).unwrap_or_default())
}

/// Asks for something and returns the first line of the answer ("200 OK"), whatever it says.
///
/// # Errors
/// If there is no answer.
pub async fn status(path: &str) -> Result<String, Failure> {
    let window = web_sys::window().ok_or_else(|| unreachable(&JsValue::NULL))?;
    let response =
        JsFuture::from(window.fetch_with_str(path)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = response.dyn_into().map_err(|e| unreachable(&e))?;
    Ok(format!("{} {}", response.status(), response.status_text()))
}

/// Makes a world of a pattern and returns its id.
///
/// # Errors
/// As [`call`].
pub async fn start(pattern: &str, seed: u64) -> Result<String, Failure> {
    begin(pattern, seed, None, None).await
}

/// Makes a world of a pattern and returns its id; `epoch` is what its wall clock shows at its
/// beginning, in s since 1970 (now if not given). One that is to go to an instant first stands.
///
/// # Errors
/// As [`call`].
pub async fn begin(
    pattern: &str,
    seed: u64,
    epoch: Option<u64>,
    at: Option<u64>,
) -> Result<String, Failure> {
    // Whole seconds, so that a link can say when it was.
    let epoch = epoch.unwrap_or((js_sys::Date::now() / 1e3) as u64);
    let speed = if at.is_some() { 0 } else { 1 };
    let body =
        serde_json::json!({"pattern": pattern, "seed": seed, "speed": speed, "epoch": epoch});
    let world = call("POST", "/api/worlds", Some(body)).await?;
    match world["id"].as_str() {
        Some(id) => Ok(id.to_owned()),
        None => Err(Failure {
            reason: "no-id".into(),
            message: "the world has no id".into(),
            remedy: String::new(),
        }),
    }
}
