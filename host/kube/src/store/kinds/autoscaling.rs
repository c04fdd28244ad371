//! How many are needed, and how many may go at once (`autoscaling/v2`, `policy/v1`,
//! `metrics.k8s.io/v1beta1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    // Answered from what was measured; nothing is ever stored under these.
    let figures = |plural, kind| {
        let mut row = Resource::new("metrics.k8s.io", "v1beta1", plural, kind);
        row.singular = "".into();
        row.verbs = vec!["get".into(), "list".into()];
        row
    };
    vec![
        figures("nodes", "NodeMetrics").cluster(),
        figures("pods", "PodMetrics"),
        Resource::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
            .short(&["hpa"])
            .categories(&["all"])
            .status()
            .hooks(super::autoscaler::HOOKS),
        Resource::new("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
            .short(&["pdb"])
            .status()
            .generation()
            .hooks(super::budget::HOOKS),
    ]
}
