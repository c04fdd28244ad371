//! What the picture needs to know of a Pod object.

use serde_json::Value;

/// How a container takes part in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One of `spec.containers`.
    Main,
    /// An init container that is restarted always: a native sidecar.
    Sidecar,
    /// An init container.
    Init,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// How it takes part.
    pub role: Role,
    /// The volumes it sees, and where.
    pub mounts: Vec<(String, String)>,
    /// "running", "waiting", "terminated" or empty.
    pub state: String,
    /// Why ("CrashLoopBackOff", "Completed").
    pub reason: String,
    /// How often it was started again.
    pub restarts: u64,
    /// Whether it is ready.
    pub ready: bool,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its address, or empty.
    pub ip: String,
    /// Its node, or empty.
    pub node: String,
    /// "Running".
    pub phase: String,
    /// Whether the condition Ready is True.
    pub ready: bool,
    /// Whether it is being deleted.
    pub ending: bool,
    /// Its containers: init containers first.
    pub containers: Vec<Container>,
    /// Its volumes and their kinds, without the projected token.
    pub volumes: Vec<(String, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

impl Pod {
    /// Reads the pod out of its JSON; what is missing stays empty.
    pub fn parse(json: &str) -> Pod {
        let Ok(pod) = serde_json::from_str::<Value>(json) else { return Pod::default() };
        let (spec, status) = (&pod["spec"], &pod["status"]);
        let ready = list(&status["conditions"])
            .iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True");
        let mut containers = Vec::new();
        for (group, statuses) in [
            ("initContainers", "initContainerStatuses"),
            ("containers", "containerStatuses"),
            ("ephemeralContainers", "ephemeralContainerStatuses"),
        ] {
            for c in list(&spec[group]) {
                let seen = list(&status[statuses]).iter().find(|s| s["name"] == c["name"]);
                containers.push(container(c, seen.unwrap_or(&Value::Null), group));
            }
        }
        let volumes = list(&spec["volumes"])
            .iter()
            .filter_map(|v| {
                let kind = v.as_object()?.keys().find(|k| *k != "name")?;
                (kind != "projected").then(|| (text(&v["name"]), kind.clone()))
            })
            .collect();
        Pod {
            ip: text(&status["podIP"]),
            node: text(&spec["nodeName"]),
            phase: text(&status["phase"]),
            ready,
            ending: pod["metadata"]["deletionTimestamp"].is_string(),
            containers,
            volumes,
        }
    }
}

fn container(spec: &Value, status: &Value, group: &str) -> Container {
    let state = status["state"].as_object().and_then(|s| s.iter().next());
    Container {
        name: text(&spec["name"]),
        image: text(&spec["image"]),
        role: match (group, spec["restartPolicy"].as_str()) {
            ("initContainers", Some("Always")) => Role::Sidecar,
            ("initContainers", _) => Role::Init,
            _ => Role::Main,
        },
        mounts: list(&spec["volumeMounts"])
            .iter()
            .map(|m| (text(&m["name"]), text(&m["mountPath"])))
            .collect(),
        state: state.map(|(name, _)| name.clone()).unwrap_or_default(),
        reason: state.map(|(_, s)| text(&s["reason"])).unwrap_or_default(),
        restarts: status["restartCount"].as_u64().unwrap_or(0),
        ready: status["ready"].as_bool().unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_read() {
        let pod = Pod::parse(
            r#"{"spec":{"nodeName":"node-1","volumes":[{"name":"content","emptyDir":{}},
            {"name":"kube-api-access","projected":{}}],
            "initContainers":[{"name":"saver","image":"s:1","restartPolicy":"Always"}],
            "containers":[{"name":"web","image":"web:1","volumeMounts":[{"name":"content","mountPath":"/c"}]}]},
            "status":{"podIP":"10.0.0.1","phase":"Running","conditions":[{"type":"Ready","status":"True"}],
            "containerStatuses":[{"name":"web","restartCount":2,"ready":false,
            "state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}}"#,
        );
        assert_eq!(pod.volumes, [("content".to_owned(), "emptyDir".to_owned())]);
        assert_eq!(pod.containers[0].role, Role::Sidecar);
        let web = &pod.containers[1];
        assert_eq!(
            (web.state.as_str(), web.reason.as_str(), web.restarts),
            ("waiting", "CrashLoopBackOff", 2)
        );
        assert_eq!(web.mounts, [("content".to_owned(), "/c".to_owned())]);
        assert_eq!(Pod::parse("not json"), Pod::default());
    }
}
