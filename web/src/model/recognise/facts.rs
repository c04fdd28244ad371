//! What happened, as far as patterns are made of it.

use std::collections::BTreeMap;

use podlab_trace::event::{ConnId, Dir, FileOp, Kind, PlaceId, Seq, Verb};
use podlab_trace::state::State;

use super::REACH;
use crate::model::consequence::carriers;
use crate::model::rows::name;
use crate::model::timeline::Timeline;

/// Values by a key, in the order in which the keys came. There are few keys; a tree for each kind
/// of them would be the larger part of this module.
#[derive(Debug, Default)]
pub struct Groups<K, V>(pub Vec<(K, V)>);

impl<K: PartialEq, V: Default> Groups<K, V> {
    /// The value of a key.
    pub fn of(&mut self, key: K) -> &mut V {
        let at = self.0.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
            self.0.push((key, V::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }
}

/// What there is in `all`, each once.
pub fn each<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for one in all {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

/// One container asks another: a request, or bytes of a protocol that nobody here reads.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Its event.
    pub seq: Seq,
    /// Who asks.
    pub client: PlaceId,
    /// Who is asked.
    pub server: PlaceId,
    /// Whether both are of one pod.
    pub local: bool,
    /// The event of the answer.
    pub answer: Option<Seq>,
    /// The ask that it came of, by its place among them.
    pub of: Option<usize>,
}

/// A container touches a file of a volume.
#[derive(Clone, Debug)]
pub struct Touch {
    /// Its event.
    pub seq: Seq,
    /// Who.
    pub who: PlaceId,
    /// The volume.
    pub volume: String,
    /// The path as that container sees it.
    pub path: String,
    /// Whether it writes.
    pub writes: bool,
}

/// A Lease says who holds it.
#[derive(Clone, Debug)]
pub struct Hold {
    /// The event.
    pub seq: Seq,
    /// The Lease's name.
    pub lease: String,
    /// Who holds it, or empty.
    pub holder: String,
}

/// All of it, in order.
pub struct Facts<'a> {
    /// Where it is from.
    pub timeline: &'a Timeline,
    /// Who asked whom.
    pub asks: Vec<Ask>,
    /// Who touched which file.
    pub touches: Vec<Touch>,
    /// Who held which Lease.
    pub holds: Vec<Hold>,
    state: &'a State,
}

impl<'a> Facts<'a> {
    /// Reads the events before `before`.
    pub fn read(timeline: &'a Timeline, before: Seq) -> Facts<'a> {
        let state = timeline.head();
        let mut out = Facts { timeline, asks: vec![], touches: vec![], holds: vec![], state };
        // The ask that an event carries, and the open ask of a connection.
        let mut carries: BTreeMap<u64, u64> = BTreeMap::new();
        let mut open: BTreeMap<u64, u64> = BTreeMap::new();
        for e in timeline.range(before.saturating_sub(REACH), before) {
            match &e.kind {
                Kind::Message { conn, dir: Dir::ToServer, malformed: false, .. } => {
                    let by = carriers(timeline, e.seq);
                    out.ask(*conn, e.seq, e.cause, &by, &mut carries);
                }
                Kind::Message { answers, .. } if *answers != 0 => {
                    // The newest asks are the likeliest.
                    let asks = out.asks.iter_mut().rev().take(2_000);
                    if let Some(ask) = asks.into_iter().find(|a| a.seq == *answers) {
                        ask.answer = Some(e.seq);
                    }
                }
                Kind::Data { conn, dir, .. } => {
                    if timeline.ends(*conn).is_none_or(|e| e.spoken) {
                        continue;
                    }
                    let waits = open
                        .get(conn)
                        .map(|i| *i as usize)
                        .filter(|i| out.asks[*i].answer.is_none());
                    match (dir, waits) {
                        (Dir::ToClient, Some(ask)) => out.asks[ask].answer = Some(e.seq),
                        (Dir::ToServer, None)
                            if out.ask(*conn, e.seq, e.cause, &[e.seq], &mut carries) =>
                        {
                            open.insert(*conn, out.asks.len() as u64 - 1);
                        }
                        _ => {}
                    }
                }
                Kind::File { op, path, volume, to, error, len, .. }
                    if !volume.is_empty() && error.is_empty() =>
                {
                    let (writes, path) = match op {
                        FileOp::Write if *len > 0 => (true, path),
                        FileOp::Rename => (true, to),
                        FileOp::Read if *len > 0 => (false, path),
                        _ => continue,
                    };
                    let (volume, path) = (volume.clone(), path.clone());
                    out.touches.push(Touch { seq: e.seq, who: e.place, volume, path, writes });
                }
                Kind::Object { object_kind, namespace, name, object, verb, .. }
                    if object_kind == "Lease"
                        && *verb != Verb::Deleted
                        && !namespace.starts_with("kube-") =>
                {
                    let object: serde_json::Value =
                        serde_json::from_str(object).unwrap_or_default();
                    let holder = object["spec"]["holderIdentity"].as_str().unwrap_or_default();
                    let (lease, holder) = (name.clone(), holder.to_owned());
                    out.holds.push(Hold { seq: e.seq, lease, holder });
                }
                _ => {}
            }
        }
        out
    }

    fn ask(
        &mut self,
        conn: ConnId,
        seq: Seq,
        cause: Seq,
        carried_by: &[Seq],
        carries: &mut BTreeMap<u64, u64>,
    ) -> bool {
        let Some(ends) = self.timeline.ends(conn) else { return false };
        let (client, server) = (ends.client, ends.server);
        // Probes say nothing of what programs are for.
        let probe = self.state.places.get(&client).is_some_and(|p| p.container == "kubelet");
        let taken = self.state.places.get(&server).is_some_and(|p| !p.container.is_empty());
        if probe || !taken {
            return false;
        }
        let local = self.pod(client).is_some() && self.pod(client) == self.pod(server);
        // What it took in last, or what it has not answered yet.
        let waiting = |a: &Ask| a.server == client && a.answer.is_none();
        let of = carries
            .get(&cause)
            .map(|i| *i as usize)
            .filter(|i| self.asks[*i].server == client)
            .or_else(|| {
                let last = self.asks.len().saturating_sub(200);
                self.asks[last..].iter().rposition(waiting).map(|i| i + last)
            });
        for by in carried_by {
            carries.insert(*by, self.asks.len() as u64);
        }
        self.asks.push(Ask { seq, client, server, local, answer: None, of });
        true
    }

    /// The pod of a container: its namespace and name.
    pub fn pod(&self, place: PlaceId) -> Option<(&str, &str)> {
        let p = self.state.places.get(&place)?;
        (!p.pod.is_empty()).then_some((p.namespace.as_str(), p.pod.as_str()))
    }

    /// A place as the lists name it.
    pub fn name(&self, place: PlaceId) -> String {
        name(self.state, place)
    }

    /// The body of a message, or the bytes.
    pub fn body(&self, seq: Seq) -> &'a [u8] {
        match self.timeline.event(seq).map(|e| &e.kind) {
            Some(Kind::Message { body, .. }) => body,
            Some(Kind::Data { payload, .. }) => payload,
            _ => &[],
        }
    }

    /// The first line of a message: "GET /metrics", "200 OK"; empty for bare bytes.
    pub fn line(&self, seq: Seq) -> &'a str {
        match self.timeline.event(seq).map(|e| &e.kind) {
            Some(Kind::Message { summary, .. }) => summary,
            _ => "",
        }
    }

    /// The same with all of its path, as far as it was kept.
    pub fn whole_line(&self, seq: Seq) -> &'a str {
        match self.timeline.event(seq).map(|e| &e.kind) {
            Some(Kind::Message { head, .. }) => head.lines().next().unwrap_or_default(),
            _ => "",
        }
    }

    /// When an event happened, in ns.
    pub fn at(&self, seq: Seq) -> u64 {
        self.timeline.event(seq).map_or(0, |e| e.at)
    }
}
