//! Workloads (`apps/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("apps", "v1", "controllerrevisions", "ControllerRevision"),
        Resource::new("apps", "v1", "daemonsets", "DaemonSet")
            .short(&["ds"])
            .categories(&["all"])
            .status()
            .generation(),
        Resource::new("apps", "v1", "deployments", "Deployment")
            .short(&["deploy"])
            .categories(&["all"])
            .scale()
            .status()
            .generation(),
        Resource::new("apps", "v1", "replicasets", "ReplicaSet")
            .short(&["rs"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .selectable(&["status.replicas"]),
        Resource::new("apps", "v1", "statefulsets", "StatefulSet")
            .short(&["sts"])
            .categories(&["all"])
            .scale()
            .status()
            .generation(),
        Resource::new("", "v1", "podtemplates", "PodTemplate"),
        Resource::new("", "v1", "replicationcontrollers", "ReplicationController")
            .short(&["rc"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .selectable(&["status.replicas"]),
    ]
}
