//! A server for a test, and what a client does with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use podlab_lab::Catalogue;
use podlab_server::{App, Assets, Limits, Options, router};
use podlab_wasm::{Engine, EngineOptions};
use podlab_world::Images;
use serde_json::Value;
use tower::ServiceExt;

/// A server without images and patterns. Its worlds are whole clusters all the same.
pub struct Server {
    pub app: Arc<App>,
    pub router: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The reason of an error, after looking that the error has its form.
    pub fn reason(&self) -> String {
        let json = self.json();
        for field in ["reason", "message", "remedy"] {
            let text = json["error"][field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {field} in {}", self.text);
        }
        json["error"]["reason"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn server() -> Server {
    with_limits(Limits::default())
}

pub fn with_limits(limits: Limits) -> Server {
    let engine = Engine::new(EngineOptions::default()).expect("an engine");
    let options = Options { limits, threads: 2, ..Options::default() };
    let page = Assets::new([("index.html".to_owned(), "<!doctype html>".as_bytes().into())]);
    let app = App::new(engine, Images::new(), Catalogue::default(), page, options);
    Server { router: router(app.clone()), app }
}

impl Server {
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("the router never fails");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 256 << 20).await.expect("the whole body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("host", "127.0.0.1:7878");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or(Body::empty(), |b| Body::from(b.to_string()));
        self.send(request.body(body).expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Makes a world; its id.
    pub async fn world(&self, body: Value) -> String {
        let made = self.post("/api/worlds", body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Waits until the status of a world is as wanted.
    pub async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.get(&format!("/api/worlds/{id}")).await.json();
            if wanted(&status) {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it did not come to pass: {status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs a world to an instant, as fast as possible.
    pub async fn run_to(&self, id: &str, seconds: f64) {
        let seek = self
            .post(&format!("/api/worlds/{id}/time"), serde_json::json!({ "seek": seconds }))
            .await;
        assert_eq!(seek.status, StatusCode::OK, "{}", seek.text);
        self.until(id, |s| s["now"].as_f64() >= Some(seconds) && s["speed"] == 0).await;
    }

    /// Creates a ConfigMap: an input.
    pub async fn config_map(&self, id: &str, name: &str) -> Answer {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "b" }
        });
        self.post(&format!("/api/worlds/{id}/kube/api/v1/namespaces/default/configmaps"), object)
            .await
    }

    /// All events up to now, one JSON a line.
    pub async fn trace(&self, id: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let path = format!("/api/worlds/{id}/trace?limit=10000&from={}", lines.len() + 1);
            let part = self.get(&path).await.text;
            if part.is_empty() {
                return lines;
            }
            lines.extend(part.lines().map(str::to_owned));
        }
    }
}
