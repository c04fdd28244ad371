//! Work that ends (`batch/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("batch", "v1", "cronjobs", "CronJob")
            .short(&["cj"])
            .categories(&["all"])
            .status()
            .generation()
            .hooks(super::cronjob::HOOKS),
        Resource::new("batch", "v1", "jobs", "Job")
            .categories(&["all"])
            .status()
            .generation()
            .selectable(&["status.successful"])
            .hooks(super::job::HOOKS),
    ]
}
