//! `kubectl expose` and `kubectl autoscale`: objects that are made for others.

use serde_json::{Map, json};

use super::create::{make, meta, pairs, resources};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;

/// The flags of expose.
pub const EXPOSE: &str = "port= target-port= type= name= selector= protocol= labels/l= \
    external-ip= load-balancer-ip= session-affinity= cluster-ip= dry-run=?unchanged output/o= \
    filename/f= save-config field-manager= overrides=";

/// The flags of autoscale.
pub const AUTOSCALE: &str = "min=i max=i cpu-percent=i name= dry-run=?unchanged output/o= \
    filename/f= save-config field-manager=";

/// `kubectl expose`.
///
/// # Errors
/// As kubectl.
pub async fn expose(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let (found, failures) = crate::select::required(k, "kubectl expose", args, &args.words).await?;
    if let Some(failure) = Failure::all(failures) {
        return Err(failure);
    }
    for one in found {
        let spec = &one.object["spec"];
        let selector = match one.resource.kind.as_str() {
            _ if args.has("selector") => pairs(&args.list("selector"))?,
            "Pod" => one.object["metadata"]["labels"].clone(),
            "Service" => spec["selector"].clone(),
            "Deployment" | "ReplicaSet" => spec["selector"]["matchLabels"].clone(),
            "ReplicationController" => spec["selector"].clone(),
            _ => {
                return Err(Failure::new(format!("cannot expose a {}", one.resource.kind)));
            }
        };
        if selector.as_object().is_none_or(Map::is_empty) {
            return Err(Failure::new(
                "couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed",
            ));
        }
        let pod = if one.resource.kind == "Pod" { spec } else { &spec["template"]["spec"] };
        let of_service = spec["ports"].as_array().filter(|_| one.resource.kind == "Service");
        let known: Vec<(i64, String)> = of_service.map_or_else(
            || {
                let containers = pod["containers"].as_array().into_iter().flatten();
                containers
                    .flat_map(|c| c["ports"].as_array().into_iter().flatten())
                    .map(|p| {
                        (
                            p["containerPort"].as_i64().unwrap_or(0),
                            p["protocol"].as_str().unwrap_or("TCP").to_owned(),
                        )
                    })
                    .collect()
            },
            |ports| {
                ports
                    .iter()
                    .map(|p| {
                        (
                            p["port"].as_i64().unwrap_or(0),
                            p["protocol"].as_str().unwrap_or("TCP").to_owned(),
                        )
                    })
                    .collect()
            },
        );
        let asked: Vec<i64> = if args.has("port") {
            let mut numbers = Vec::new();
            for text in args.list("port") {
                numbers.push(text.parse().map_err(|_| {
                    Failure::new(format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
                })?);
            }
            numbers
        } else {
            known.iter().map(|(p, _)| *p).collect()
        };
        if asked.is_empty() {
            return Err(Failure::new("couldn't find port via --port flag or introspection"));
        }
        let many = asked.len() > 1;
        let mut ports = Vec::new();
        for (i, port) in asked.into_iter().enumerate() {
            let protocol =
                known.iter().find(|(p, _)| *p == port).map_or("TCP", |(_, p)| p.as_str());
            let protocol = args.get("protocol").unwrap_or(protocol);
            let target = match args.get("target-port") {
                Some(text) => text.parse::<i64>().map_or_else(|_| json!(text), |n| json!(n)),
                None => json!(port),
            };
            let mut entry = json!({"port": port, "protocol": protocol, "targetPort": target});
            if many {
                entry["name"] = format!("port-{}", i + 1).into();
            }
            ports.push(entry);
        }
        let mut meta_ = meta(args.get("name").unwrap_or_else(|| one.name()));
        let labels = if args.has("labels") {
            pairs(&args.list("labels"))?
        } else {
            one.object["metadata"]["labels"].clone()
        };
        if labels.as_object().is_some_and(|l| !l.is_empty()) {
            meta_["labels"] = labels;
        }
        let mut service = json!({"ports": ports, "selector": selector});
        for (flag, field) in [
            ("type", "type"),
            ("cluster-ip", "clusterIP"),
            ("session-affinity", "sessionAffinity"),
            ("load-balancer-ip", "loadBalancerIP"),
        ] {
            if let Some(value) = args.get(flag) {
                service[field] = value.into();
            }
        }
        let object = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta_,
            "spec": service, "status": {"loadBalancer": {}}});
        make(k, args, object, "exposed", "").await?;
    }
    Ok(())
}

/// `kubectl autoscale`.
///
/// # Errors
/// As kubectl.
pub async fn autoscale(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    resources(&["max"], args)?;
    let max = args.number("max").unwrap_or(-1);
    if max < 1 {
        return Err(Failure::new(format!(
            "--max=MAXPODS is required and must be at least 1, max: {max}"
        )));
    }
    if let Some(min) = args.number("min").filter(|min| *min > max) {
        return Err(Failure::new(format!(
            "--max=MAXPODS must be larger or equal to --min=MINPODS, max: {max}, min: {min}"
        )));
    }
    let (found, failures) =
        crate::select::required(k, "kubectl autoscale", args, &args.words).await?;
    if let Some(failure) = Failure::all(failures) {
        return Err(failure);
    }
    for one in found {
        let r = &one.resource;
        let mut spec = json!({"maxReplicas": max, "scaleTargetRef":
            {"apiVersion": r.api_version(), "kind": r.kind, "name": one.name()}});
        if let Some(min) = args.number("min").filter(|n| *n > 0) {
            spec["minReplicas"] = min.into();
        }
        if let Some(cpu) = args.number("cpu-percent").filter(|n| *n >= 0) {
            spec["targetCPUUtilizationPercentage"] = cpu.into();
        }
        let name = args.get("name").unwrap_or_else(|| one.name());
        let object = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "metadata": meta(name), "spec": spec,
            "status": {"currentReplicas": 0, "desiredReplicas": 0}});
        make(k, args, object, "autoscaled", "").await?;
    }
    Ok(())
}
