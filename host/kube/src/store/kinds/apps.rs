//! Workloads (`apps/v1`).

use serde_json::Value;

use super::{apps_defaults as defaults, apps_validation as validation};
use crate::store::names;
use crate::store::object::{map_mut, meta_mut};
use crate::store::resource::{Hooks, Resource};

const DEPLOYMENT: Hooks = Hooks {
    default: defaults::deployment,
    validate: validation::deployment,
    validate_update: validation::deployment_update,
    ..super::PLAIN
};
const REPLICA_SET: Hooks = Hooks {
    default: defaults::replica_set,
    validate: validation::replica_set,
    validate_update: validation::replica_set_update,
    ..super::PLAIN
};
const REPLICATION_CONTROLLER: Hooks = Hooks {
    default: defaults::replication_controller,
    validate: validation::replication_controller,
    validate_update: |new, _, errors| validation::replication_controller(new, errors),
    ..super::PLAIN
};
const STATEFUL_SET: Hooks = Hooks {
    default: defaults::stateful_set,
    validate: validation::stateful_set,
    validate_update: validation::stateful_set_update,
    // Its pods' names are host names.
    name_error: names::label_error,
    ..super::PLAIN
};
const DAEMON_SET: Hooks = Hooks {
    default: defaults::daemon_set,
    prepare_create: |_, set| {
        set_template_generation(set, 1);
        Ok(())
    },
    prepare_update: |_, new, old| {
        let changed = i64::from(new["spec"]["template"] != old["spec"]["template"]);
        let before = old["metadata"]["annotations"][TEMPLATE_GENERATION].as_str();
        let before: i64 = before.and_then(|t| t.parse().ok()).unwrap_or(1);
        set_template_generation(new, before + changed);
        Ok(())
    },
    validate: validation::daemon_set,
    validate_update: validation::daemon_set_update,
    ..super::PLAIN
};

/// Counts the templates that a DaemonSet has had, as v1beta1 did in its spec.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn set_template_generation(set: &mut Value, generation: i64) {
    map_mut(meta_mut(set).entry("annotations").or_insert(Value::Null))
        .insert(TEMPLATE_GENERATION.into(), generation.to_string().into());
}

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("apps", "v1", "controllerrevisions", "ControllerRevision"),
        Resource::new("apps", "v1", "daemonsets", "DaemonSet")
            .short(&["ds"])
            .categories(&["all"])
            .status()
            .generation()
            .hooks(DAEMON_SET),
        Resource::new("apps", "v1", "deployments", "Deployment")
            .short(&["deploy"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .hooks(DEPLOYMENT),
        Resource::new("apps", "v1", "replicasets", "ReplicaSet")
            .short(&["rs"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .selectable(&["status.replicas"])
            .hooks(REPLICA_SET),
        Resource::new("apps", "v1", "statefulsets", "StatefulSet")
            .short(&["sts"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .hooks(STATEFUL_SET),
        Resource::new("", "v1", "podtemplates", "PodTemplate"),
        Resource::new("", "v1", "replicationcontrollers", "ReplicationController")
            .short(&["rc"])
            .categories(&["all"])
            .scale()
            .status()
            .generation()
            .selectable(&["status.replicas"])
            .hooks(REPLICATION_CONTROLLER),
    ]
}
