//! How much there may be, and what goes first (`v1`, `scheduling.k8s.io/v1`, `node.k8s.io/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("", "v1", "limitranges", "LimitRange")
            .short(&["limits"])
            .create_on_update()
            .hooks(crate::admission::limit_range::HOOKS),
        Resource::new("", "v1", "resourcequotas", "ResourceQuota")
            .short(&["quota"])
            .status()
            .hooks(crate::admission::quota::HOOKS),
        Resource::new("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass")
            .cluster()
            .short(&["pc"])
            .generation()
            .hooks(crate::admission::priority::HOOKS),
        Resource::new("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass").cluster(),
    ]
}
