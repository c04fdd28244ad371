//! The line along which a mark goes.

use podlab_trace::event::PlaceId;
use podlab_trace::state::State;

use crate::model::layout::{AISLE, GAP, Layout, PAD, PodBox, Rect, Slot};

/// A point of the drawing.
pub type Point = (f64, f64);

/// A line, and how long it is up to each of its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    points: Vec<Point>,
    lengths: Vec<f64>,
}

impl Route {
    fn new(points: Vec<Point>) -> Route {
        let mut lengths = Vec::with_capacity(points.len());
        let mut sum = 0.0;
        for (i, p) in points.iter().enumerate() {
            if i > 0 {
                let q = points[i - 1];
                sum += (p.0 - q.0).hypot(p.1 - q.1);
            }
            lengths.push(sum);
        }
        Route { points, lengths }
    }

    /// The points of the line.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The point at `part` (0 to 1) of the way, and the direction there in radians.
    pub fn at(&self, part: f64) -> (Point, f64) {
        let whole = self.lengths.last().copied().unwrap_or(0.0);
        let want = whole * part.clamp(0.0, 1.0);
        let i = self.lengths.partition_point(|l| *l < want).clamp(1, self.points.len().max(2) - 1);
        let (Some(a), Some(b)) = (self.points.get(i - 1), self.points.get(i)) else {
            return (self.points.first().copied().unwrap_or((0.0, 0.0)), 0.0);
        };
        let span = self.lengths[i] - self.lengths[i - 1];
        let f = if span > 0.0 { (want - self.lengths[i - 1]) / span } else { 0.0 };
        ((a.0 + (b.0 - a.0) * f, a.1 + (b.1 - a.1) * f), (b.1 - a.1).atan2(b.0 - a.0))
    }

    /// The line as the `d` of an SVG path.
    pub fn path(&self) -> String {
        let mut out = String::new();
        for (i, (x, y)) in self.points.iter().enumerate() {
            out.push(if i == 0 { 'M' } else { 'L' });
            out.push_str(&format!("{x:.1} {y:.1}"));
        }
        out
    }
}

/// Where a line begins or ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// At a place.
    Place(PlaceId),
    /// At a volume of the pod that the place belongs to.
    Volume(PlaceId, String),
}

enum Spot<'a> {
    Inside(&'a PodBox, &'a Slot),
    /// The pod as a whole: packets that nobody in it accepts.
    Edge(&'a PodBox),
    /// The kubelet of a node.
    Kubelet(&'a str),
    Chip(Rect),
}

fn spot<'a>(layout: &'a Layout, state: &'a State, id: PlaceId) -> Option<Spot<'a>> {
    let place = state.places.get(&id)?;
    if place.pod.is_empty() {
        if !place.node.is_empty() {
            return Some(Spot::Kubelet(&place.node));
        }
        return layout.chips.get(&place.container).map(|r| Spot::Chip(*r));
    }
    let pod = layout.pods.get(&(place.namespace.clone(), place.pod.clone()))?;
    Some(pod.slot(&place.container).map_or(Spot::Edge(pod), |slot| Spot::Inside(pod, slot)))
}

fn curve(out: &mut Vec<Point>, a: Point, ca: Point, cb: Point, b: Point) {
    const STEPS: usize = 14;
    for i in 1..=STEPS {
        let t = i as f64 / STEPS as f64;
        let u = 1.0 - t;
        let (p, q, r, s) = (u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t);
        out.push((
            p * a.0 + q * ca.0 + r * cb.0 + s * b.0,
            p * a.1 + q * ca.1 + r * cb.1 + s * b.1,
        ));
    }
}

/// The line from `from` to `to`, by way of the Service `via` ("namespace/name:port") if that is
/// not empty. `None` if one of them has no place in the drawing.
pub fn route(layout: &Layout, state: &State, from: &End, to: &End, via: &str) -> Option<Route> {
    match (from, to) {
        (End::Place(a), End::Volume(_, name)) => files(layout, state, *a, name),
        (End::Volume(_, name), End::Place(b)) => {
            let mut line = files(layout, state, *b, name)?.points;
            line.reverse();
            Some(Route::new(line))
        }
        (End::Place(a), End::Place(b)) => {
            let service = via.rsplit_once(':').map_or(via, |(name, _)| name);
            let chip = layout.chips.get(&format!("svc {service}")).copied();
            let (a, b) = (spot(layout, state, *a)?, spot(layout, state, *b)?);
            messages(layout, &a, &b, chip).map(Route::new)
        }
        _ => None,
    }
}

fn files(layout: &Layout, state: &State, id: PlaceId, volume: &str) -> Option<Route> {
    let Some(Spot::Inside(pod, slot)) = spot(layout, state, id) else { return None };
    to_volume(pod, slot, volume)
}

/// The line from a container to a volume of its pod. What stands above another container goes
/// round it, along the edge of the pod.
pub fn to_volume(pod: &PodBox, slot: &Slot, volume: &str) -> Option<Route> {
    let (_, drawer) = pod.volumes.iter().find(|(name, _)| name == volume)?;
    let r = slot.rect;
    let mut line = Vec::new();
    let a = if slot.above {
        let shift = slot.row as f64 * 2.0;
        let (start, edge) = match slot.side {
            0 => (r.x + 16.0, pod.rect.x + 7.0 - shift),
            _ => (r.right() - 16.0, pod.rect.right() - 7.0 + shift),
        };
        let turn = r.bottom() + 8.0;
        let a = (edge, pod.rail + 4.0);
        line.extend(rounded(&[(start, r.bottom()), (start, turn), (edge, turn), a]));
        a
    } else {
        let a = (r.x + 22.0, r.bottom());
        line.push(a);
        a
    };
    // Beside the handle, and where the eye can tell the lines of two containers apart.
    let b = (a.0.clamp(drawer.x + 16.0, drawer.right() - 16.0), drawer.y);
    let lean = (b.1 - a.1) * 0.55;
    curve(&mut line, a, (a.0, a.1 + lean), (b.0, b.1 - lean), b);
    Some(Route::new(line))
}

/// Where a container's line to localhost leaves it: the middle of its ports.
pub fn plug(slot: &Slot) -> Point {
    (slot.rect.right() - 38.0, slot.rect.bottom())
}

/// The line from a container down to localhost; what stands above another container goes through
/// the aisle between them.
pub fn to_rail(pod: &PodBox, slot: &Slot) -> Route {
    let (x, y) = plug(slot);
    if !slot.above {
        return Route::new(vec![(x, y), (x, pod.rail)]);
    }
    let shift = 7.0 - slot.row as f64 * 3.0;
    let aisle = match slot.side {
        0 => slot.rect.right() + AISLE / 2.0 - shift,
        _ => slot.rect.x - AISLE / 2.0 + shift,
    };
    let turn = y + AISLE / 2.0 + 3.0;
    Route::new(rounded(&[(x, y), (x, turn), (aisle, turn), (aisle, pod.rail)]))
}

fn lead(s: &Spot) -> Vec<Point> {
    match s {
        Spot::Inside(pod, slot) => to_rail(pod, slot).points,
        _ => Vec::new(),
    }
}

fn messages(layout: &Layout, a: &Spot, b: &Spot, service: Option<Rect>) -> Option<Vec<Point>> {
    let own = |node: &str, pod: &PodBox| {
        layout.bands.get(pod.band).filter(|band| band.node == node).map(|b| b.kubelet())
    };
    let mut line = lead(a);
    let mut back = lead(b);
    back.reverse();
    match (a, b) {
        (Spot::Kubelet(node), Spot::Inside(pod, _) | Spot::Edge(pod)) => {
            if let Some(badge) = own(node, pod) {
                line.extend(rounded(&beside(badge, pod)));
                line.extend(back);
                return Some(line);
            }
        }
        (Spot::Inside(pod, _) | Spot::Edge(pod), Spot::Kubelet(node)) => {
            if let Some(badge) = own(node, pod) {
                let mut way = beside(badge, pod);
                way.reverse();
                line.extend(rounded(&way));
                return Some(line);
            }
        }
        (Spot::Inside(p, sa), Spot::Inside(q, sb)) if p.rect == q.rect => {
            if sa.name == sb.name {
                // A container that talks to itself: down to localhost, along it, and up again.
                let (x, rail) = (line.last()?.0, p.rail);
                let out = (x - 26.0, rail);
                line.extend([out, (x, rail)]);
            }
            line.extend(back);
            return Some(line);
        }
        _ => {}
    }
    let (ma, mb) = (middle(layout, a)?, middle(layout, b)?);
    let mut corners = Vec::new();
    match service {
        Some(chip) => {
            let m = (chip.cx(), chip.bottom());
            corners.extend(ascent(layout, a, m.0, m.0)?);
            corners.push(m);
            let mut down = ascent(layout, b, m.0, m.0)?;
            down.reverse();
            corners.extend(down);
        }
        None => {
            // Both climb to one lane, and meet on it.
            let (mut up, mut down) =
                (ascent(layout, a, mb, ma + mb)?, ascent(layout, b, ma, ma + mb)?);
            up.pop();
            down.pop();
            down.reverse();
            corners.extend(up);
            corners.extend(down);
        }
    }
    line.extend(rounded(&corners));
    line.extend(back);
    Some(line)
}

/// From the badge of a kubelet down beside a pod to the end of its localhost: a probe enters a
/// pod by its network, as everything does.
fn beside(badge: Rect, pod: &PodBox) -> Vec<Point> {
    let x = pod.rect.right() + PAD / 2.0;
    let y = badge.y + badge.h / 2.0;
    vec![(badge.right(), y), (x, y), (x, pod.rail), (pod.rect.right(), pod.rail)]
}

fn badge(layout: &Layout, node: &str) -> Option<Rect> {
    layout.bands.iter().find(|b| b.node == node).map(|b| b.kubelet())
}

fn middle(layout: &Layout, s: &Spot) -> Option<f64> {
    match s {
        Spot::Inside(p, _) | Spot::Edge(p) => Some(p.rect.cx()),
        Spot::Kubelet(node) => badge(layout, node).map(|r| r.cx()),
        Spot::Chip(r) => Some(r.cx()),
    }
}

/// From a pod or chip up to the lanes above the nodes and along them to `x`: lines run beside
/// the nodes and never across them. Lines with different `track` do not cover each other.
fn ascent(layout: &Layout, s: &Spot, x: f64, track: f64) -> Option<Vec<Point>> {
    let shift = (track / 7.0).rem_euclid(5.0).floor() - 2.0;
    let lane = layout.lanes() + 13.0 + shift * 5.0;
    Some(match s {
        Spot::Inside(pod, _) | Spot::Edge(pod) => {
            let r = pod.rect;
            let far = PAD + GAP / 2.0 + shift * 2.5;
            let right = pod.column == 0 || (x >= r.right() && pod.column + 1 < layout.columns());
            let (door, gutter) =
                if right { (r.right(), r.right() + far) } else { (r.x, r.x - far) };
            vec![(door, pod.rail), (gutter, pod.rail), (gutter, lane), (x, lane)]
        }
        Spot::Kubelet(node) => {
            let r = badge(layout, node)?;
            vec![(r.cx(), r.y), (r.cx(), lane), (x, lane)]
        }
        Spot::Chip(r) => vec![(r.cx(), r.bottom()), (r.cx(), lane), (x, lane)],
    })
}

/// A line through these corners, rounded.
fn rounded(corners: &[Point]) -> Vec<Point> {
    let mut corners = corners.to_vec();
    corners.dedup_by(|a, b| (a.0 - b.0).abs() < 0.5 && (a.1 - b.1).abs() < 0.5);
    let mut out = Vec::new();
    for (i, p) in corners.iter().enumerate() {
        let (Some(before), Some(after)) =
            (i.checked_sub(1).and_then(|i| corners.get(i)), corners.get(i + 1))
        else {
            out.push(*p);
            continue;
        };
        let toward = |q: &Point| {
            let far = (q.0 - p.0).hypot(q.1 - p.1).max(0.1);
            let part = (9.0f64).min(far / 2.0) / far;
            (p.0 + (q.0 - p.0) * part, p.1 + (q.1 - p.1) * part)
        };
        let (a, b) = (toward(before), toward(after));
        for step in 0..=4 {
            let t = f64::from(step) / 4.0;
            let u = 1.0 - t;
            let mix = |a: f64, m: f64, b: f64| u * u * a + 2.0 * u * t * m + t * t * b;
            out.push((mix(a.0, p.0, b.0), mix(a.1, p.1, b.1)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    fn stand(columns: usize) -> (State, Layout) {
        let state = sample::world(10).state();
        let mut layout = Layout::new(columns);
        layout.extend(&state, &state.places.keys().copied().collect());
        (state, layout)
    }

    #[test]
    fn no_line_turns_back_on_itself_above_the_nodes() {
        let (state, layout) = stand(3);
        let ids: Vec<PlaceId> = state.places.keys().copied().collect();
        let mut seen = 0;
        for (a, b) in ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b))) {
            let Some(line) = route(&layout, &state, &End::Place(a), &End::Place(b), "") else {
                continue;
            };
            for w in line.points.windows(3) {
                if w.iter().all(|p| p.1 < layout.lanes() + 26.0) {
                    let (before, after) = (w[1].0 - w[0].0, w[2].0 - w[1].0);
                    assert!(before * after >= -1e-6, "{a:?} to {b:?}: {w:?}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn every_pair_of_containers_has_a_line_that_begins_and_ends_there() {
        let (state, layout) = stand(3);
        let ids: Vec<PlaceId> = state.places.keys().copied().collect();
        let mut found = 0;
        for a in &ids {
            for b in &ids {
                let Some(line) = route(&layout, &state, &End::Place(*a), &End::Place(*b), "")
                else {
                    continue;
                };
                found += 1;
                assert!(line.points().len() >= 2);
                assert_eq!(line.at(0.0).0, line.points()[0]);
                let end = line.at(1.0).0;
                let last = line.points()[line.points().len() - 1];
                assert!((end.0 - last.0).abs() < 1e-6 && (end.1 - last.1).abs() < 1e-6);
            }
        }
        assert!(found > 20, "{found}");
    }

    #[test]
    fn lines_of_a_pod_go_round_its_containers() {
        for columns in 1..=3 {
            let (_, layout) = stand(columns);
            let pod = &layout.pods[&("default".to_owned(), "web".to_owned())];
            for slot in &pod.containers {
                let files = pod.volumes.iter().filter_map(|(v, _)| to_volume(pod, slot, v));
                for line in files.chain([to_rail(pod, slot)]) {
                    for other in pod.containers.iter().filter(|o| o.name != slot.name) {
                        let r = other.rect;
                        let through = |p: &&Point| {
                            p.0 > r.x && p.0 < r.right() && p.1 > r.y && p.1 < r.bottom()
                        };
                        let steps = (0..200).map(|i| line.at(f64::from(i) / 200.0).0);
                        let hit = steps.collect::<Vec<_>>().iter().find(through).copied();
                        assert_eq!(hit, None, "{} through {}", slot.name, other.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_probe_comes_from_the_badge_of_its_node_and_enters_by_the_network() {
        let (state, layout) = stand(3);
        let find = |f: &dyn Fn(&podlab_trace::state::Place) -> bool| {
            *state.places.iter().find(|(_, p)| f(p)).expect("the sample has it").0
        };
        let kubelet = find(&|p| p.node == "node-1" && p.container == "kubelet");
        let web = find(&|p| p.pod == "web" && p.container == "web");
        let there = route(&layout, &state, &End::Place(kubelet), &End::Place(web), "");
        let there = there.expect("a kubelet stands in the picture");
        let pod = &layout.pods[&("default".to_owned(), "web".to_owned())];
        let badge = layout.bands[pod.band].kubelet();
        assert_eq!(there.points()[0].0, badge.right());
        assert!(there.points().contains(&(pod.rect.right(), pod.rail)));
        let slot = pod.slot("web").expect("web is a container of web");
        assert_eq!(there.points().last(), Some(&plug(slot)));
        let back = route(&layout, &state, &End::Place(web), &End::Place(kubelet), "");
        assert_eq!(back.expect("and back").points()[0], plug(slot));
    }
}
