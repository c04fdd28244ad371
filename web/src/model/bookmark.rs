//! Instants of a world that somebody wants to find again, each with a name.

use serde_json::{Value, json};

/// No world has more of them.
const MOST: usize = 100;
/// No name is longer, in characters.
pub const LONGEST: usize = 60;
/// Of so many worlds they are kept; then those of the world that was marked longest ago go.
const WORLDS: usize = 40;
/// Closer than this two instants are the same, in ns: the scrubber knows no less.
const SAME: u64 = 1_000_000;

/// One instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// The instant, in ns.
    pub at: u64,
    /// What it is called, or empty.
    pub name: String,
}

/// The bookmarks of a world, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmarks(Vec<Bookmark>);

/// Why there is no new bookmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// This instant has one already.
    Twice,
    /// There are `MOST` of them.
    Full,
}

impl Bookmarks {
    /// All of them, in order of time.
    pub fn iter(&self) -> std::slice::Iter<'_, Bookmark> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets one without a name.
    ///
    /// # Errors
    /// Where there is one already, or where there are too many.
    pub fn set(&mut self, at: u64) -> Result<(), Refused> {
        if self.0.iter().any(|b| b.at.abs_diff(at) < SAME) {
            return Err(Refused::Twice);
        }
        if self.0.len() >= MOST {
            return Err(Refused::Full);
        }
        let place = self.0.partition_point(|b| b.at < at);
        self.0.insert(place, Bookmark { at, name: String::new() });
        Ok(())
    }

    /// Gives the one at this instant a name.
    pub fn rename(&mut self, at: u64, name: &str) {
        if let Some(b) = self.0.iter_mut().find(|b| b.at == at) {
            b.name = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        }
    }

    /// Takes the one at this instant away.
    pub fn remove(&mut self, at: u64) {
        self.0.retain(|b| b.at != at);
    }

    /// The last one before an instant.
    pub fn before(&self, at: u64) -> Option<&Bookmark> {
        self.0.iter().rev().find(|b| b.at + SAME <= at)
    }

    /// The first one after an instant.
    pub fn after(&self, at: u64) -> Option<&Bookmark> {
        self.0.iter().find(|b| b.at >= at + SAME)
    }

    /// Those that are not after an instant: what a fork from there has seen.
    pub fn until(&self, at: u64) -> Bookmarks {
        Bookmarks(self.0.iter().filter(|b| b.at <= at).cloned().collect())
    }

    /// The bookmarks of a world among those of all worlds; what cannot be read is left out.
    pub fn of(shelf: &Value, world: &str) -> Bookmarks {
        let mut out = Bookmarks::default();
        let worlds = shelf.as_array().into_iter().flatten();
        for mark in worlds
            .filter(|w| w["world"] == world)
            .flat_map(|w| w["marks"].as_array().into_iter().flatten())
        {
            let Some(at) = mark["at"].as_u64() else { continue };
            // What is there twice is there once.
            if out.set(at).is_ok() {
                out.rename(at, mark["name"].as_str().unwrap_or_default());
            }
        }
        out
    }

    /// The bookmarks of all worlds with these for one of them.
    pub fn among(&self, shelf: &Value, world: &str) -> Value {
        let others = shelf.as_array().into_iter().flatten().filter(|w| w["world"] != world);
        let marks = self.0.iter().map(|b| json!({"at": b.at, "name": b.name})).collect::<Vec<_>>();
        let own = (!marks.is_empty()).then(|| json!({"world": world, "marks": marks}));
        Value::Array(own.into_iter().chain(others.cloned()).take(WORLDS).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn marks(at: &[u64]) -> Bookmarks {
        let mut out = Bookmarks::default();
        for at in at {
            out.set(*at).expect("each is new");
        }
        out
    }

    #[test]
    fn one_goes_from_bookmark_to_bookmark() {
        let b = marks(&[5 * S, S, 3 * S]);
        assert_eq!(b.iter().map(|b| b.at).collect::<Vec<_>>(), [S, 3 * S, 5 * S]);
        assert_eq!(b.after(0).map(|b| b.at), Some(S));
        assert_eq!(b.after(S).map(|b| b.at), Some(3 * S), "not the one where one stands");
        assert_eq!(b.before(5 * S).map(|b| b.at), Some(3 * S));
        assert_eq!(b.before(S), None);
        assert_eq!(b.after(5 * S), None);
        assert_eq!(b.until(3 * S).len(), 2);
    }

    #[test]
    fn an_instant_has_one_and_a_world_not_endlessly_many() {
        let mut b = marks(&[S]);
        assert_eq!(b.set(S + SAME - 1), Err(Refused::Twice));
        for n in 2..=MOST as u64 {
            b.set(n * S).expect("there is room");
        }
        assert_eq!(b.set(1_000 * S), Err(Refused::Full));
        b.remove(S);
        assert_eq!(b.set(1_000 * S), Ok(()));
    }

    #[test]
    fn names_are_bounded() {
        let mut b = marks(&[S]);
        b.rename(S, &format!("a\nb{}", "長".repeat(200)));
        let name = &b.iter().next().expect("it is there").name;
        assert_eq!(name.chars().count(), LONGEST);
        assert!(name.starts_with("ab長"));
    }

    #[test]
    fn each_world_keeps_its_own() {
        let mut first = marks(&[S, 2 * S]);
        first.rename(S, "the kill");
        let shelf = first.among(&Value::Null, "a");
        let shelf = marks(&[7 * S]).among(&shelf, "b");
        assert_eq!(Bookmarks::of(&shelf, "a"), first);
        assert_eq!(Bookmarks::of(&shelf, "b"), marks(&[7 * S]));
        assert!(Bookmarks::of(&shelf, "c").is_empty());
        let shelf = Bookmarks::default().among(&shelf, "a");
        assert_eq!(shelf.as_array().map(Vec::len), Some(1), "a world without any takes no room");
        let mut many = Value::Null;
        for n in 0..100 {
            many = marks(&[S]).among(&many, &n.to_string());
        }
        assert_eq!(many.as_array().map(Vec::len), Some(WORLDS));
        assert_eq!(Bookmarks::of(&many, "99").len(), 1, "the newest stay");
    }

    #[test]
    fn what_a_stranger_wrote_is_left_out() {
        for odd in [
            json!(3),
            json!([{"world": "a", "marks": "x"}]),
            json!([{"world": "a", "marks": [{"at": -1}, {"at": "1"}, 7]}]),
        ] {
            assert!(Bookmarks::of(&odd, "a").is_empty(), "{odd}");
        }
        let twice = json!([{"world": "a", "marks": [{"at": 5, "name": 3}, {"at": 5}]}]);
        assert_eq!(Bookmarks::of(&twice, "a").len(), 1);
    }
}
