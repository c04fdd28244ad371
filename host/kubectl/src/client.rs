//! Requests to the API, and the kinds that it has.

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::transport::{Body, Pieces, Request, Response, Transport};

/// What kubectl accepts when it wants to know the kinds.
const DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
/// A table, or else the objects.
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
/// An answer that is whole is not longer than this.
const MAX_BODY: usize = 64 << 20;

/// A kind of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// "deployments".
    pub name: String,
    /// "deployment".
    pub singular: String,
    /// "deploy".
    pub short: Vec<String>,
    /// "apps", "" for the core.
    pub group: String,
    /// "v1".
    pub version: String,
    /// "Deployment".
    pub kind: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// "all".
    pub categories: Vec<String>,
    /// Whether it is of the version that the group prefers.
    pub preferred: bool,
}

impl Resource {
    /// "apps/v1".
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// "deployment.apps", as printed before a slash and a name.
    pub fn shown(&self) -> String {
        let kind = self.kind.to_lowercase();
        if self.group.is_empty() { kind } else { format!("{kind}.{}", self.group) }
    }

    /// "deployments.apps".
    pub fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.name, self.group)
        }
    }

    /// The path of a list, or of an object.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            path += &format!("/namespaces/{}", encode(namespace));
        }
        path += &format!("/{}", self.name);
        if !name.is_empty() {
            path += &format!("/{}", encode(name));
        }
        path
    }
}

/// Percent-encodes what is not plain.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// A path with a query; values that are "" are left out.
pub fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query
        .iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={}", encode(v)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The texts of the `Warning` headers.
    pub warnings: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; an error if the server refused.
    ///
    /// # Errors
    /// What the server said.
    pub fn json(&self, doing: &str) -> Result<Value> {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        if self.status < 300 {
            return Ok(value);
        }
        Err(Failure::of_status(&refusal(self.status, value, &self.body), doing))
    }
}

/// A refusal as a Status, whatever its body is.
fn refusal(code: u16, value: Value, body: &[u8]) -> Value {
    if value["kind"] == "Status" {
        return value;
    }
    let said = match value["message"].as_str() {
        Some(said) => said.to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let reason = match code {
        404 => "NotFound",
        410 => "Gone",
        429 => "TooManyRequests",
        500..=599 => "InternalError",
        _ => "BadRequest",
    };
    json!({"kind": "Status", "code": code, "reason": reason, "message": said})
}

/// The API through a transport.
pub struct Client<'t> {
    /// The transport.
    pub transport: &'t dyn Transport,
    kinds: Option<Vec<Resource>>,
}

impl<'t> Client<'t> {
    /// A client.
    pub fn new(transport: &'t dyn Transport) -> Client<'t> {
        Client { transport, kinds: None }
    }

    /// Sends a request; the answer is whole.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&self, request: Request) -> Result<Answer> {
        let Response { status, warnings, body } =
            self.transport.send(request).await.map_err(Failure::new)?;
        let body = match body {
            Body::Full(body) => body,
            Body::Stream(mut pieces) => {
                let mut body = Vec::new();
                while let Some(piece) = pieces.next().await {
                    body.extend_from_slice(&piece);
                    if body.len() > MAX_BODY {
                        return Err(Failure::new("the server's answer is too long"));
                    }
                }
                body
            }
        };
        Ok(Answer { status, warnings, body })
    }

    /// Sends a request whose answer comes piece by piece.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn stream(&self, target: String, accept: &'static str) -> Result<Box<dyn Pieces>> {
        let request = Request { method: "GET", target, accept, ..Request::default() };
        let response = self.transport.send(request).await.map_err(Failure::new)?;
        match response.body {
            Body::Stream(pieces) if response.status < 300 => Ok(pieces),
            Body::Full(body) if response.status < 300 => Ok(Box::new(Once(Some(body)))),
            Body::Full(body) => {
                let answer = Answer { status: response.status, warnings: Vec::new(), body };
                Err(answer.json("").expect_err("it was refused"))
            }
            Body::Stream(_) => Err(Failure::new("the server refused")),
        }
    }

    /// GET, as JSON.
    ///
    /// # Errors
    /// What the server refused.
    pub async fn get(&self, target: &str) -> Result<Value> {
        self.read(target, "application/json").await?.json("")
    }

    /// GET.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn read(&self, target: &str, accept: &'static str) -> Result<Answer> {
        let request =
            Request { method: "GET", target: target.into(), accept, ..Request::default() };
        self.send(request).await
    }

    /// A request with an object.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn write(
        &self,
        method: &'static str,
        target: &str,
        content_type: &'static str,
        body: &Value,
    ) -> Result<Answer> {
        let request = Request {
            method,
            target: target.into(),
            accept: "application/json",
            content_type,
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        self.send(request).await
    }

    /// All kinds, in the order of the server.
    ///
    /// # Errors
    /// If the server does not tell.
    pub async fn kinds(&mut self) -> Result<&[Resource]> {
        if self.kinds.is_none() {
            let mut kinds = Vec::new();
            for path in ["/api", "/apis"] {
                let answer = self.read(path, DISCOVERY).await?.json("")?;
                read_groups(&answer, &mut kinds);
            }
            self.kinds = Some(kinds);
        }
        Ok(self.kinds.as_deref().unwrap_or(&[]))
    }

    /// The kind that `word` names: "po", "pods", "Pod", "deployments.apps", "deployments.v1.apps".
    ///
    /// # Errors
    /// If there is none.
    pub async fn kind(&mut self, word: &str) -> Result<Resource> {
        let missing = Failure::new(format!("the server doesn't have a resource type \"{word}\""));
        let lower = word.to_lowercase();
        let (name, rest) = match lower.split_once('.') {
            Some((name, rest)) => (name.to_owned(), rest.to_owned()),
            None => (lower.clone(), String::new()),
        };
        let kinds = self.kinds().await?;
        let fits = |r: &Resource| {
            r.name == name
                || r.singular == name
                || r.kind.to_lowercase() == name
                || r.short.contains(&name)
        };
        let of_group = |r: &Resource| {
            rest.is_empty()
                || r.group == rest
                || rest.trim_end_matches('.') == r.version && r.group.is_empty()
                || rest == format!("{}.{}", r.version, r.group)
                || r.group.starts_with(&format!("{rest}."))
        };
        // A short name yields to a name, and groups count in the server's order.
        let named = kinds
            .iter()
            .filter(|r| r.preferred || !rest.is_empty())
            .find(|r| fits(r) && !r.short.contains(&name) && of_group(r));
        let found = named.or_else(|| kinds.iter().find(|r| fits(r) && of_group(r)));
        found.cloned().ok_or(missing)
    }

    /// The kind of an object.
    ///
    /// # Errors
    /// If the server has no such kind.
    pub async fn kind_of(&mut self, api_version: &str, kind: &str) -> Result<Option<Resource>> {
        let kinds = self.kinds().await?;
        Ok(kinds.iter().find(|r| r.kind == kind && r.api_version() == api_version).cloned())
    }
}

/// Reads an `APIGroupDiscoveryList`.
fn read_groups(list: &Value, kinds: &mut Vec<Resource>) {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let texts = |v: &Value| v.as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
    for group in list["items"].as_array().into_iter().flatten() {
        let versions = group["versions"].as_array().into_iter().flatten();
        for (i, version) in versions.enumerate() {
            for r in version["resources"].as_array().into_iter().flatten() {
                kinds.push(Resource {
                    name: text(&r["resource"]),
                    singular: text(&r["singularResource"]),
                    short: texts(&r["shortNames"]),
                    group: text(&group["metadata"]["name"]),
                    version: text(&version["version"]),
                    kind: text(&r["responseKind"]["kind"]),
                    namespaced: r["scope"] == "Namespaced",
                    verbs: texts(&r["verbs"]),
                    categories: texts(&r["categories"]),
                    preferred: i == 0,
                });
            }
        }
    }
}

struct Once(Option<Vec<u8>>);

impl Pieces for Once {
    fn next(&mut self) -> crate::transport::Future<'_, Option<Vec<u8>>> {
        let piece = self.0.take();
        Box::pin(async { piece })
    }
}
