//! Verbs that need a machine: files, ports, an editor. What to type here instead, and how to have
//! the verb itself.

use crate::failure::Failure;

/// Why a verb is not done in the page, and the remedy; `None` for what kubectl does not have.
pub fn remedy(verb: &str) -> Option<Failure> {
    let (why, here) = match verb {
        "cp" => (
            "copies between a pod and files of a machine, and a page has none",
            "kubectl exec POD -- cat PATH                 shows a file\n  kubectl exec -i POD -- tee PATH <<EOF        writes what follows, up to a line EOF",
        ),
        "port-forward" => (
            "opens a port of a machine, which a page cannot",
            "kubectl exec POD -- wget -qO- http://localhost:PORT/      asks from inside the pod\n  kubectl exec POD -- wget -qO- http://SERVICE:PORT/        asks a Service",
        ),
        "proxy" => (
            "opens a port of a machine, which a page cannot",
            "kubectl get --raw /api/v1/namespaces/default/pods         asks the API server",
        ),
        "edit" => (
            "opens a file in an editor, and a terminal in a page has neither",
            "kubectl get KIND NAME -o yaml                shows the object\n  kubectl patch KIND NAME -p '{\"spec\": ...}'    changes it\n  the object's YAML in the page is an editor: choose the pod or container, then its menu",
        ),
        "kustomize" => (
            "builds a folder of files, and a page has none",
            "on your machine: kubectl kustomize FOLDER    prints the manifests\n  kubectl apply -f - <<EOF                     takes them pasted, up to a line EOF",
        ),
        "debug" => (
            "attaches a terminal to a new container",
            "kubectl exec -it POD -- sh                   has the toolbox's programs in any container",
        ),
        "certificate" | "completion" | "config" | "options" | "plugin" => (
            "is about the machine on which kubectl runs",
            "kubectl cluster-info                         says where this world's API server is",
        ),
        _ => return None,
    };
    Some(Failure::new(format!(
        "kubectl {verb} {why}. Here:\n  {here}\nOr use kubectl on your machine, with the file that `podlab kubeconfig` writes."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{VERBS, spec};

    #[test]
    fn every_verb_of_kubectl_is_done_or_has_a_remedy() {
        for verb in VERBS {
            assert!(spec(verb).is_some() != remedy(verb).is_some(), "{verb}");
        }
        assert!(remedy("gett").is_none());
        let text = remedy("cp").unwrap().text;
        assert!(text.starts_with("error: kubectl cp copies"), "{text}");
    }
}
