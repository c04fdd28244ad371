//! What programs say of themselves: pods with the annotation `prometheus.io/scrape: "true"` are
//! asked for their metrics every 15 seconds from their node, as a Prometheus with a
//! node-local agent would; autoscalers read the answers as external and pods metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::Stack;

use super::cell::{PodCell, State};
use crate::control_plane::Shared;
use crate::store::usage::{Scrape, Series};

/// How long an answer may take (`scrape_timeout`).
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read, in bytes.
const ANSWER: usize = 256 << 10;
/// How many values of a pod are kept.
const VALUES: usize = 2000;

/// Asks every pod that wants to be asked.
pub(super) fn all(shared: &Arc<Shared>) {
    let cells: Vec<_> = shared.pods().iter().map(|(k, c)| (k.clone(), c.clone())).collect();
    let asked: Vec<_> = cells
        .into_iter()
        .filter_map(|(key, cell)| {
            let (to, path) = wish(&cell)?;
            let node = shared.nodes.get(&cell.node).filter(|n| n.lock().up)?;
            Some((key, node.stack.clone(), to, path))
        })
        .collect();
    shared
        .store
        .measured()
        .keep_scrapes(&asked.iter().map(|a| a.0.clone()).collect::<BTreeSet<_>>());
    for (key, stack, to, path) in asked {
        let shared = shared.clone();
        shared.clone().sim.spawn(async move {
            let answer = shared.sim.timeout(PATIENCE, get(&stack, to, &path)).await;
            let at = shared.sim.unix_nanos();
            let text = answer.ok().flatten();
            let scrape = text.map(|text| Scrape { at, series: read(&text) });
            shared.store.measured().said(key, scrape);
        });
    }
}

/// Where a pod wants to be asked: its annotations `prometheus.io/port` (80 if it is left out) and
/// `prometheus.io/path`.
fn wish(cell: &PodCell) -> Option<(SocketAddr, String)> {
    let inner = cell.lock();
    let notes = &inner.object["metadata"]["annotations"];
    let note = |name: &str| notes[format!("prometheus.io/{name}")].as_str();
    let runs = inner.containers.iter().any(|c| matches!(c.state, State::Running(_)));
    if note("scrape") != Some("true") || !runs {
        return None;
    }
    let port = note("port").map_or(Some(80), |p| p.parse().ok())?;
    let path = note("path").unwrap_or("/metrics");
    // It becomes part of a request's first line.
    let plain = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
    let ip = inner.ip.filter(|_| plain)?;
    Some((SocketAddr::new(ip.into(), port), path.to_owned()))
}

/// The body of what is at `path`, if it can be had. HTTP/1.0: the answer ends with the connection.
async fn get(stack: &Stack, to: SocketAddr, path: &str) -> Option<String> {
    let stream = stack.connect(to).await.ok()?;
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {to}\r\nUser-Agent: Prometheus/2.55\r\nAccept: text/plain;version=0.0.4\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(Bytes::from(request)).await.ok()?;
    let mut answer = Vec::new();
    loop {
        let bytes = stream.read(16 << 10).await.ok()?;
        if bytes.is_empty() {
            break;
        }
        answer.extend_from_slice(&bytes);
        if answer.len() > ANSWER {
            return None;
        }
    }
    let text = String::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut first = head.split_whitespace();
    let fine = first.next()?.starts_with("HTTP/1.") && first.next()? == "200";
    fine.then(|| body.to_owned())
}

/// The values of a text in Prometheus' exposition format. What is none is left out: who wants the
/// format checked has a checker for it.
fn read(text: &str) -> Vec<Series> {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.filter_map(series).take(VALUES).collect()
}

/// `name{label="value",...} value [timestamp]`.
fn series(line: &str) -> Option<Series> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(inside) => labels(inside)?,
        None => (BTreeMap::new(), rest),
    };
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    // Beyond this a quantity in thousandths is no quantity any more.
    let sane = !name.is_empty() && value.is_finite() && value.abs() < 1e15;
    let value = (value * 1000.0).round() as i128;
    sane.then(|| Series { name: name.to_owned(), labels, value })
}

/// Labels up to the closing brace, and what follows.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut out = BTreeMap::new();
    loop {
        rest = rest.trim_start().trim_start_matches(',').trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((out, after));
        }
        let (name, quoted) = rest.split_once('=')?;
        let mut value = String::new();
        let mut chars = quoted.trim_start().strip_prefix('"')?.char_indices();
        let text = quoted.trim_start().strip_prefix('"')?;
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, c) => value.push(c),
            }
        };
        out.insert(name.trim().to_owned(), value);
        rest = &text[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_with_their_labels() {
        let text = "# TYPE q gauge\nq{queue=\"a\",x=\"1 \\\"2\\\" }\"} 3\nup 1\nrate 0.25 1700000000\n\nbad\nq{x= 1\nnan NaN\n";
        let read = read(text);
        let of = |name: &str| read.iter().find(|s| s.name == name).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!((of("q").value, of("up").value, of("rate").value), (3000, 1000, 250));
        assert_eq!(of("q").labels["queue"], "a");
        assert_eq!(of("q").labels["x"], "1 \"2\" }");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z{}=\",\\\\ 0-9.\n]{0,200}") {
            prop_assert!(read(&text).len() <= VALUES);
        }
    }
}
