//! The line along which a mark goes.

use podlab_trace::event::PlaceId;
use podlab_trace::state::State;

use crate::model::layout::{Layout, PodBox, Rect};

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
    Inside(&'a PodBox, Rect),
    Kubelet(&'a PodBox, Rect),
    Edge(&'a PodBox),
    Chip(Rect),
}

fn spot<'a>(layout: &'a Layout, state: &State, id: PlaceId) -> Option<Spot<'a>> {
    let place = state.places.get(&id)?;
    if place.pod.is_empty() {
        if place.container.is_empty() {
            return None;
        }
        return layout.chips.get(&place.container).map(|r| Spot::Chip(*r));
    }
    let pod = layout.pods.get(&(place.namespace.clone(), place.pod.clone()))?;
    if let Some((_, rect)) = pod.containers.iter().find(|(name, _)| *name == place.container) {
        return Some(Spot::Inside(pod, *rect));
    }
    let band = layout.bands.get(pod.band)?;
    let r = band.rect;
    Some(if place.container == "kubelet" || place.container.is_empty() {
        Spot::Kubelet(pod, Rect { x: r.right() - 76.0, y: r.y + 8.0, w: 62.0, h: 20.0 })
    } else {
        Spot::Edge(pod)
    })
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
        (End::Place(a), End::Volume(_, name)) => files(layout, state, *a, name).map(Route::new),
        (End::Volume(_, name), End::Place(b)) => {
            let mut line = files(layout, state, *b, name)?;
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

fn files(layout: &Layout, state: &State, id: PlaceId, volume: &str) -> Option<Vec<Point>> {
    let Some(Spot::Inside(pod, rect)) = spot(layout, state, id) else { return None };
    let (_, drawer) = pod.volumes.iter().find(|(name, _)| name == volume)?;
    let a = (rect.cx() - rect.w * 0.28, rect.bottom());
    let b = (a.0.clamp(drawer.x + 14.0, drawer.right() - 14.0), drawer.y);
    let mut line = vec![a];
    let lean = (b.1 - a.1) * 0.55;
    curve(&mut line, a, (a.0, a.1 + lean), (b.0, b.1 - lean), b);
    Some(line)
}

/// From a container down to the rail, or nothing for what has no rail.
fn to_rail(s: &Spot) -> Vec<Point> {
    match s {
        Spot::Inside(pod, rect) => {
            let x = rect.cx() + rect.w * 0.12;
            vec![(x, rect.bottom()), (x, pod.rail)]
        }
        _ => Vec::new(),
    }
}

fn messages(layout: &Layout, a: &Spot, b: &Spot, service: Option<Rect>) -> Option<Vec<Point>> {
    if let (Spot::Kubelet(_, badge), Spot::Inside(_, rect))
    | (Spot::Inside(_, rect), Spot::Kubelet(_, badge)) = (a, b)
    {
        let (p, q) = ((badge.cx(), badge.bottom()), (rect.cx(), rect.y));
        let mut line = vec![p];
        curve(&mut line, p, (p.0, p.1 + 26.0), (q.0, q.1 - 30.0), q);
        if matches!(b, Spot::Kubelet(..)) {
            line.reverse();
        }
        return Some(line);
    }
    let mut line = to_rail(a);
    let mut back = to_rail(b);
    back.reverse();
    if let (Spot::Inside(p, ra), Spot::Inside(q, rb)) = (a, b)
        && p.rect == q.rect
    {
        if ra == rb {
            // A container that talks to itself: a loop under its own feet.
            let x = ra.cx() - ra.w * 0.2;
            line.extend([(x, p.rail), (x, ra.bottom())]);
            return Some(line);
        }
        line.extend(back);
        return Some(line);
    }
    let middle = |s: &Spot| match s {
        Spot::Inside(p, _) | Spot::Edge(p) => p.rect.cx(),
        Spot::Kubelet(_, r) | Spot::Chip(r) => r.cx(),
    };
    let (ma, mb) = (middle(a), middle(b));
    let mut corners = Vec::new();
    match service {
        Some(chip) => {
            let m = (chip.cx(), chip.bottom());
            corners.extend(ascent(layout, a, m.0, m.0));
            corners.push(m);
            let mut down = ascent(layout, b, m.0, m.0);
            down.reverse();
            corners.extend(down);
        }
        None => {
            corners.extend(ascent(layout, a, mb, ma + mb));
            let mut down = ascent(layout, b, ma, ma + mb);
            down.reverse();
            corners.extend(down);
        }
    }
    line.extend(rounded(&corners));
    line.extend(back);
    Some(line)
}

/// From a pod or chip up to the lanes above the nodes and along them to `x`: lines run beside
/// the nodes and never across them. Lines with different `track` do not cover each other.
fn ascent(layout: &Layout, s: &Spot, x: f64, track: f64) -> Vec<Point> {
    let shift = (track / 7.0).rem_euclid(5.0).floor() - 2.0;
    let lane = layout.lanes() + 14.0 + shift * 5.0;
    match s {
        Spot::Inside(pod, _) | Spot::Edge(pod) | Spot::Kubelet(pod, _) => {
            let r = pod.rect;
            let (door, gutter) =
                if x < r.x { (r.x, r.x - 27.0) } else { (r.right(), r.right() + 27.0) };
            let gutter = gutter + shift * 2.5;
            vec![(door, pod.rail), (gutter, pod.rail), (gutter, lane), (x, lane)]
        }
        Spot::Chip(r) => vec![(r.cx(), r.bottom()), (r.cx(), lane), (x, lane)],
    }
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

    #[test]
    fn every_pair_of_containers_has_a_line_that_begins_and_ends_there() {
        let state = sample::world(10).state();
        let mut layout = Layout::new(3);
        layout.extend(&state);
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
}
