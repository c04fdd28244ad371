//! Where everything stands.
//!
//! A layout only grows: what has a place keeps it, whatever comes or goes. Lengths are units of
//! the drawing, about a CSS pixel at its natural size.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::PlaceId;
use podlab_trace::state::State;

use crate::model::pod::Pod;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Rect {
    /// The middle, from left to right.
    pub fn cx(&self) -> f64 {
        self.x + self.w / 2.0
    }
    /// The lower edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.h
    }
    /// The right edge.
    pub fn right(&self) -> f64 {
        self.x + self.w
    }
    /// Whether two rectangles share more than an edge.
    pub fn overlaps(&self, other: &Rect) -> bool {
        self.x < other.right()
            && other.x < self.right()
            && self.y < other.bottom()
            && other.y < self.bottom()
    }
}

/// Width of a pod.
pub const POD: f64 = 312.0;
/// Room between a pod and the edge of its node.
pub const PAD: f64 = 12.0;
/// Room between two columns.
pub const GAP: f64 = 36.0;
/// Room around everything; what goes round the outside of a node runs in it.
pub const EDGE: f64 = 24.0;
const SIDE: f64 = 14.0;
const HEAD: f64 = 44.0;
const CARD: f64 = 88.0;
/// Room between two containers: what belongs to the upper ones passes there.
pub const AISLE: f64 = 24.0;
const RAIL: f64 = 30.0;
const UNDER: f64 = 40.0;
const DRAWER: f64 = 84.0;
/// Height of a node's title.
pub const NODE_HEAD: f64 = 38.0;
const CHIP: f64 = 38.0;
/// Room between what stands outside and the nodes, for the lines to Services.
pub const LANES: f64 = 38.0;

/// A container's place.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// All of it.
    pub rect: Rect,
    /// Its row in the pod, from above.
    pub row: usize,
    /// 0 on the left, 1 on the right.
    pub side: usize,
    /// Whether another container stands right below it.
    pub above: bool,
}

/// A pod's place.
#[derive(Clone, Debug, PartialEq)]
pub struct PodBox {
    /// All of it.
    pub rect: Rect,
    /// Which column it stands in.
    pub column: usize,
    /// Its containers, in the order of its spec.
    pub containers: Vec<Slot>,
    /// The height of its localhost rail.
    pub rail: f64,
    /// Its volumes by name.
    pub volumes: Vec<(String, Rect)>,
    /// The node's band it stands in.
    pub band: usize,
}

impl PodBox {
    /// Where a container of it stands.
    pub fn slot(&self, container: &str) -> Option<&Slot> {
        self.containers.iter().find(|s| s.name == container)
    }
}

/// A run of pods of one node, drawn as one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// The node.
    pub node: String,
    /// All of it.
    pub rect: Rect,
    /// Which column it stands in.
    pub column: usize,
}

impl Band {
    /// The badge of the node's kubelet.
    pub fn kubelet(&self) -> Rect {
        Rect { x: self.rect.right() - 78.0, y: self.rect.y + 8.0, w: 66.0, h: 22.0 }
    }
}

/// Where everything stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    columns: usize,
    nodes: Vec<String>,
    /// The frames of the nodes.
    pub bands: Vec<Band>,
    /// The pods by (namespace, name).
    pub pods: BTreeMap<(String, String), PodBox>,
    /// What stands outside of all nodes: clients and Services, by name.
    pub chips: BTreeMap<String, Rect>,
    /// Counts the changes: whoever remembers where something stands compares it.
    pub version: u64,
    /// The version of each pod's object when its box was last looked at.
    seen: BTreeMap<(String, String), u64>,
    chip_end: (f64, f64),
    chip_rows: f64,
    bottoms: Vec<f64>,
}

impl Layout {
    /// An empty layout in so many columns (at least one).
    pub fn new(columns: usize) -> Layout {
        let columns = columns.max(1);
        // Fewer columns leave less room beside each other for what stands outside.
        let chip_rows = if columns < 3 { 2.0 } else { 1.0 };
        let top = EDGE + chip_rows * (CHIP + 8.0) + LANES;
        Layout {
            columns,
            chip_end: (EDGE, EDGE),
            chip_rows,
            bottoms: vec![top; columns],
            ..Layout::default()
        }
    }

    /// How many columns it has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The size of the whole.
    pub fn size(&self) -> (f64, f64) {
        let used =
            if self.nodes.is_empty() { self.columns } else { self.columns.min(self.nodes.len()) };
        let w = used as f64 * (POD + 2.0 * PAD + GAP) - GAP;
        let chips = self.chips.values().map(Rect::right).fold(0.0, f64::max);
        ((w + EDGE).max(chips) + EDGE, self.floor() + EDGE)
    }

    /// The lower edge of the lowest node.
    pub fn floor(&self) -> f64 {
        self.bottoms.iter().copied().fold(200.0, f64::max)
    }

    /// The frame of a band as it is drawn: the last of a column reaches down to the floor, since
    /// a node has room for more pods.
    pub fn frame(&self, band: usize) -> Rect {
        let Some(b) = self.bands.get(band) else { return Rect::default() };
        let last = self.bands.iter().rposition(|o| o.column == b.column) == Some(band);
        let h = if last { self.floor() - b.rect.y } else { b.rect.h };
        Rect { h, ..b.rect }
    }

    /// Gives everything new in `state` a place. Of what stands outside of all nodes only
    /// `talkers` are given one: who says nothing to anybody is not in the picture.
    pub fn extend(&mut self, state: &State, talkers: &BTreeSet<PlaceId>) {
        for (kind, _, name) in state.objects.keys() {
            if kind == "Node" {
                self.node(name);
            }
        }
        for place in state.places.values() {
            if !place.node.is_empty() && !place.pod.is_empty() {
                self.node(&place.node);
            }
        }
        for (kind, namespace, name) in state.objects.keys() {
            if kind == "Service" && name != "kubernetes" {
                self.chip(&format!("svc {namespace}/{name}"));
            }
        }
        for id in talkers {
            if let Some(place) = state.places.get(id)
                && place.pod.is_empty()
                && place.node.is_empty()
                && !place.container.is_empty()
            {
                self.chip(&place.container);
            }
        }
        // Pods in the order in which they were first heard of, so that a reload finds the same.
        let mut order: BTreeMap<(&str, &str), PlaceId> = BTreeMap::new();
        for (id, place) in &state.places {
            if !place.pod.is_empty() {
                order.entry((&place.namespace, &place.pod)).or_insert(*id);
            }
        }
        let mut keys: Vec<_> = order.into_iter().map(|(k, id)| (id, k)).collect();
        keys.sort_unstable();
        for (_, (namespace, name)) in keys {
            self.look_at_pod(state, (namespace.to_owned(), name.to_owned()));
        }
    }

    /// Gives a pod a box, or another one if its containers or volumes are others now.
    fn look_at_pod(&mut self, state: &State, key: (String, String)) {
        let object = state.objects.get(&("Pod".to_owned(), key.0.clone(), key.1.clone()));
        let version = object.map_or(0, |o| o.version);
        let known = self.pods.contains_key(&key);
        // A pod that is gone keeps its box: its ghost stands there.
        if known && (object.is_none() || self.seen.get(&key) == Some(&version)) {
            return;
        }
        let mut pod = object.map(|o| Pod::parse(&o.json)).unwrap_or_default();
        let mut names: Vec<String> = pod.containers.iter().map(|c| c.name.clone()).collect();
        for place in state.places.values() {
            if (&place.namespace, &place.pod) == (&key.0, &key.1) {
                if pod.node.is_empty() {
                    pod.node = place.node.clone();
                }
                if object.is_none() && !place.container.is_empty() {
                    names.push(place.container.clone());
                }
            }
        }
        let mut volumes: Vec<String> = pod.volumes.into_iter().map(|(name, _)| name).collect();
        let owner = format!("{}/{}", key.0, key.1);
        for (pod, volume, _) in state.files.keys() {
            if *pod == owner && object.is_none() && !volumes.contains(volume) {
                volumes.push(volume.clone());
            }
        }
        if pod.node.is_empty() || names.is_empty() {
            return;
        }
        self.seen.insert(key.clone(), version);
        if let Some(old) = self.pods.get(&key) {
            let same = old.containers.iter().map(|s| &s.name).eq(&names)
                && old.volumes.iter().map(|(name, _)| name).eq(&volumes)
                && self.bands[old.band].node == pod.node;
            if same {
                return;
            }
            self.rebuild(&key, &pod.node, &names, &volumes);
        } else {
            self.pod(key, &pod.node, &names, &volumes);
        }
        self.version += 1;
    }

    /// Stands a pod anew: where it stood if that is large enough, else where there is room.
    fn rebuild(
        &mut self,
        key: &(String, String),
        node: &str,
        names: &[String],
        volumes: &[String],
    ) {
        let Some(old) = self.pods.remove(key) else { return };
        let new = inside((old.rect.x, old.rect.y), names, volumes);
        if self.bands[old.band].node == node && new.rect.h <= old.rect.h {
            // It keeps its height, so that it may grow back again.
            let rect = old.rect;
            let (column, band) = (old.column, old.band);
            self.pods.insert(key.clone(), PodBox { rect, column, band, ..new });
        } else {
            self.pod(key.clone(), node, names, volumes);
        }
    }

    fn node(&mut self, name: &str) {
        if self.nodes.iter().any(|n| n == name) {
            return;
        }
        self.nodes.push(name.to_owned());
        self.version += 1;
        // An empty frame stands only where it does not separate the pods of another node.
        if self.nodes.len() <= self.columns && self.columns > 2 {
            self.band(name, self.nodes.len() - 1);
        }
    }

    fn band(&mut self, node: &str, column: usize) -> usize {
        let x = EDGE + column as f64 * (POD + 2.0 * PAD + GAP);
        let y = self.bottoms[column]
            + if self.bands.iter().any(|b| b.column == column) { 18.0 } else { 0.0 };
        let rect = Rect { x, y, w: POD + 2.0 * PAD, h: NODE_HEAD + PAD };
        self.bottoms[column] = rect.bottom();
        self.bands.push(Band { node: node.to_owned(), rect, column });
        self.bands.len() - 1
    }

    /// The column of a node: where it stands already, else the one that is least full.
    fn column(&self, node: &str) -> usize {
        if let Some(band) = self.bands.iter().find(|b| b.node == node) {
            return band.column;
        }
        let least = self.bottoms.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        least.map_or(0, |(column, _)| column)
    }

    fn pod(&mut self, key: (String, String), node: &str, names: &[String], volumes: &[String]) {
        self.node(node);
        let column = self.column(node);
        let last = self.bands.iter().rposition(|b| b.column == column);
        let band = match last {
            Some(b) if self.bands[b].node == node => b,
            _ => self.band(node, column),
        };
        let frame = self.bands[band].rect;
        let first = frame.h <= NODE_HEAD + PAD;
        let below = if first { 0.0 } else { 14.0 };
        let new = inside((frame.x + PAD, frame.bottom() - PAD + below), names, volumes);
        let frame = &mut self.bands[band].rect;
        frame.h = new.rect.bottom() + PAD - frame.y;
        self.bottoms[column] = frame.bottom();
        self.pods.insert(key, PodBox { column, band, ..new });
    }

    fn chip(&mut self, name: &str) {
        if self.chips.contains_key(name) {
            return;
        }
        let label = name.rsplit('/').next().unwrap_or(name);
        // The page has its own, longer name for what comes through a forwarded port.
        let least = if name.starts_with("svc ") { 78.0 } else { 124.0 };
        let w = (28.0 + 8.2 * label.chars().count() as f64).max(least);
        let (mut x, mut y) = self.chip_end;
        let right = EDGE + self.columns as f64 * (POD + 2.0 * PAD + GAP) - GAP;
        let last_row = EDGE + (self.chip_rows - 1.0) * (CHIP + 8.0);
        if x + w > right && y < last_row {
            (x, y) = (EDGE, y + CHIP + 8.0);
        }
        self.chips.insert(name.to_owned(), Rect { x, y, w, h: CHIP });
        self.chip_end = (x + w + 14.0, y);
        self.version += 1;
    }

    /// Where the room for lines between the outside and the nodes begins.
    pub fn lanes(&self) -> f64 {
        EDGE + self.chip_rows * (CHIP + 8.0)
    }
}

/// The inside of a pod whose upper left corner is at `(x, y)`: two containers beside each other
/// at most, so that names can be read; below them localhost; below that the volumes.
fn inside((x, y): (f64, f64), names: &[String], volumes: &[String]) -> PodBox {
    let inner = POD - 2.0 * SIDE;
    let across = names.len().clamp(1, 2);
    let w = (inner - AISLE * (across as f64 - 1.0)) / across as f64;
    let containers = names
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let (row, side) = (i / 2, i % 2);
            let left = x + SIDE + side as f64 * (w + AISLE);
            let top = y + HEAD + row as f64 * (CARD + AISLE);
            let rect = Rect { x: left, y: top, w, h: CARD };
            Slot { name: name.clone(), rect, row, side, above: i + 2 < names.len() }
        })
        .collect();
    let rows = names.len().div_ceil(2).max(1) as f64;
    let rail = y + HEAD + rows * (CARD + AISLE) - AISLE + RAIL;
    let mut bottom = rail + UNDER;
    let mut drawers = Vec::new();
    if volumes.is_empty() {
        bottom = rail + 26.0;
    } else {
        let across = volumes.len().clamp(1, 2) as f64;
        let w = (inner - 12.0 * (across - 1.0)) / across;
        for (i, name) in volumes.iter().enumerate() {
            let (row, side) = ((i / 2) as f64, (i % 2) as f64);
            let top = bottom + row * (DRAWER + 12.0);
            let rect = Rect { x: x + SIDE + side * (w + 12.0), y: top, w, h: DRAWER };
            drawers.push((name.clone(), rect));
        }
        bottom += volumes.len().div_ceil(2) as f64 * (DRAWER + 12.0) + 2.0;
    }
    let rect = Rect { x, y, w: POD, h: bottom - y };
    PodBox { rect, column: 0, containers, rail, volumes: drawers, band: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn nothing_overlaps_and_nothing_moves() {
        let trace = sample::world(30);
        for columns in 1..=4 {
            let mut layout = Layout::new(columns);
            let mut state = State::default();
            let mut before = layout.clone();
            for event in trace.read(1, usize::MAX) {
                state.apply(&event);
                layout.extend(&state, &state.places.keys().copied().collect());
                for (key, pod) in &before.pods {
                    assert_eq!(layout.pods[key], *pod);
                }
                for (name, chip) in &before.chips {
                    assert_eq!(layout.chips[name], *chip);
                }
                before = layout.clone();
            }
            apart(&layout);
        }
    }

    fn apart(layout: &Layout) {
        let pods: Vec<_> = layout.pods.values().collect();
        assert!(pods.len() >= 4);
        let (w, h) = layout.size();
        for (i, a) in pods.iter().enumerate() {
            for b in &pods[i + 1..] {
                assert!(!a.rect.overlaps(&b.rect), "{} columns", layout.columns());
            }
            assert!(a.rect.right() < w && a.rect.bottom() < h);
            let containers = a.containers.iter().map(|s| &s.rect);
            let parts: Vec<_> = containers.chain(a.volumes.iter().map(|(_, r)| r)).collect();
            for (i, c) in parts.iter().enumerate() {
                assert!(c.x >= a.rect.x && c.right() <= a.rect.right());
                assert!(c.bottom() <= a.rect.bottom());
                assert!(parts[i + 1..].iter().all(|d| !c.overlaps(d)));
            }
        }
    }

    #[test]
    fn a_pod_that_comes_back_with_other_containers_has_another_box() {
        let mut state = sample::world(10).state();
        let mut layout = Layout::new(3);
        layout.extend(&state, &BTreeSet::new());
        let key = ("default".to_owned(), "web".to_owned());
        let before = layout.clone();
        for names in [&["one"][..], &["a", "b", "c", "d", "e", "f", "g"]] {
            let object = state
                .objects
                .get_mut(&("Pod".to_owned(), key.0.clone(), key.1.clone()))
                .expect("the sample has a pod web");
            let containers: Vec<_> = names.iter().map(|n| serde_json::json!({"name": n})).collect();
            let node = Pod::parse(&object.json).node;
            let json = serde_json::json!({"spec": {"nodeName": node, "containers": containers}});
            object.json = json.to_string();
            object.version += 1;
            let version = layout.version;
            layout.extend(&state, &BTreeSet::new());
            let now: Vec<_> =
                layout.pods[&key].containers.iter().map(|s| s.name.as_str()).collect();
            assert_eq!(now, names);
            assert!(layout.version > version);
            apart(&layout);
        }
        for (other, place) in before.pods.iter().filter(|(k, _)| **k != key) {
            assert_eq!(layout.pods[other], *place, "the others stay");
        }
    }

    #[test]
    fn who_says_nothing_is_not_in_the_picture() {
        let mut state = sample::world(10).state();
        let place = |node: &str, container: &str| podlab_trace::state::Place {
            node: node.into(),
            container: container.into(),
            ..Default::default()
        };
        state.places.insert(900, place("", "scheduler"));
        state.places.insert(901, place("", "gateway"));
        state.places.insert(902, place("node-1", "kubelet"));
        let mut layout = Layout::new(3);
        layout.extend(&state, &BTreeSet::from([901, 902]));
        let outside: Vec<_> = layout.chips.keys().filter(|n| !n.starts_with("svc ")).collect();
        assert_eq!(outside, ["gateway"]);
    }
}
