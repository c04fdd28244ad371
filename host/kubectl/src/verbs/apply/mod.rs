//! `kubectl apply` and `kubectl diff`: what a manifest says is made so.

pub mod patch;

use serde_json::{Value, json};

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::manifest;
use crate::print::format::{Format, format, list, without_managed};
use crate::print::json::compact;
use crate::select::{Found, Target};

/// Its flags.
pub const FLAGS: &str = "filename/f= kustomize/k= recursive/R selector/l= output/o= server-side \
    force-conflicts field-manager= dry-run=?unchanged validate=?strict overwrite force prune all \
    wait timeout=d grace-period=i openapi-patch cascade=?background show-managed-fields";

/// Where the last manifest is remembered.
pub const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The value of `fieldValidation`.
///
/// # Errors
/// If `--validate` says something unknown.
pub fn validation(args: &Args) -> Result<&'static str> {
    match args.get("validate") {
        None | Some("true" | "strict" | "") => Ok("Strict"),
        Some("warn") => Ok("Warn"),
        Some("false" | "ignore") => Ok("Ignore"),
        Some(other) => Err(Failure::new(format!(
            "invalid argument \"{other}\" for \"--validate\" flag: must be one of: strict (or true), warn, ignore (or false)"
        ))),
    }
}

/// The manifest as it is remembered: without what kubectl adds itself.
///
/// # Panics
/// Never: objects have metadata.
pub fn remembered(object: &Value) -> String {
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        annotations.remove(LAST);
    }
    compact(&object) + "\n"
}

/// The manifest with itself remembered in it.
pub fn annotated(object: &Value) -> Value {
    let text = remembered(object);
    let mut object = object.clone();
    if !object["metadata"]["annotations"].is_object() {
        object["metadata"]["annotations"] = json!({});
    }
    object["metadata"]["annotations"][LAST] = text.into();
    object
}

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::new("must specify one of -f and -k"));
    }
    if !args.words.is_empty() {
        return Err(Failure::usage(
            "kubectl apply",
            format!("Unexpected args: [{}]", args.words.join(" ")),
        ));
    }
    let dry = DryRun::of(args)?;
    validation(args)?;
    let form = match args.get("output") {
        Some(text) => Some(format(text, false)?),
        None => None,
    };
    let mut failures = Vec::new();
    let mut targets = Vec::new();
    for object in manifest::documents(k, args)? {
        match manifest::target(k, args, object).await {
            Ok(target) => targets.push(target),
            Err(failure) => failures.push(failure),
        }
    }
    if targets.is_empty() && failures.is_empty() {
        return Err(Failure::new("no objects passed to apply"));
    }
    let keep = args.on("show-managed-fields");
    let mut done = Vec::new();
    for target in targets {
        let result = if args.on("server-side") {
            server_side(k, args, dry, &target).await
        } else {
            client_side(k, args, dry, &target).await
        };
        match result {
            Ok((object, what)) => {
                let object = without_managed(object, keep);
                let found = Found { resource: target.resource, object };
                match &form {
                    None => k.line(format!("{} {what}{}", found.shown(), dry.suffix())),
                    Some(Format::Name) => k.line(found.shown()),
                    Some(_) => done.push(found),
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(form) = form.filter(|f| !matches!(f, Format::Name)) {
        let text = match &done[..] {
            [] => String::new(),
            [one] => form.object(&one.object, &one.shown())?,
            many => form.object(&list(many.iter().map(|f| f.object.clone()).collect()), "")?,
        };
        k.print(text);
    }
    Failure::all(failures).map_or(Ok(()), Err)
}

async fn server_side(
    k: &mut Kubectl<'_>,
    args: &Args,
    dry: DryRun,
    target: &Target,
) -> Result<(Value, &'static str)> {
    let manager = args.get("field-manager").unwrap_or("kubectl");
    let force = if args.on("force-conflicts") { "true" } else { "false" };
    let query = [
        ("dryRun", dry.param()),
        ("fieldManager", manager),
        ("fieldValidation", validation(args)?),
        ("force", force),
    ];
    let path = with_query(&target.resource.path(&target.namespace, &target.name), &query);
    let body = target.given.clone().unwrap_or_default();
    let answer = k.client.write("PATCH", &path, "application/apply-patch+yaml", &body).await?;
    k.warn(&answer.warnings);
    let object = answer.json("").map_err(|failure| {
        if answer.status != 409 {
            return failure;
        }
        Failure::plain(format!(
            "{}\nPlease review the fields above--they currently have other managers. Here\nare the ways you can resolve this warning:\n* If you intend to manage all of these fields, please re-run the apply\n  command with the `--force-conflicts` flag.\n* If you do not intend to manage all of the fields, please edit your\n  manifest to remove references to the fields that should keep their\n  current managers.\n* You may co-own fields by updating your manifest to match the existing\n  value; in this case, you'll become the manager if the other manager(s)\n  stop managing the field (remove it from their configuration).\nSee https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts",
            failure.text.replacen("Error from server (Conflict): ", "error: ", 1)
        ))
    })?;
    Ok((object, "serverside-applied"))
}

async fn client_side(
    k: &mut Kubectl<'_>,
    args: &Args,
    dry: DryRun,
    target: &Target,
) -> Result<(Value, &'static str)> {
    let given = target.given.clone().unwrap_or_default();
    if target.name.is_empty() {
        return Err(Failure::new(
            "error when retrieving current configuration of:\nresource name may not be empty",
        ));
    }
    let path = target.resource.path(&target.namespace, &target.name);
    let answer = k.client.read(&path, "application/json").await?;
    let manager = args.get("field-manager").unwrap_or("kubectl-client-side-apply");
    let query = [
        ("dryRun", dry.param()),
        ("fieldManager", manager),
        ("fieldValidation", validation(args)?),
    ];
    if answer.status == 404 {
        let created = annotated(&given);
        if dry == DryRun::Client {
            return Ok((created, "created"));
        }
        let to = with_query(&target.resource.path(&target.namespace, ""), &query);
        let answer = k.client.write("POST", &to, "application/json", &created).await?;
        k.warn(&answer.warnings);
        return Ok((answer.json("error when creating \"STDIN\"")?, "created"));
    }
    let current = answer.json("")?;
    let last = current["metadata"]["annotations"][LAST].as_str().unwrap_or("").to_owned();
    if last.is_empty() {
        let kinds = target.resource.name.clone();
        k.complain(format!(
            "Warning: resource {kinds}/{} is missing the {LAST} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.",
            target.name
        ));
    }
    let original: Value = serde_json::from_str(&last).unwrap_or(Value::Null);
    let modified = annotated(&given);
    let strategic = is_builtin(&target.resource.group);
    let patch = patch::three_way(&original, &modified, &current, strategic);
    if patch.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok((current, "unchanged"));
    }
    if dry == DryRun::Client {
        return Ok((patch::merged(&current, &patch), "configured"));
    }
    let kind = if strategic {
        "application/strategic-merge-patch+json"
    } else {
        "application/merge-patch+json"
    };
    let answer = k.client.write("PATCH", &with_query(&path, &query), kind, &patch).await?;
    k.warn(&answer.warnings);
    if answer.status >= 300 {
        let r = &target.resource;
        let group_version =
            if r.group.is_empty() { format!("/{}", r.version) } else { r.api_version() };
        let doing = format!(
            "error when applying patch:\n{}\nto:\nResource: \"{group_version}, Resource={}\", GroupVersionKind: \"{group_version}, Kind={}\"\nName: \"{}\", Namespace: \"{}\"\nfor: \"STDIN\": error when patching \"STDIN\"",
            compact(&patch),
            r.name,
            r.kind,
            target.name,
            target.namespace
        );
        answer.json(&doing)?;
    }
    Ok((answer.json("")?, "configured"))
}

/// Whether the lists of a group's kinds are known to merge by keys.
pub fn is_builtin(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}
