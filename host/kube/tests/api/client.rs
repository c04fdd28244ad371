//! A control plane without nodes, and somebody who asks it.

use podlab_kube::api::{Api, Request};
use podlab_kube::store::Store;
use podlab_sim::Sim;
use podlab_trace::Trace;
use serde_json::{Value, json};

/// 2026-11-21T04:59:38Z.
const EPOCH: u64 = 1_795_237_178_000_000_000;

pub struct Client {
    /// The world, which lives as long as its store is used.
    pub _sim: Sim,
    pub api: Api,
    pub user: String,
}

/// An answer: status, content type, warnings, body.
pub struct Answer {
    pub status: u16,
    pub media: String,
    pub warnings: Vec<String>,
    pub body: Value,
}

impl Answer {
    pub fn message(&self) -> String {
        format!("{} {}", self.status, self.body["message"].as_str().unwrap_or("(no message)"))
    }
}

/// A store with the namespace "demo", and an API server over it.
pub fn client() -> Client {
    let sim = Sim::new(7, EPOCH);
    let store = Store::new(&sim.handle(), &Trace::default());
    for name in ["default", "kube-system", "demo"] {
        store.create("namespaces", json!({"metadata": {"name": name}})).unwrap();
    }
    Client { api: Api::new(&store), _sim: sim, user: "admin".into() }
}

impl Client {
    pub fn store(&self) -> &Store {
        self.api.store()
    }

    pub fn send(&self, request: Request) -> Answer {
        let request = Request { user: self.user.clone(), ..request };
        let response = self.api.handle(&request);
        let bytes = response.bytes().expect("a whole body").clone();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        Answer {
            status: response.status,
            media: response.content_type,
            warnings: response.warnings,
            body,
        }
    }

    pub fn get(&self, target: &str) -> Value {
        self.send(Request::new("GET", target)).body
    }

    pub fn get_as(&self, target: &str, accept: &str) -> Answer {
        self.send(Request { accept: accept.into(), ..Request::new("GET", target) })
    }

    pub fn ask(&self, method: &str, target: &str, media: &str, body: impl ToString) -> Answer {
        self.send(Request::new(method, target).with_body(media, body.to_string()))
    }

    pub fn post(&self, target: &str, body: Value) -> Answer {
        self.ask("POST", target, "application/json", body)
    }

    pub fn apply(&self, target: &str, manager: &str, body: impl ToString) -> Answer {
        let mark = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{mark}fieldManager={manager}");
        self.ask("PATCH", &target, "application/apply-patch+yaml", body)
    }
}

/// A whole control plane, with its own objects.
pub fn furnished() -> Client {
    let c = client();
    podlab_kube::api::access::furnish(c.store());
    c
}
