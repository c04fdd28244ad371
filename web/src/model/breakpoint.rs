//! Breakpoints: events at which the world is to stop, told by filters.

use podlab_trace::event::Seq;
use serde_json::{Value, json};

use crate::model::filter::{Filter, LONGEST, Wrong};
use crate::model::rows::anywhere;
use crate::model::timeline::Timeline;

/// No pattern has more of them.
pub const MOST: usize = 20;
/// No name is longer, in characters.
pub const NAME: usize = 60;
/// So many events are looked at between two frames; what is left waits for the next.
pub const SLICE: u64 = 4_000;

/// One breakpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Breakpoint {
    /// What it waits for, as it was written.
    pub text: String,
    /// What it is called, or empty.
    pub name: String,
    /// Whether it is heeded.
    pub on: bool,
    filter: Filter,
}

impl Breakpoint {
    /// What it is called: its name, else what it waits for.
    pub fn called(&self) -> &str {
        if self.name.is_empty() { &self.text } else { &self.name }
    }
}

/// Why there is no new breakpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// What it is to wait for cannot be read.
    Wrong(Wrong),
    /// There is one that waits for the same.
    Twice,
    /// There are [`MOST`] of them.
    Full,
}

/// The breakpoints of a pattern, in the order in which they were set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Breakpoints(Vec<Breakpoint>);

fn tidy(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

impl Breakpoints {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Breakpoint> {
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

    /// Whether one of them is heeded.
    pub fn any(&self) -> bool {
        self.0.iter().any(|b| b.on)
    }

    /// One of them.
    pub fn get(&self, at: usize) -> Option<&Breakpoint> {
        self.0.get(at)
    }

    /// Sets one.
    ///
    /// # Errors
    /// Where its filter cannot be read, or it is there already, or there are too many.
    pub fn add(&mut self, text: &str, name: &str) -> Result<(), Refused> {
        let filter = Filter::parse(text).map_err(Refused::Wrong)?;
        let text = tidy(text.trim(), LONGEST);
        if self.0.iter().any(|b| b.filter == filter) {
            return Err(Refused::Twice);
        }
        if self.0.len() >= MOST {
            return Err(Refused::Full);
        }
        self.0.push(Breakpoint { text, name: tidy(name, NAME), on: true, filter });
        Ok(())
    }

    /// Gives one a name.
    pub fn rename(&mut self, at: usize, name: &str) {
        if let Some(b) = self.0.get_mut(at) {
            b.name = tidy(name, NAME);
        }
    }

    /// Heeds one, or does not.
    pub fn switch(&mut self, at: usize, on: bool) {
        if let Some(b) = self.0.get_mut(at) {
            b.on = on;
        }
    }

    /// Takes one away.
    pub fn remove(&mut self, at: usize) {
        if at < self.0.len() {
            self.0.remove(at);
        }
    }

    /// Reads what the browser remembers; what cannot be read is left out.
    pub fn of(value: &Value) -> Breakpoints {
        let mut out = Breakpoints::default();
        for b in value.as_array().into_iter().flatten().take(MOST) {
            let word = |name: &str| b[name].as_str().unwrap_or_default();
            if out.add(word("stop"), word("name")).is_ok() && b["on"] == false {
                out.switch(out.len() - 1, false);
            }
        }
        out
    }

    /// What the browser is to remember.
    pub fn json(&self) -> Value {
        self.0.iter().map(|b| json!({"stop": b.text, "name": b.name, "on": b.on})).collect()
    }

    /// Looks at the events with numbers in `from..to`, but at no more than [`SLICE`] of them: the
    /// first that one of the breakpoints waits for, and the number of the next event to look at.
    pub fn look(&self, timeline: &Timeline, from: Seq, to: Seq) -> (Seq, Option<Hit>) {
        let from = from.max(timeline.first());
        let to = to.min(from.saturating_add(SLICE)).max(from);
        if !self.any() {
            return (to, None);
        }
        for event in timeline.range(from, to) {
            let row = std::cell::OnceCell::new();
            let shown = || row.get_or_init(|| anywhere(timeline, event)).as_ref();
            let hit = |b: &Breakpoint| b.on && b.filter.takes(timeline, event, shown);
            if let Some(which) = self.0.iter().position(hit) {
                return (event.seq + 1, Some(Hit { seq: event.seq, at: event.at, which }));
            }
        }
        (to, None)
    }
}

/// An event that a breakpoint waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The event.
    pub seq: Seq,
    /// When it happened, in ns.
    pub at: u64,
    /// Which breakpoint, by its place among them.
    pub which: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::{Kind, State};

    fn timeline() -> Timeline {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(30).read(1, usize::MAX) {
            timeline.push(event);
        }
        timeline
    }

    #[test]
    fn every_event_that_one_waits_for_is_found_once() {
        let t = timeline();
        let mut points = Breakpoints::default();
        points.add("path:/nothing status:404", "").unwrap();
        points.add("kind:request path:/append", "to the store").unwrap();
        points.add("kind:restart", "").unwrap();
        let wanted: Vec<Seq> = t
            .events()
            .filter(|e| match &e.kind {
                Kind::Message { summary, .. } => {
                    summary.starts_with("404") || summary == "POST /append"
                }
                _ => false,
            })
            .map(|e| e.seq)
            .collect();
        let (mut from, mut found) = (1, Vec::new());
        while from < t.next() {
            let (next, hit) = points.look(&t, from, t.next());
            assert!(next > from);
            from = next;
            if let Some(hit) = hit {
                assert_eq!(t.event(hit.seq).map(|e| e.at), Some(hit.at));
                assert!(hit.which < 2);
                found.push(hit.seq);
            }
        }
        assert_eq!(found, wanted);
        assert!(found.len() > 5);
        points.switch(0, false);
        points.switch(1, false);
        assert_eq!(points.look(&t, 1, t.next()).1, None);
    }

    #[test]
    fn between_two_frames_only_so_many_are_looked_at() {
        let mut long = Timeline::new(1, State::default());
        for event in sample::world(600).read(1, usize::MAX) {
            long.push(event);
        }
        assert!(long.next() > SLICE + 1);
        let mut points = Breakpoints::default();
        points.add("kind:restart", "").unwrap();
        assert_eq!(points.look(&long, 1, long.next()), (1 + SLICE, None));
    }

    #[test]
    fn they_are_read_as_they_were_written_and_strangers_are_bounded() {
        let mut points = Breakpoints::default();
        points.add(" path:/lock ", "the lock").unwrap();
        points.add("is:error", "").unwrap();
        points.switch(1, false);
        assert_eq!(points.get(0).map(Breakpoint::called), Some("the lock"));
        assert_eq!(points.get(1).map(Breakpoint::called), Some("is:error"));
        assert_eq!(Breakpoints::of(&points.json()), points);
        assert_eq!(points.add("path:/lock", "again"), Err(Refused::Twice));
        assert!(matches!(points.add("size:3", ""), Err(Refused::Wrong(Wrong::Field(_)))));
        for i in 0..MOST {
            let _ = points.add(&format!("path:/{i}"), "");
        }
        assert_eq!(points.add("path:/one-more", ""), Err(Refused::Full));
        let odd: Vec<Value> = (0..500)
            .map(|i| json!({"stop": format!("path:/{i}"), "name": "x".repeat(9_000)}))
            .collect();
        let read = Breakpoints::of(&Value::Array(odd));
        assert_eq!(read.len(), MOST);
        assert!(read.iter().all(|b| b.name.len() == NAME));
        for odd in [Value::Null, json!({"stop": 3}), json!([3, "x", {"stop": 7}])] {
            assert!(Breakpoints::of(&odd).is_empty());
        }
    }
}
