//! Whether what happened in two worlds is the same: what an event is, without what only counts or
//! names it (numbers of events and connections, UIDs, versions, addresses, random suffixes, dates).

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use podlab_trace::event::{ConnId, Event, Kind, PlaceId, Seq};
use serde_json::Value;

use crate::model::timeline::Timeline;

/// Fields of an object that only count or name it.
const COUNTED: [&str; 5] =
    ["uid", "resourceVersion", "managedFields", "creationTimestamp", "generation"];
/// The letters of the random suffixes that the API server gives.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Ports from here on are given to whoever connects.
const EPHEMERAL: u32 = 32_768;

/// What happened, as a number: equal for what is alike in two worlds (and, as good as never, for
/// what is not). With `timed`, when it arrives belongs to it. `None` for what is no deed of anybody.
pub fn likeness(timeline: &Timeline, event: &Event, timed: bool) -> Option<u64> {
    if matches!(event.kind, Kind::Place { .. }) {
        return None;
    }
    let mut h = Print { hasher: DefaultHasher::new(), timeline };
    h.place(event.place);
    std::mem::discriminant(&event.kind).hash(&mut h.hasher);
    match &event.kind {
        Kind::Place { .. } => {}
        Kind::Listen { addr, udp } | Kind::Unlisten { addr, udp } => {
            (addr.port(), udp).hash(&mut h.hasher);
        }
        Kind::Resolve { name, answers, error } => {
            h.text(name);
            (answers.len(), error).hash(&mut h.hasher);
        }
        Kind::Connect { to, via, peer, .. } => {
            (to.port(), via).hash(&mut h.hasher);
            h.place(*peer);
        }
        Kind::Accept { conn } | Kind::Close { conn } => h.ends(*conn),
        Kind::Refuse { conn, reason } => {
            h.ends(*conn);
            reason.hash(&mut h.hasher);
        }
        Kind::Shut { conn, dir } | Kind::Reset { conn, dir } => {
            h.ends(*conn);
            dir.hash_into(&mut h.hasher);
        }
        Kind::Data { conn, dir, len, payload, arrives, .. } => {
            h.ends(*conn);
            dir.hash_into(&mut h.hasher);
            len.hash(&mut h.hasher);
            h.bytes(payload);
            h.when(timed, *arrives);
        }
        Kind::Datagram { to, peer, len, payload, arrives, .. } => {
            h.place(*peer);
            (to.port(), len).hash(&mut h.hasher);
            h.bytes(payload);
            h.when(timed, *arrives);
        }
        Kind::Message { conn, dir, protocol, head, body_len, body, arrives, malformed, .. } => {
            h.ends(*conn);
            dir.hash_into(&mut h.hasher);
            (protocol, body_len, malformed).hash(&mut h.hasher);
            h.text(head);
            h.bytes(body);
            h.when(timed, *arrives);
        }
        Kind::File { op, path, volume, to, offset, len, payload, error } => {
            std::mem::discriminant(op).hash(&mut h.hasher);
            (volume, offset, len, error).hash(&mut h.hasher);
            h.text(path);
            h.text(to);
            h.bytes(payload);
        }
        Kind::Start { run, image, args } => {
            (run, image).hash(&mut h.hasher);
            args.iter().for_each(|a| h.text(a));
        }
        Kind::Exit { run, code, reason, .. } => (run, code, reason).hash(&mut h.hasher),
        Kind::Signal { number, handled } => (number, handled).hash(&mut h.hasher),
        Kind::Log { stream, line } => {
            std::mem::discriminant(stream).hash(&mut h.hasher);
            h.text(line);
        }
        Kind::Probe { probe, ok, message } => {
            (probe, ok).hash(&mut h.hasher);
            h.text(message);
        }
        Kind::Object { verb, object_kind, namespace, name, object, .. } => {
            std::mem::discriminant(verb).hash(&mut h.hasher);
            (object_kind, namespace).hash(&mut h.hasher);
            h.text(name);
            match serde_json::from_str::<Value>(object) {
                Ok(value) => h.value(&value),
                Err(_) => h.text(object),
            }
        }
        Kind::Input { what, .. } => h.text(what),
        Kind::Fault { name, target, on } => {
            (name, on).hash(&mut h.hasher);
            h.text(target);
        }
        Kind::Check { name, verdict, seen, .. } => {
            std::mem::discriminant(verdict).hash(&mut h.hasher);
            name.hash(&mut h.hasher);
            h.text(seen);
        }
    }
    Some(h.hasher.finish())
}

/// Where in its world somebody is, without random suffixes: the same in two worlds.
pub fn actor(timeline: &Timeline, id: PlaceId) -> String {
    timeline.head().places.get(&id).map_or_else(String::new, |p| {
        let mut out = String::new();
        // A pod may run on another node; what is in no pod is the node's.
        let of = if p.pod.is_empty() { &p.node } else { &p.namespace };
        for part in [of, &p.pod, &p.container] {
            plain(part, |piece| out.push_str(piece));
            out.push('/');
        }
        out
    })
}

/// The event of `there` that is to it what event `seq` is to `here`: alike, and as many alike
/// before it. Where none is just as it, one that is of the same kind and between the same.
pub fn counterpart(here: &Timeline, seq: Seq, there: &Timeline) -> Option<Seq> {
    let event = here.event(seq)?;
    let nth = |same: &dyn Fn(&Timeline, &Event) -> bool| {
        let before = here.range(here.first(), seq).filter(|e| same(here, e)).count();
        there.events().filter(|e| same(there, e)).nth(before).map(|e| e.seq)
    };
    let print = likeness(here, event, false)?;
    let kind = std::mem::discriminant(&event.kind);
    let alike = |t: &Timeline, e: &Event| {
        // Cheap first: an object is read to its end only if it may be the one.
        std::mem::discriminant(&e.kind) == kind && likeness(t, e, false) == Some(print)
    };
    if let Some(found) = nth(&alike) {
        return Some(found);
    }
    let word = brief(here, event);
    nth(&|t, e| std::mem::discriminant(&e.kind) == kind && brief(t, e) == word)
}

/// Who did what to whom, without what exactly.
fn brief(timeline: &Timeline, event: &Event) -> (String, String, String) {
    let ends = |conn: &ConnId| {
        timeline.ends(*conn).map_or_else(String::new, |e| {
            format!("{} {}", actor(timeline, e.client), actor(timeline, e.server))
        })
    };
    let (whom, what) = match &event.kind {
        Kind::Message { conn, dir, summary, .. } => match dir {
            podlab_trace::Dir::ToServer => (ends(conn), summary.clone()),
            // Another answer to the same request is its counterpart.
            podlab_trace::Dir::ToClient => (ends(conn), String::new()),
        },
        Kind::File { op, path, .. } => (path.clone(), format!("{op:?}")),
        Kind::Object { object_kind, name, .. } => (object_kind.clone(), name.clone()),
        Kind::Input { .. } | Kind::Fault { .. } => (event.seq.to_string(), String::new()),
        _ => Default::default(),
    };
    (actor(timeline, event.place), whom, what)
}

trait HashInto {
    fn hash_into(&self, hasher: &mut DefaultHasher);
}

impl HashInto for podlab_trace::Dir {
    fn hash_into(&self, hasher: &mut DefaultHasher) {
        std::mem::discriminant(self).hash(hasher);
    }
}

struct Print<'a> {
    hasher: DefaultHasher,
    timeline: &'a Timeline,
}

impl Print<'_> {
    fn text(&mut self, text: &str) {
        plain(text, |piece| self.hasher.write(piece.as_bytes()));
        self.hasher.write_u8(0xff);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text),
            Err(_) => bytes.hash(&mut self.hasher),
        }
    }

    fn when(&mut self, timed: bool, arrives: u64) {
        if timed {
            arrives.hash(&mut self.hasher);
        }
    }

    fn place(&mut self, id: PlaceId) {
        let Some(p) = self.timeline.head().places.get(&id) else { return };
        p.node.hash(&mut self.hasher);
        let (namespace, pod, container) = (&p.namespace, &p.pod, &p.container);
        self.text(namespace);
        self.text(pod);
        self.text(container);
    }

    fn ends(&mut self, conn: ConnId) {
        if let Some(ends) = self.timeline.ends(conn) {
            ends.via.hash(&mut self.hasher);
            // The server's is not in it: it is the pod first and, once it accepts, the container.
            let client = ends.client;
            self.place(client);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(k, _)| !COUNTED.contains(&k.as_str())) {
                    name.hash(&mut self.hasher);
                    self.value(value);
                }
                self.hasher.write_u8(1);
            }
            Value::Array(list) => {
                list.iter().for_each(|v| self.value(v));
                self.hasher.write_u8(2);
            }
            Value::String(text) => self.text(text),
            other => other.to_string().hash(&mut self.hasher),
        }
    }
}

/// Gives the text in pieces, with a sign in place of each thing that is other in every world.
pub fn plain<'a>(text: &'a str, mut piece: impl FnMut(&'a str)) {
    let word = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.find(word).unwrap_or(rest.len());
        let (gap, tail) = rest.split_at(begin);
        if !gap.is_empty() {
            piece(gap);
        }
        let end = tail.find(|c| !word(c)).unwrap_or(tail.len());
        let (found, tail) = tail.split_at(end);
        plain_word(found, &mut piece);
        rest = tail;
    }
}

fn digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit())
}

/// "14:13:20"; with the date before it and a fraction and a zone behind it, too.
fn is_clock(word: &str) -> bool {
    let time = match word.split_once('T') {
        Some((date, time)) => {
            let parts: Vec<&str> = date.split('-').collect();
            let [y, m, d] = parts.as_slice() else { return false };
            if !(digits(y, 4) && digits(m, 2) && digits(d, 2)) {
                return false;
            }
            time.trim_end_matches('Z')
        }
        None => word,
    };
    let whole = time.split(['.', '-']).next().unwrap_or_default();
    let parts: Vec<&str> = whole.split(':').collect();
    parts.len() == 3 && parts.iter().all(|p| digits(p, 2))
}

/// The port of an IPv4 address, 0 if there is none; `None` if the word is no address.
fn address(word: &str) -> Option<u32> {
    let (host, port) = word.split_once(':').unwrap_or((word, "0"));
    let number = |p: &str| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
    (host.split('.').count() == 4 && host.split('.').all(number)).then(|| port.parse().ok())?
}

fn plain_word<'a>(word: &'a str, piece: &mut impl FnMut(&'a str)) {
    // A full stop or a colon at the end belongs to the sentence.
    let core = word.trim_end_matches(['.', ':', '-']);
    let tail = &word[core.len()..];
    if is_clock(core) {
        piece("<time>");
    } else if let Some(port) = address(core) {
        piece("<ip>");
        if let Some((_, port_text)) = core.split_once(':').filter(|_| port < EPHEMERAL) {
            piece(":");
            piece(port_text);
        }
    } else {
        let hex = |t: &str| t.bytes().all(|b| b.is_ascii_hexdigit());
        let mut begin = 0;
        while begin <= core.len() {
            let end = core[begin..].find(['-', '.', ':']).map_or(core.len(), |i| begin + i);
            let part = &core[begin..end];
            let long = |t: &str| {
                let lengths = t.split('-').map(str::len);
                t.len() == 36 && lengths.eq([8, 4, 4, 4, 12]) && hex(&t.replace('-', ""))
            };
            if core.get(begin..begin + 36).is_some_and(long) {
                piece("<uid>");
                begin += 36;
                if let Some(sep) = core.get(begin..begin + 1) {
                    piece(sep);
                }
                begin += 1;
                continue;
            }
            let suffix = begin > 0
                && core.as_bytes()[begin - 1] == b'-'
                && part.len() == 5
                && part.bytes().all(|b| SUFFIX.contains(&b));
            if suffix {
                piece("<random>");
            } else if part.len() >= 16 && hex(part) {
                piece("<id>");
            } else {
                piece(part);
            }
            if let Some(sep) = core.get(end..end + 1) {
                piece(sep);
            }
            begin = end + 1;
        }
    }
    if !tail.is_empty() {
        piece(tail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    fn load() -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(20).read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    fn masked(text: &str) -> String {
        let mut out = String::new();
        plain(text, |piece| out.push_str(piece));
        out
    }

    #[test]
    fn what_is_other_in_every_world_is_masked_and_nothing_else() {
        for (text, plain) in [
            ("uid c7a517dd-c54b-4798-bba1-fe3d7112952b.", "uid <uid>."),
            ("at 2026-09-21T14:13:20.5Z: up", "at <time>: up"),
            ("[14:13:20] up", "[<time>] up"),
            ("10.244.1.2:41234 asks 10.96.0.10:8080", "<ip> asks <ip>:8080"),
            ("web-7d9f8b6c5-x2k1v", "web-7d9f8b6c5-x2k1v"),
            ("web-x2k7v got kube-api-access-bt9mq", "web-<random> got kube-api-access-<random>"),
            ("node-1.18d75b8423f30000", "node-1.<id>"),
            ("GET /index.html 200 41", "GET /index.html 200 41"),
            (
                "version 1.2.3, at 12:30, log-saver writer-0",
                "version 1.2.3, at 12:30, log-saver writer-0",
            ),
            ("日本語 --x= ...", "日本語 --x= ..."),
            ("", ""),
        ] {
            assert_eq!(masked(text), plain);
        }
    }

    #[test]
    fn what_only_counts_is_no_difference_and_what_is_said_is_one() {
        let timeline = load();
        let print = |e: &Event| likeness(&timeline, e, true);
        for event in timeline.events() {
            let mut other = event.clone();
            (other.seq, other.cause) = (event.seq + 1000, 7);
            assert_eq!(print(event), print(&other));
            match &mut other.kind {
                Kind::Message { body, head, answers, exchange, .. } => {
                    (*answers, *exchange) = (9, 9);
                    assert_eq!(
                        print(event),
                        likeness(
                            &timeline,
                            &{
                                let mut same = event.clone();
                                if let Kind::Message { answers, exchange, .. } = &mut same.kind {
                                    (*answers, *exchange) = (9, 9);
                                }
                                same
                            },
                            true
                        )
                    );
                    head.push('x');
                    *body = bytes::Bytes::from_static(b"other");
                }
                Kind::Log { line, .. } => line.push('!'),
                Kind::File { path, .. } => path.push('x'),
                Kind::Start { image, .. } => image.push('x'),
                Kind::Object { object, .. } => *object = object.replace("web", "wob"),
                _ => continue,
            }
            if let (Kind::Object { object, .. }, Kind::Object { object: o, .. }) =
                (&event.kind, &other.kind)
                && object == o
            {
                continue;
            }
            assert_ne!(print(event), print(&other), "{:?}", event.kind);
        }
    }

    #[test]
    fn arrival_counts_only_where_time_does() {
        let timeline = load();
        let event = timeline.events().find(|e| matches!(e.kind, Kind::Message { .. })).unwrap();
        let mut late = event.clone();
        if let Kind::Message { arrives, .. } = &mut late.kind {
            *arrives += 1;
        }
        assert_eq!(likeness(&timeline, event, false), likeness(&timeline, &late, false));
        assert_ne!(likeness(&timeline, event, true), likeness(&timeline, &late, true));
    }

    #[test]
    fn objects_that_differ_in_their_uid_alone_are_alike() {
        let timeline = load();
        let object = |json: &str| {
            let kind = Kind::Object {
                verb: podlab_trace::event::Verb::Added,
                api_version: "v1".into(),
                object_kind: "Pod".into(),
                namespace: "default".into(),
                name: "web-x2k7v".into(),
                version: 9,
                object: json.into(),
            };
            likeness(&timeline, &Event { seq: 1, at: 0, place: 0, cause: 0, kind }, true)
        };
        let a = object(r#"{"metadata":{"uid":"a","resourceVersion":"1"},"spec":{"x":1}}"#);
        assert_eq!(a, object(r#"{"metadata":{"uid":"b","resourceVersion":"22"},"spec":{"x":1}}"#));
        assert_ne!(a, object(r#"{"metadata":{"uid":"a","resourceVersion":"1"},"spec":{"x":2}}"#));
        assert_eq!(object("not JSON"), object("not JSON"));
    }

    #[test]
    fn everything_has_its_counterpart_in_the_same_world() {
        let (here, there) = (load(), load());
        for event in here.events().filter(|e| !matches!(e.kind, Kind::Place { .. })) {
            assert_eq!(counterpart(&here, event.seq, &there), Some(event.seq), "{:?}", event.kind);
        }
        assert_eq!(counterpart(&here, 1_000_000, &there), None);
        let empty = Timeline::new(1, State::default());
        assert_eq!(counterpart(&here, here.next() - 1, &empty), None);
    }
}
