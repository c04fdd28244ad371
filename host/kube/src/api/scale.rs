//! `/scale`: how many replicas a workload has, without knowing its kind
//! (`pkg/registry/apps/*/storage`, `autoscaling/v1`).

use serde_json::{Value, json};

use super::request::Request;
use super::response::Response;
use super::route::Target;
use super::{Api, body, patch};
use crate::schema::{self, merge, parse};
use crate::store::object::{self, map_mut, meta_mut};
use crate::store::{Error, FieldError, Part, WriteOptions};

/// The scale of a workload.
fn view(workload: &Value) -> Value {
    let meta = &workload["metadata"];
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[field] = meta[field].clone();
    }
    let (spec, status) = (&workload["spec"], &workload["status"]);
    let mut scale = json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": {},
        "status": {"replicas": status["replicas"].as_i64().unwrap_or(0)},
    });
    // Go leaves out what is zero.
    if let Some(n) = spec["replicas"].as_i64().filter(|n| *n != 0) {
        scale["spec"]["replicas"] = n.into();
    }
    let selector = selector(&spec["selector"]);
    if !selector.is_empty() {
        scale["status"]["selector"] = selector.into();
    }
    scale
}

/// A selector as text (`labels.Selector.String`); also a plain map.
fn selector(value: &Value) -> String {
    let structured = value["matchLabels"].is_object() || value["matchExpressions"].is_array();
    let map = if structured { &value["matchLabels"] } else { value };
    let mut parts: Vec<(&str, String)> = Vec::new();
    for (key, value) in map.as_object().into_iter().flatten() {
        if let Some(value) = value.as_str() {
            parts.push((key, format!("{key}={value}")));
        }
    }
    for e in value["matchExpressions"].as_array().into_iter().flatten() {
        let key = e["key"].as_str().unwrap_or("");
        let values = e["values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut values: Vec<&str> = values.collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match e["operator"].as_str().unwrap_or("") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        };
        parts.push((key, text));
    }
    parts.sort();
    parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

impl Api {
    /// Answers a request for `/scale`.
    pub(super) fn scale(
        &self,
        request: &Request,
        t: &Target,
        verb: &str,
    ) -> Result<Response, Error> {
        let key = t.row.qualified();
        let workload = self.store.require(&key, &t.namespace, &t.name)?;
        if verb == "get" {
            return Ok(Response::json(200, &view(&workload)));
        }
        let mut scale = view(&workload);
        // A patch need not name the version it is about, an update may.
        let stored = object::meta(&scale, "resourceVersion").to_owned();
        if verb == "patch" {
            apply(request, &mut scale)?;
            if object::meta(&scale, "resourceVersion").is_empty() {
                meta_mut(&mut scale).insert("resourceVersion".into(), stored.into());
            }
        } else {
            scale = body::document(request)?.value;
        }
        check(&scale, t)?;
        let mut new = Value::clone(&workload);
        let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        map_mut(map_mut(&mut new).entry("spec").or_insert(Value::Null))
            .insert("replicas".into(), replicas.into());
        for field in ["resourceVersion", "uid"] {
            let given = object::meta(&scale, field).to_owned();
            meta_mut(&mut new).insert(field.into(), given.into());
        }
        let options = WriteOptions { dry_run: request.dry_run() };
        let made = self.store.update_with(&key, new, Part::Main, &options)?;
        Ok(Response::json(200, &view(&made)))
    }
}

fn apply(request: &Request, scale: &mut Value) -> Result<(), Error> {
    let media = request.content_type.split(';').next().unwrap_or("").trim();
    let parsed = parse::json(&request.body).map_err(Error::bad_request)?.value;
    match media {
        "application/json-patch+json" => patch::json_patch(scale, &parsed),
        "application/merge-patch+json" => {
            json_patch::merge(scale, &parsed);
            Ok(())
        }
        "application/strategic-merge-patch+json" => {
            let definition = schema::kind("autoscaling", "v1", "Scale");
            merge::strategic(scale, &parsed, definition).map_err(Error::bad_request)
        }
        _ => {
            let mut e = Error::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
            e.details = Some(Box::default());
            Err(e)
        }
    }
}

fn check(scale: &Value, t: &Target) -> Result<(), Error> {
    let text = |f: &str| scale[f].as_str().unwrap_or("").to_owned();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if !matches!(kind.as_str(), "" | "Scale") || !matches!(version.as_str(), "" | "autoscaling/v1")
    {
        return Err(Error::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a Scale: no kind {kind:?} is registered for version {version:?}"
        )));
    }
    let replicas = &scale["spec"]["replicas"];
    if !replicas.is_null() && replicas.as_i64().and_then(|n| i32::try_from(n).ok()).is_none() {
        let what = match replicas {
            Value::String(_) => "string".to_owned(),
            Value::Number(n) => format!("number {n}"),
            Value::Bool(_) => "bool".into(),
            Value::Array(_) => "array".into(),
            _ => "object".into(),
        };
        return Err(Error::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal {what} into Go struct field ScaleSpec.spec.replicas of type int32"
        )));
    }
    let name = object::name(scale);
    if name != t.name {
        return Err(Error::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            t.name
        )));
    }
    if replicas.as_i64().is_some_and(|n| n < 0) {
        let why = "must be greater than or equal to 0";
        let e = FieldError::invalid_raw("spec.replicas", replicas, why);
        return Err(Error::invalid("Scale", "autoscaling", name, &[e]));
    }
    Ok(())
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
