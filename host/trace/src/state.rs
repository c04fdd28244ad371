//! What is true at an instant, derived from events alone.
//!
//! [`State::apply`] is the only way it changes. The picture of an instant is drawn from the
//! state before it and the events around it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::event::{ConnId, Event, FileOp, Kind, PlaceId, Seq, Verb};

/// What is true at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// All places ever announced.
    pub places: BTreeMap<PlaceId, Place>,
    /// The objects of the control plane, by (kind, namespace, name). Kubernetes Events are left
    /// out: they are many, and they are read from the trace.
    pub objects: BTreeMap<(String, String, String), Object>,
    /// Connections that are open or being opened.
    pub connections: BTreeMap<ConnId, Connection>,
    /// The files of each volume, by (pod place's namespace/pod, volume, path).
    pub files: BTreeMap<(String, String, String), File>,
    /// Faults in force, by (name, target).
    pub faults: BTreeMap<(String, String), u64>,
}

/// Something that acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// See [`Kind::Place`].
    pub node: String,
    /// See [`Kind::Place`].
    pub namespace: String,
    /// See [`Kind::Place`].
    pub pod: String,
    /// See [`Kind::Place`].
    pub container: String,
    /// Whether a program runs there.
    pub running: bool,
    /// How often it was started before.
    pub run: u32,
    /// How it ended last: exit code and reason.
    pub exit: Option<(i32, String)>,
    /// The sockets it listens on, and whether they are UDP.
    pub listening: Vec<(SocketAddr, bool)>,
}

/// An object of the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// "v1".
    pub api_version: String,
    /// Its resourceVersion.
    pub version: u64,
    /// The object as JSON.
    pub json: String,
    /// The event that made it so.
    pub seq: Seq,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Who connected.
    pub client: PlaceId,
    /// Who accepted, or the pod that the packets go to.
    pub server: PlaceId,
    /// The near end.
    pub from: SocketAddr,
    /// The far end.
    pub to: SocketAddr,
    /// The Service in between, or empty.
    pub via: String,
    /// When it began, in ns.
    pub since: u64,
}

/// A file in a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Bytes.
    pub len: u64,
    /// Who wrote it last.
    pub by: PlaceId,
    /// When, in ns.
    pub at: u64,
}

impl State {
    /// Takes in the next event.
    pub fn apply(&mut self, event: &Event) {
        match &event.kind {
            Kind::Place { id, node, namespace, pod, container } => {
                let place = Place {
                    node: node.clone(),
                    namespace: namespace.clone(),
                    pod: pod.clone(),
                    container: container.clone(),
                    ..Place::default()
                };
                self.places.insert(*id, place);
            }
            Kind::Listen { addr, udp } => {
                if let Some(place) = self.places.get_mut(&event.place) {
                    place.listening.push((*addr, *udp));
                }
            }
            Kind::Unlisten { addr, udp } => {
                if let Some(place) = self.places.get_mut(&event.place) {
                    place.listening.retain(|l| l != &(*addr, *udp));
                }
            }
            Kind::Connect { conn, from, target, via, peer, .. } => {
                let connection = Connection {
                    client: event.place,
                    server: *peer,
                    from: *from,
                    to: *target,
                    via: via.clone(),
                    since: event.at,
                };
                self.connections.insert(*conn, connection);
            }
            Kind::Accept { conn } => {
                if let Some(connection) = self.connections.get_mut(conn) {
                    connection.server = event.place;
                }
            }
            Kind::Refuse { conn, .. } | Kind::Reset { conn, .. } | Kind::Close { conn } => {
                self.connections.remove(conn);
            }
            Kind::File { op, path, volume, to, offset, len, error, .. } if error.is_empty() => {
                self.touch(event, *op, path, volume, to, offset + len);
            }
            Kind::Start { run, .. } => {
                if let Some(place) = self.places.get_mut(&event.place) {
                    (place.running, place.run) = (true, *run);
                }
            }
            Kind::Exit { code, reason, .. } => {
                if let Some(place) = self.places.get_mut(&event.place) {
                    place.running = false;
                    place.exit = Some((*code, reason.clone()));
                    place.listening.clear();
                }
            }
            Kind::Object { verb, api_version, object_kind, namespace, name, version, object } => {
                if object_kind == "Event" {
                    return;
                }
                let key = (object_kind.clone(), namespace.clone(), name.clone());
                if *verb == Verb::Deleted {
                    self.objects.remove(&key);
                    if object_kind == "Pod" {
                        let pod = format!("{namespace}/{name}");
                        self.files.retain(|(owner, ..), _| *owner != pod);
                    }
                } else {
                    let object = Object {
                        api_version: api_version.clone(),
                        version: *version,
                        json: object.clone(),
                        seq: event.seq,
                    };
                    self.objects.insert(key, object);
                }
            }
            Kind::Fault { name, target, on } => {
                let key = (name.clone(), target.clone());
                if *on {
                    self.faults.insert(key, event.at);
                } else {
                    self.faults.remove(&key);
                }
            }
            _ => {}
        }
    }

    fn touch(&mut self, event: &Event, op: FileOp, path: &str, volume: &str, to: &str, end: u64) {
        // The container's own layer is not shared, and a picture of it helps nobody.
        let Some(place) = self.places.get(&event.place) else { return };
        if volume.is_empty() {
            return;
        }
        let owner = format!("{}/{}", place.namespace, place.pod);
        let key = |path: &str| (owner.clone(), volume.to_owned(), path.to_owned());
        match op {
            FileOp::Create => {
                self.files.insert(key(path), File { len: 0, by: event.place, at: event.at });
            }
            FileOp::Write => {
                let file = self.files.entry(key(path)).or_insert(File { len: 0, by: 0, at: 0 });
                *file = File { len: file.len.max(end), by: event.place, at: event.at };
            }
            FileOp::Truncate => {
                self.files.insert(key(path), File { len: end, by: event.place, at: event.at });
            }
            FileOp::Rename => {
                if let Some(file) = self.files.remove(&key(path)) {
                    self.files.insert(key(to), file);
                }
            }
            FileOp::Remove => {
                self.files.remove(&key(path));
            }
            FileOp::Open | FileOp::Read | FileOp::Link | FileOp::Mkdir => {}
        }
    }
}
