//! `kubectl create deployment`, `job`, `cronjob`, and `kubectl run`: what runs containers.

use serde_json::{Value, json};

use super::{make, meta, pairs, resources};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;

/// The flags of run.
pub const RUN: &str = "image= restart= env= labels/l= port=i command dry-run=?unchanged output/o= \
    expose image-pull-policy= rm stdin/i tty/t attach quiet/q overrides= annotations= \
    field-manager= pod-running-timeout=d privileged leave-stdin-open save-config";

fn image_name(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    let name = name.split(['@', ':']).next().unwrap_or(name);
    name.replace('_', "-")
}

pub(super) fn deployment(name: &str, args: &Args, command: &[String]) -> Result<Value> {
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

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image, "resources": {}})
}

pub(super) async fn job(
    k: &mut Kubectl<'_>,
    name: &str,
    args: &Args,
    command: &[String],
) -> Result<Value> {
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

pub(super) fn cronjob(name: &str, args: &Args, command: &[String]) -> Value {
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
