//! Who reaches whom (`networking.k8s.io/v1`).

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new("networking.k8s.io", "v1", "ingressclasses", "IngressClass")
            .cluster()
            .generation(),
        Resource::new("networking.k8s.io", "v1", "ingresses", "Ingress")
            .short(&["ing"])
            .status()
            .generation(),
        Resource::new("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
            .short(&["netpol"])
            .generation(),
    ]
}
