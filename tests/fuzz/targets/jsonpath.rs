//! Templates of `-o jsonpath`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use podlab_kubectl::print::jsonpath::Template;
use serde_json::json;

fuzz_target!(|text: &str| {
    let Ok(template) = Template::parse(text) else { return };
    let pod = json!({"metadata": {"name": "a", "labels": {"x.y/z": "1"}},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}, {"name": "d"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "n": 1.5}});
    let _ = template.run(&pod);
    let _ = template.find(&pod);
});
