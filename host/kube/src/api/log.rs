//! `GET .../pods/NAME/log`: what a container wrote.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use podlab_sim::sync::Signal;
use serde_json::Value;

use super::request::Request;
use crate::store::object;
use crate::store::{Error, Store};

/// A line of a container's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, ns since 1970.
    pub at: u64,
    /// The line, without its end.
    pub text: Bytes,
}

/// Lines of a log from some position on.
#[derive(Clone, Debug, Default)]
pub struct LogPart {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// The position to go on from.
    pub next: u64,
    /// Whether nothing will follow: the container's run has ended.
    pub ended: bool,
}

/// Where logs come from: the kubelets.
pub trait LogSource: Send + Sync {
    /// The lines from position `from` (0 is the oldest line kept) of the container's current
    /// run, or of the one before. `None` if there was no such run.
    fn read(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        from: u64,
    ) -> Option<LogPart>;

    /// Notified when any log grows or ends.
    fn signal(&self) -> Signal;
}

/// A log that is followed; pulled by whoever serves it.
pub struct LogFollow {
    source: Arc<dyn LogSource>,
    namespace: String,
    pod: String,
    container: String,
    from: u64,
    timestamps: bool,
    left: Option<usize>,
    ready: Option<Bytes>,
    over: bool,
}

impl LogFollow {
    /// What was written since the last call, if anything.
    pub fn try_next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.ready.take().filter(|b| !b.is_empty()) {
            return Some(first);
        }
        if self.over {
            return None;
        }
        let part = self.source.read(&self.namespace, &self.pod, &self.container, false, self.from);
        let Some(part) = part else {
            self.over = true;
            return None;
        };
        self.from = part.next;
        self.over = part.ended;
        let text = render(&part.lines, self.timestamps, &mut self.left);
        self.over |= self.left == Some(0);
        Some(text).filter(|t| !t.is_empty())
    }

    /// What is written next, waiting for it inside the world; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        let signal = self.signal();
        signal
            .until(|| match self.try_next() {
                Some(text) => Some(Some(text)),
                None if self.over => Some(None),
                None => None,
            })
            .await
    }

    /// Whether nothing will follow.
    pub fn is_over(&self) -> bool {
        self.over && self.ready.is_none()
    }

    /// Notified when [`try_next`](LogFollow::try_next) may have more.
    pub fn signal(&self) -> Signal {
        self.source.signal()
    }
}

/// A log, read or followed.
pub(super) enum Log {
    Text(Bytes),
    Follow(LogFollow),
}

fn render(lines: &[LogLine], timestamps: bool, left: &mut Option<usize>) -> Bytes {
    let mut out = BytesMut::new();
    for line in lines {
        if timestamps {
            out.extend_from_slice(rfc3339_nano(line.at).as_bytes());
            out.extend_from_slice(b" ");
        }
        out.extend_from_slice(&line.text);
        out.extend_from_slice(b"\n");
    }
    if let Some(left) = left {
        out.truncate(*left);
        *left -= out.len();
    }
    out.freeze()
}

fn rfc3339_nano(at: u64) -> String {
    let seconds = object::time(at);
    format!("{}.{:09}Z", seconds.trim_end_matches('Z'), at % 1_000_000_000)
}

fn number(request: &Request, name: &str, least: u64) -> Result<Option<u64>, Error> {
    match request.param(name) {
        "" => Ok(None),
        text => match text.parse::<u64>() {
            Ok(n) if n >= least => Ok(Some(n)),
            _ => Err(Error::bad_request(format!("invalid value for {name}: {text:?}"))),
        },
    }
}

pub(super) fn get(
    store: &Store,
    source: Option<&Arc<dyn LogSource>>,
    request: &Request,
    namespace: &str,
    name: &str,
) -> Result<Log, Error> {
    let pod = store.require("pods", namespace, name)?;
    let container = choose(&pod, name, request.param("container"))?;
    let previous = request.flag("previous");
    let timestamps = request.flag("timestamps");
    let tail = number(request, "tailLines", 0)?;
    let mut left =
        number(request, "limitBytes", 1)?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    let mut since = number(request, "sinceSeconds", 1)?
        .map(|s| store.sim().unix_nanos().saturating_sub(s.saturating_mul(1_000_000_000)));
    if let Some(at) = object::parse_time(request.param("sinceTime")) {
        since = Some(at);
    }
    if pod["spec"]["nodeName"].as_str().is_none_or(str::is_empty) {
        return Ok(Log::Text(Bytes::new()));
    }
    readable(&pod, name, &container, previous)?;
    let Some(source) = source else {
        return Err(Error::internal("no kubelet serves logs"));
    };
    let Some(part) = source.read(namespace, name, &container, previous, 0) else {
        let why = if previous {
            format!("previous terminated container {container:?} in pod {name:?} not found")
        } else {
            format!("container {container:?} in pod {name:?} is waiting to start - no logs yet")
        };
        return Err(Error::bad_request(why));
    };
    let mut lines = part.lines;
    if let Some(since) = since {
        lines.retain(|l| l.at >= since);
    }
    if let Some(tail) = tail {
        let skip = lines.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        lines.drain(..skip);
    }
    let text = render(&lines, timestamps, &mut left);
    if !request.flag("follow") || previous {
        return Ok(Log::Text(text));
    }
    Ok(Log::Follow(LogFollow {
        source: source.clone(),
        namespace: namespace.into(),
        pod: name.into(),
        container,
        from: part.next,
        timestamps,
        over: part.ended || left == Some(0),
        left,
        ready: Some(text),
    }))
}

fn names(pod: &Value, field: &str) -> Vec<String> {
    pod["spec"][field]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["name"].as_str().map(str::to_string))
        .collect()
}

pub(super) fn choose(pod: &Value, name: &str, asked: &str) -> Result<String, Error> {
    let (main, init, debug) =
        (names(pod, "containers"), names(pod, "initContainers"), names(pod, "ephemeralContainers"));
    if !asked.is_empty() {
        return if main.iter().chain(&init).chain(&debug).any(|c| c == asked) {
            Ok(asked.into())
        } else {
            Err(Error::bad_request(format!("container {asked} is not valid for pod {name}")))
        };
    }
    if main.len() == 1 && init.is_empty() && debug.is_empty() {
        return Ok(main[0].clone());
    }
    let mut why = format!(
        "a container name must be specified for pod {name}, choose one of: [{}]",
        main.join(" ")
    );
    if !init.is_empty() {
        why += &format!(" or one of the init containers: [{}]", init.join(" "));
    }
    if !debug.is_empty() {
        why += &format!(" or one of the ephemeral containers: [{}]", debug.join(" "));
    }
    Err(Error::bad_request(why))
}

/// Whether the container's state promises a log (kubelet's `validateContainerLogStatus`).
fn readable(pod: &Value, name: &str, container: &str, previous: bool) -> Result<(), Error> {
    let status = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]
        .iter()
        .filter_map(|f| pod["status"][*f].as_array())
        .flatten()
        .find(|c| c["name"] == container);
    let waiting = |why: &str| {
        Err(Error::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start{why}"
        )))
    };
    let Some(status) = status else { return waiting(": ContainerCreating") };
    let (state, last) = (&status["state"], &status["lastState"]["terminated"]);
    if previous {
        return if last.is_object() {
            Ok(())
        } else {
            Err(Error::bad_request(format!(
                "previous terminated container {container:?} in pod {name:?} not found"
            )))
        };
    }
    if state["running"].is_object() || state["terminated"].is_object() || last.is_object() {
        return Ok(());
    }
    match state["waiting"]["reason"].as_str() {
        Some("ErrImagePull") => waiting(": image can't be pulled"),
        Some("ImagePullBackOff") => waiting(": trying and failing to pull image"),
        Some(reason) => waiting(&format!(": {reason}")),
        None => waiting(" - no logs yet"),
    }
}
