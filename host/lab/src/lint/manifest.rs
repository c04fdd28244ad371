//! What the manifests declare: images that the pattern maps, and targets that faults find.

use std::collections::BTreeSet;

use podlab_world::Fault;
use serde_json::Value;

use super::Lint;
use crate::exercise::{Exercise, Side, applied};
use crate::pattern::Pattern;
use crate::scenario::{Scenario, Step, all_steps};

/// Pods that a scenario's manifests bring about.
#[derive(Default)]
struct Declared(Vec<Pods>);

/// One pod, or those of one controller.
struct Pods {
    namespace: String,
    name: String,
    /// Its pods have names of their own that begin with `name-`.
    controlled: bool,
    containers: BTreeSet<String>,
    volumes: BTreeSet<String>,
    images: BTreeSet<String>,
}

/// Looks at every manifest, and at what scenarios and exercises break.
pub(super) fn look(
    lint: &mut Lint<'_>,
    pattern: &Pattern,
    scenarios: &[(String, Scenario)],
    exercises: &[Exercise],
) {
    let paths: Vec<&String> = lint.files.keys().filter(|p| is_manifest(p)).collect();
    for path in paths {
        match documents(lint, path) {
            Ok(objects) => images(lint, pattern, path, &objects),
            Err((line, message)) => lint.add(path, line, message),
        }
    }
    for (name, scenario) in scenarios {
        let path = format!("scenarios/{name}.yaml");
        let declared = declared(lint, applied(scenario).cloned());
        targets(lint, &path, scenario, &declared);
    }
    for exercise in exercises {
        let path = format!("exercises/{}/checks.yaml", exercise.slug);
        for side in [Side::Start, Side::Solution] {
            let at = |m: &String| match m.strip_prefix("work/") {
                Some(work) => format!("exercises/{}/{}/{work}", exercise.slug, side.folder()),
                None => m.clone(),
            };
            let declared = declared(lint, applied(&exercise.checks).map(at));
            targets(lint, &path, &exercise.checks, &declared);
        }
    }
}

fn is_manifest(path: &str) -> bool {
    let yaml = path.ends_with(".yaml") || path.ends_with(".yml");
    let mut parts = path.split('/');
    let folder = match parts.next() {
        Some("exercises") => parts.nth(1),
        first => first,
    };
    yaml && matches!(folder, Some("manifests" | "start" | "solution")) && path.contains('/')
}

fn documents(lint: &Lint<'_>, path: &str) -> Result<Vec<Value>, (Option<u64>, String)> {
    let text = lint.text(path).ok_or((None, "this file is not UTF-8".to_owned()))?;
    let all = podlab_world::apply::documents(text).map_err(|e| {
        let place = e.strip_prefix("line ").and_then(|r| r.split_once(": "));
        match place.and_then(|(n, rest)| Some((n.parse().ok()?, rest))) {
            Some((n, rest)) => (Some(n), rest.to_owned()),
            None => (None, e.clone()),
        }
    })?;
    for object in &all {
        for field in ["/apiVersion", "/kind", "/metadata/name"] {
            if object.pointer(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                let kind = object["kind"].as_str().unwrap_or("object");
                let field = field[1..].replace('/', ".");
                return Err((None, format!("an object ({kind}) has no {field}")));
            }
        }
    }
    Ok(all)
}

/// The pod specs in an object: its own, its template's, its job template's.
fn pod_spec(object: &Value) -> Option<&Value> {
    ["/spec/jobTemplate/spec/template/spec", "/spec/template/spec", "/spec"]
        .iter()
        .find_map(|p| object.pointer(p).filter(|s| s["containers"].is_array()))
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers"].into_iter().filter_map(|f| spec[f].as_array()).flatten()
}

fn images(lint: &mut Lint<'_>, pattern: &Pattern, path: &str, objects: &[Value]) {
    for container in objects.iter().filter_map(pod_spec).flat_map(containers) {
        let image = container["image"].as_str().unwrap_or_default();
        if pattern.file.images.contains_key(image) {
            continue;
        }
        let known = pattern.file.images.keys().map(String::as_str);
        let meant = crate::vocabulary::meant(image, known);
        let name = container["name"].as_str().unwrap_or_default();
        let message = if image.is_empty() {
            format!("the container {name:?} has no image")
        } else {
            format!(
                "pattern.yaml does not map the image {image:?}{meant} Add it under `images`, or use one of those"
            )
        };
        let line = lint.line(path, &format!("image: {image}"));
        lint.add(path, line, message);
    }
}

fn declared(lint: &Lint<'_>, manifests: impl Iterator<Item = String>) -> Declared {
    let mut out = Declared::default();
    for path in manifests {
        for object in documents(lint, &path).unwrap_or_default() {
            let Some(spec) = pod_spec(&object) else { continue };
            let word = |v: &Value| v["name"].as_str().map(str::to_owned);
            let metadata = &object["metadata"];
            out.0.push(Pods {
                namespace: metadata["namespace"].as_str().unwrap_or("default").into(),
                name: word(metadata).unwrap_or_default(),
                controlled: object["kind"] != "Pod",
                containers: containers(spec).filter_map(word).collect(),
                images: containers(spec)
                    .filter_map(|c| c["image"].as_str().map(str::to_owned))
                    .collect(),
                volumes: spec["volumes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(word)
                    .collect(),
            });
        }
    }
    out
}

impl Declared {
    /// Why `target` (`namespace/pod`, `namespace/pod/container`, `namespace/pod/volume`) is hit by
    /// nothing, if so.
    fn missing(&self, target: &str, third: fn(&Pods) -> &BTreeSet<String>) -> Option<String> {
        let mut parts = target.split('/');
        let (Some(namespace), Some(pod)) = (parts.next(), parts.next()) else {
            return Some("write namespace/pod or namespace/pod/container".into());
        };
        let part = parts.next();
        let here: Vec<&Pods> = self
            .0
            .iter()
            .filter(|p| {
                let own = p.controlled
                    && pod.strip_prefix(p.name.as_str()).is_some_and(|r| r.starts_with('-'));
                p.namespace == namespace && (own || !p.controlled && p.name == pod)
            })
            .collect();
        if here.is_empty() {
            let known = self.0.iter().map(|p| p.name.as_str());
            let meant = crate::vocabulary::meant(pod, known);
            return Some(format!(
                "no manifest that is applied here has the pod {namespace}/{pod}{meant}"
            ));
        }
        let part = part?;
        let known: BTreeSet<&String> = here.iter().flat_map(|p| third(p)).collect();
        (!known.iter().any(|k| *k == part))
            .then(|| format!("the pod {namespace}/{pod} has no {part:?}; it has {known:?}"))
    }
}

/// The faults of a step, those that a seed may draw too.
fn faults(step: &Step) -> Vec<&Fault> {
    match step {
        Step::Fault(fault) => vec![fault],
        Step::FaultFor(f) => vec![&f.fault],
        Step::Faults(f) => {
            let drawn = f.budget.iter().flat_map(|k| &k.any_of);
            drawn.chain(f.plan.iter().map(|p| &p.fault)).collect()
        }
        _ => Vec::new(),
    }
}

fn targets(lint: &mut Lint<'_>, path: &str, scenario: &Scenario, declared: &Declared) {
    let node = |name: &str| {
        let n = name.strip_prefix("node-").and_then(|n| n.parse::<u32>().ok());
        n.is_some_and(|n| (1..=scenario.world.nodes).contains(&n))
    };
    for fault in all_steps(&scenario.steps).into_iter().flat_map(faults) {
        let containers: fn(&Pods) -> &BTreeSet<String> = |p| &p.containers;
        let end = |name: &str| {
            let known = matches!(name, "*" | "api" | "outside") || node(name);
            match name.contains('/') {
                true => declared.missing(name, containers),
                false => (!known).then(|| {
                    format!("there is no such node, and pods are written namespace/pod; the nodes are node-1 to node-{}", scenario.world.nodes)
                }),
            }
        };
        let ends: Vec<(&str, Option<String>)> = match fault {
            Fault::Kill { target }
            | Fault::Pause { target }
            | Fault::Resume { target }
            | Fault::CpuStarve { target, .. }
            | Fault::CpuFed { target }
            | Fault::Oom { target }
            | Fault::ClockSkew { target, .. }
            | Fault::ClockRight { target } => {
                vec![(target, declared.missing(target, containers))]
            }
            Fault::CrashOnWrite { target, volume, .. } => {
                let pod = target.rsplit_once('/').map_or("", |(pod, _)| pod);
                let volume = declared.missing(&format!("{pod}/{volume}"), |p| &p.volumes);
                vec![(target, declared.missing(target, containers).or(volume))]
            }
            Fault::Partition { a, b, .. } | Fault::Link { a, b, .. } | Fault::Heal { a, b } => {
                vec![(a, end(a)), (b, end(b))]
            }
            Fault::NodeDown { target } | Fault::NodeUp { target } => {
                let missing = format!("the nodes are node-1 to node-{}", scenario.world.nodes);
                vec![(target, (!node(target)).then_some(missing))]
            }
            Fault::VolumeFull { target }
            | Fault::VolumeFreed { target }
            | Fault::VolumeErrors { target }
            | Fault::VolumeSlow { target, .. } => {
                vec![(target, declared.missing(target, |p| &p.volumes))]
            }
            Fault::DnsDown { target } | Fault::DnsUp { target } => vec![(target, end(target))],
            Fault::ImagePull { target } | Fault::ImagePulls { target } => {
                let known = declared.0.iter().flat_map(|p| &p.images);
                let missing = (!known.clone().any(|i| i == target)).then(|| {
                    let meant = crate::vocabulary::meant(target, known.map(String::as_str));
                    format!("no manifest that is applied here has this image{meant}")
                });
                vec![(target, missing)]
            }
            Fault::ControlPlaneSlow { .. } | Fault::ControlPlaneUsual {} => Vec::new(),
        };
        for (target, missing) in ends {
            if let Some(missing) = missing {
                let line = lint.line(path, target);
                lint.add(
                    path,
                    line,
                    format!("the fault {} of {target:?}: {missing}", fault.name()),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    const SCENARIO: &str = "\
title: {en: T, ja: T}
claim: {en: C, ja: C}
apply: [manifests/web.yaml]
steps:
  - repeat:
      times: 2
      steps: [{fault: FAULT}]
  - faults: {until: 5s, budget: [{anyOf: [FAULT], perMinute: 1.0, for: {min: 1s, max: 1s}}]}
checks:
  - {name: c, means: {en: M, ja: M}, finally: now > 0.0}
";

    /// What lint says of a scenario with this fault, inside a repeat and in a budget.
    fn said(fault: &str) -> String {
        let pattern = "name: p\ntitle: {en: P, ja: P}\nsummary: {en: S, ja: S}\nfamily: single-node\ndifficulty: 1\nimages: {\"web:v1\": web}\nmanifests: [manifests/web.yaml]\n";
        let web = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: main, image: \"web:v1\"}]\n  volumes: [{name: data, emptyDir: {}}]\n";
        let lesson = "# P\n| claim | proof |\n| --- | --- |\n| c | `s` |\n";
        let files: BTreeMap<String, Vec<u8>> = [
            ("pattern.yaml", pattern.to_owned()),
            ("manifests/web.yaml", web.into()),
            ("lesson.en.md", lesson.into()),
            ("lesson.ja.md", lesson.into()),
            ("scenarios/s.yaml", SCENARIO.replace("FAULT", fault)),
        ]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.into_bytes()))
        .collect();
        let (found, _) = crate::lint::files("p", &files);
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_fault_finds_its_target_also_in_steps_within_steps() {
        for (right, wrong, expected) in [
            (
                "{pause: {target: default/web/main}}",
                "{pause: {target: default/web/mian}}",
                "no \"mian\"",
            ),
            (
                "{cpuStarve: {target: default/web/main, factor: 2}}",
                "{cpuStarve: {target: default/wbe/main, factor: 2}}",
                "did you mean \"web\"?",
            ),
            (
                "{clockSkew: {target: default/web/main, ms: 5}}",
                "{clockSkew: {target: other/web/main, ms: 5}}",
                "no manifest that is applied",
            ),
            (
                "{volumeErrors: {target: default/web/data}}",
                "{volumeErrors: {target: default/web/dta}}",
                "no \"dta\"",
            ),
            (
                "{volumeSlow: {target: default/web/data, ms: 5}}",
                "{volumeSlow: {target: default/web/main, ms: 5}}",
                "no \"main\"",
            ),
            (
                "{imagePull: {target: \"web:v1\"}}",
                "{imagePull: {target: \"wbe:v1\"}}",
                "did you mean \"web:v1\"?",
            ),
            ("{nodeDown: {target: node-3}}", "{nodeDown: {target: node-4}}", "node-1 to node-3"),
            (
                "{partition: {a: outside, b: default/web}}",
                "{partition: {a: outside, b: node-9}}",
                "no such node",
            ),
            (
                "{partition: {a: default/web, b: api}}",
                "{partition: {a: default/web, b: apis}}",
                "no such node",
            ),
            (
                "{dnsDown: {target: default/web}}",
                "{dnsDown: {target: default/wbe}}",
                "did you mean \"web\"?",
            ),
            ("{controlPlaneSlow: {factor: 5}}", "", ""),
        ] {
            assert_eq!(said(right), "", "{right}");
            if !wrong.is_empty() {
                let found = said(wrong);
                assert!(found.contains(expected), "{wrong}: {found}");
            }
        }
    }
}
