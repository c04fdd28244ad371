//! The kinds there are: one row each, and a file for each kind with rules of its own.

mod access;
pub mod apps;
mod apps_defaults;
mod apps_validation;
mod autoscaler;
mod autoscaling;
mod batch;
pub mod budget;
pub mod config;
mod cronjob;
mod extension;
pub mod int_or_percent;
pub mod job;
pub mod job_indexes;
mod limits;
pub mod metadata;
pub mod namespace;
mod networking;
pub mod pod;
pub mod pod_defaults;
pub mod pod_resources;
pub mod schedule;
pub mod service;
mod storage;
mod volumes;

use super::resource::{Hooks, Resource};

const VIEW: [&str; 3] = ["get", "patch", "update"];

/// All rows.
pub fn all() -> Vec<Resource> {
    let core = |plural, kind| Resource::new("", "v1", plural, kind);
    let mut all = vec![
        core("namespaces", "Namespace")
            .cluster()
            .short(&["ns"])
            .without("deletecollection")
            .status()
            .sub("finalize", "Namespace", &["update"])
            .selectable(&["status.phase"])
            .hooks(namespace::HOOKS),
        core("nodes", "Node").cluster().short(&["no"]).status().selectable(&["spec.unschedulable"]),
        core("pods", "Pod")
            .short(&["po"])
            .categories(&["all"])
            .status()
            .sub("attach", "PodAttachOptions", &["create", "get"])
            .sub("binding", "Binding", &["create"])
            .sub("ephemeralcontainers", "Pod", &VIEW)
            .eviction()
            .sub("exec", "PodExecOptions", &["create", "get"])
            .sub("log", "Pod", &["get"])
            .sub("portforward", "PodPortForwardOptions", &["create", "get"])
            .selectable(&[
                "spec.nodeName",
                "spec.restartPolicy",
                "spec.schedulerName",
                "spec.serviceAccountName",
                "spec.hostNetwork",
                "status.phase",
                "status.podIP",
                "status.podIPs",
                "status.nominatedNodeName",
            ])
            .hooks(pod::HOOKS),
        core("services", "Service")
            .short(&["svc"])
            .categories(&["all"])
            .status()
            .create_on_update()
            .selectable(&["spec.clusterIP", "spec.type"])
            .hooks(service::HOOKS),
        core("endpoints", "Endpoints").short(&["ep"]).create_on_update(),
        core("configmaps", "ConfigMap").short(&["cm"]).hooks(config::CONFIG_MAP),
        core("secrets", "Secret").selectable(&["type"]).hooks(config::SECRET),
        core("events", "Event").short(&["ev"]).create_on_update().selectable(&[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]),
        core("serviceaccounts", "ServiceAccount").short(&["sa"]).sub_of(
            "token",
            ("authentication.k8s.io", "v1", "TokenRequest"),
            &["create"],
        ),
        Resource::new("coordination.k8s.io", "v1", "leases", "Lease").create_on_update(),
        Resource::new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice").generation(),
    ];
    for rows in [
        access::rows,
        apps::rows,
        autoscaling::rows,
        batch::rows,
        extension::rows,
        limits::rows,
        networking::rows,
        storage::rows,
    ] {
        all.extend(rows());
    }
    all
}

/// Hooks of a kind that only has defaults and a check.
pub(super) const PLAIN: Hooks = Hooks::plain();
