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

/// The flags of all that make objects.
pub const FLAGS: &str = "filename/f= recursive/R output/o= dry-run=?unchanged validate=?strict \
    save-config field-manager= image= replicas/r=i port=i schedule= restart= from= \
    from-literal= from-file= type= tcp= clusterip= external-name= node-port=i hard= scopes= \
    verb= resource= resource-name= role= clusterrole= serviceaccount= user= group= value=i \
    description= global-default min-available= max-unavailable= selector= rule= class= \
    show-managed-fields edit append-hash duration=d";

/// The flags of run.
pub const RUN: &str = "image= restart= env= labels/l= port=i command dry-run=?unchanged output/o= \
    expose image-pull-policy= rm stdin/i tty/t attach quiet/q overrides= annotations= \
    field-manager= pod-running-timeout=d privileged leave-stdin-open save-config";

fn image_name(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split(['@', ':']).next().unwrap_or(name);
    name.replace('_', "-")
}

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

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image, "resources": {}})
}

fn deployment(name: &str, args: &Args, command: &[String]) -> Result<Value> {
    let mut containers = Vec::new();
    for image in args.list("image") {
        let mut one = container(&image_name(&image), &image);
        if !command.is_empty() {
            one["command"] = json!(command);
        }
        containers.push(one);
    }
    if containers.len() > 1 && !command.is_empty() {
        return Err(Failure::new("cannot specify multiple --image options and command"));
    }
    if let (Some(port), Some(first)) =
        (args.number("port").filter(|p| *p >= 0), containers.first_mut())
    {
        first["ports"] = json!([{"containerPort": port}]);
    }
    let labels = json!({"app": name});
    let mut meta_ = meta(name);
    meta_["labels"] = labels.clone();
    Ok(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta_,
        "spec": {"replicas": args.number("replicas").unwrap_or(1), "strategy": {},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"creationTimestamp": null, "labels": labels},
                "spec": {"containers": containers}}},
        "status": {}}))
}

async fn job(k: &mut Kubectl<'_>, name: &str, args: &Args, command: &[String]) -> Result<Value> {
    if args.has("from") == args.has("image") {
        return Err(Failure::new("either --image or --from must be specified"));
    }
    if let Some(from) = args.get("from") {
        let (kind, from) = from.split_once('/').unwrap_or(("", from));
        let resource = k.client.kind(kind).await?;
        if resource.kind != "CronJob" {
            return Err(Failure::new("from must be an existing cronjob"));
        }
        let cron = k.client.get(&resource.path(&k.namespace_of(args), from)).await?;
        let template = &cron["spec"]["jobTemplate"];
        let mut annotations =
            template["metadata"]["annotations"].as_object().cloned().unwrap_or_default();
        annotations.insert("cronjob.kubernetes.io/instantiate".into(), "manual".into());
        let mut meta_ = meta(name);
        meta_["annotations"] = annotations.into();
        if !template["metadata"]["labels"].is_null() {
            meta_["labels"] = template["metadata"]["labels"].clone();
        }
        meta_["ownerReferences"] = json!([{"apiVersion": "batch/v1", "kind": "CronJob",
            "name": cron["metadata"]["name"], "uid": cron["metadata"]["uid"], "controller": true}]);
        return Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta_,
            "spec": template["spec"], "status": {}}));
    }
    let mut one = container(name, args.text("image"));
    if !command.is_empty() {
        one["command"] = json!(command);
    }
    Ok(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": meta(name),
        "spec": {"template": {"metadata": {"creationTimestamp": null},
            "spec": {"containers": [one], "restartPolicy": "Never"}}}, "status": {}}))
}

fn cronjob(name: &str, args: &Args, command: &[String]) -> Value {
    let mut one = container(name, args.text("image"));
    if !command.is_empty() {
        one["command"] = json!(command);
    }
    let restart = args.get("restart").unwrap_or("OnFailure");
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta(name),
        "spec": {"schedule": args.text("schedule"), "jobTemplate": {"metadata": meta(name),
            "spec": {"template": {"metadata": {"creationTimestamp": null},
                "spec": {"containers": [one], "restartPolicy": restart}}}}}, "status": {}})
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

async fn role(k: &mut Kubectl<'_>, name: &str, args: &Args, kind: &str) -> Result<Value> {
    let verbs = args.list("verb");
    if verbs.is_empty() {
        return Err(Failure::new("at least one verb must be specified"));
    }
    let mut rules: Vec<Value> = Vec::new();
    for word in args.list("resource") {
        let (plain, sub) = word.split_once('/').map_or((word.as_str(), ""), |(a, b)| (a, b));
        let resource = k.client.kind(plain).await?;
        let shown =
            if sub.is_empty() { resource.name.clone() } else { format!("{}/{sub}", resource.name) };
        match rules.iter_mut().find(|r| r["apiGroups"][0] == resource.group.as_str()) {
            Some(rule) => {
                if let Some(list) = rule["resources"].as_array_mut() {
                    list.push(shown.into());
                }
            }
            None => {
                let mut rule =
                    json!({"verbs": verbs, "apiGroups": [resource.group], "resources": [shown]});
                if args.has("resource-name") {
                    rule["resourceNames"] = json!(args.all("resource-name"));
                }
                rules.push(rule);
            }
        }
    }
    if rules.is_empty() {
        return Err(Failure::new("at least one resource must be specified"));
    }
    let kind = if kind == "role" { "Role" } else { "ClusterRole" };
    Ok(
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta(name), "rules": rules}),
    )
}

fn binding(k: &Kubectl<'_>, name: &str, args: &Args, kind: &str) -> Result<Value> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let (role_kind, role) = match (args.get("clusterrole"), args.get("role")) {
        (Some(role), None) => ("ClusterRole", role),
        (None, Some(role)) => ("Role", role),
        _ => return Err(Failure::new("exactly one of clusterrole or role must be specified")),
    };
    let mut subjects = Vec::new();
    for user in args.list("user") {
        subjects.push(json!({"kind": "User", "apiGroup": GROUP, "name": user}));
    }
    for group in args.list("group") {
        subjects.push(json!({"kind": "Group", "apiGroup": GROUP, "name": group}));
    }
    for account in args.list("serviceaccount") {
        let (namespace, account) = account
            .split_once(':')
            .ok_or_else(|| Failure::new("serviceaccount must be <namespace>:<name>"))?;
        subjects.push(json!({"kind": "ServiceAccount", "namespace": namespace, "name": account}));
    }
    let mut meta_ = meta(name);
    let kind = if kind == "rolebinding" {
        meta_["namespace"] = k.namespace_of(args).into();
        "RoleBinding"
    } else {
        "ClusterRoleBinding"
    };
    let mut object = json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": meta_,
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role}});
    if !subjects.is_empty() {
        object["subjects"] = subjects.into();
    }
    Ok(object)
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

/// `kubectl run`.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    resources(&["image"], args)?;
    let Some((name, mut command)) = args.words.split_first().map(|(n, c)| (n, c.to_vec())) else {
        return Err(Failure::usage("kubectl run", "NAME is required for run"));
    };
    if args.on("stdin") || args.on("tty") || args.on("rm") || args.on("attach") {
        return Err(Failure::new(
            "the terminal of the page cannot attach to a pod: run it, then use kubectl logs or kubectl exec",
        ));
    }
    let mut one = container(name, args.text("image"));
    if !command.is_empty() {
        let field = if args.on("command") { "command" } else { "args" };
        one[field] = std::mem::take(&mut command).into();
    }
    if let Some(policy) = args.get("image-pull-policy") {
        one["imagePullPolicy"] = policy.into();
    }
    let mut env = Vec::new();
    for pair in args.all("env") {
        let (key, value) = pair
            .split_once('=')
            .filter(|(k, _)| !k.is_empty())
            .ok_or_else(|| Failure::new(format!("invalid env: {pair}")))?;
        env.push(json!({"name": key, "value": value}));
    }
    if !env.is_empty() {
        one["env"] = env.into();
    }
    if let Some(port) = args.number("port") {
        one["ports"] = json!([{"containerPort": port}]);
    }
    let restart = args.get("restart").unwrap_or("Always");
    if !matches!(restart, "Always" | "OnFailure" | "Never") {
        return Err(Failure::new(format!("invalid restart policy: {restart}")));
    }
    let mut meta_ = meta(name);
    meta_["labels"] =
        if args.has("labels") { pairs(&args.list("labels"))? } else { json!({"run": name}) };
    if args.has("annotations") {
        meta_["annotations"] = pairs(args.all("annotations"))?;
    }
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta_,
        "spec": {"containers": [one], "dnsPolicy": "ClusterFirst", "restartPolicy": restart},
        "status": {}});
    if args.on("expose") {
        let port = args
            .number("port")
            .ok_or_else(|| Failure::new("--port must be set when exposing a service"))?;
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(name),
            "spec": {"ports": [{"port": port, "protocol": "TCP", "targetPort": port}],
                "selector": object["metadata"]["labels"]}, "status": {"loadBalancer": {}}});
        make(k, args, service, "created", "").await?;
    }
    make(k, args, object, "created", "").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_called_as_its_image() {
        for (image, name) in [("web:v1", "web"), ("docker.io/a/b_c@sha256:1", "b-c")] {
            assert_eq!(image_name(image), name);
        }
    }
}
