//! `kubectl replace`: an object becomes what a manifest says, whole.

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::{DryRun, Kubectl};
use crate::manifest;
use crate::select::Found;

/// Its flags.
pub const FLAGS: &str = "filename/f= kustomize/k= recursive/R output/o= dry-run=?unchanged \
    validate=?strict save-config field-manager= force cascade=?background grace-period=i \
    timeout=d wait subresource= raw= show-managed-fields";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    if !args.has("filename") && !args.has("kustomize") {
        return Err(Failure::new("must specify one of -f and -k"));
    }
    if args.on("force") {
        return Err(Failure::new(
            "--force deletes and creates again: use kubectl delete -f - and kubectl create -f - here",
        ));
    }
    let dry = DryRun::of(args)?;
    let objects = manifest::documents(k, args)?;
    if objects.is_empty() {
        return Err(Failure::new("no objects passed to replace"));
    }
    let mut failures = Vec::new();
    for object in objects {
        let result = async {
            let target = manifest::target(k, args, object).await?;
            let mut object = target.given.clone().unwrap_or_default();
            if args.on("save-config")
                || object["metadata"]["annotations"].get(super::apply::LAST).is_some()
            {
                object = super::apply::annotated(&object);
            }
            if dry != DryRun::Client {
                let manager = args.get("field-manager").unwrap_or("kubectl-replace");
                let query = [
                    ("dryRun", dry.param()),
                    ("fieldManager", manager),
                    ("fieldValidation", super::apply::validation(args)?),
                ];
                let path = target.resource.path(&target.namespace, &target.name);
                let path = match args.text("subresource") {
                    "" => path,
                    sub => format!("{path}/{sub}"),
                };
                let path = with_query(&path, &query);
                let answer = k.client.write("PUT", &path, "application/json", &object).await?;
                k.warn(&answer.warnings);
                object = answer.json("error when replacing \"STDIN\"")?;
            }
            let found = Found { resource: target.resource, object };
            super::change::said(k, args, &found, "replaced", dry)
        };
        if let Err(failure) = result.await {
            failures.push(failure);
        }
    }
    Failure::all(failures).map_or(Ok(()), Err)
}
