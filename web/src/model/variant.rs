//! What stands in a pattern's folder in place of the pattern: manifests `without*.yaml` that make the
//! same objects otherwise. The same world with one of them is the world without the pattern.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::touch::path_of;

/// A world without the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The manifest, without its folder and ending: "without".
    pub name: String,
    /// The title of the scenario that shows it, in English and Japanese; or empty.
    pub title: [String; 2],
    /// What it is made of.
    pub objects: Vec<Object>,
}

/// An object of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// It, as YAML.
    pub text: String,
}

impl Object {
    /// Its path in the Kubernetes API.
    pub fn path(&self) -> Option<String> {
        let (namespace, name) = (&self.namespace, &self.name);
        match self.kind.as_str() {
            "ConfigMap" => Some(format!("/api/v1/namespaces/{namespace}/configmaps/{name}")),
            kind => path_of(kind, namespace, name),
        }
    }
}

/// The variants of a pattern, as the server tells of it.
pub fn variants(pattern: &Value) -> Vec<Variant> {
    let text = |file: &str| pattern["files"][file].as_str().unwrap_or_default();
    let manifests = pattern["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut made = BTreeSet::new();
    for manifest in manifests.iter().filter_map(Value::as_str) {
        for object in objects(text(manifest)).unwrap_or_default() {
            made.insert((object.kind, object.namespace, object.name));
        }
    }
    let Some(files) = pattern["files"].as_object() else { return Vec::new() };
    let mut out = Vec::new();
    for file in files.keys() {
        let name = file.strip_prefix("manifests/").and_then(|f| f.strip_suffix(".yaml"));
        let Some(name) = name.filter(|n| n.starts_with("without")) else { continue };
        let Some(objects) = objects(text(file)) else { continue };
        // One that only adds something takes nothing out.
        let replaces = |o: &Object| {
            let key = (o.kind.clone(), o.namespace.clone(), o.name.clone());
            made.contains(&key) && o.path().is_some()
        };
        if objects.is_empty() || !objects.iter().all(replaces) {
            continue;
        }
        let shows = |scenario: &&String| {
            scenario.starts_with("scenarios/without") && text(scenario).contains(file.as_str())
        };
        let title = files.keys().find(shows).map(|s| titles(text(s))).unwrap_or_default();
        out.push(Variant { name: name.into(), title, objects });
    }
    out
}

/// The objects of a manifest; `None` if one cannot be told.
fn objects(manifest: &str) -> Option<Vec<Object>> {
    let mut documents = vec![String::new()];
    for line in manifest.lines() {
        if line.trim_end() == "---" {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let said = |d: &&String| d.lines().any(|l| !l.trim().is_empty() && !l.starts_with('#'));
    documents.iter().filter(said).map(|d| object(d)).collect()
}

fn object(text: &str) -> Option<Object> {
    let plain = |v: &str| v.trim().trim_matches(['"', '\'']).to_owned();
    let mut object = Object {
        kind: String::new(),
        namespace: "default".into(),
        name: String::new(),
        text: text.into(),
    };
    let mut inside = "";
    for line in text.lines() {
        if !line.starts_with([' ', '#']) {
            inside = line.split(':').next().unwrap_or_default();
            if let Some(kind) = line.strip_prefix("kind:") {
                object.kind = plain(kind);
            }
        } else if inside == "metadata" {
            if let Some(name) = line.strip_prefix("  name:") {
                object.name = plain(name);
            } else if let Some(namespace) = line.strip_prefix("  namespace:") {
                object.namespace = plain(namespace);
            }
        }
    }
    (!object.kind.is_empty() && !object.name.is_empty()).then_some(object)
}

/// The titles of a scenario.
fn titles(scenario: &str) -> [String; 2] {
    let Some(begin) = scenario.find("title:") else { return Default::default() };
    let after = &scenario[begin + "title:".len()..];
    if let Some(flow) = after.trim_start_matches(' ').strip_prefix('{') {
        let flow = flow.split(['}', '\n']).next().unwrap_or_default();
        let (en, ja) = flow.split_once(", ja:").unwrap_or((flow, ""));
        let en = en.trim().strip_prefix("en:").unwrap_or(en);
        return [en, ja].map(|t| t.trim().trim_matches('"').to_owned());
    }
    ["  en:", "  ja:"].map(|key| {
        let lines = after.lines().skip(1).take_while(|l| l.starts_with("  "));
        let found = lines.filter_map(|l| l.strip_prefix(key)).next().unwrap_or_default();
        found.trim().trim_matches('"').to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A pattern of this repository, as the server tells of it.
    fn pattern(name: &str) -> Value {
        let root = format!("{}/../patterns/{name}", env!("CARGO_MANIFEST_DIR"));
        let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
        let mut files = serde_json::Map::new();
        for folder in ["manifests", "scenarios"] {
            for entry in std::fs::read_dir(format!("{root}/{folder}")).unwrap() {
                let file = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
                files.insert(file.clone(), read(&file).into());
            }
        }
        let text = read("pattern.yaml");
        let list = text.split("\nmanifests:\n").nth(1).unwrap();
        let manifests: Vec<&str> = list.lines().map_while(|l| l.strip_prefix("  - ")).collect();
        json!({ "manifests": manifests, "files": files })
    }

    #[test]
    fn patterns_have_variants_without_them() {
        let names = |name: &str| {
            let found = variants(&pattern(name));
            assert!(found.iter().all(|v| v.title.iter().all(|t| !t.is_empty())), "{found:?}");
            found.into_iter().map(|v| v.name).collect::<Vec<_>>()
        };
        for name in ["sidecar", "adapter", "ambassador", "scatter-gather"] {
            assert_eq!(names(name), ["without"], "{name}");
        }
        assert_eq!(names("leader-election"), ["without-fencing"]);
        // Mailers are not in the pattern: nothing is taken out by others of them.
        assert_eq!(names("work-queue"), ["without-late-ack"]);
    }

    #[test]
    fn its_objects_and_titles_are_read() {
        let found = variants(&pattern("sidecar")).remove(0);
        assert_eq!(found.title, ["Without the sidecar", "サイドカーがない場合"]);
        let list: Vec<_> = found.objects.iter().filter_map(Object::path).collect();
        let root = "/api/v1/namespaces/default";
        assert_eq!(list, [format!("{root}/pods/web"), format!("{root}/services/web")]);
        assert!(found.objects[0].text.contains("content-init"));
        let flow = variants(&pattern("leader-election")).remove(0);
        assert!(flow.title[0].starts_with("Without fencing"), "{:?}", flow.title);
        assert!(flow.title[1].starts_with("フェンシング"), "{:?}", flow.title);
    }

    #[test]
    fn what_cannot_be_read_is_no_variant() {
        assert!(variants(&Value::Null).is_empty());
        let files = json!({"manifests/without.yaml": "kind: Pod\n", "manifests/a.yaml": ""});
        assert!(variants(&json!({"manifests": ["manifests/a.yaml"], "files": files})).is_empty());
    }
}
