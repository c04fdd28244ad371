//! The verbs on objects and collections.

use std::borrow::Cow;
use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::request::Request;
use super::response::{Body, Response};
use super::route::Target;
use super::table::TableView;
use super::watch::WatchStream;
use super::{Api, body};
use crate::store::object::{self, Object, map_mut, meta_mut};
use crate::store::selector::{FieldSelector, LabelSelector, Selector};
use crate::store::{DeleteOptions, Deleted, Error, Part, Propagation, WriteOptions};

/// What answers a deletion with the object even when it is gone.
const RETURN_DELETED: [&str; 4] = ["persistentvolumeclaims", "pods", "serviceaccounts", "services"];

/// Where a list goes on: the token of a page.
struct Page {
    /// The version that the list shows; `None` for whatever there is now.
    version: Option<u64>,
    /// Namespace and name of the last object of the page before.
    after: (String, String),
}

impl Page {
    fn write(&self) -> String {
        // A real server's token names the first key that may follow.
        let start = format!("{}/{}\0", self.after.0, self.after.1);
        let rv = self.version.map_or(json!(-1), |v| json!(v));
        let token = json!({"v": "meta.k8s.io/v1", "rv": rv, "start": start});
        URL_SAFE_NO_PAD.encode(token.to_string())
    }

    fn read(text: &str) -> Result<Page, Error> {
        let invalid = |why: &str| {
            Error::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            let at = text.bytes().position(|b| !letter(b)).unwrap_or(text.len().saturating_sub(1));
            invalid(&format!("illegal base64 data at input byte {at}"))
        })?;
        let token: Value = serde_json::from_slice(&bytes).map_err(|e| invalid(&e.to_string()))?;
        if token["v"] != "meta.k8s.io/v1" {
            return Err(invalid("server does not recognize this encoded version"));
        }
        let start = token["start"].as_str().unwrap_or("").trim_end_matches('\0');
        let after = start.split_once('/').ok_or_else(|| invalid("no start"))?;
        Ok(Page {
            version: token["rv"].as_u64(),
            after: (after.0.to_string(), after.1.to_string()),
        })
    }

    /// 410 with a token that goes on with what there is now.
    fn too_old(&self) -> Error {
        let mut e = Error::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        );
        e.resume = Some(Page { version: None, after: self.after.clone() }.write());
        e
    }
}

/// A list, of objects that are not copied for it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: String,
    items: Vec<Item<'a>>,
    kind: String,
    metadata: Value,
}

/// Items of a typed list do not repeat their type.
struct Item<'a>(Cow<'a, Value>);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.as_object().into_iter().flatten();
        serializer.collect_map(fields.filter(|(k, _)| !matches!(k.as_str(), "kind" | "apiVersion")))
    }
}

impl Api {
    /// One object as the client wants to see it.
    pub(super) fn show(
        &self,
        request: &Request,
        t: &Target,
        status: u16,
        object: &Value,
    ) -> Response {
        match TableView::wanted(request, &t.row, self.store.sim()) {
            Some(mut view) => {
                let version = object::meta(object, "resourceVersion");
                Response::json(status, &view.table(&[object], json!({"resourceVersion": version})))
            }
            None => Response::json(status, &*t.out(object)),
        }
    }

    pub(super) fn get(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let object = self.store.require(&t.key, &t.namespace, &t.name)?;
        Ok(self.show(request, t, 200, &object))
    }

    fn selector(&self, request: &Request, t: &Target) -> Result<Selector, Error> {
        let mut fields = request.param("fieldSelector").to_string();
        if !t.name.is_empty() {
            fields = format!("metadata.name={}", t.name);
        }
        Ok(Selector {
            labels: LabelSelector::parse(request.param("labelSelector"))?,
            fields: FieldSelector::parse(&fields, &t.row)?,
            namespace: Some(t.namespace.clone()).filter(|n| !n.is_empty()),
        })
    }

    fn version_param(&self, request: &Request) -> Result<u64, Error> {
        let text = request.param("resourceVersion");
        if text.is_empty() {
            return Ok(0);
        }
        text.parse().map_err(|_| {
            Error::bad_request(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })
    }

    pub(super) fn list(
        &self,
        request: &Request,
        t: &Target,
        watch: bool,
    ) -> Result<Response, Error> {
        let selector = self.selector(request, t)?;
        let key = t.key.clone();
        let version = self.version_param(request)?;
        if watch {
            return self.watch(request, t, selector, version);
        }
        let now = self.store.version();
        if version > now {
            let mut e = Error::new(
                504,
                "Timeout",
                format!("Timeout: Too large resource version: {version}, current: {now}"),
            );
            e.details = Some(Box::new(crate::store::error::Details {
                retry_after_seconds: 1,
                ..Default::default()
            }));
            return Err(e);
        }
        let namespace = selector.namespace.as_deref();
        let (mut listed, mut after) = (now, None);
        let mut matching: Vec<Object> = match request.param("continue") {
            "" => match request.param("resourceVersionMatch") {
                "Exact" => {
                    listed = version;
                    self.store.list_at(&key, namespace, version)?
                }
                "" | "NotOlderThan" => self.store.list(&key, namespace),
                other => {
                    let e = crate::store::FieldError::not_supported(
                        "resourceVersionMatch",
                        other,
                        &["Exact", "NotOlderThan", ""],
                    );
                    return Err(Error::invalid("ListOptions", "meta.k8s.io", "", &[e]));
                }
            },
            token => {
                if version > 0 {
                    return Err(Error::bad_request(
                        "specifying resource version is not allowed when using continue",
                    ));
                }
                let page = Page::read(token)?;
                after = Some(page.after.clone());
                match page.version {
                    // The rest of an inconsistent list.
                    None => self.store.list(&key, namespace),
                    Some(at) => {
                        listed = at;
                        self.store.list_at(&key, namespace, at).map_err(|_| page.too_old())?
                    }
                }
            }
        };
        matching.retain(|o| selector.matches(o));
        if let Some(after) = &after {
            matching.retain(|o| {
                (object::namespace(o), object::name(o)) > (after.0.as_str(), after.1.as_str())
            });
        }
        let limit = request.param("limit").parse::<i64>().unwrap_or(0);
        let mut meta = json!({"resourceVersion": listed.to_string()});
        if let Ok(limit) = usize::try_from(limit)
            && limit > 0
            && matching.len() > limit
        {
            let left = matching.len() - limit;
            matching.truncate(limit);
            if let Some(last) = matching.last() {
                let after = (object::namespace(last).to_string(), object::name(last).to_string());
                meta["continue"] = Page { version: Some(listed), after }.write().into();
            }
            if selector.labels.is_empty() && selector.fields.is_empty() {
                meta["remainingItemCount"] = left.into();
            }
        }
        if let Some(mut view) = TableView::wanted(request, &t.row, self.store.sim()) {
            let rows: Vec<&Value> = matching.iter().map(|o| &**o).collect();
            return Ok(Response::json(200, &view.table(&rows, meta)));
        }
        let list = List {
            api_version: t.row.api_version(),
            items: matching.iter().map(|o| Item(t.out(o))).collect(),
            kind: format!("{}List", t.row.kind),
            metadata: meta,
        };
        Ok(Response::json(200, &list))
    }

    fn watch(
        &self,
        request: &Request,
        t: &Target,
        selector: Selector,
        version: u64,
    ) -> Result<Response, Error> {
        let key = t.key.clone();
        let bookmarks = request.flag("allowWatchBookmarks");
        let send_initial = request.flag("sendInitialEvents");
        if send_initial && (!bookmarks || request.param("resourceVersionMatch") != "NotOlderThan") {
            let e = crate::store::FieldError::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            );
            return Err(Error::invalid("ListOptions", "meta.k8s.io", "", &[e]));
        }
        let initial = version == 0 || send_initial;
        let from = if initial { self.store.version().max(version) } else { version };
        let (watch, expired) = match self.store.watch(&key, from) {
            Ok(watch) => (watch, None),
            // A watch that is too old has begun already: it says so in an event.
            Err(e) if e.code == 410 => (self.store.watch(&key, self.store.version())?, Some(e)),
            Err(e) => return Err(e),
        };
        let mut stream = WatchStream {
            watch,
            target: t.clone(),
            selector,
            table: TableView::wanted(request, &t.row, self.store.sim()),
            ready: VecDeque::new(),
            over: false,
            bookmarks,
            timeout_seconds: request.param("timeoutSeconds").parse().ok(),
        };
        if let Some(e) = expired {
            stream.fail(&e);
        } else if initial {
            for object in self.store.list(&key, stream.selector.namespace.clone().as_deref()) {
                stream.push_initial(&object);
            }
            if send_initial {
                stream.push_bookmark(true);
            }
        }
        Ok(Response { body: Body::Watch(Box::new(stream)), ..Response::json(200, &Value::Null) })
    }

    pub(super) fn options(&self, request: &Request, t: &Target) -> Result<WriteOptions, Error> {
        for (key, value) in &request.query {
            if key == "dryRun" && value != "All" {
                let e = crate::store::FieldError::not_supported("dryRun", value, &["All"]);
                return Err(Error::invalid("CreateOptions", "meta.k8s.io", "", &[e]));
            }
        }
        let manager = match request.param("fieldManager") {
            // Whoever serves HTTP takes it from the user agent, where there is one.
            "" => "unknown",
            name if name.len() > 128 => {
                let e = crate::store::FieldError::too_long("fieldManager", 128);
                return Err(Error::invalid("CreateOptions", "meta.k8s.io", "", &[e]));
            }
            name => name,
        };
        Ok(WriteOptions {
            dry_run: request.dry_run(),
            manager: manager.into(),
            subresource: match t.sub.as_str() {
                "scale" => "scale",
                "ephemeralcontainers" => "ephemeralcontainers",
                "binding" => "binding",
                "finalize" => "finalize",
                "approval" => "approval",
                _ => "",
            },
        })
    }

    /// Gives the object the path's namespace; it may not name another.
    pub(super) fn place(&self, t: &Target, object: &mut Value) -> Result<(), Error> {
        if !t.row.namespaced {
            return Ok(());
        }
        let given = object::namespace(object);
        if given.is_empty() {
            meta_mut(object).insert("namespace".into(), t.namespace.as_str().into());
        } else if given != t.namespace {
            return Err(Error::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    pub(super) fn create(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        if t.row.namespaced && t.namespace.is_empty() {
            return Err(Error::method_not_allowed());
        }
        let options = self.options(request, t)?;
        let (mut object, warnings) = body::object(request, t)?;
        self.place(t, &mut object)?;
        self.check_grant(request, t, &object, None)?;
        let made = self.store.create_with(&t.key, t.inward(object), &options)?;
        Ok(Response { warnings, ..self.show(request, t, 201, &made) })
    }

    pub(super) fn update(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let (object, warnings) = body::object(request, t)?;
        let (status, made) = self.write(request, t, object)?;
        Ok(Response { warnings, ..self.show(request, t, status, &made) })
    }

    /// Stores a changed object through the target's subresource.
    pub(super) fn write(
        &self,
        request: &Request,
        t: &Target,
        mut object: Value,
    ) -> Result<(u16, Object), Error> {
        let options = self.options(request, t)?;
        self.place(t, &mut object)?;
        let name = object::name(&object).to_string();
        if name.is_empty() {
            return Err(Error::bad_request("name must be provided"));
        }
        if name != t.name {
            return Err(Error::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                t.name
            )));
        }
        let key = t.key.clone();
        let existed = self.store.get(&key, &t.namespace, &name);
        self.check_creates(request, t, existed.is_some() || !t.row.create_on_update)?;
        self.check_grant(request, t, &object, existed.as_deref())?;
        let part = match t.sub.as_str() {
            "status" => Part::Status,
            "finalize" => {
                let mut whole = Value::clone(&*self.store.require(&key, "", &name)?);
                let finalizers = object["spec"]["finalizers"].take();
                let spec = map_mut(map_mut(&mut whole).entry("spec").or_insert(Value::Null));
                if finalizers.as_array().is_some_and(|f| !f.is_empty()) {
                    spec.insert("finalizers".into(), finalizers);
                } else {
                    spec.remove("finalizers");
                }
                object = whole;
                Part::Whole
            }
            "ephemeralcontainers" => {
                let old = self.store.require(&key, &t.namespace, &name)?;
                let mut whole = Value::clone(&old);
                whole["spec"]["ephemeralContainers"] = object["spec"]["ephemeralContainers"].take();
                crate::store::kinds::pod_defaults::pod(&mut whole);
                object = whole;
                Part::Whole
            }
            _ => Part::Main,
        };
        let made = self.store.update_with(&key, t.inward(object), part, &options)?;
        Ok((if existed.is_none() { 201 } else { 200 }, made))
    }

    pub(super) fn bind(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let options = self.options(request, t)?;
        let binding = body::document(request)?.value;
        let node = binding["target"]["name"].as_str().unwrap_or("").to_string();
        let mut pod = t.clone();
        if t.name.is_empty() {
            // `POST bindings` names the pod in its body.
            pod.name = object::name(&binding).into();
            pod.row = self.store.row("pods").ok_or_else(Error::no_such_path)?;
        }
        self.bind_pod(&pod, &node, &options)?;
        Ok(Response::json(
            201,
            &json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201
            }),
        ))
    }

    fn bind_pod(&self, t: &Target, node: &str, options: &WriteOptions) -> Result<(), Error> {
        let pod = self.store.require("pods", &t.namespace, &t.name)?;
        let conflict = |why: String| Err(Error::conflict(&t.row, &t.name, &why));
        if node.is_empty() {
            let e = crate::store::FieldError::required("target.name", "");
            return Err(Error::invalid("Binding", "", &t.name, &[e]));
        }
        if object::deleting(&pod) {
            return conflict(format!(
                "pod {} is being deleted, cannot be assigned to a host",
                t.name
            ));
        }
        let before = pod["spec"]["nodeName"].as_str().unwrap_or("");
        if !before.is_empty() {
            return conflict(format!("pod {} is already assigned to node {before:?}", t.name));
        }
        let mut new = Value::clone(&pod);
        new["spec"]["nodeName"] = node.into();
        let now = object::time(self.store.sim().unix_nanos());
        let status = map_mut(map_mut(&mut new).entry("status").or_insert(Value::Null));
        if let Some(list) = status.entry("conditions").or_insert(json!([])).as_array_mut() {
            list.retain(|c| c["type"] != "PodScheduled");
            list.push(json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now}));
        }
        self.store.update_with("pods", new, Part::Whole, options).map(|_| ())
    }

    fn delete_options(&self, request: &Request, t: &Target) -> Result<DeleteOptions, Error> {
        let write = self.options(request, t)?;
        let body = if request.body.iter().all(u8::is_ascii_whitespace) {
            Value::Object(Map::new())
        } else {
            body::document(request)?.value
        };
        let grace = match request.param("gracePeriodSeconds") {
            "" => body["gracePeriodSeconds"].as_i64(),
            text => Some(text.parse().map_err(|_| {
                Error::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            })?),
        };
        let policy = match request.param("propagationPolicy") {
            "" => body["propagationPolicy"].as_str().unwrap_or(""),
            text => text,
        };
        let text = |value: &Value| value.as_str().map(str::to_string);
        Ok(DeleteOptions {
            grace_period_seconds: grace,
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            propagation: match policy {
                "Orphan" => Propagation::Orphan,
                "Foreground" => Propagation::Foreground,
                // Kinds that are older than the garbage collector keep what they own by default.
                "" if matches!(&*t.row.plural, "jobs" | "replicationcontrollers") => {
                    Propagation::Orphan
                }
                "" | "Background" => Propagation::Background,
                other => {
                    let e = crate::store::FieldError::not_supported(
                        "propagationPolicy",
                        other,
                        &["Foreground", "Background", "Orphan", "nil"],
                    );
                    return Err(Error::invalid("DeleteOptions", "meta.k8s.io", "", &[e]));
                }
            },
            dry_run: write.dry_run || body["dryRun"].as_array().is_some_and(|d| !d.is_empty()),
        })
    }

    pub(super) fn delete(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let options = self.delete_options(request, t)?;
        let key = t.key.clone();
        match self.store.delete(&key, &t.namespace, &t.name, &options)? {
            Deleted::Pending(object) => Ok(Response::json(200, &t.out(&object))),
            Deleted::Gone(object) if RETURN_DELETED.contains(&&*t.row.plural) => {
                Ok(Response::json(200, &t.out(&object)))
            }
            Deleted::Gone(object) => {
                let mut details = json!({
                    "name": t.name, "kind": *t.row.plural, "uid": object::uid(&object)
                });
                if !t.row.group.is_empty() {
                    details["group"] = t.row.group.as_ref().into();
                }
                Ok(Response::json(
                    200,
                    &json!({
                        "kind": "Status", "apiVersion": "v1", "metadata": {},
                        "status": "Success", "details": details
                    }),
                ))
            }
        }
    }

    pub(super) fn delete_collection(
        &self,
        request: &Request,
        t: &Target,
    ) -> Result<Response, Error> {
        let selector = self.selector(request, t)?;
        if t.row.namespaced && t.namespace.is_empty() {
            return Err(Error::method_not_allowed());
        }
        let options = self.delete_options(request, t)?;
        let key = t.key.clone();
        let mut items = Vec::new();
        for object in self.store.list(&key, selector.namespace.as_deref()) {
            if !selector.matches(&object) {
                continue;
            }
            let name = object::name(&object);
            match self.store.delete(&key, object::namespace(&object), name, &options) {
                Ok(Deleted::Gone(o) | Deleted::Pending(o)) => items.push(t.out(&o).into_owned()),
                // Gone with another of the list that owned it.
                Err(e) if e.code == 404 => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Response::json(
            200,
            &json!({
                "kind": format!("{}List", t.row.kind),
                "apiVersion": t.row.api_version(),
                "metadata": {"resourceVersion": self.store.version().to_string()},
                "items": items,
            }),
        ))
    }
}
