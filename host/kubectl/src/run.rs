//! One command: which verb it is, and what its failure looks like.

use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::verbs;

/// The verbs in the order in which kubectl lists them, with those that exist only outside.
pub const VERBS: &[&str] = &[
    "create",
    "expose",
    "run",
    "set",
    "explain",
    "get",
    "edit",
    "delete",
    "rollout",
    "scale",
    "autoscale",
    "certificate",
    "cluster-info",
    "top",
    "cordon",
    "uncordon",
    "drain",
    "taint",
    "describe",
    "logs",
    "attach",
    "exec",
    "port-forward",
    "proxy",
    "cp",
    "auth",
    "debug",
    "events",
    "diff",
    "apply",
    "patch",
    "replace",
    "wait",
    "kustomize",
    "label",
    "annotate",
    "completion",
    "api-resources",
    "api-versions",
    "config",
    "plugin",
    "version",
    "options",
];

/// Runs `argv` (without "kubectl"); the exit code.
pub async fn run(k: &mut Kubectl<'_>, argv: &[String]) -> i32 {
    match dispatch(k, argv).await {
        Ok(()) => 0,
        Err(failure) => {
            if !failure.text.is_empty() {
                k.complain(&failure.text);
            }
            failure.code
        }
    }
}

async fn dispatch(k: &mut Kubectl<'_>, argv: &[String]) -> Result<()> {
    // Global flags may come before the verb.
    let mut at = 0;
    while argv.get(at).is_some_and(|w| w.starts_with('-')) {
        let takes = !argv[at].contains('=')
            && matches!(
                argv[at].as_str(),
                "-n" | "--namespace" | "-s" | "--server" | "--context" | "-v"
            );
        at += if takes { 2 } else { 1 };
    }
    let at = at.min(argv.len());
    let Some(verb) = argv.get(at) else {
        k.print(HELP);
        return Ok(());
    };
    let rest: Vec<String> = argv[..at].iter().chain(&argv[at + 1..]).cloned().collect();
    if rest.iter().take_while(|w| *w != "--").any(|w| w == "--help" || w == "-h") || verb == "help"
    {
        k.print(HELP);
        return Ok(());
    }
    let Some(spec) = spec(verb) else {
        return Err(verbs::instead::remedy(verb).unwrap_or_else(|| unknown(verb)));
    };
    let args = &Args::parse(&format!("kubectl {verb}"), spec, &rest)?;
    for flag in ["as", "as-group", "token", "server", "context", "kubeconfig"] {
        if args.has(flag) {
            return Err(Failure::new(format!(
                "--{flag} is not known in the page's terminal: it always speaks to this world, as its user"
            )));
        }
    }
    use verbs::{change, create, expose, info, inside, nodes};
    match verb.as_str() {
        "get" => verbs::get::run(k, args).await,
        "describe" => crate::describe::run(k, args).await,
        "apply" => verbs::apply::run(k, args).await,
        "create" => create::create(k, args).await,
        "run" => create::run(k, args).await,
        "expose" => expose::expose(k, args).await,
        "autoscale" => expose::autoscale(k, args).await,
        "delete" => change::delete(k, args).await,
        "scale" => change::scale(k, args).await,
        "label" => change::mark(k, args, true).await,
        "annotate" => change::mark(k, args, false).await,
        "set" => verbs::set::run(k, args).await,
        "diff" => verbs::diff::run(k, args).await,
        "explain" => verbs::explain::run(k, args).await,
        "patch" => change::patch_verb(k, args).await,
        "rollout" => verbs::rollout::run(k, args).await,
        "logs" => inside::logs(k, args).await,
        "exec" => inside::exec(k, args).await,
        "attach" => inside::attach(k, args).await,
        "replace" => verbs::replace::run(k, args).await,
        "cordon" => nodes::cordon(k, args, true).await,
        "uncordon" => nodes::cordon(k, args, false).await,
        "drain" => nodes::drain(k, args).await,
        "taint" => nodes::taint(k, args).await,
        "wait" => verbs::wait::run(k, args).await,
        "top" => verbs::top::run(k, args).await,
        "events" => info::events(k, args).await,
        "version" => info::version(k, args).await,
        "cluster-info" => info::cluster_info(k, args).await,
        "api-versions" => info::api_versions(k, args).await,
        "api-resources" => info::api_resources(k, args).await,
        "auth" => info::auth(k, args).await,
        other => Err(unknown(other)),
    }
}

/// The flags of a verb; `None` if it is not done here.
pub fn spec(verb: &str) -> Option<&'static str> {
    use verbs::{change, create, expose, info, inside, nodes};
    Some(match verb {
        "get" => verbs::get::FLAGS,
        "describe" => crate::describe::FLAGS,
        "apply" => verbs::apply::FLAGS,
        "create" => create::FLAGS,
        "run" => create::RUN,
        "expose" => expose::EXPOSE,
        "autoscale" => expose::AUTOSCALE,
        "delete" => change::DELETE,
        "scale" | "label" | "annotate" | "patch" => change::FLAGS,
        "rollout" => verbs::rollout::FLAGS,
        "set" => verbs::set::FLAGS,
        "diff" => verbs::diff::FLAGS,
        "explain" => verbs::explain::FLAGS,
        "logs" => inside::LOGS,
        "exec" | "attach" => inside::EXEC,
        "replace" => verbs::replace::FLAGS,
        "cordon" | "uncordon" | "drain" | "taint" => nodes::FLAGS,
        "wait" => verbs::wait::FLAGS,
        "top" | "events" | "version" | "cluster-info" | "api-versions" | "api-resources"
        | "auth" => info::FLAGS,
        _ => return None,
    })
}

/// What the terminal says instead of kubectl's pages of help.
const HELP: &str = "\
kubectl controls the Kubernetes cluster manager: here, this world.

 Find more information at: https://kubernetes.io/docs/reference/kubectl/

Look:     get  describe  logs  events  top  explain  api-resources  auth can-i  diff
Change:   apply -f -  create  replace -f -  run  expose  set  scale  autoscale  rollout  label
          annotate  patch  delete  cordon  uncordon  drain  taint
Wait:     wait  get -w  logs -f  rollout status
Inside:   exec  attach

A manifest is pasted after `kubectl apply -f - <<EOF`, and ends with a line EOF.
`k` is short for kubectl; output may go through grep, wc, head, tail, sort, cut, uniq.
";

fn unknown(verb: &str) -> Failure {
    let mut near = Vec::new();
    for known in VERBS {
        if distance(verb, known) <= 2 || known.starts_with(&verb.to_lowercase()) {
            near.push(format!("\t{known}"));
        }
    }
    let hint = if near.is_empty() {
        String::new()
    } else {
        format!("\n\nDid you mean this?\n{}", near.join("\n"))
    };
    Failure::new(format!("unknown command \"{verb}\" for \"kubectl\"{hint}"))
}

/// How many letters differ (Levenshtein), whatever their case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.to_lowercase().chars().take(64).collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let here = (before + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            before = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_verbs_are_proposed() {
        let text = unknown("gett").text;
        assert_eq!(
            text,
            "error: unknown command \"gett\" for \"kubectl\"\n\nDid you mean this?\n\tset\n\tget"
        );
    }
}
