//! `/scale`: the number of replicas of anything that has replicas, as `autoscaling/v1` Scale
//! (`pkg/registry/apps/*/storage/storage.go`, ScaleREST).

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
use super::route::Target;
use super::{Api, body, patch};
use crate::store::object::{self, map_mut};
use crate::store::{Error, FieldError, Part};

/// Where the numbers are in an object.
pub(super) struct Paths {
    pub spec: Vec<String>,
    pub status: Vec<String>,
    pub selector: Vec<String>,
}

impl Default for Paths {
    fn default() -> Paths {
        let path = |a: &str, b: &str| vec![a.to_string(), b.to_string()];
        Paths {
            spec: path("spec", "replicas"),
            status: path("status", "replicas"),
            selector: path("spec", "selector"),
        }
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> &'a Value {
    if path.is_empty() {
        return &Value::Null;
    }
    path.iter().fold(object, |value, field| &value[field.as_str()])
}

impl Api {
    pub(super) fn scale(
        &self,
        request: &Request,
        t: &Target,
        verb: &str,
    ) -> Result<Response, Error> {
        let stored = self.store.require(&t.key, &t.namespace, &t.name)?;
        let paths = t.row.version_of_custom().and_then(|v| v.scale.as_ref()).map_or_else(
            Paths::default,
            |s| Paths {
                spec: s.spec.clone(),
                status: s.status.clone(),
                selector: s.selector.clone(),
            },
        );
        let old = shown(&stored, &paths);
        let (new, warnings) = match verb {
            "get" => return Ok(Response::json(200, &old)),
            "patch" => patch::document(request, &old, "autoscaling", "v1", "Scale", None)?,
            _ => body::object(request, t)?,
        };
        let name = object::name(&new);
        if name != t.name {
            return Err(Error::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                t.name
            )));
        }
        let wanted = new["spec"]["replicas"].as_i64().unwrap_or(0);
        if wanted < 0 {
            let e = FieldError::invalid_raw(
                "spec.replicas",
                wanted,
                "must be greater than or equal to 0",
            );
            return Err(Error::invalid("Scale", "autoscaling", &t.name, &[e]));
        }
        let version = object::meta(&new, "resourceVersion");
        if !version.is_empty() && version != object::meta(&stored, "resourceVersion") {
            return Err(Error::modified(&t.row, &t.name));
        }
        let mut whole = Value::clone(&stored);
        let mut place = &mut whole;
        for field in &paths.spec {
            place = map_mut(place).entry(field.clone()).or_insert(Value::Null);
        }
        *place = wanted.into();
        let options = self.options(request, t)?;
        let made = self.store.update_with(&t.key, whole, Part::Main, &options)?;
        Ok(Response { warnings, ..Response::json(200, &shown(&made, &paths)) })
    }
}

fn shown(object: &Value, paths: &Paths) -> Value {
    let mut meta = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            meta[field] = value.clone();
        }
    }
    let mut out = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta,
        "spec": {}, "status": {"replicas": at(object, &paths.status).as_i64().unwrap_or(0)},
    });
    if let Some(n) = at(object, &paths.spec).as_i64().filter(|n| *n != 0) {
        out["spec"]["replicas"] = n.into();
    }
    let selector = match at(object, &paths.selector) {
        Value::String(text) => text.clone(),
        other => selector_text(other),
    };
    if !selector.is_empty() {
        out["status"]["selector"] = selector.into();
    }
    out
}

/// A label selector as text (`metav1.FormatLabelSelector`); the plain map of a
/// ReplicationController too.
pub(super) fn selector_text(selector: &Value) -> String {
    let plain = selector.as_object().is_some_and(|m| m.values().all(Value::is_string));
    let labels = if plain { selector } else { &selector["matchLabels"] };
    let mut parts: Vec<String> = labels
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")))
        .collect();
    for e in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = e["key"].as_str().unwrap_or("");
        let mut values: Vec<&str> =
            e["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        values.sort_unstable();
        let values = values.join(",");
        parts.push(match e["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("Exists") => key.to_string(),
            _ => format!("!{key}"),
        });
    }
    parts.sort();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use podlab_sim::Sim;
    use podlab_trace::Trace;

    use super::*;
    use crate::store::Store;

    fn ask(api: &Api, method: &str, body: &Value) -> (u16, Value) {
        let path = "/apis/apps/v1/namespaces/demo/deployments/web/scale";
        let media =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::new(method, path).with_body(media, body.to_string());
        let response = api.handle(&request);
        (response.status, serde_json::from_slice(response.bytes().unwrap()).unwrap())
    }

    #[test]
    fn a_scale_is_read_put_and_patched() {
        let sim = Sim::new(7, 1_795_237_178_000_000_000);
        let store = Store::new(&sim.handle(), &Trace::default());
        store.create("namespaces", json!({"metadata": {"name": "demo"}})).unwrap();
        let template = json!({"metadata": {"labels": {"b": "2", "a": "1"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]}});
        let selector = json!({"matchLabels": {"b": "2"},
            "matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "0"]}]});
        let spec = json!({"replicas": 2, "selector": selector, "template": template});
        let metadata = json!({"name": "web", "namespace": "demo"});
        store.create("deployments.apps", json!({"metadata": metadata, "spec": spec})).unwrap();
        let api = Api::new(&store);

        let (status, scale) = ask(&api, "GET", &Value::Null);
        assert_eq!(
            (status, &scale["kind"], &scale["apiVersion"]),
            (200, &json!("Scale"), &json!("autoscaling/v1"))
        );
        assert_eq!(scale["spec"], json!({"replicas": 2}));
        assert_eq!(scale["status"], json!({"replicas": 0, "selector": "a in (0,1),b=2"}));

        let (status, after) = ask(&api, "PATCH", &json!({"spec": {"replicas": 5}}));
        assert_eq!((status, &after["spec"]["replicas"]), (200, &json!(5)));
        let stored = store.get("deployments.apps", "demo", "web").unwrap();
        assert_eq!(
            (&stored["spec"]["replicas"], &stored["metadata"]["generation"]),
            (&json!(5), &json!(2))
        );

        let (status, e) = ask(&api, "PUT", &scale);
        assert_eq!((status, e["reason"].as_str()), (409, Some("Conflict")), "its version is old");
        let mut now = after;
        now["spec"] = json!({});
        assert_eq!(ask(&api, "PUT", &now).0, 200);
        assert_eq!(store.get("deployments.apps", "demo", "web").unwrap()["spec"]["replicas"], 0);

        let (status, e) = ask(&api, "PATCH", &json!({"spec": {"replicas": -1}}));
        assert_eq!(status, 422);
        assert_eq!(
            e["message"],
            "Scale.autoscaling \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(ask(&api, "PATCH", &json!({"spec": {"replicas": "3"}})).0, 400);
        assert_eq!(ask(&api, "PATCH", &json!({"metadata": {"name": "x"}})).0, 400);
    }
}
