//! Where everything stands.
//!
//! A layout only grows: what has a place keeps it, whatever comes or goes. Lengths are units of
//! the drawing, about a CSS pixel at its natural size.

use std::collections::BTreeMap;

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
pub const POD: f64 = 344.0;
/// Room between a pod and the edge of its node.
const PAD: f64 = 16.0;
/// Room between two columns.
const GAP: f64 = 40.0;
/// Room around everything.
pub const EDGE: f64 = 20.0;
const HEAD: f64 = 38.0;
const CARD: f64 = 86.0;
const RAIL: f64 = 40.0;
const DRAWER: f64 = 66.0;
const NODE_HEAD: f64 = 34.0;
const CHIP: f64 = 36.0;
/// Room between what stands outside and the nodes, for the lines to Services.
pub const LANES: f64 = 40.0;

/// A pod's place.
#[derive(Clone, Debug, PartialEq)]
pub struct PodBox {
    /// All of it.
    pub rect: Rect,
    /// Which column it stands in.
    pub column: usize,
    /// Its containers by name, in the order of its spec.
    pub containers: Vec<(String, Rect)>,
    /// The height of its localhost rail.
    pub rail: f64,
    /// Its volumes by name.
    pub volumes: Vec<(String, Rect)>,
    /// The node's band it stands in.
    pub band: usize,
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
        let h = self.bottoms.iter().copied().fold(200.0, f64::max);
        ((w + EDGE).max(chips) + EDGE, h + EDGE)
    }

    /// Gives everything new in `state` a place.
    pub fn extend(&mut self, state: &State) {
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
        for place in state.places.values() {
            if place.pod.is_empty() && !place.container.is_empty() {
                self.chip(&place.container.clone());
            }
        }
        for (kind, namespace, name) in state.objects.keys() {
            if kind == "Service" && name != "kubernetes" {
                self.chip(&format!("svc {namespace}/{name}"));
            }
        }
        // Pods in the order in which they were first heard of, so that a reload finds the same.
        let mut order: BTreeMap<(String, String), PlaceId> = BTreeMap::new();
        for (id, place) in &state.places {
            if !place.pod.is_empty() {
                order.entry((place.namespace.clone(), place.pod.clone())).or_insert(*id);
            }
        }
        let mut keys: Vec<_> = order.into_iter().map(|(k, id)| (id, k)).collect();
        keys.sort();
        for (_, key) in keys {
            if self.pods.contains_key(&key) {
                continue;
            }
            let object = state.objects.get(&("Pod".to_owned(), key.0.clone(), key.1.clone()));
            let mut pod = object.map(|o| Pod::parse(&o.json)).unwrap_or_default();
            let mut names: Vec<String> = pod.containers.iter().map(|c| c.name.clone()).collect();
            for place in state.places.values() {
                if (&place.namespace, &place.pod) == (&key.0, &key.1) {
                    if pod.node.is_empty() {
                        pod.node = place.node.clone();
                    }
                    if object.is_none()
                        && !place.container.is_empty()
                        && place.container != "kubelet"
                    {
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
            if !pod.node.is_empty() && !names.is_empty() {
                self.pod(key, &pod.node, &names, &volumes);
            }
        }
    }

    fn node(&mut self, name: &str) {
        if self.nodes.iter().any(|n| n == name) {
            return;
        }
        self.nodes.push(name.to_owned());
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

    fn pod(&mut self, key: (String, String), node: &str, names: &[String], volumes: &[String]) {
        self.node(node);
        let index = self.nodes.iter().position(|n| n == node).unwrap_or(0);
        let column = index % self.columns;
        let last = self.bands.iter().rposition(|b| b.column == column);
        let band = match last {
            Some(b) if self.bands[b].node == node => b,
            _ => self.band(node, column),
        };
        let frame = self.bands[band].rect;
        let first = !self.pods.values().any(|p| p.band == band);
        let below = if first { 2.0 } else { 14.0 };
        let (x, y) = (frame.x + PAD, frame.bottom() - PAD + below);
        let inner = POD - 24.0;
        let across = names.len().clamp(1, 3);
        let w = (inner - 10.0 * (across as f64 - 1.0)) / across as f64;
        let mut containers = Vec::new();
        for (i, name) in names.iter().enumerate() {
            let (row, col) = ((i / 3) as f64, (i % 3) as f64);
            let rect = Rect {
                x: x + 12.0 + col * (w + 10.0),
                y: y + HEAD + row * (CARD + 10.0),
                w,
                h: CARD,
            };
            containers.push((name.clone(), rect));
        }
        let rows = names.len().div_ceil(3).max(1) as f64;
        let rail = y + HEAD + rows * (CARD + 10.0) - 10.0 + 24.0;
        let mut bottom = rail + RAIL - 18.0;
        let mut drawers = Vec::new();
        if !volumes.is_empty() {
            let across = volumes.len().clamp(1, 3);
            let w = ((inner - 10.0 * (across as f64 - 1.0)) / across as f64).min(inner * 0.62);
            let left = x + 12.0 + (inner - (w + 10.0) * across as f64 + 10.0) / 2.0;
            for (i, name) in volumes.iter().enumerate() {
                let (row, col) = ((i / 3) as f64, (i % 3) as f64);
                let top = bottom + 8.0 + row * (DRAWER + 8.0);
                drawers.push((
                    name.clone(),
                    Rect { x: left + col * (w + 10.0), y: top, w, h: DRAWER },
                ));
            }
            bottom += 8.0 + volumes.len().div_ceil(3) as f64 * (DRAWER + 8.0);
        }
        let rect = Rect { x, y, w: POD, h: bottom + 6.0 - y };
        let frame = &mut self.bands[band].rect;
        frame.h = rect.bottom() + PAD - frame.y;
        self.bottoms[column] = frame.bottom();
        self.pods.insert(key, PodBox { rect, column, containers, rail, volumes: drawers, band });
    }

    fn chip(&mut self, name: &str) {
        if self.chips.contains_key(name) {
            return;
        }
        let label = name.rsplit('/').next().unwrap_or(name);
        let w = (26.0 + 7.6 * label.chars().count() as f64).max(72.0);
        let (mut x, mut y) = self.chip_end;
        let right = EDGE + self.columns as f64 * (POD + 2.0 * PAD + GAP) - GAP;
        let last_row = EDGE + (self.chip_rows - 1.0) * (CHIP + 8.0);
        if x + w > right && y < last_row {
            (x, y) = (EDGE, y + CHIP + 8.0);
        }
        self.chips.insert(name.to_owned(), Rect { x, y, w, h: CHIP });
        self.chip_end = (x + w + 14.0, y);
    }

    /// Where the room for lines between the outside and the nodes begins.
    pub fn lanes(&self) -> f64 {
        EDGE + self.chip_rows * (CHIP + 8.0)
    }

    /// Where a container stands.
    pub fn container(&self, namespace: &str, pod: &str, container: &str) -> Option<Rect> {
        let pod = self.pods.get(&(namespace.to_owned(), pod.to_owned()))?;
        pod.containers.iter().find(|(name, _)| name == container).map(|(_, rect)| *rect)
    }
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
                layout.extend(&state);
                for (key, pod) in &before.pods {
                    assert_eq!(layout.pods[key], *pod);
                }
                for (name, chip) in &before.chips {
                    assert_eq!(layout.chips[name], *chip);
                }
                before = layout.clone();
            }
            let pods: Vec<_> = layout.pods.values().collect();
            assert!(pods.len() >= 4);
            for (i, a) in pods.iter().enumerate() {
                for b in &pods[i + 1..] {
                    assert!(!a.rect.overlaps(&b.rect), "{columns} columns");
                }
                let (w, h) = layout.size();
                assert!(a.rect.right() < w && a.rect.bottom() < h);
                for (_, c) in a.containers.iter().chain(&a.volumes) {
                    assert!(
                        c.x >= a.rect.x
                            && c.right() <= a.rect.right()
                            && c.bottom() <= a.rect.bottom()
                    );
                }
            }
        }
    }
}
