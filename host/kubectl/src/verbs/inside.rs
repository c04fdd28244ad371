//! `kubectl logs` and `kubectl exec`.

use serde_json::{Value, json};

use crate::client::with_query;
use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;
use crate::select::{Found, select};
use crate::transport::{Body, Event, Pieces};

/// The flags of logs.
pub const LOGS: &str = "follow/f previous/p container/c= selector/l= tail=i timestamps since=d \
    since-time= all-containers prefix limit-bytes=i all-pods max-log-requests=i \
    ignore-errors pod-running-timeout=d insecure-skip-tls-verify-backend";

/// The flags of exec.
pub const EXEC: &str = "container/c= stdin/i tty/t quiet/q filename/f= pod-running-timeout=d";

/// All containers of a pod, the kind of the field first.
fn containers(pod: &Value) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for (field, kind) in
        [("initContainers", "init"), ("containers", ""), ("ephemeralContainers", "ephem")]
    {
        for c in pod["spec"][field].as_array().into_iter().flatten() {
            all.push((kind, c["name"].as_str().unwrap_or("").to_owned()));
        }
    }
    all
}

/// The container that is meant where none is named.
fn default_container(k: &mut Kubectl<'_>, pod: &Value, quiet: bool) -> String {
    let all = containers(pod);
    let noted = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    if let Some(noted) = noted.filter(|n| all.iter().any(|(_, c)| c == n)) {
        return noted.to_owned();
    }
    let first =
        all.iter().find(|(kind, _)| kind.is_empty()).map(|(_, c)| c.clone()).unwrap_or_default();
    if all.len() > 1 && !quiet {
        let mut order: Vec<String> = Vec::new();
        for wanted in ["", "ephem", "init"] {
            for (_, name) in all.iter().filter(|(kind, _)| *kind == wanted) {
                order.push(if wanted.is_empty() {
                    name.clone()
                } else {
                    format!("{name} ({wanted})")
                });
            }
        }
        k.complain(format!("Defaulted container {first:?} out of: {}", order.join(", ")));
    }
    first
}

/// The pods that `word` names: a pod, or those of a workload.
async fn pods_of(k: &mut Kubectl<'_>, args: &Args, word: &str, lower: bool) -> Result<Vec<Value>> {
    let namespace = k.namespace_of(args);
    let pods = k.client.kind("pods").await?;
    let (kind, name) = word.split_once('/').unwrap_or(("pods", word));
    let resource = k.client.kind(kind).await?;
    let object = match k.client.get(&resource.path(&namespace, name)).await {
        Ok(object) => object,
        Err(failure) if failure.is_not_found() && lower => {
            return Err(Failure::new(format!(
                "error: error from server (NotFound): {} \"{name}\" not found in namespace \"{namespace}\"",
                resource.qualified()
            )));
        }
        Err(failure) => return Err(failure),
    };
    if resource == pods {
        return Ok(vec![object]);
    }
    let selector = match resource.kind.as_str() {
        "Service" | "ReplicationController" => json!({"matchLabels": object["spec"]["selector"]}),
        _ => object["spec"]["selector"].clone(),
    };
    if selector.is_null() {
        return Err(Failure::new(format!(
            "cannot get the logs from {}: selector is missing",
            resource.shown()
        )));
    }
    let selector = crate::describe::labels::selector(&selector);
    let path = with_query(&pods.path(&namespace, ""), &[("labelSelector", &selector)]);
    let list = k.client.get(&path).await?;
    let mut all = list["items"].as_array().cloned().unwrap_or_default();
    // Who is ready, then who runs longest, as kubectl prefers them.
    let ready = |p: &Value| {
        let conditions = p["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    all.sort_by_key(|p| {
        (
            p["spec"]["nodeName"].is_null(),
            !ready(p),
            p["metadata"]["creationTimestamp"].as_str().unwrap_or("").to_owned(),
        )
    });
    if all.is_empty() {
        return Err(Failure::new("timed out waiting for the condition"));
    }
    Ok(all)
}

/// `kubectl logs`.
///
/// # Errors
/// As kubectl.
pub async fn logs(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let usage = "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required argument for the logs command";
    let selected = args.has("selector");
    let mut container = args.get("container").map(str::to_owned);
    let (mut pods, several) = match (&args.words[..], selected) {
        ([], true) => {
            let words = vec!["pods".to_owned()];
            let selection = select(k, args, &words).await?;
            let (found, failures) = crate::select::objects(k, args, selection).await;
            if let Some(failure) = Failure::all(failures) {
                return Err(failure);
            }
            (found.into_iter().map(|f| f.object).collect::<Vec<_>>(), true)
        }
        (_, true) => {
            return Err(Failure::usage(
                "kubectl logs",
                "only a selector (-l) or a POD name is allowed",
            ));
        }
        ([word], false) => (pods_of(k, args, word, true).await?, false),
        ([word, named], false) => {
            container = Some(named.clone());
            (pods_of(k, args, word, true).await?, false)
        }
        _ => return Err(Failure::usage("kubectl logs", usage)),
    };
    if pods.is_empty() {
        let namespace = k.namespace_of(args);
        k.complain(format!("No resources found in {namespace} namespace."));
        return Ok(());
    }
    if !several && !args.on("all-pods") {
        if pods.len() > 1 {
            let name = pods[0]["metadata"]["name"].as_str().unwrap_or("");
            k.complain(format!("Found {} pods, using pod/{name}", pods.len()));
        }
        pods.truncate(1);
    }
    let tail = match args.number("tail") {
        Some(n) if n >= 0 => n.to_string(),
        Some(_) => String::new(),
        None if selected => "10".into(),
        None => String::new(),
    };
    let mut streams: Vec<(String, Box<dyn Pieces>)> = Vec::new();
    for pod in &pods {
        let name = pod["metadata"]["name"].as_str().unwrap_or("").to_owned();
        let chosen = if args.on("all-containers") {
            containers(pod).into_iter().map(|(_, c)| c).collect()
        } else {
            vec![match &container {
                Some(named) => named.clone(),
                None => default_container(k, pod, false),
            }]
        };
        for container in chosen {
            if !containers(pod).iter().any(|(_, c)| *c == container) {
                return Err(Failure::new(format!(
                    "container {container} is not valid for pod {name}"
                )));
            }
            let flag = |name: &str| if args.on(name) { "true" } else { "" };
            let since =
                args.millis("since").filter(|s| *s > 0).map(|s| ((s + 999) / 1000).to_string());
            let namespace = pod["metadata"]["namespace"].as_str().unwrap_or("");
            let path = with_query(
                &format!("/api/v1/namespaces/{namespace}/pods/{name}/log"),
                &[
                    ("container", &container),
                    ("follow", flag("follow")),
                    ("previous", flag("previous")),
                    ("timestamps", flag("timestamps")),
                    ("tailLines", &tail),
                    ("sinceSeconds", since.as_deref().unwrap_or("")),
                    ("sinceTime", args.text("since-time")),
                    ("limitBytes", args.text("limit-bytes")),
                ],
            );
            let prefix = if args.on("prefix") {
                format!("[pod/{name}/{container}] ")
            } else {
                String::new()
            };
            streams.push((prefix, k.client.stream(path, "application/json, */*").await?));
        }
    }
    let most = usize::try_from(args.number("max-log-requests").unwrap_or(5)).unwrap_or(5);
    if args.on("follow") && streams.len() > most {
        return Err(Failure::new(format!(
            "you are attempting to follow {} log streams, but maximum allowed concurrency is {most}, use --max-log-requests to increase the limit",
            streams.len()
        )));
    }
    copy(k, streams).await;
    Ok(())
}

/// Prints what comes from any of the streams, whole lines where they have prefixes.
async fn copy(k: &mut Kubectl<'_>, mut streams: Vec<(String, Box<dyn Pieces>)>) {
    if streams.len() == 1 {
        let (prefix, mut pieces) = streams.remove(0);
        let mut line = Vec::new();
        while let Some(piece) = pieces.next().await {
            print(k, &prefix, &mut line, &piece);
            if k.is_closed() {
                return;
            }
        }
        return;
    }
    // One that waits must not hold up the others.
    let mut lines = vec![Vec::new(); streams.len()];
    let mut futures: Vec<Option<_>> = Vec::new();
    for (_, pieces) in &mut streams {
        futures.push(Some(pieces_next(std::mem::replace(pieces, Box::new(Nothing)))));
    }
    loop {
        let next = core::future::poll_fn(|context| {
            let mut left = false;
            for (i, slot) in futures.iter_mut().enumerate() {
                let Some(future) = slot else { continue };
                left = true;
                if let std::task::Poll::Ready(done) = future.as_mut().poll(context) {
                    *slot = None;
                    return std::task::Poll::Ready(Some((i, done)));
                }
            }
            if left { std::task::Poll::Pending } else { std::task::Poll::Ready(None) }
        });
        let Some((i, (pieces, piece))) = next.await else { return };
        if let Some(piece) = piece {
            print(k, &streams[i].0, &mut lines[i], &piece);
            futures[i] = Some(pieces_next(pieces));
        }
        if k.is_closed() {
            return;
        }
    }
}

type Next = (Box<dyn Pieces>, Option<Vec<u8>>);

fn pieces_next(mut pieces: Box<dyn Pieces>) -> crate::transport::Future<'static, Next> {
    Box::pin(async move {
        let piece = pieces.next().await;
        (pieces, piece)
    })
}

struct Nothing;

impl Pieces for Nothing {
    fn next(&mut self) -> crate::transport::Future<'_, Option<Vec<u8>>> {
        Box::pin(async { None })
    }
}

fn print(k: &mut Kubectl<'_>, prefix: &str, line: &mut Vec<u8>, piece: &[u8]) {
    if prefix.is_empty() {
        return k.write(piece);
    }
    line.extend_from_slice(piece);
    while let Some(end) = line.iter().position(|b| *b == b'\n') {
        let whole: Vec<u8> = line.drain(..=end).collect();
        k.print(prefix);
        k.write(&whole);
    }
}

/// `kubectl exec`.
///
/// # Errors
/// As kubectl, and the exit code of the program.
pub async fn exec(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let (words, command) = args.split();
    let Some((word, old)) = words.split_first() else {
        return Err(Failure::usage(
            "kubectl exec",
            "pod, type/name or --filename must be specified",
        ));
    };
    if !old.is_empty() {
        return Err(Failure::new(
            "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead\nSee 'kubectl exec -h' for help and examples",
        ));
    }
    if command.is_empty() {
        return Err(Failure::new("you must specify at least one command for the container"));
    }
    let pod = pods_of(k, args, word, false).await?.into_iter().next().unwrap_or_default();
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::new(format!(
            "cannot exec into a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = match args.get("container") {
        Some(named) => named.to_owned(),
        None => default_container(k, &pod, args.on("quiet")),
    };
    let resource = k.client.kind("pods").await?;
    let found = Found { resource, object: pod };
    let flag = |on: bool| if on { "true" } else { "" };
    let stdin = args.on("stdin");
    let mut query = vec![
        ("container", container.as_str()),
        ("stdin", flag(stdin)),
        ("stdout", "true"),
        ("stderr", "true"),
    ];
    query.extend(command.iter().map(|c| ("command", c.as_str())));
    let target = with_query(&format!("{}/exec", found.path()), &query);
    session(k, target, stdin).await
}

/// `kubectl attach`: what a container's program says from now on, and what is typed for it.
///
/// # Errors
/// As kubectl, and the exit code of the program.
pub async fn attach(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let (word, more) = match &args.words[..] {
        [] => {
            return Err(Failure::usage(
                "kubectl attach",
                "at least 1 argument is required for attach",
            ));
        }
        [word, more @ ..] => (word, more),
    };
    if !more.is_empty() {
        return Err(Failure::usage(
            "kubectl attach",
            format!(
                "expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) saw {}: {}",
                args.words.len(),
                args.words.join(" ")
            ),
        ));
    }
    let pod = pods_of(k, args, word, false).await?.into_iter().next().unwrap_or_default();
    let phase = pod["status"]["phase"].as_str().unwrap_or("");
    if matches!(phase, "Succeeded" | "Failed") {
        return Err(Failure::new(format!(
            "cannot attach a container in a completed pod; current phase is {phase}"
        )));
    }
    let container = match args.get("container") {
        Some(named) => named.to_owned(),
        None => default_container(k, &pod, args.on("quiet")),
    };
    let found = Found { resource: k.client.kind("pods").await?, object: pod };
    let stdin = args.on("stdin");
    let query = [
        ("container", container.as_str()),
        ("stdin", if stdin { "true" } else { "" }),
        ("stdout", "true"),
        ("stderr", "true"),
    ];
    if !args.on("quiet") {
        k.complain("If you don't see a command prompt, try pressing enter.");
    }
    session(k, with_query(&format!("{}/attach", found.path()), &query), stdin).await
}

/// Shows what comes out of a program until it ends or nobody wants it any more.
async fn session(k: &mut Kubectl<'_>, target: String, stdin: bool) -> Result<()> {
    let input = if stdin { k.stdin.as_bytes().to_vec() } else { Vec::new() };
    let follow = stdin && k.stdin.is_empty();
    let mut session = match k.client.transport.exec(target, input, follow).await {
        Ok(session) => session,
        Err(response) => {
            let body = match response.body {
                Body::Full(body) => body,
                Body::Stream(_) => Vec::new(),
            };
            let said: Value = serde_json::from_slice(&body).unwrap_or_default();
            if said["kind"] == "Status" {
                return Err(Failure::status(&said));
            }
            let text = String::from_utf8_lossy(&body).into_owned();
            return Err(Failure::new(format!("Internal error occurred: {text}").replacen(
                "Internal error occurred: ",
                "error: Internal error occurred: ",
                1,
            )));
        }
    };
    while let Some(event) = session.next().await {
        match event {
            Event::Out(bytes) => k.write(&bytes),
            Event::Err(bytes) => k.write_error(&bytes),
            Event::Exit(0) => return Ok(()),
            Event::Exit(code) => {
                return Err(Failure {
                    text: format!("command terminated with exit code {code}"),
                    code,
                });
            }
            Event::Failed(why) => {
                return Err(Failure::new(format!("Internal error occurred: {why}")));
            }
        }
        if k.is_closed() {
            break;
        }
    }
    Ok(())
}
