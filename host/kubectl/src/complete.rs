//! What may come next in a line: verbs, kinds, names, flags.

use crate::client::Client;
use crate::run::{VERBS, spec};
use crate::transport::Transport;

/// No more proposals than this.
const MOST: usize = 200;

/// Proposals for the word at the end of `line`: where in the line it begins (in bytes), and what
/// it may become.
pub async fn complete(
    line: &str,
    namespace: &str,
    transport: &dyn Transport,
) -> (usize, Vec<String>) {
    // Only the last command of the line counts.
    let begin = line.rfind(['|', ';', '&', '\n']).map_or(0, |at| at + 1);
    let command = &line[begin..];
    let from = begin + command.rfind([' ', '\t']).map_or(0, |at| at + 1);
    let word = &line[from..];
    let words: Vec<&str> = line[begin..from].split_whitespace().collect();
    let piped = line[..begin].ends_with('|');
    let (at, all) = proposals(&words, word, namespace, transport, piped).await;
    let word = &word[at..];
    let mut fitting: Vec<String> = all.into_iter().filter(|p| p.starts_with(word)).collect();
    fitting.sort();
    fitting.dedup();
    fitting.truncate(MOST);
    (from + at, fitting)
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|t| (*t).to_owned()).collect()
}

async fn proposals(
    words: &[&str],
    word: &str,
    namespace: &str,
    transport: &dyn Transport,
    piped: bool,
) -> (usize, Vec<String>) {
    let Some((program, words)) = words.split_first() else {
        let filters = ["grep", "wc", "head", "tail", "sort", "cut", "uniq"];
        return (0, texts(if piped { &filters } else { &["kubectl", "help", "clear"] }));
    };
    if !matches!(*program, "kubectl" | "k") {
        return (0, Vec::new());
    }
    let plain: Vec<&str> = arguments(words);
    let Some((verb, rest)) = plain.split_first() else {
        return (0, VERBS.iter().filter(|v| spec(v).is_some()).map(|v| (*v).to_owned()).collect());
    };
    let Some(flags) = spec(verb) else { return (0, Vec::new()) };
    if word.starts_with('-') {
        return (0, crate::flags::names(flags));
    }
    let mut client = Client::new(transport);
    let namespace = given_namespace(words).unwrap_or(namespace).to_owned();
    let last = words.last().copied().unwrap_or("");
    match last {
        "-n" | "--namespace" => return (0, names(&mut client, "namespaces", "").await),
        "-o" | "--output" => {
            return (0, texts(&["wide", "yaml", "json", "name", "jsonpath=", "custom-columns="]));
        }
        "-f" | "--filename" => return (0, texts(&["- <<EOF"])),
        "-c" | "--container" => return (0, containers(&mut client, rest, &namespace).await),
        _ => {}
    }
    match (*verb, rest) {
        ("rollout", []) => (0, texts(&["history", "pause", "restart", "resume", "status", "undo"])),
        ("set", []) => (0, texts(&["env", "image", "resources"])),
        ("top", []) => (0, texts(&["node", "pod"])),
        ("auth", []) => (0, texts(&["can-i", "whoami"])),
        ("create", []) => (
            0,
            texts(&[
                "clusterrole",
                "clusterrolebinding",
                "configmap",
                "cronjob",
                "deployment",
                "job",
                "namespace",
                "poddisruptionbudget",
                "priorityclass",
                "quota",
                "role",
                "rolebinding",
                "secret",
                "service",
                "serviceaccount",
            ]),
        ),
        ("create", ["secret"]) => (0, texts(&["generic"])),
        ("create", ["service"]) => {
            (0, texts(&["clusterip", "externalname", "loadbalancer", "nodeport"]))
        }
        ("cordon" | "uncordon" | "drain", _) => (0, names(&mut client, "nodes", "").await),
        ("top", ["node" | "nodes", ..]) => (0, names(&mut client, "nodes", "").await),
        ("top", _) | ("logs" | "exec", []) => {
            if let Some((kind, _)) = word.split_once('/') {
                return (kind.len() + 1, names(&mut client, kind, &namespace).await);
            }
            (0, names(&mut client, "pods", &namespace).await)
        }
        ("rollout" | "set", [_, rest @ ..]) => {
            of_kind(
                &mut client,
                rest,
                word,
                &namespace,
                &["deployment", "daemonset", "statefulset"],
            )
            .await
        }
        (
            "get" | "describe" | "delete" | "label" | "annotate" | "patch" | "scale" | "expose"
            | "autoscale" | "wait" | "taint" | "explain",
            rest,
        ) => of_kind(&mut client, rest, word, &namespace, &[]).await,
        _ => (0, Vec::new()),
    }
}

/// The words that are no flags and no values of flags.
fn arguments<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let mut plain = Vec::new();
    let mut value = false;
    for word in words {
        if value {
            value = false;
        } else if word.starts_with('-') {
            value = matches!(
                *word,
                "-n" | "--namespace"
                    | "-o"
                    | "--output"
                    | "-l"
                    | "--selector"
                    | "-c"
                    | "--container"
                    | "-f"
                    | "--filename"
                    | "--tail"
                    | "--for"
                    | "--image"
                    | "--replicas"
            );
        } else {
            plain.push(*word);
        }
    }
    plain
}

fn given_namespace<'w>(words: &[&'w str]) -> Option<&'w str> {
    let at = words.iter().position(|w| matches!(*w, "-n" | "--namespace"));
    if let Some(given) = at.and_then(|at| words.get(at + 1)) {
        return Some(given);
    }
    words.iter().find_map(|w| {
        w.strip_prefix("--namespace=").or_else(|| w.strip_prefix("-n").filter(|n| !n.is_empty()))
    })
}

async fn of_kind(
    client: &mut Client<'_>,
    rest: &[&str],
    word: &str,
    namespace: &str,
    only: &[&str],
) -> (usize, Vec<String>) {
    if let Some((kind, _)) = word.split_once('/') {
        return (kind.len() + 1, names(client, kind, namespace).await);
    }
    match rest {
        [] if !only.is_empty() => (0, texts(only)),
        [] => {
            let at = word.rfind(',').map_or(0, |at| at + 1);
            let kinds = client.kinds().await.unwrap_or(&[]);
            let listable =
                kinds.iter().filter(|r| r.preferred && r.verbs.iter().any(|v| v == "list"));
            (at, listable.map(|r| r.name.clone()).collect())
        }
        [kind, ..] if !kind.contains('/') => (0, names(client, kind, namespace).await),
        _ => (0, Vec::new()),
    }
}

async fn names(client: &mut Client<'_>, kind: &str, namespace: &str) -> Vec<String> {
    let Ok(resource) = client.kind(kind).await else { return Vec::new() };
    let Ok(list) = client.get(&resource.path(namespace, "")).await else { return Vec::new() };
    let items = list["items"].as_array().into_iter().flatten();
    items.filter_map(|o| o["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

async fn containers(client: &mut Client<'_>, rest: &[&str], namespace: &str) -> Vec<String> {
    let Some(pod) = rest.first() else { return Vec::new() };
    let Ok(resource) = client.kind("pods").await else { return Vec::new() };
    let pod = pod.trim_start_matches("pod/");
    let Ok(pod) = client.get(&resource.path(namespace, pod)).await else { return Vec::new() };
    let mut all = Vec::new();
    for field in ["containers", "initContainers"] {
        for c in pod["spec"][field].as_array().into_iter().flatten() {
            all.extend(c["name"].as_str().map(str::to_owned));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command() {
        assert_eq!(arguments(&["get", "-n", "x", "pods", "-w"]), ["get", "pods"]);
        assert_eq!(given_namespace(&["get", "-n", "x"]), Some("x"));
        assert_eq!(given_namespace(&["get", "--namespace=y"]), Some("y"));
    }
}
