//! Questions to the server about users: `kubectl auth whoami`, `auth can-i`, token reviews.

use serde_json::{Value, json};

use super::{Attributes, User, rules, token};
use crate::api::request::Request;
use crate::api::response::Response;
use crate::api::route::Target;
use crate::api::{Api, body};
use crate::store::object::{self, map_mut};
use crate::store::{Error, FieldError};

fn info(user: &User) -> Value {
    json!({"username": user.name, "groups": user.groups})
}

impl Api {
    /// A POST to what is answered and not stored.
    pub(in crate::api) fn review(&self, request: &Request, t: &Target) -> Result<Response, Error> {
        let (mut object, warnings) = body::object(request, t)?;
        let me = User::of(&request.user);
        map_mut(&mut object).insert("apiVersion".into(), t.row.api_version().into());
        map_mut(&mut object).insert("kind".into(), t.row.kind.as_ref().into());
        let now = self.store.sim().unix_nanos();
        let meta = object::meta_mut(&mut object);
        meta.entry("creationTimestamp").or_insert(Value::Null);
        let invalid = |errors: &[FieldError]| {
            Error::invalid(&t.row.kind, &t.row.group, object::name(&object), errors)
        };
        let spec = object["spec"].clone();
        let status = match &*t.row.plural {
            "selfsubjectreviews" => {
                object::meta_mut(&mut object)
                    .insert("creationTimestamp".into(), object::time(now).into());
                json!({"userInfo": info(&me)})
            }
            "tokenreviews" => {
                let token = spec["token"].as_str().unwrap_or("");
                if token.is_empty() {
                    return Err(Error::bad_request(
                        "token is required for TokenReview in authentication",
                    ));
                }
                match token::user(&self.store, token) {
                    Ok(name) => json!({
                        "authenticated": true,
                        "user": info(&User::of(&name)),
                        "audiences": [token::ISSUER],
                    }),
                    Err(why) => json!({"user": {}, "error": why}),
                }
            }
            "selfsubjectrulesreviews" => {
                let namespace = spec["namespace"].as_str().unwrap_or("");
                if namespace.is_empty() {
                    return Err(Error::bad_request("no namespace on request"));
                }
                let (resources, paths) = rules::list(&self.store, &me, namespace);
                json!({"resourceRules": resources, "nonResourceRules": paths, "incomplete": false})
            }
            _ => {
                let user = if t.row.plural == "selfsubjectaccessreviews" {
                    me
                } else {
                    subject(&spec).ok_or_else(|| {
                        invalid(&[FieldError::required(
                            "spec.user",
                            "at least one of user or group must be specified",
                        )])
                    })?
                };
                let wanted = wanted(&spec).ok_or_else(|| {
                    invalid(&[FieldError::required(
                        "spec.resourceAttributes",
                        "exactly one of nonResourceAttributes or resourceAttributes must be specified",
                    )])
                })?;
                if t.row.namespaced && wanted.namespace != t.namespace {
                    return Err(invalid(&[FieldError::invalid(
                        "spec.resourceAttributes.namespace",
                        &wanted.namespace,
                        "must match metadata.namespace",
                    )]));
                }
                match rules::allowed(&self.store, &user, &wanted) {
                    Some(why) if why.is_empty() => json!({"allowed": true}),
                    Some(why) => json!({"allowed": true, "reason": why}),
                    None => json!({"allowed": false}),
                }
            }
        };
        map_mut(&mut object).insert("status".into(), status);
        Ok(Response { warnings, ..Response::json(201, &object) })
    }

    /// GET of component statuses: what they mean, real servers have told for years, is little.
    pub(in crate::api) fn component_statuses(&self, name: &str) -> Result<Value, Error> {
        let one = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "ComponentStatus",
                "metadata": {"name": name, "creationTimestamp": null},
                "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
            })
        };
        const NAMES: [&str; 3] = ["controller-manager", "etcd-0", "scheduler"];
        if name.is_empty() {
            let items = NAMES.map(|name| {
                let mut item = one(name);
                map_mut(&mut item).remove("kind");
                map_mut(&mut item).remove("apiVersion");
                item
            });
            return Ok(json!({
                "kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items,
            }));
        }
        NAMES.iter().find(|n| **n == name).map(|n| one(n)).ok_or_else(|| {
            let row = crate::store::Resource::new("", "v1", "componentstatuses", "ComponentStatus");
            Error::not_found(&row, name)
        })
    }
}

fn subject(spec: &Value) -> Option<User> {
    let name = spec["user"].as_str().unwrap_or("");
    let groups: Vec<String> = spec["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|g| g.as_str().map(str::to_string))
        .collect();
    if name.is_empty() && groups.is_empty() {
        return None;
    }
    Some(User { name: name.into(), groups })
}

fn wanted(spec: &Value) -> Option<Attributes> {
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or("").to_string();
    match (resource.is_object(), path.is_object()) {
        (true, false) => Some(Attributes {
            verb: text(resource, "verb"),
            group: text(resource, "group"),
            resource: text(resource, "resource"),
            sub: text(resource, "subresource"),
            namespace: text(resource, "namespace"),
            name: text(resource, "name"),
            path: String::new(),
        }),
        (false, true) => Some(Attributes::path(&text(path, "verb"), &text(path, "path"))),
        _ => None,
    }
}
