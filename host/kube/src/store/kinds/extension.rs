//! The API server about itself: custom kinds, services, admission, flow control.

use crate::store::resource::Resource;

/// The rows.
pub(super) fn rows() -> Vec<Resource> {
    vec![
        Resource::new(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
        )
        .cluster()
        .short(&["crd", "crds"])
        .categories(&["api-extensions"])
        .status()
        .generation()
        .hooks(crate::store::custom::definition::HOOKS),
        Resource::new("apiregistration.k8s.io", "v1", "apiservices", "APIService")
            .cluster()
            .categories(&["api-extensions"])
            .status(),
        Resource::new(
            "admissionregistration.k8s.io",
            "v1",
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
        )
        .cluster()
        .categories(&["api-extensions"])
        .generation(),
        Resource::new(
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
        )
        .cluster()
        .categories(&["api-extensions"])
        .status()
        .generation(),
        Resource::new(
            "admissionregistration.k8s.io",
            "v1",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
        )
        .cluster()
        .categories(&["api-extensions"])
        .generation(),
        Resource::new(
            "admissionregistration.k8s.io",
            "v1",
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
        )
        .cluster()
        .categories(&["api-extensions"])
        .generation(),
        Resource::new("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema")
            .cluster()
            .status()
            .generation(),
        Resource::new(
            "flowcontrol.apiserver.k8s.io",
            "v1",
            "prioritylevelconfigurations",
            "PriorityLevelConfiguration",
        )
        .cluster()
        .status()
        .generation(),
    ]
}
