//! LoadBalancers: an address from a pool, as a cloud's controller gives one
//! (`k8s.io/cloud-provider`, service controller).

use std::net::Ipv4Addr;

use podlab_trace::Verb;
use serde_json::{Value, json};

use super::{Context, Controller, Key, Next};
use crate::events::About;
use crate::store::watch::Change;
use crate::store::{Error, object};

/// The pool: RFC 5737, TEST-NET-3.
const POOL: [u8; 3] = [203, 0, 113];

/// The controller.
pub(crate) struct LoadBalancers;

/// Whether a Service wants an address from this pool.
fn wants(service: &Value) -> bool {
    service["spec"]["type"] == "LoadBalancer"
        && service["spec"]["loadBalancerClass"].is_null()
        && !object::deleting(service)
}

fn given(service: &Value) -> Option<&str> {
    service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()
}

impl Controller for LoadBalancers {
    const NAME: &'static str = "service-controller";

    fn kinds(&self) -> Vec<&'static str> {
        vec!["services"]
    }

    fn concerns(&mut self, context: &Context, _: &str, change: &Change) -> Vec<Key> {
        if change.verb == Verb::Deleted {
            // Its address is free: somebody may wait for one.
            if given(&change.object).is_none() {
                return Vec::new();
            }
            let all = context.store.list("services", None);
            return all
                .iter()
                .filter(|s| wants(s) && given(s).is_none())
                .map(|s| object::key(s))
                .collect();
        }
        let concerned = wants(&change.object) != given(&change.object).is_some();
        if concerned { vec![object::key(&change.object)] } else { Vec::new() }
    }

    fn sync(&mut self, context: &Context, key: &Key) -> Result<Next, Error> {
        let Some(service) = context.store.get("services", &key.0, &key.1) else {
            return Ok(Next::Change);
        };
        if wants(&service) == given(&service).is_some() {
            return Ok(Next::Change);
        }
        let about = About::object(&service);
        let mut new = Value::clone(&service);
        if wants(&service) {
            context.events.normal(&about, "EnsuringLoadBalancer", "Ensuring load balancer");
            let all = context.store.list("services", None);
            let taken: Vec<&str> = all.iter().filter_map(|s| given(s)).collect();
            let free = |ip: &String| !taken.contains(&ip.as_str());
            let asked = service["spec"]["loadBalancerIP"].as_str().filter(|a| in_pool(a));
            let pool = (1..=254).map(|n| Ipv4Addr::new(POOL[0], POOL[1], POOL[2], n).to_string());
            let Some(ip) = asked.map(str::to_owned).into_iter().chain(pool).find(free) else {
                let text = "Error syncing load balancer: failed to ensure load balancer: all 254 addresses of the pool are in use";
                context.events.warning(&about, "SyncLoadBalancerFailed", text);
                return Ok(Next::Change);
            };
            new["status"]["loadBalancer"] = json!({"ingress": [{"ip": ip, "ipMode": "VIP"}]});
            context.store.update_status("services", new)?;
            context.events.normal(&about, "EnsuredLoadBalancer", "Ensured load balancer");
        } else {
            new["status"]["loadBalancer"] = json!({});
            context.store.update_status("services", new)?;
        }
        Ok(Next::Change)
    }
}

fn in_pool(ip: &str) -> bool {
    ip.parse::<Ipv4Addr>().is_ok_and(|ip| {
        let [a, b, c, d] = ip.octets();
        [a, b, c] == POOL && (1..=254).contains(&d)
    })
}
