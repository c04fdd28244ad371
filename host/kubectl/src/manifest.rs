//! Manifests from standard input: several documents, YAML or JSON, lists within.

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::select::Target;

/// A manifest holds no more objects than this.
const MAX_OBJECTS: usize = 5000;

/// The objects of `-f -`.
///
/// # Errors
/// If they cannot be read, or come from a file: a page has none.
pub fn documents(k: &Kubectl<'_>, args: &Args) -> Result<Vec<Value>> {
    if let Some(folder) = args.get("kustomize") {
        return Err(Failure::new(format!(
            "the terminal of the page has no files, so that it cannot build {folder:?}: use kubectl with the file of `podlab kubeconfig`"
        )));
    }
    if let Some(file) = args.all("filename").iter().find(|f| *f != "-") {
        return Err(Failure::new(format!(
            "the path {file:?} does not exist: the terminal of the page has no files; paste the manifest after `kubectl apply -f - <<EOF`, and end it with a line EOF"
        )));
    }
    let mut objects = Vec::new();
    for text in split(k.stdin) {
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|e| {
            let why = e.to_string();
            let why = why.lines().next().unwrap_or("");
            Failure::new(format!("error parsing STDIN: error converting YAML to JSON: yaml: {why}"))
        })?;
        if value.is_null() {
            continue;
        }
        if !value.is_object() {
            return Err(Failure::new(
                "error validating \"STDIN\": error validating data: invalid object to validate; if you choose to ignore these errors, turn validation off with --validate=false",
            ));
        }
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value["items"].as_array() {
            Some(items) if is_list => objects.extend(items.iter().cloned()),
            _ => objects.push(value),
        }
        if objects.len() > MAX_OBJECTS {
            return Err(Failure::new(format!("at most {MAX_OBJECTS} objects at once")));
        }
    }
    Ok(objects)
}

/// The documents of a stream, separated by lines `---`.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.push(&text[begin..at]);
            begin = at + line.len();
        }
        at += line.len();
    }
    parts.push(&text[begin..]);
    let comment = |l: &str| l.trim().is_empty() || l.trim_start().starts_with('#');
    parts.retain(|p| !p.lines().all(comment));
    parts
}

/// What kind an object of a manifest is of, and where it goes.
///
/// # Errors
/// If it does not say so, or the server has no such kind.
pub async fn target(k: &mut Kubectl<'_>, args: &Args, mut object: Value) -> Result<Target> {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let mut missing = Vec::new();
    if version.is_empty() {
        missing.push("apiVersion not set");
    }
    if kind.is_empty() {
        missing.push("kind not set");
    }
    if !missing.is_empty() {
        let said = match missing[..] {
            [one] => one.to_owned(),
            _ => format!("[{}]", missing.join(", ")),
        };
        return Err(Failure::new(format!(
            "error validating \"STDIN\": error validating data: {said}; if you choose to ignore these errors, turn validation off with --validate=false"
        )));
    }
    let (name, namespace) =
        (text(&object["metadata"]["name"]), text(&object["metadata"]["namespace"]));
    let Some(resource) = k.client.kind_of(&version, &kind).await? else {
        return Err(Failure::new(format!(
            "resource mapping not found for name: \"{name}\" namespace: \"{namespace}\" from \"STDIN\": no matches for kind \"{kind}\" in version \"{version}\"\nensure CRDs are installed first"
        )));
    };
    let mut into = String::new();
    if resource.namespaced {
        into = if namespace.is_empty() { k.namespace_of(args) } else { namespace };
        if let Some(asked) = args.get("namespace").filter(|asked| *asked != into) {
            return Err(Failure::new(format!(
                "the namespace from the provided object \"{into}\" does not match the namespace \"{asked}\". You must pass '--namespace={into}' to perform this operation."
            )));
        }
        if object["metadata"].is_object() || object["metadata"].is_null() {
            object["metadata"]["namespace"] = into.as_str().into();
        }
    }
    Ok(Target { resource, namespace: into, name, given: Some(object) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_between_lines_of_dashes() {
        assert_eq!(split("a: 1\n---\n# nothing\n---\nb: 2\n"), ["a: 1\n", "b: 2\n"]);
        assert!(split("\n---\n\n").is_empty());
    }
}
