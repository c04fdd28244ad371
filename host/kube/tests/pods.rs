//! Pods from creation to their end, in Kubernetes' times and words.

mod cluster;

use cluster::{World, container};
use serde_json::json;

#[test]
fn a_pod_comes_up_and_goes() {
    let mut w = World::new(1);
    w.pod("web", json!({"containers": [container("c", "print:hello forever")]}));
    w.run(1.0);
    let pod = w.get("web");
    assert_eq!(pod["status"]["phase"], "Running", "{pod:#}");
    assert!(w.ready("web"));
    assert_eq!(w.log("web", "c", false), ["hello"]);
    assert_eq!(
        w.events("web"),
        [
            "Scheduled Successfully assigned default/web to node-1 x1",
            "Pulling Pulling image \"test:1\" x1",
            "Pulled Successfully pulled image \"test:1\" in 0ms (0ms including waiting) x1",
            "Created Created container: c x1",
            "Started Started container c x1",
        ]
    );
    w.delete("web");
    w.run(2.0);
    assert_eq!(w.get("web"), json!(null));
    let history: Vec<String> = w.history("web", "c").into_iter().map(|h| h.1).collect();
    assert_eq!(history, ["start", "signal 15", "exit 143"]);
}
