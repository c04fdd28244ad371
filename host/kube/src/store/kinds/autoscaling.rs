//! How many are needed, and how many may go at once (`autoscaling/v2`, `policy/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
            .short(&["hpa"])
            .categories(&["all"])
            .status(),
        Resource::new("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
            .short(&["pdb"])
            .status()
            .generation()
            .hooks(super::budget::HOOKS),
    ]
}
