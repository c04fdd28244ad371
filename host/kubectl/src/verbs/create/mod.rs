//! Verbs that make objects: create and its kinds, and run.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::client::{Resource, with_query};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::manifest;
use crate::print::format::format;
use crate::select::Found;

mod access;
mod workloads;

pub use workloads::{RUN, run};

use access::{binding, role};
use workloads::{cronjob, deployment, job};

/// The flags of all that make objects.
pub const FLAGS: &str = "filename/f= recursive/R output/o= dry-run=?unchanged validate=?strict \
    save-config field-manager= image= replicas/r=i port=i schedule= restart= from= \
    from-literal= from-file= type= tcp= clusterip= external-name= node-port=i hard= scopes= \
    verb= resource= resource-name= role= clusterrole= serviceaccount= user= group= value=i \
    description= global-default min-available= max-unavailable= selector= rule= class= \
    show-managed-fields edit append-hash duration=d";

/// Refuses a command without these flags.
///
/// # Errors
/// If one is not there.
pub fn resources(words: &[&str], args: &Args) -> Result<()> {
    let missing: Vec<String> =
        words.iter().filter(|w| !args.has(w)).map(|w| format!("\"{w}\"")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("required flag(s) {} not set", missing.join(", "))))
}

/// Makes an object, and says so.
///
/// # Errors
/// What the server refused.
pub async fn make(
    k: &mut Kubectl<'_>,
    args: &Args,
    object: Value,
    verb: &str,
    fail: &str,
) -> Result<()> {
    let dry = DryRun::of(args)?;
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let resource: Resource = k.client.kind_of(&version, &kind).await?.ok_or_else(|| {
        Failure::new(format!("no matches for kind \"{kind}\" in version \"{version}\""))
    })?;
    let mut object = object;
    if args.has("namespace") && resource.namespaced {
        object["metadata"]["namespace"] = k.namespace_of(args).into();
    }
    if args.on("save-config") {
        object = super::apply::annotated(&object);
    }
    if dry != DryRun::Client {
        let namespace = if resource.namespaced { k.namespace_of(args) } else { String::new() };
        let manager = format!(
            "kubectl-{}",
            if verb == "exposed" {
                "expose"
            } else if verb == "autoscaled" {
                "autoscale"
            } else {
                "create"
            }
        );
        let manager = args.get("field-manager").unwrap_or(&manager).to_owned();
        let path = with_query(
            &resource.path(&namespace, ""),
            &[
                ("dryRun", dry.param()),
                ("fieldManager", &manager),
                ("fieldValidation", super::apply::validation(args)?),
            ],
        );
        let answer = k.client.write("POST", &path, "application/json", &object).await?;
        k.warn(&answer.warnings);
        object = match answer.json("") {
            Ok(object) => object,
            Err(failure) if fail.is_empty() => return Err(failure),
            Err(_) => {
                let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let message = said["message"].as_str().unwrap_or("").to_owned();
                return Err(Failure::new(format!("{fail}: {message}")));
            }
        };
    }
    let found = Found { resource, object };
    match args.get("output") {
        None | Some("") => k.line(format!("{} {verb}{}", found.shown(), dry.suffix())),
        Some(form) => {
            let object = crate::print::format::without_managed(found.object.clone(), false);
            let text = format(form, false)?.object(&object, &found.shown())?;
            k.print(text);
        }
    }
    Ok(())
}

/// `kubectl create`.
///
/// # Errors
/// As kubectl.
pub async fn create(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let (words, command) = args.split();
    let Some((kind, rest)) = words.split_first() else {
        if args.has("filename") {
            return from_manifest(k, args).await;
        }
        return Err(Failure::new("must specify one of -f and -k"));
    };
    let kind = match kind.as_str() {
        "deploy" | "deployment" => "deployment",
        "cj" | "cronjob" => "cronjob",
        "cm" | "configmap" => "configmap",
        "ns" | "namespace" => "namespace",
        "svc" | "service" => "service",
        "sa" | "serviceaccount" => "serviceaccount",
        "pc" | "priorityclass" => "priorityclass",
        "pdb" | "poddisruptionbudget" => "poddisruptionbudget",
        "quota" | "resourcequota" => "quota",
        "secret" => "secret",
        "job" => "job",
        "role" => "role",
        "clusterrole" => "clusterrole",
        "rolebinding" => "rolebinding",
        "clusterrolebinding" => "clusterrolebinding",
        _ => {
            return Err(Failure::usage(
                "kubectl create",
                format!("Unexpected args: [{}]", args.words.join(" ")),
            ));
        }
    };
    let (command_name, rest) = match (kind, rest.split_first()) {
        ("secret" | "service", Some((sub, rest))) => (format!("{kind} {sub}"), rest),
        ("secret", None) => {
            return Err(Failure::new(
                "a kind of secret is required: docker-registry, generic, tls",
            ));
        }
        ("service", None) => {
            return Err(Failure::new(
                "a kind of service is required: clusterip, externalname, loadbalancer, nodeport",
            ));
        }
        _ => (kind.to_owned(), rest),
    };
    match kind {
        "deployment" => resources(&["image"], args)?,
        "cronjob" => resources(&["image", "schedule"], args)?,
        _ => {}
    }
    let command_after = matches!(kind, "deployment" | "job" | "cronjob");
    let [name] = rest else {
        return Err(Failure::usage(
            &format!("kubectl create {command_name}"),
            format!("exactly one NAME is required, got {}", rest.len()),
        ));
    };
    if !command_after && !command.is_empty() {
        let got = rest.len() + command.len();
        let text = format!("exactly one NAME is required, got {got}");
        return Err(Failure::usage(&format!("kubectl create {command_name}"), text));
    }
    let object = match kind {
        "deployment" => deployment(name, args, command)?,
        "job" => job(k, name, args, command).await?,
        "cronjob" => cronjob(name, args, command),
        "configmap" => {
            let data = literals(args)?;
            let mut object =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name)});
            if !data.is_empty() {
                object["data"] = data.into();
            }
            object
        }
        "secret" => secret(name, args, &command_name)?,
        "namespace" => json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta(name),
            "spec": {}, "status": {}}),
        "serviceaccount" => {
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(name)})
        }
        "priorityclass" => json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": meta(name), "value": args.number("value").unwrap_or(0),
            "globalDefault": args.on("global-default"), "description": args.text("description"),
            "preemptionPolicy": "PreemptLowerPriority"}),
        "poddisruptionbudget" => budget(name, args)?,
        "quota" => json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta(name),
            "spec": {"hard": pairs(&args.list("hard"))?}, "status": {}}),
        "role" | "clusterrole" => role(k, name, args, kind).await?,
        "rolebinding" | "clusterrolebinding" => binding(k, name, args, kind)?,
        _ => service(name, args, &command_name)?,
    };
    let fail = match kind {
        "deployment" | "job" | "cronjob" | "configmap" | "secret" | "service"
        | "serviceaccount" | "quota" | "role" | "rolebinding" => match kind {
            "service" => {
                let sub = command_name.rsplit(' ').next().unwrap_or("");
                let sub = match sub {
                    "clusterip" => "ClusterIP",
                    "nodeport" => "NodePort",
                    "loadbalancer" => "LoadBalancer",
                    _ => "ExternalName",
                };
                format!("failed to create {sub} service")
            }
            other => format!("failed to create {other}"),
        },
        _ => String::new(),
    };
    let fail = if matches!(kind, "configmap" | "role" | "rolebinding" | "quota" | "serviceaccount")
        && kind != "configmap"
    {
        String::new()
    } else {
        fail
    };
    make(k, args, object, "created", &fail).await
}

async fn from_manifest(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let mut failures = Vec::new();
    let objects = manifest::documents(k, args)?;
    if objects.is_empty() {
        return Err(Failure::new("no objects passed to create"));
    }
    for object in objects {
        let result = async {
            let target = manifest::target(k, args, object).await?;
            let dry = DryRun::of(args)?;
            let mut object = target.given.clone().unwrap_or_default();
            if args.on("save-config") {
                object = super::apply::annotated(&object);
            }
            if dry != DryRun::Client {
                let path = with_query(
                    &target.resource.path(&target.namespace, ""),
                    &[
                        ("dryRun", dry.param()),
                        ("fieldManager", "kubectl-create"),
                        ("fieldValidation", super::apply::validation(args)?),
                    ],
                );
                let answer = k.client.write("POST", &path, "application/json", &object).await?;
                k.warn(&answer.warnings);
                object = answer.json("error when creating \"STDIN\"")?;
            }
            let found = Found { resource: target.resource, object };
            super::change::said(k, args, &found, "created", dry)
        };
        if let Err(failure) = result.await {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

/// The metadata of a new object.
pub fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": null})
}

/// The map that `a=b` words make.
///
/// # Errors
/// If one is none.
pub fn pairs(list: &[String]) -> Result<Value> {
    let mut map = Map::new();
    for pair in list {
        let (key, value) = pair.split_once('=').ok_or_else(|| {
            Failure::new(format!("Invalid argument syntax {pair}, expected <key>=<value>"))
        })?;
        map.insert(key.to_owned(), value.into());
    }
    Ok(map.into())
}

fn literals(args: &Args) -> Result<Map<String, Value>> {
    if args.has("from-file") {
        return Err(Failure::new("the terminal of the page has no files: use --from-literal"));
    }
    let mut map = Map::new();
    for pair in args.all("from-literal") {
        let (key, value) =
            pair.split_once('=').filter(|(k, _)| !k.is_empty()).ok_or_else(|| {
                Failure::new(format!("invalid literal source {pair}, expected key=value"))
            })?;
        let value = value.trim_matches(['\'', '"']);
        if map.insert(key.to_owned(), value.into()).is_some() {
            return Err(Failure::new(format!(
                "cannot add key {key}, another key by that name already exists in Data for ConfigMap"
            )));
        }
    }
    Ok(map)
}

fn secret(name: &str, args: &Args, command: &str) -> Result<Value> {
    if !command.ends_with(" generic") {
        return Err(Failure::new("only `kubectl create secret generic` works without files"));
    }
    let encode =
        |v: &Value| base64::engine::general_purpose::STANDARD.encode(v.as_str().unwrap_or(""));
    let data: Map<String, Value> =
        literals(args)?.iter().map(|(k, v)| (k.clone(), encode(v).into())).collect();
    let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": meta(name)});
    if !data.is_empty() {
        object["data"] = data.into();
    }
    if let Some(kind) = args.get("type") {
        object["type"] = kind.into();
    }
    Ok(object)
}

fn budget(name: &str, args: &Args) -> Result<Value> {
    let int_or = |text: &str| text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n));
    let mut spec = json!({"selector": {"matchLabels": pairs(&args.list("selector"))?}});
    match (args.get("min-available"), args.get("max-unavailable")) {
        (Some(min), None) => spec["minAvailable"] = int_or(min),
        (None, Some(max)) => spec["maxUnavailable"] = int_or(max),
        (None, None) => {
            return Err(Failure::new("one of min-available or max-unavailable must be specified"));
        }
        _ => {
            return Err(Failure::new("min-available and max-unavailable cannot be both specified"));
        }
    }
    let status = json!({"currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0});
    Ok(json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta(name),
        "spec": spec, "status": status}))
}

fn service(name: &str, args: &Args, command: &str) -> Result<Value> {
    let kind = match command.rsplit(' ').next().unwrap_or("") {
        "clusterip" => "ClusterIP",
        "nodeport" => "NodePort",
        "loadbalancer" => "LoadBalancer",
        "externalname" => "ExternalName",
        other => return Err(Failure::new(format!("unknown kind of service: {other}"))),
    };
    let mut ports = Vec::new();
    for word in args.list("tcp") {
        let (port, target) = word.split_once(':').unwrap_or((&word, &word));
        let invalid = |_| {
            Failure::new(format!(
                "invalid port format {word:?}: strconv.Atoi: parsing {port:?}: invalid syntax"
            ))
        };
        let port_number: u16 = port.parse().map_err(invalid)?;
        let target: Value = target.parse::<u16>().map_or_else(|_| json!(target), |n| json!(n));
        let mut one = json!({"name": word.replace(':', "-"), "port": port_number, "protocol": "TCP", "targetPort": target});
        if let Some(node) = args.number("node-port").filter(|n| *n > 0) {
            one["nodePort"] = node.into();
        }
        ports.push(one);
    }
    let mut meta_ = meta(name);
    meta_["labels"] = json!({"app": name});
    let mut spec = json!({"type": kind, "selector": {"app": name}});
    match (kind, args.get("clusterip")) {
        ("ExternalName", _) => spec["externalName"] = args.text("external-name").into(),
        (_, Some(ip)) => spec["clusterIP"] = ip.into(),
        _ => {}
    }
    if ports.is_empty() && kind != "ExternalName" && args.get("clusterip") != Some("None") {
        return Err(Failure::new("at least one tcp port specifier must be provided"));
    }
    if !ports.is_empty() {
        spec["ports"] = ports.into();
    }
    Ok(json!({"apiVersion": "v1", "kind": "Service", "metadata": meta_, "spec": spec,
        "status": {"loadBalancer": {}}}))
}
