//! Which objects a command is about: `TYPE NAME...`, `TYPE/NAME...`, `TYPE -l ...`, `-f -`.

use serde_json::Value;

use crate::client::{Resource, with_query};
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::manifest;

/// The flags by which objects are selected.
pub const FLAGS: &str = "filename/f= recursive/R kustomize/k= selector/l= all all-namespaces/A \
    field-selector= local";

/// One thing to ask for: an object, or all of a kind.
#[derive(Clone, Debug)]
pub struct Target {
    /// The kind.
    pub resource: Resource,
    /// The namespace, "" for all or for kinds without.
    pub namespace: String,
    /// The name, "" for all.
    pub name: String,
    /// What a manifest says of it.
    pub given: Option<Value>,
}

/// An object and its kind.
#[derive(Clone, Debug)]
pub struct Found {
    /// The kind.
    pub resource: Resource,
    /// The object.
    pub object: Value,
}

impl Found {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or("")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or("")
    }

    /// Its path.
    pub fn path(&self) -> String {
        self.resource.path(self.namespace(), self.name())
    }

    /// "deployment.apps/web".
    pub fn shown(&self) -> String {
        format!("{}/{}", self.resource.shown(), self.name())
    }
}

/// What `words` and the flags name.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What to ask for, in order.
    pub targets: Vec<Target>,
    /// Whether it is one object by its name.
    pub single: bool,
    /// What could not be asked for.
    pub failures: Vec<Failure>,
}

/// Reads which objects are meant; nothing is asked for yet.
///
/// # Errors
/// If the words make no sense.
pub async fn select(k: &mut Kubectl<'_>, args: &Args, words: &[String]) -> Result<Selection> {
    let mut selection = Selection::default();
    let everywhere = args.on("all-namespaces");
    let namespace = if everywhere { String::new() } else { k.namespace_of(args) };
    if args.has("filename") || args.has("kustomize") {
        if !words.is_empty() {
            return Err(Failure::new(
                "when paths, URLs, or stdin is provided as input, you may not specify resource arguments as well",
            ));
        }
        let documents = manifest::documents(k, args)?;
        selection.single = documents.len() == 1;
        for object in documents {
            match manifest::target(k, args, object).await {
                Ok(target) => selection.targets.push(target),
                Err(failure) => selection.failures.push(failure),
            }
        }
        return Ok(selection);
    }
    let slashed = words.iter().filter(|w| w.contains('/')).count();
    if slashed > 0 && slashed < words.len() {
        return Err(Failure::new(
            "there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'",
        ));
    }
    if slashed > 0 {
        for word in words {
            let (kind, name) = word.split_once('/').unwrap_or((word, ""));
            if kind.is_empty() || name.is_empty() || name.contains('/') {
                return Err(Failure::new(
                    "arguments in resource/name form must have a single resource and name",
                ));
            }
            let resource = k.client.kind(kind).await?;
            push(&mut selection, resource, &namespace, name)?;
        }
        if args.has("selector") {
            return Err(Failure::new("name cannot be provided when a selector is specified"));
        }
        selection.single = words.len() == 1;
        return Ok(selection);
    }
    let Some((kinds, names)) = words.split_first() else {
        return Ok(selection);
    };
    if !names.is_empty() && args.has("selector") {
        return Err(Failure::new("name cannot be provided when a selector is specified"));
    }
    for word in kinds.split(',').filter(|w| !w.is_empty()) {
        let mut resources = of_category(k, word).await?;
        if resources.is_empty() {
            resources.push(k.client.kind(word).await?);
        }
        for resource in resources {
            if names.is_empty() {
                let namespace = if resource.namespaced { namespace.clone() } else { String::new() };
                let name = String::new();
                selection.targets.push(Target { resource, namespace, name, given: None });
            } else {
                for name in names {
                    push(&mut selection, resource.clone(), &namespace, name)?;
                }
            }
        }
    }
    selection.single = names.len() == 1 && selection.targets.len() == 1;
    Ok(selection)
}

fn push(selection: &mut Selection, resource: Resource, namespace: &str, name: &str) -> Result<()> {
    if resource.namespaced && namespace.is_empty() {
        return Err(Failure::new("a resource cannot be retrieved by name across all namespaces"));
    }
    let namespace = if resource.namespaced { namespace.to_owned() } else { String::new() };
    selection.targets.push(Target { resource, namespace, name: name.to_owned(), given: None });
    Ok(())
}

/// The kinds of a category: "all".
async fn of_category(k: &mut Kubectl<'_>, word: &str) -> Result<Vec<Resource>> {
    let kinds = k.client.kinds().await?;
    let word = word.to_owned();
    let of = |r: &&Resource| r.preferred && r.categories.contains(&word);
    Ok(kinds.iter().filter(of).cloned().collect())
}

/// The path to ask for a target.
pub fn path(target: &Target, args: &Args, more: &[(&str, &str)]) -> String {
    let path = target.resource.path(&target.namespace, &target.name);
    if !target.name.is_empty() {
        return with_query(&path, more);
    }
    let mut query = vec![
        ("labelSelector", args.text("selector")),
        ("fieldSelector", args.text("field-selector")),
    ];
    query.extend(more);
    with_query(&path, &query)
}

/// The objects that a selection names; what is not there is told apart.
pub async fn objects(
    k: &mut Kubectl<'_>,
    args: &Args,
    selection: Selection,
) -> (Vec<Found>, Vec<Failure>) {
    let Selection { targets, mut failures, .. } = selection;
    let mut found = Vec::new();
    for target in targets {
        let answer = match k.client.read(&path(&target, args, &[]), "application/json").await {
            Ok(answer) => answer,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        k.warn(&answer.warnings);
        match answer.json("") {
            Err(failure) => failures.push(failure),
            Ok(object) if !target.name.is_empty() => {
                found.push(Found { resource: target.resource, object });
            }
            Ok(mut list) => {
                let kind = list["kind"].as_str().unwrap_or("").trim_end_matches("List").to_owned();
                let version = list["apiVersion"].clone();
                for mut object in
                    list["items"].as_array_mut().map(std::mem::take).unwrap_or_default()
                {
                    object["kind"] = kind.as_str().into();
                    object["apiVersion"] = version.clone();
                    found.push(Found { resource: target.resource.clone(), object });
                }
            }
        }
    }
    (found, failures)
}

/// The objects of a command that changes them: words must name some.
///
/// # Errors
/// If the words name nothing, or nothing was found.
pub async fn required(
    k: &mut Kubectl<'_>,
    command: &str,
    args: &Args,
    words: &[String],
) -> Result<(Vec<Found>, Vec<Failure>)> {
    let selection = select(k, args, words).await?;
    unnamed(command, args, words, &selection)?;
    Ok(objects(k, args, selection).await)
}

/// Refuses commands that name no object.
///
/// # Errors
/// In that case.
pub fn unnamed(command: &str, args: &Args, words: &[String], selection: &Selection) -> Result<()> {
    if args.has("filename") {
        return Ok(());
    }
    if words.is_empty() {
        let verb = command.trim_start_matches("kubectl ");
        return Err(Failure::new(match verb {
            "delete" | "scale" | "label" | "annotate" | "patch" | "expose" | "autoscale" | "taint" => {
                "You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'".to_owned()
            }
            _ => "required resource not specified".to_owned(),
        }));
    }
    let chosen = verb_allows_all(command)
        || args.on("all")
        || args.has("selector")
        || args.has("field-selector");
    if selection.targets.iter().any(|t| t.name.is_empty()) && !chosen {
        return Err(Failure::new("resource(s) were provided, but no name was specified"));
    }
    Ok(())
}

/// Verbs for which a kind alone means all of it.
fn verb_allows_all(command: &str) -> bool {
    command.starts_with("kubectl rollout")
}
