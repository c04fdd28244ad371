//! Which pattern a trace shows: told from what its programs did alone, with the events that show
//! it. Neither the name of the pattern nor that of any image or pod is looked at.
//!
//! # Layout
//! - `facts`: who asked whom, who touched which file, who held which Lease
//! - one module for each pattern: from facts to [`Found`]

mod adapter;
mod ambassador;
mod election;
mod facts;
mod queue;
mod scatter;
mod sidecar;
#[cfg(test)]
mod traces;

use podlab_trace::event::Seq;

use crate::model::timeline::Timeline;
use facts::Facts;

/// So many events before the instant shown are looked at.
pub const REACH: u64 = 20_000;

/// A pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// A container that helps another of its pod, and that nobody outside asks.
    Sidecar,
    /// A container that stands for the world outside.
    Ambassador,
    /// A container that makes its neighbour look like all others.
    Adapter,
    /// Several that could, one that does.
    LeaderElection,
    /// Several that take work from one queue.
    WorkQueue,
    /// One request becomes many, and one answer again.
    ScatterGather,
}

/// What an event shows; its names are filled into the words for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clue {
    /// {a} is asked from outside its pod by {b}.
    Asked,
    /// {a} writes {b}.
    Writes,
    /// {a} reads it: volume {b} belongs to both.
    Reads,
    /// {a} talks to {b} over localhost.
    Local,
    /// Nobody outside the pod asks {a}.
    Unasked,
    /// {a} talks to {b} over localhost and to nobody else, {n} times.
    LocalOnly,
    /// {a} passes it on to {b}.
    PassesOn,
    /// {a} asks {b} for {c}.
    Scrapes,
    /// To answer, {a} asks its neighbour {b}.
    AsksNeighbour,
    /// {a} answers in its own form: {b}.
    OwnForm,
    /// {a} answers in another form: {b}.
    OtherForm,
    /// {a} wants the Lease {b}.
    Candidate,
    /// {a} is refused: {b}.
    Refused,
    /// {a} holds it.
    Holds,
    /// {a} renews it.
    Renews,
    /// {a} takes it over from {b}.
    TakesOver,
    /// {a} puts work into {b}.
    Puts,
    /// {a} gets this piece, and nobody else does.
    Takes,
    /// {a} gets another one.
    TakesOther,
    /// {a} says that it is done.
    Acks,
    /// {a} asks {b} once.
    OneAsk,
    /// {a} asks {b} others before any of them has answered.
    Scatters,
    /// {a} is the last to answer, after {b}.
    Straggler,
    /// {a} gives one answer made of {b}.
    Gathers,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it shows.
    pub clue: Clue,
    /// The names in it, in their order.
    pub names: Vec<String>,
    /// The event that shows it; none where it is the lack of any.
    pub seq: Option<Seq>,
}

/// A pattern that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub pattern: Pattern,
    /// Where: the pod or the program it turns on.
    pub at: String,
    /// What shows it, in order.
    pub evidence: Vec<Evidence>,
}

fn clue(clue: Clue, names: &[&str], seq: Seq) -> Evidence {
    let names = names.iter().map(|n| (*n).to_owned()).collect();
    Evidence { clue, names, seq: (seq > 0).then_some(seq) }
}

/// A line of text that is no longer than a line.
fn short(text: &str) -> String {
    const MOST: usize = 48;
    let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default().trim();
    let cut: String = line.chars().take(MOST).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

/// The patterns that the events before `before` show; none while nothing is clear.
pub fn recognise(timeline: &Timeline, before: Seq) -> Vec<Found> {
    let facts = Facts::read(timeline, before);
    let mut out: Vec<Found> = [scatter::find, queue::find, election::find]
        .into_iter()
        .filter_map(|find| find(&facts))
        .collect();
    let mut taken = Vec::new();
    for find in [ambassador::find, adapter::find] {
        let found = find(&facts);
        taken.extend(found.iter().map(|(pod, _)| pod.clone()));
        // One of them says what there is to say.
        out.extend(found.into_iter().next().map(|(_, found)| found));
    }
    // What is one of those is a sidecar too; the narrower name says more.
    out.extend(sidecar::find(&facts, &taken));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    fn names(trace: &podlab_trace::Trace) -> Vec<Pattern> {
        let mut timeline = Timeline::new(1, State::default());
        for event in trace.read(1, usize::MAX) {
            timeline.push(event);
        }
        let found = recognise(&timeline, timeline.next());
        for f in &found {
            assert!(f.evidence.len() >= 3, "{f:?}");
            for e in &f.evidence {
                assert!(e.seq.is_none_or(|seq| timeline.event(seq).is_some()), "{f:?}");
            }
            // Nothing of the future: before its last piece of evidence it was not known.
            let last = f.evidence.iter().filter_map(|e| e.seq).max().unwrap();
            let early = recognise(&timeline, last);
            assert!(early.iter().all(|e| e.pattern != f.pattern || e.evidence != f.evidence));
        }
        found.iter().map(|f| f.pattern).collect()
    }

    #[test]
    fn each_pattern_is_told_from_what_its_programs_do() {
        assert_eq!(names(&traces::sidecar()), [Pattern::Sidecar]);
        assert_eq!(names(&traces::ambassador()), [Pattern::Ambassador]);
        assert_eq!(names(&traces::adapter()), [Pattern::Adapter]);
        assert_eq!(names(&traces::election()), [Pattern::LeaderElection]);
        assert_eq!(names(&traces::queue()), [Pattern::WorkQueue]);
        assert_eq!(names(&traces::scatter()), [Pattern::ScatterGather]);
        // The sample has a sidecar that saves logs.
        assert_eq!(names(&sample::world(30)), [Pattern::Sidecar]);
    }

    #[test]
    fn what_only_looks_alike_is_not_named() {
        assert_eq!(names(&sample::world(0)), []);
        // A neighbour that passes on what it was told is no adapter.
        assert!(!names(&traces::proxy()).contains(&Pattern::Adapter));
        // One backend is no fleet for an ambassador to choose from.
        assert!(!names(&traces::one_backend()).contains(&Pattern::Ambassador));
        // One after the other is not at once.
        assert_eq!(names(&traces::one_after_the_other()), []);
        // Told to all is not given to one.
        assert_eq!(names(&traces::broadcast()), []);
        // One candidate elects nobody.
        assert_eq!(names(&traces::alone()), []);
    }
}
