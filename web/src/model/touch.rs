//! What can be done to a thing, and the same in the words of kubectl and of a scenario.

use serde_json::{Value, json};

/// Something that can be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A container.
    Container {
        /// Its pod's namespace and name.
        pod: (String, String),
        /// Its name.
        name: String,
    },
    /// A pod, and what it is scaled by: kind and name.
    Pod {
        /// Its namespace and name.
        pod: (String, String),
        /// Its Deployment, StatefulSet or ReplicaSet, if it has one.
        owner: Option<(String, String)>,
    },
    /// A node, and the pods on it.
    Node(String, Vec<(String, String)>),
    /// A volume of a pod.
    Volume {
        /// The pod's namespace and name.
        pod: (String, String),
        /// Its name.
        name: String,
    },
    /// The way between two ends: `namespace/pod`, a node, or `outside`.
    Link(String, String),
}

/// How a deed is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A fault: the body of the request.
    Fault(Value),
    /// A request to the Kubernetes API: method, path, type of the body, body.
    Kube(&'static str, String, &'static str, Value),
    /// Every pod of a node is evicted, after the node is cordoned.
    Drain(String, Vec<(String, String)>),
}

/// The kinds of deeds, each with words of its own on the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Deed {
    Kill,
    Pause,
    Resume,
    Slow,
    Fast,
    SkewClock,
    RightClock,
    OutOfMemory,
    Delete,
    NoDns,
    Dns,
    Isolate,
    Scale,
    SetImage,
    NodeDown,
    NodeUp,
    Cordon,
    Uncordon,
    Drain,
    Fill,
    Free,
    Partition,
    Delay,
    Lose,
    Heal,
}

/// What is chosen with a deed: a number or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing.
    None,
    /// A number: least, most, and what it is at first.
    Number(i64, i64, i64),
    /// The name of an image.
    Image,
}

/// A deed, ready to be done.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// How.
    pub call: Call,
    /// The same with kubectl, or empty where kubectl cannot.
    pub kubectl: String,
    /// The same as a step of a scenario.
    pub scenario: String,
}

impl Deed {
    /// The word by which tests and addresses know it.
    pub fn id(self) -> String {
        match self {
            Deed::Pause | Deed::Resume => "hold".into(),
            other => format!("{other:?}").to_lowercase(),
        }
    }

    /// What must be chosen with it.
    pub fn choice(self) -> Choice {
        match self {
            Deed::Scale => Choice::Number(0, 50, 3),
            Deed::Slow => Choice::Number(2, 1000, 10),
            Deed::SkewClock => Choice::Number(-86_400, 86_400, 3600),
            Deed::Delay => Choice::Number(1, 60_000, 300),
            Deed::Lose => Choice::Number(1, 100, 30),
            Deed::SetImage => Choice::Image,
            _ => Choice::None,
        }
    }

    /// Whether it needs a program that runs.
    pub fn of_running(self) -> bool {
        matches!(
            self,
            Deed::Kill
                | Deed::Pause
                | Deed::Resume
                | Deed::Slow
                | Deed::SkewClock
                | Deed::OutOfMemory
        )
    }

    /// Whether it breaks something.
    pub fn breaks(self) -> bool {
        !matches!(
            self,
            Deed::Resume
                | Deed::Fast
                | Deed::RightClock
                | Deed::Dns
                | Deed::Scale
                | Deed::SetImage
                | Deed::NodeUp
                | Deed::Uncordon
                | Deed::Free
                | Deed::Heal
        )
    }
}

/// What can be done to a thing. `faults` are those in force, by name and target: what is broken
/// is offered to be mended.
pub fn deeds(thing: &Thing, faults: &dyn Fn(&str, &str) -> bool) -> Vec<Deed> {
    let either = |name: &str, target: &str, begin: Deed, end: Deed| {
        if faults(name, target) { end } else { begin }
    };
    match thing {
        Thing::Container { pod, name } => {
            let target = format!("{}/{}/{name}", pod.0, pod.1);
            let clock = either("clockSkew", &target, Deed::SkewClock, Deed::RightClock);
            let hold = either("pause", &target, Deed::Pause, Deed::Resume);
            let slow = either("cpuStarve", &target, Deed::Slow, Deed::Fast);
            vec![Deed::Kill, hold, slow, clock, Deed::OutOfMemory, Deed::SetImage]
        }
        Thing::Pod { pod, owner } => {
            let target = format!("{}/{}", pod.0, pod.1);
            let mut out = vec![
                Deed::Delete,
                either("partition", &format!("{target} <-> *"), Deed::Isolate, Deed::Heal),
                either("dnsDown", &target, Deed::NoDns, Deed::Dns),
            ];
            if owner.is_some() {
                out.push(Deed::Scale);
            }
            out
        }
        Thing::Node(name, _) => {
            vec![
                Deed::Cordon,
                Deed::Uncordon,
                Deed::Drain,
                either("nodeDown", name, Deed::NodeDown, Deed::NodeUp),
            ]
        }
        Thing::Volume { pod, name } => {
            vec![either(
                "volumeFull",
                &format!("{}/{}/{name}", pod.0, pod.1),
                Deed::Fill,
                Deed::Free,
            )]
        }
        Thing::Link(..) => vec![Deed::Partition, Deed::Delay, Deed::Lose, Deed::Heal],
    }
}

/// How `deed` is done to `thing` with what was chosen; `None` where it does not apply.
pub fn act(thing: &Thing, deed: Deed, number: i64, image: &str) -> Option<Act> {
    let fault = |kind: &str, fields: Value, kubectl: String| {
        let mut body = json!({ "kind": kind });
        if let (Some(body), Some(fields)) = (body.as_object_mut(), fields.as_object()) {
            body.extend(fields.clone());
        }
        let inner: Vec<String> = fields
            .as_object()
            .into_iter()
            .flatten()
            .map(|(k, v)| format!("{k}: {}", v.as_str().map_or(v.to_string(), quoted)))
            .collect();
        let scenario = format!("- fault: {{{kind}: {{{}}}}}", inner.join(", "));
        Some(Act { call: Call::Fault(body), kubectl, scenario })
    };
    let merge = "application/merge-patch+json";
    match thing {
        Thing::Container { pod: (ns, pod), name } => {
            let target = format!("{ns}/{pod}/{name}");
            let one = || json!({ "target": target });
            match deed {
                Deed::Kill => fault("kill", one(), String::new()),
                Deed::Pause => fault("pause", one(), String::new()),
                Deed::Resume => fault("resume", one(), String::new()),
                Deed::Slow => fault(
                    "cpuStarve",
                    json!({ "target": target, "factor": number.max(2) }),
                    String::new(),
                ),
                Deed::Fast => fault("cpuFed", one(), String::new()),
                Deed::SkewClock => fault(
                    "clockSkew",
                    json!({ "target": target, "ms": number * 1000 }),
                    String::new(),
                ),
                Deed::RightClock => fault("clockRight", one(), String::new()),
                Deed::OutOfMemory => fault("oom", one(), String::new()),
                Deed::SetImage => {
                    let body =
                        json!({ "spec": { "containers": [{ "name": name, "image": image }] } });
                    let path = format!("/api/v1/namespaces/{ns}/pods/{pod}");
                    let kubectl = format!("kubectl set image -n {ns} pod/{pod} {name}={image}");
                    let strategic = "application/strategic-merge-patch+json";
                    let scenario = format!(
                        "- patch: {{kind: Pod, namespace: {ns}, name: {pod}, merge: {{spec: {{containers: [{{name: {name}, image: \"{image}\"}}]}}}}}}"
                    );
                    Some(Act {
                        call: Call::Kube("PATCH", path, strategic, body),
                        kubectl,
                        scenario,
                    })
                }
                _ => None,
            }
        }
        Thing::Pod { pod: (ns, pod), owner } => {
            let target = format!("{ns}/{pod}");
            match deed {
                Deed::Delete => Some(Act {
                    call: Call::Kube(
                        "DELETE",
                        format!("/api/v1/namespaces/{ns}/pods/{pod}"),
                        "",
                        Value::Null,
                    ),
                    kubectl: format!("kubectl delete -n {ns} pod/{pod}"),
                    scenario: format!("- delete: {{kind: Pod, namespace: {ns}, name: {pod}}}"),
                }),
                Deed::Isolate => {
                    fault("partition", json!({ "a": target, "b": "*" }), String::new())
                }
                Deed::Heal => fault("heal", json!({ "a": target, "b": "*" }), String::new()),
                Deed::NoDns => fault("dnsDown", json!({ "target": target }), String::new()),
                Deed::Dns => fault("dnsUp", json!({ "target": target }), String::new()),
                Deed::Scale => {
                    let (kind, name) = owner.as_ref()?;
                    let plural = format!("{}s", kind.to_lowercase());
                    let lower = kind.to_lowercase();
                    let n = number.clamp(0, 50);
                    Some(Act {
                        call: Call::Kube(
                            "PATCH",
                            format!("/apis/apps/v1/namespaces/{ns}/{plural}/{name}/scale"),
                            merge,
                            json!({ "spec": { "replicas": n } }),
                        ),
                        kubectl: format!("kubectl scale -n {ns} {lower}/{name} --replicas={n}"),
                        scenario: format!(
                            "- scale: {{kind: {kind}, namespace: {ns}, name: {name}, replicas: {n}}}"
                        ),
                    })
                }
                _ => None,
            }
        }
        Thing::Node(name, pods) => {
            let cordon = |on: bool| {
                let word = if on { "cordon" } else { "uncordon" };
                Some(Act {
                    call: Call::Kube(
                        "PATCH",
                        format!("/api/v1/nodes/{name}"),
                        merge,
                        json!({ "spec": { "unschedulable": on } }),
                    ),
                    kubectl: format!("kubectl {word} {name}"),
                    scenario: format!(
                        "- patch: {{kind: Node, name: {name}, merge: {{spec: {{unschedulable: {on}}}}}}}"
                    ),
                })
            };
            match deed {
                Deed::Cordon => cordon(true),
                Deed::Uncordon => cordon(false),
                Deed::Drain => Some(Act {
                    call: Call::Drain(name.clone(), pods.clone()),
                    kubectl: format!(
                        "kubectl drain {name} --ignore-daemonsets --delete-emptydir-data --force"
                    ),
                    scenario: [cordon(true)?.scenario]
                        .into_iter()
                        .chain(pods.iter().map(|(ns, pod)| {
                            format!("- delete: {{kind: Pod, namespace: {ns}, name: {pod}}}")
                        }))
                        .collect::<Vec<_>>()
                        .join("\n"),
                }),
                Deed::NodeDown => fault("nodeDown", json!({ "target": name }), String::new()),
                Deed::NodeUp => fault("nodeUp", json!({ "target": name }), String::new()),
                _ => None,
            }
        }
        Thing::Volume { pod: (ns, pod), name } => {
            let target = json!({ "target": format!("{ns}/{pod}/{name}") });
            match deed {
                Deed::Fill => fault("volumeFull", target, String::new()),
                Deed::Free => fault("volumeFreed", target, String::new()),
                _ => None,
            }
        }
        Thing::Link(a, b) => match deed {
            Deed::Partition => fault("partition", json!({ "a": a, "b": b }), String::new()),
            Deed::Delay => fault(
                "link",
                json!({ "a": a, "b": b, "latencyMs": number.clamp(1, 60_000) }),
                String::new(),
            ),
            Deed::Lose => fault(
                "link",
                json!({ "a": a, "b": b, "loss": number.clamp(1, 100) as f64 / 100.0 }),
                String::new(),
            ),
            Deed::Heal => fault("heal", json!({ "a": a, "b": b }), String::new()),
            _ => None,
        },
    }
}

/// The path of an object in the Kubernetes API; `None` for kinds the page does not edit.
pub fn path_of(kind: &str, namespace: &str, name: &str) -> Option<String> {
    let (root, plural) = match kind {
        "Node" => return Some(format!("/api/v1/nodes/{name}")),
        "Pod" => ("/api/v1", "pods"),
        "Service" => ("/api/v1", "services"),
        "Deployment" => ("/apis/apps/v1", "deployments"),
        "StatefulSet" => ("/apis/apps/v1", "statefulsets"),
        "ReplicaSet" => ("/apis/apps/v1", "replicasets"),
        "Job" => ("/apis/batch/v1", "jobs"),
        _ => return None,
    };
    Some(format!("{root}/namespaces/{namespace}/{plural}/{name}"))
}

/// A word as YAML writes it in a line.
fn quoted(word: &str) -> String {
    if word.starts_with('*') { format!("\"{word}\"") } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Thing {
        Thing::Container { pod: ("default".into(), "web".into()), name: "log-saver".into() }
    }

    #[test]
    fn a_deed_is_said_in_three_ways() {
        let kill = act(&container(), Deed::Kill, 0, "").unwrap();
        assert_eq!(
            kill.call,
            Call::Fault(json!({ "kind": "kill", "target": "default/web/log-saver" }))
        );
        assert_eq!(kill.kubectl, "", "kubectl cannot kill a program");
        assert_eq!(kill.scenario, "- fault: {kill: {target: default/web/log-saver}}");
        let link = Thing::Link("default/web".into(), "*".into());
        let delay = act(&link, Deed::Delay, 250, "").unwrap();
        assert_eq!(delay.scenario, "- fault: {link: {a: default/web, b: \"*\", latencyMs: 250}}");
    }

    #[test]
    fn whatever_is_offered_can_be_done() {
        let pod = ("default".to_owned(), "web".to_owned());
        let owner = Some(("Deployment".to_owned(), "web".to_owned()));
        let things = [
            container(),
            Thing::Pod { pod: pod.clone(), owner },
            Thing::Node("node-1".into(), vec![pod.clone()]),
            Thing::Volume { pod, name: "logs".into() },
            Thing::Link("default/a".into(), "default/b".into()),
        ];
        for thing in &things {
            for broken in [false, true] {
                for deed in deeds(thing, &|_, _| broken) {
                    let act = act(thing, deed, 5, "web:v2").expect("it applies");
                    assert!(act.scenario.starts_with("- "), "{deed:?}");
                }
            }
        }
        assert!(act(&container(), Deed::Drain, 0, "").is_none());
    }
}
