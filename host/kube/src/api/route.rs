//! Paths: `/api/v1/namespaces/NS/pods/NAME/status` and all the rest.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::access::{Attributes, User};
use super::custom_metrics::{self, CUSTOM, EXTERNAL};
use super::request::Request;
use super::response::{Body, Response};
use super::served::{self, Conversion};
use super::table::TableView;
use super::{Api, discovery, log, metrics, openapi};
use crate::store::{Error, Row};

/// A resource path taken apart.
#[derive(Clone)]
pub(super) struct Target {
    /// What the path names.
    pub row: Row,
    /// The store's key; empty for what is not stored.
    pub key: String,
    /// How objects of the path's version differ from the stored ones.
    pub conversion: Option<Conversion>,
    /// "" for cluster-wide kinds and for all namespaces.
    pub namespace: String,
    /// "" for the collection.
    pub name: String,
    /// "" for the object itself.
    pub sub: String,
}

impl Target {
    /// A stored object in the path's version.
    pub fn out<'a>(&self, stored: &'a Value) -> Cow<'a, Value> {
        match self.conversion {
            Some(Conversion::Named) => {
                let mut out = stored.clone();
                out["apiVersion"] = self.row.api_version().into();
                Cow::Owned(out)
            }
            Some(conversion) => Cow::Owned(conversion.out(stored)),
            None => Cow::Borrowed(stored),
        }
    }

    /// An object of the path's version as it is stored.
    pub fn inward(&self, object: Value) -> Value {
        match self.conversion {
            Some(conversion) => conversion.inward(object),
            None => object,
        }
    }
}

impl Api {
    pub(super) fn dispatch(&self, request: &Request) -> Result<Response, Error> {
        let path = request.path.trim_end_matches('/');
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let get = request.method == "GET" || request.method == "HEAD";
        let plain = matches!(
            parts[..],
            [] | ["version"]
                | ["healthz" | "livez" | "readyz", ..]
                | ["openapi", ..]
                | ["api"]
                | ["apis"]
                | ["api", _]
                | ["apis", _]
                | ["apis", _, _]
        );
        if plain && get {
            self.authorize(&User::of(&request.user), &Attributes::path("get", path))?;
        }
        match parts[..] {
            [] if get => return Ok(discovery::root()),
            ["version"] if get => return Ok(discovery::version()),
            ["healthz" | "livez" | "readyz", ..] if get => {
                return Ok(discovery::health(parts[0], request.flag("verbose")));
            }
            ["openapi", "v2"] if get => return Ok(openapi::second()),
            ["openapi", "v3", ref rest @ ..] if get => return openapi::get(&self.store, rest),
            ["api"] | ["apis"] | ["api", "v1"] | ["apis", _] | ["apis", _, _] if get => {
                return discovery::get(&self.store, request, &parts);
            }
            _ => {}
        }
        let user = User::of(&request.user);
        if let ["apis", "metrics.k8s.io", "v1beta1", rest @ ..] = &parts[..]
            && get
            && !rest.is_empty()
        {
            let (namespace, rest_of) = match rest {
                ["namespaces", namespace, more @ ..] => (*namespace, more),
                more => ("", more),
            };
            let name = rest_of.get(1).copied().unwrap_or("");
            let wanted = Attributes {
                verb: if name.is_empty() { "list" } else { "get" }.into(),
                group: "metrics.k8s.io".into(),
                resource: rest_of.first().copied().unwrap_or("").into(),
                namespace: namespace.into(),
                name: name.into(),
                ..Attributes::default()
            };
            self.authorize(&user, &wanted)?;
            return metrics::get(&self.store, request, rest);
        }
        if let ["apis", group @ (EXTERNAL | CUSTOM), _, rest @ ..] = &parts[..]
            && get
            && let ["namespaces", namespace, what @ ..] = rest
        {
            let wanted = Attributes {
                verb: "list".into(),
                group: (*group).into(),
                resource: what.first().copied().unwrap_or("").into(),
                namespace: (*namespace).into(),
                ..Attributes::default()
            };
            self.authorize(&user, &wanted)?;
            return match (*group, parts[2]) {
                (EXTERNAL, "v1beta1") => custom_metrics::external(&self.store, request, rest),
                (CUSTOM, "v1beta2") => custom_metrics::custom(&self.store, request, rest),
                _ => Err(Error::no_such_path()),
            };
        }
        let target = self.target(&parts).or_else(|e| {
            // What does not exist is not told to those who may not ask.
            let verb = request.method.to_lowercase();
            self.authorize(&user, &Attributes::path(&verb, path)).and(Err(e))
        })?;
        self.resource(request, &user, &target)
    }

    pub(super) fn target(&self, parts: &[&str]) -> Result<Target, Error> {
        let (group, version, rest) = match parts {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Err(Error::no_such_path()),
        };
        let (namespace, rest) = match rest {
            // `namespaces/x/pods`, but `namespaces/x/status` is of the namespace itself.
            ["namespaces", ns, plural, more @ ..]
                if !matches!(*plural, "status" | "finalize") || !more.is_empty() =>
            {
                if ns.is_empty() {
                    return Err(Error::no_such_path());
                }
                (*ns, &rest[2..])
            }
            _ => ("", rest),
        };
        let (plural, name, sub) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, sub] => (*plural, *name, *sub),
            _ => return Err(Error::no_such_path()),
        };
        let served::Served { row, key, conversion } =
            served::find(&self.store, group, version, plural)
                .filter(|s| s.row.namespaced || namespace.is_empty())
                .ok_or_else(Error::no_such_path)?;
        if (!name.is_empty() && row.namespaced && namespace.is_empty())
            || (!sub.is_empty() && row.subresource(sub).is_none())
        {
            return Err(Error::no_such_path());
        }
        Ok(Target {
            row,
            key,
            conversion,
            namespace: namespace.into(),
            name: name.into(),
            sub: sub.into(),
        })
    }

    fn resource(&self, request: &Request, user: &User, t: &Target) -> Result<Response, Error> {
        let verb = match (request.method.as_str(), t.name.is_empty()) {
            ("GET" | "HEAD", true) if request.flag("watch") => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", true) => "create",
            ("POST", false) if !t.sub.is_empty() => "create",
            ("PUT", false) => "update",
            ("PATCH", false) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => return Err(Error::method_not_allowed()),
        };
        self.authorize(user, &Attributes::of(verb, t))?;
        let verbs = match t.row.subresource(&t.sub) {
            Some(sub) => &sub.verbs,
            None => &t.row.verbs,
        };
        if !verbs.iter().any(|v| v == verb) {
            return Err(Error::method_not_allowed());
        }
        if matches!(t.sub.as_str(), "exec" | "attach" | "portforward") {
            return Err(Error::bad_request("Upgrade request required"));
        }
        if t.sub == "log" {
            return Ok(
                match log::get(&self.store, self.logs.as_ref(), request, &t.namespace, &t.name)? {
                    log::Log::Text(text) => {
                        Response { content_type: "text/plain".into(), ..Response::text(200, text) }
                    }
                    log::Log::Follow(follow) => Response {
                        content_type: "text/plain".into(),
                        body: Body::Log(Box::new(follow)),
                        ..Response::text(200, "")
                    },
                },
            );
        }
        let accept = &request.accept;
        let known = ["application/json", "*/*", "application/*", "application/yaml"];
        if !accept.is_empty() && !known.iter().any(|k| accept.contains(k)) {
            let mut e = Error::new(
                406,
                "NotAcceptable",
                "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf",
            );
            e.details = Some(Box::default());
            return Err(e);
        }
        if t.key.is_empty() {
            return match (&*t.row.plural, verb) {
                ("componentstatuses", _) => {
                    let found = self.component_statuses(&t.name)?;
                    let table = TableView::wanted(request, &t.row, self.store.sim());
                    let table = table.map(|mut view| match found["items"].as_array() {
                        Some(items) => view.table(&items.iter().collect::<Vec<_>>(), json!({})),
                        None => view.table(&[&found], json!({})),
                    });
                    let warnings = vec!["v1 ComponentStatus is deprecated in v1.19+".into()];
                    let shown = table.map_or_else(
                        || Response::json(200, &found),
                        |table| Response::json(200, &table),
                    );
                    Ok(Response { warnings, ..shown })
                }
                ("bindings", _) => self.bind(request, t),
                _ => self.review(request, t),
            };
        }
        if t.sub == "scale" {
            return self.scale(request, t, verb);
        }
        match verb {
            "get" => self.get(request, t),
            "list" | "watch" => self.list(request, t, verb == "watch"),
            "create" => match t.sub.as_str() {
                "binding" => self.bind(request, t),
                "eviction" => self.evict(request, t),
                "token" => self.create_token(request, t),
                _ => self.create(request, t),
            },
            "update" => self.update(request, t),
            "patch" => self.patch(request, t),
            "delete" => self.delete(request, t),
            _ => self.delete_collection(request, t),
        }
    }
}
