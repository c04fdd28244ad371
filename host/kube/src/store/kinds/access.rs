//! Who may do what (`rbac.authorization.k8s.io/v1`, `certificates.k8s.io/v1`).

use crate::store::resource::Resource;

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
        .create_on_update(),
        Resource::new("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
            .cluster()
            .create_on_update(),
        Resource::new("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
            .create_on_update(),
        Resource::new("rbac.authorization.k8s.io", "v1", "roles", "Role").create_on_update(),
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
