//! Where a card stands that points at something: beside it, and never over it while there is room.

/// A rectangle on the screen, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width.
    pub w: f64,
    /// Height.
    pub h: f64,
}

impl Area {
    /// Whether two areas share a pixel.
    pub fn meets(&self, other: &Area) -> bool {
        self.x < other.x + other.w
            && other.x < self.x + self.w
            && self.y < other.y + other.h
            && other.y < self.y + self.h
    }
}

/// Between the card and what it points at, and to the edges of the screen.
const GAP: f64 = 14.0;

/// Where a card of size `card` stands on a screen of size `room` to point at `target`: to the
/// right, to the left, below, above; in the lower right corner if there is room nowhere.
pub fn place(target: &Area, card: (f64, f64), room: (f64, f64)) -> Area {
    let (w, h) = card;
    let hold = |v: f64, size: f64, all: f64| v.min(all - size - GAP).max(GAP);
    let middle = (target.x + target.w / 2.0 - w / 2.0, target.y + target.h / 2.0 - h / 2.0);
    let sides = [
        (target.x + target.w + GAP, middle.1),
        (target.x - w - GAP, middle.1),
        (middle.0, target.y + target.h + GAP),
        (middle.0, target.y - h - GAP),
    ];
    let held = sides.map(|(x, y)| Area { x: hold(x, w, room.0), y: hold(y, h, room.1), w, h });
    let corner = Area { x: hold(room.0, w, room.0), y: hold(room.1, h, room.1), w, h };
    held.into_iter().find(|a| !a.meets(target)).unwrap_or(corner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: (f64, f64) = (1000.0, 800.0);
    const CARD: (f64, f64) = (300.0, 200.0);

    #[test]
    fn a_card_stands_beside_what_it_points_at() {
        let at = |x, y, w, h| place(&Area { x, y, w, h }, CARD, ROOM);
        assert_eq!(at(100.0, 300.0, 200.0, 100.0).x, 314.0, "to the right");
        assert_eq!(at(700.0, 300.0, 200.0, 100.0).x, 386.0, "to the left");
        assert_eq!(at(0.0, 100.0, 1000.0, 100.0).y, 214.0, "below");
        assert_eq!(at(0.0, 700.0, 1000.0, 100.0).y, 486.0, "above");
    }

    #[test]
    fn it_is_seen_whole_and_covers_nothing_while_there_is_room() {
        for x in (-200..1200).step_by(37) {
            for y in (-200..1000).step_by(41) {
                for (w, h) in [(10.0, 10.0), (400.0, 60.0), (320.0, 500.0)] {
                    let target = Area { x: f64::from(x), y: f64::from(y), w, h };
                    let card = place(&target, CARD, ROOM);
                    assert!(
                        card.x >= GAP && card.x + card.w <= ROOM.0 - GAP,
                        "{target:?}: {card:?}"
                    );
                    assert!(
                        card.y >= GAP && card.y + card.h <= ROOM.1 - GAP,
                        "{target:?}: {card:?}"
                    );
                    assert!(!card.meets(&target), "{target:?}: {card:?}");
                }
            }
        }
        let all = Area { x: 0.0, y: 0.0, w: 1000.0, h: 800.0 };
        assert_eq!((place(&all, CARD, ROOM).x, place(&all, CARD, ROOM).y), (686.0, 586.0));
    }
}
