//! `kubectl describe`: a file for each kind or for a few that belong together.
//!
//! # Layout
//! - here: which kind is described how; events; [`writer`]: lines with tabs and levels
//! - [`labels`]: labels, annotations, selectors; [`quantity`]: amounts; [`values`]: reading JSON
//! - [`pod`], [`container`], [`volume`]: pods and what is in them
//! - [`workload`]: Deployment and its kin, Jobs; [`network`]: Services and their kin
//! - [`node`]; [`config`]: ConfigMap, Secret, ...; [`generic`]: all the others

pub mod config;
pub mod container;
pub mod generic;
pub mod labels;
pub mod network;
pub mod node;
pub mod pod;
pub mod quantity;
pub mod values;
pub mod volume;
pub mod workload;
pub mod writer;

use serde_json::Value;

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::print::{age, tabs};
use crate::select::{Found, objects, select};
use writer::Writer;

/// Its flags.
pub const FLAGS: &str = "selector/l= all-namespaces/A filename/f= kustomize/k= recursive/R \
    show-events=b chunk-size=i field-selector=";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    if args.words.is_empty() && !args.has("filename") {
        return Err(Failure::new(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.",
        ));
    }
    let selection = select(k, args, &args.words).await?;
    let listed = selection.targets.iter().any(|t| t.name.is_empty());
    let (found, mut failures) = objects(k, args, selection).await;
    let mut first = true;
    let nothing = found.is_empty() && failures.is_empty();
    for one in found {
        match describe(k, args, &one).await {
            Ok(text) => {
                if !first {
                    k.print("\n\n");
                }
                first = false;
                k.print(tabs::align(&text, 0, 2));
            }
            Err(failure) => failures.push(failure),
        }
    }
    if nothing && listed {
        let namespace = k.namespace_of(args);
        if args.on("all-namespaces") {
            k.complain("No resources found");
        } else {
            k.complain(format!("No resources found in {namespace} namespace."));
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

/// What an object looks like, with tabs.
async fn describe(k: &mut Kubectl<'_>, args: &Args, one: &Found) -> Result<String> {
    let mut w = Writer::default();
    let o = &one.object;
    let mut with_events = true;
    match (one.resource.group.as_str(), one.resource.kind.as_str()) {
        ("", "Pod") => pod::describe(&mut w, o),
        ("", "Node") => node::describe(k, &mut w, o).await?,
        ("", "Service") => network::service(k, &mut w, o).await?,
        ("", "Endpoints") => network::endpoints(&mut w, o),
        ("discovery.k8s.io", "EndpointSlice") => network::slice(&mut w, o),
        ("networking.k8s.io", "Ingress") => network::ingress(&mut w, o),
        ("networking.k8s.io", "NetworkPolicy") => {
            network::policy(&mut w, o);
            with_events = false;
        }
        ("", "ConfigMap") => config::config_map(&mut w, o),
        ("", "ResourceQuota") => {
            config::quota(&mut w, o);
            with_events = false;
        }
        ("", "Secret") => {
            config::secret(&mut w, o);
            with_events = false;
        }
        ("", "ServiceAccount") => config::service_account(&mut w, o),
        ("", "Namespace") => {
            config::namespace(k, &mut w, o).await?;
            with_events = false;
        }
        ("", "PersistentVolumeClaim") => config::claim(k, &mut w, o).await?,
        ("", "PersistentVolume") => config::volume(&mut w, o),
        ("policy", "PodDisruptionBudget") => config::budget(&mut w, o),
        ("autoscaling", "HorizontalPodAutoscaler") => config::autoscaler(&mut w, o),
        ("apps", "Deployment") => workload::deployment(k, &mut w, o).await?,
        ("apps", "ReplicaSet") => workload::replica_set(k, &mut w, o).await?,
        ("apps", "StatefulSet") => workload::stateful_set(k, &mut w, o).await?,
        ("apps", "DaemonSet") => workload::daemon_set(k, &mut w, o).await?,
        ("batch", "Job") => workload::job(&mut w, o),
        ("batch", "CronJob") => workload::cron_job(&mut w, o),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            config::role(&mut w, o);
            with_events = false;
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            config::binding(&mut w, o);
            with_events = false;
        }
        _ => generic::describe(&mut w, o),
    }
    if with_events && args.get("show-events") != Some("false") {
        events(k, &mut w, one).await?;
    }
    Ok(w.text())
}

async fn events(k: &mut Kubectl<'_>, w: &mut Writer, one: &Found) -> Result<()> {
    let meta = &one.object["metadata"];
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let mut fields = vec![format!("involvedObject.name={}", one.name())];
    if !one.namespace().is_empty() {
        fields.push(format!("involvedObject.namespace={}", one.namespace()));
    }
    fields.push(format!("involvedObject.kind={}", one.resource.kind));
    // Events of a node carry its name, not its uid.
    let uid = if one.resource.kind == "Node" { String::new() } else { text(&meta["uid"]) };
    if !uid.is_empty() {
        fields.push(format!("involvedObject.uid={uid}"));
    }
    let resource = k.client.kind("events").await?;
    let path =
        with_query(&resource.path(one.namespace(), ""), &[("fieldSelector", &fields.join(","))]);
    let list = k.client.get(&path).await?;
    let mut list = list["items"].as_array().cloned().unwrap_or_default();
    if list.is_empty() {
        w.write(0, "Events:\t<none>");
        return Ok(());
    }
    let last = |e: &Value| {
        let series = e["series"]["lastObservedTime"].as_str();
        let at = series.or(e["lastTimestamp"].as_str()).or(e["eventTime"].as_str());
        at.unwrap_or("").to_owned()
    };
    list.sort_by_key(last);
    w.write(0, "Events:\n  Type\tReason\tAge\tFrom\tMessage");
    w.write(1, "----\t------\t----\t----\t-------");
    let now = k.now();
    for event in &list {
        let from = match event["source"]["component"].as_str().filter(|s| !s.is_empty()) {
            Some(component) => component.to_owned(),
            None => text(&event["reportingComponent"]),
        };
        w.write(
            1,
            format!(
                "{}\t{}\t{}\t{from}\t{}",
                text(&event["type"]),
                text(&event["reason"]),
                crate::verbs::info::interval(event, now),
                text(&event["message"]).trim()
            ),
        );
    }
    Ok(())
}

/// An instant as it is described.
pub fn time(value: &Value) -> String {
    age::rfc1123(value.as_str().unwrap_or(""))
}
