//! The API server, as far as Leases go.

use std::fs;
use std::time::Duration;

use podlab_guest::http::{Client, Url};
use serde_json::Value;

/// One Lease of an API server.
pub struct Api {
    limit: Duration,
    all: Url,
    one: Url,
    token: String,
}

/// Why a Lease was not read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is none.
    Missing,
    /// Somebody else was faster.
    Conflict,
    /// Something else; the text is for people.
    Other(String),
}

impl Api {
    /// The Lease `name` at the server at `url`; `token` is the file that says who we are.
    pub fn new(url: &Url, namespace: &str, name: &str, token: &str, limit: Duration) -> Api {
        let all = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        Api {
            limit,
            one: url.at(format!("{all}/{name}")),
            all: url.at(all),
            token: token.to_owned(),
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn get(&self) -> Result<Value, Refused> {
        let url = self.one.clone();
        self.ask("GET", &url, None).await
    }

    /// Makes it; [`Refused::Conflict`] if it is there.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn create(&self, lease: &Value) -> Result<Value, Refused> {
        let url = self.all.clone();
        self.ask("POST", &url, Some(lease)).await
    }

    /// Replaces it, if it is still as it was when `lease` was read: its resourceVersion says so.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn update(&self, lease: &Value) -> Result<Value, Refused> {
        let url = self.one.clone();
        self.ask("PUT", &url, Some(lease)).await
    }

    async fn ask(&self, method: &str, url: &Url, body: Option<&Value>) -> Result<Value, Refused> {
        // Read each time: the kubelet puts a new one there before the old one ends.
        let token = fs::read_to_string(&self.token).unwrap_or_default();
        let bearer = format!("Bearer {}", token.trim());
        let mut fields = vec![("Accept", "application/json")];
        if !token.trim().is_empty() {
            fields.push(("Authorization", bearer.as_str()));
        }
        if body.is_some() {
            fields.push(("Content-Type", "application/json"));
        }
        let bytes = body.map(Value::to_string).unwrap_or_default();
        let mut client = Client::new("leader-elector", self.limit).keep(false);
        let reply = client.send(method, url, &fields, bytes.as_bytes()).await;
        let reply = reply.map_err(|e| Refused::Other(e.to_string()))?;
        let json = serde_json::from_slice::<Value>(&reply.body);
        match reply.status {
            200 | 201 => json.map_err(|e| Refused::Other(format!("the answer is no JSON: {e}"))),
            404 => Err(Refused::Missing),
            409 => Err(Refused::Conflict),
            status => {
                let json = json.unwrap_or_default();
                let why = json["message"].as_str().unwrap_or_default().to_owned();
                Err(Refused::Other(format!("the API server answered {status} {why}")))
            }
        }
    }
}
