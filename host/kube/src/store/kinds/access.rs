//! Who may do what (`rbac.authorization.k8s.io/v1`, `certificates.k8s.io/v1`).

use crate::store::resource::{Hooks, Resource};

/// Names of roles may be nearly anything (`ValidateRBACName`).
fn path_segment(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ => ['/', '%']
            .into_iter()
            .find(|c| name.contains(*c))
            .map(|c| format!("may not contain '{c}'")),
    }
}

const ROLE: Hooks = Hooks { name_error: path_segment, ..Hooks::plain() };

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new(
            "rbac.authorization.k8s.io",
            "v1",
            "clusterrolebindings",
            "ClusterRoleBinding",
        )
        .cluster()
        .create_on_update()
        .hooks(ROLE),
        Resource::new("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
            .cluster()
            .create_on_update()
            .hooks(ROLE),
        Resource::new("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
            .create_on_update()
            .hooks(ROLE),
        Resource::new("rbac.authorization.k8s.io", "v1", "roles", "Role")
            .create_on_update()
            .hooks(ROLE),
        Resource::new(
            "certificates.k8s.io",
            "v1",
            "certificatesigningrequests",
            "CertificateSigningRequest",
        )
        .cluster()
        .short(&["csr"])
        .sub("approval", "CertificateSigningRequest", &["get", "patch", "update"])
        .status()
        .selectable(&["spec.signerName"]),
    ]
}
