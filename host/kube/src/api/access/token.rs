//! Tokens of service accounts: JSON web tokens (RFC 7519), signed with a key that follows from
//! the world's seed, so that a replay gives the same ones.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::api::request::Request;
use crate::api::response::Response;
use crate::api::route::Target;
use crate::api::{Api, body};
use crate::store::object::{self, map_mut};
use crate::store::{Error, FieldError, Store};

/// Who issues tokens, and for whom they are when nobody is named.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Longest and shortest life of a token, in seconds.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// Where in a pod its token is.
pub const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Keyed hash (RFC 2104).
fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    block[..32].copy_from_slice(key);
    let inner =
        Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

fn key(store: &Store) -> [u8; 32] {
    let mut key = [0u8; 32];
    // A stream of its own, always read from its beginning.
    store.sim().rng("kube/token-key").fill(&mut key);
    key
}

/// A token of a service account that ends `seconds` from now. `pod` binds it to a pod.
pub fn issue(
    store: &Store,
    account: &Value,
    pod: Option<&Value>,
    audiences: &[String],
    seconds: i64,
) -> String {
    let now = store.sim().unix_nanos() / 1_000_000_000;
    let (namespace, name) = (object::namespace(account), object::name(account));
    let mut bound = json!({
        "namespace": namespace,
        "serviceaccount": {"name": name, "uid": object::uid(account)},
    });
    if let Some(pod) = pod {
        bound["pod"] = json!({"name": object::name(pod), "uid": object::uid(pod)});
    }
    let own = [ISSUER.to_string()];
    let audiences = if audiences.is_empty() { &own[..] } else { audiences };
    let claims = json!({
        "aud": audiences, "exp": now.saturating_add_signed(seconds), "iat": now, "iss": ISSUER,
        "kubernetes.io": bound, "nbf": now, "sub": format!("system:serviceaccount:{namespace}:{name}"),
    });
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = URL_SAFE_NO_PAD.encode(hmac(&key(store), signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// When a token ends, in s since 1970. It is not checked.
pub(crate) fn ends(token: &str) -> Option<u64> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&claims).ok()?["exp"].as_u64()
}

/// The user that a token stands for.
///
/// # Errors
/// Why the token does not count.
pub fn user(store: &Store, token: &str) -> Result<String, String> {
    let bad = || "invalid bearer token".to_string();
    let (signed, signature) = token.rsplit_once('.').ok_or_else(bad)?;
    let given = URL_SAFE_NO_PAD.decode(signature).map_err(|_| bad())?;
    let right = hmac(&key(store), signed.as_bytes());
    // Compared in constant time out of habit; nothing in a simulation could measure it.
    if given.len() != 32 || given.iter().zip(right).fold(0, |d, (a, b)| d | (a ^ b)) != 0 {
        return Err(bad());
    }
    let (_, claims) = signed.split_once('.').ok_or_else(bad)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| bad())?;
    let claims: Value = serde_json::from_slice(&claims).map_err(|_| bad())?;
    let now = store.sim().unix_nanos() / 1_000_000_000;
    if claims["exp"].as_u64().is_none_or(|end| end <= now) {
        return Err("[invalid bearer token, service account token has expired]".into());
    }
    let bound = &claims["kubernetes.io"];
    let namespace = bound["namespace"].as_str().unwrap_or("");
    for (resource, what) in [("serviceaccounts", "serviceaccount"), ("pods", "pod")] {
        let Some(name) = bound[what]["name"].as_str() else { continue };
        let alive = store
            .get(resource, namespace, name)
            .is_some_and(|o| bound[what]["uid"] == object::uid(&o));
        if !alive {
            return Err(format!("[invalid bearer token, {what} has been deleted]"));
        }
    }
    claims["sub"].as_str().map(str::to_string).ok_or_else(bad)
}

impl Api {
    /// The user that a bearer token stands for: what serves requests sets it as their user.
    ///
    /// # Errors
    /// 401 if the token does not count.
    pub fn authenticate(&self, token: &str) -> Result<String, Error> {
        user(&self.store, token).map_err(|_| Error::new(401, "Unauthorized", "Unauthorized"))
    }

    /// POST to `serviceaccounts/NAME/token` (`kubectl create token`).
    pub(in crate::api) fn create_token(
        &self,
        request: &Request,
        t: &Target,
    ) -> Result<Response, Error> {
        let account = self.store.require(&t.key, &t.namespace, &t.name)?;
        let (mut review, warnings) = body::object(request, t)?;
        let invalid =
            |e: FieldError| Error::invalid("TokenRequest", "authentication.k8s.io", &t.name, &[e]);
        let seconds = review["spec"]["expirationSeconds"].as_i64().unwrap_or(3600);
        if seconds < SHORTEST {
            return Err(invalid(FieldError::invalid_raw(
                "spec.expirationSeconds",
                seconds,
                "may not specify a duration less than 10 minutes",
            )));
        }
        if seconds > LONGEST {
            return Err(invalid(FieldError::invalid_raw(
                "spec.expirationSeconds",
                seconds,
                "may not specify a duration larger than 2^32 seconds",
            )));
        }
        let bound = &review["spec"]["boundObjectRef"];
        let pod = match (bound["kind"].as_str(), bound["name"].as_str()) {
            (Some("Pod"), Some(name)) => Some(self.store.require("pods", &t.namespace, name)?),
            _ => None,
        };
        let audiences: Vec<String> = review["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|a| a.as_str().map(str::to_string))
            .collect();
        let token = issue(&self.store, &account, pod.as_deref(), &audiences, seconds);
        let end = self.store.sim().unix_nanos().saturating_add_signed(seconds * 1_000_000_000);
        let shown = if audiences.is_empty() { vec![ISSUER.to_string()] } else { audiences };
        let map = map_mut(&mut review);
        map.insert("kind".into(), "TokenRequest".into());
        map.insert("apiVersion".into(), "authentication.k8s.io/v1".into());
        let spec = map_mut(map.entry("spec").or_insert(Value::Null));
        spec.insert("audiences".into(), json!(shown));
        spec.insert("expirationSeconds".into(), seconds.into());
        map.insert(
            "status".into(),
            json!({"token": token, "expirationTimestamp": object::time(end)}),
        );
        let now = object::time(self.store.sim().unix_nanos());
        let meta = object::meta_mut(&mut review);
        meta.insert("name".into(), t.name.as_str().into());
        meta.insert("namespace".into(), t.namespace.as_str().into());
        meta.insert("creationTimestamp".into(), now.into());
        Ok(Response { warnings, ..Response::json(201, &review) })
    }
}
