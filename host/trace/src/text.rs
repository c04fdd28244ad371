//! One line of text for an event.

use std::fmt::Write as _;

use crate::event::{Dir, Event, Kind, PlaceId, Stream};
use crate::state::State;

/// "12.500000000s" for 12.5 s in ns.
pub fn time(ns: u64) -> String {
    format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// The name of a place: "web/main" for a container, "web" for a pod, "node-1" for a node.
pub fn place(state: &State, id: PlaceId) -> String {
    let Some(p) = state.places.get(&id) else { return "world".into() };
    let mut name = if p.pod.is_empty() { p.node.clone() } else { p.pod.clone() };
    if !p.container.is_empty() {
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(&p.container);
    }
    name
}

/// What happened, in a few words.
pub fn summary(kind: &Kind) -> String {
    match kind {
        Kind::Place { .. } => "place".into(),
        Kind::Listen { addr, udp } => {
            format!("listens on {}{addr}", if *udp { "udp " } else { "" })
        }
        Kind::Unlisten { addr, .. } => format!("no longer listens on {addr}"),
        Kind::Resolve { name, answers, error } => {
            let mut s = format!("resolve {name}:");
            for a in answers {
                let _ = write!(s, " {a}");
            }
            if !error.is_empty() {
                let _ = write!(s, " {error}");
            }
            s
        }
        Kind::Connect { conn, from, to, target, via, .. } => {
            let mut s = format!("#{conn} connect {from} to {to}");
            if !via.is_empty() {
                let _ = write!(s, " (service {via}, endpoint {target})");
            }
            s
        }
        Kind::Accept { conn } => format!("#{conn} accept"),
        Kind::Refuse { conn, reason } => format!("#{conn} {reason}"),
        Kind::Data { conn, dir, len, retries, .. } => {
            let again =
                if *retries > 0 { format!(", {retries} retransmitted") } else { String::new() };
            format!("#{conn} {} {len} bytes{again}", arrow(*dir))
        }
        Kind::Shut { conn, dir } => format!("#{conn} {} end of data", arrow(*dir)),
        Kind::Reset { conn, .. } => format!("#{conn} reset"),
        Kind::Close { conn } => format!("#{conn} closed"),
        Kind::Datagram { from, to, len, .. } => format!("datagram {from} to {to}, {len} bytes"),
        Kind::Message { conn, dir, summary, body_len, malformed, .. } => {
            let bad = if *malformed { "malformed " } else { "" };
            format!("#{conn} {} {bad}{summary} ({body_len} bytes)", arrow(*dir))
        }
        Kind::File { op, path, to, len, error, .. } => {
            let mut s = format!("{} {path}", format!("{op:?}").to_lowercase());
            if !to.is_empty() {
                let _ = write!(s, " to {to}");
            }
            if *len > 0 {
                let _ = write!(s, " ({len} bytes)");
            }
            if !error.is_empty() {
                let _ = write!(s, ": {error}");
            }
            s
        }
        Kind::Start { run, image, args } => format!("start {image} {} (run {run})", args.join(" ")),
        Kind::Exit { code, reason, message, .. } => {
            let message = message.lines().next().unwrap_or("");
            format!("exit {code} {reason} {message}").trim_end().to_owned()
        }
        Kind::Signal { number, handled } => {
            format!("signal {number}{}", if *handled { "" } else { " (no handler)" })
        }
        Kind::Log { stream, line } => match stream {
            Stream::Stdout => line.clone(),
            Stream::Stderr => format!("stderr: {line}"),
        },
        Kind::Probe { probe, ok, message } => {
            format!("{probe} probe {}: {message}", if *ok { "succeeded" } else { "failed" })
        }
        Kind::Object { verb, object_kind, namespace, name, version, .. } => {
            let verb = format!("{verb:?}").to_lowercase();
            let slash = if namespace.is_empty() { "" } else { "/" };
            format!("{object_kind} {namespace}{slash}{name} {verb} (version {version})")
        }
        Kind::Input { what, .. } => format!("input: {what}"),
        Kind::Fault { name, target, on } => {
            format!("fault {name} on {target} {}", if *on { "begins" } else { "ends" })
        }
        Kind::Check { name, verdict, expected, seen, .. } => {
            format!("check {name}: {verdict:?}, expected {expected}, seen {seen}")
        }
    }
}

/// The whole line: number, time, place, what.
pub fn line(state: &State, event: &Event) -> String {
    let (at, place) = (time(event.at), place(state, event.place));
    format!("{:>7} {at:>16} {place:<28} {}", event.seq, summary(&event.kind))
}

fn arrow(dir: Dir) -> &'static str {
    match dir {
        Dir::ToServer => "->",
        Dir::ToClient => "<-",
    }
}
