//! What led to an event, and what came of it, as people see it.
//!
//! A place takes in bytes; the message found in them is an event of its own, which nothing names
//! as its cause. So what bytes caused, their message caused, and the other way round.

use podlab_trace::event::{Event, Kind, Seq};

use crate::model::rows::anywhere;
use crate::model::timeline::Timeline;

/// Consequences are looked for among so many events.
pub const REACH: u64 = 4_000;
/// The bytes of a message lie at most so many events before it.
const NEAR: u64 = 200;

/// The bytes that carried message `seq`; none for what is no message.
pub fn carriers(timeline: &Timeline, seq: Seq) -> Vec<Seq> {
    let Some(Kind::Message { conn, dir, began, .. }) = timeline.event(seq).map(|e| &e.kind) else {
        return Vec::new();
    };
    timeline
        .range(seq.saturating_sub(NEAR), seq)
        .rev()
        .take_while(|e| e.at >= *began)
        .filter(|e| matches!(&e.kind, Kind::Data { conn: c, dir: d, .. } if (c, d) == (conn, dir)))
        .map(|e| e.seq)
        .collect()
}

/// The message that bytes `seq` carried; itself for what carries none.
pub fn carried(timeline: &Timeline, seq: Seq) -> Seq {
    let Some(Kind::Data { conn, dir, .. }) = timeline.event(seq).map(|e| &e.kind) else {
        return seq;
    };
    let mine = |e: &&Event| matches!(&e.kind, Kind::Message { conn: c, dir: d, .. } if (c, d) == (conn, dir));
    let message = timeline.range(seq + 1, seq.saturating_add(NEAR)).find(mine).map(|e| e.seq);
    message.filter(|m| carriers(timeline, *m).contains(&seq)).unwrap_or(seq)
}

/// What led to event `seq` directly, if that is known.
pub fn cause(timeline: &Timeline, seq: Seq) -> Option<&Event> {
    let event = timeline.event(seq)?;
    timeline.event(carried(timeline, event.cause))
}

/// What came of event `seq` directly, in order: what stands in the lists, or where none of it
/// does, all of it.
pub fn consequences(timeline: &Timeline, seq: Seq) -> Vec<Seq> {
    let mut stems = carriers(timeline, seq);
    stems.push(seq);
    let answers = |e: &Event| match &e.kind {
        Kind::Message { answers, .. } => *answers == seq,
        _ => false,
    };
    let came = |e: &&Event| e.cause != 0 && stems.contains(&e.cause) || answers(e);
    let all: Vec<&Event> =
        timeline.range(seq + 1, seq.saturating_add(REACH)).filter(came).collect();
    let shown: Vec<Seq> =
        all.iter().filter(|e| anywhere(timeline, e).is_some()).map(|e| e.seq).collect();
    if shown.is_empty() { all.iter().map(|e| e.seq).collect() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    #[test]
    fn what_bytes_caused_their_message_caused() {
        let mut t = Timeline::new(1, State::default());
        for event in sample::world(20).read(1, usize::MAX) {
            t.push(event);
        }
        let mut seen = 0;
        for e in t.events() {
            let Kind::Message { answers, .. } = &e.kind else { continue };
            let bytes = carriers(&t, e.seq);
            assert_eq!(bytes.len(), 1, "{e:?}");
            assert_eq!(carried(&t, bytes[0]), e.seq);
            if *answers != 0 {
                let came = consequences(&t, *answers);
                assert!(came.contains(&e.seq), "an answer is a consequence of its request");
                assert!(came.is_sorted() && came.iter().all(|c| c > answers));
                seen += 1;
            }
        }
        assert!(seen > 20);
        // The line in the log comes of the request whose bytes the server took in last.
        let log = t.events().find(|e| matches!(&e.kind, Kind::Log { .. })).unwrap();
        let led = cause(&t, log.seq).unwrap();
        assert!(matches!(&led.kind, Kind::Message { summary, .. } if summary.starts_with("GET")));
        assert!(consequences(&t, led.seq).contains(&log.seq));
        assert_eq!(cause(&t, 1), None);
        assert!(consequences(&t, 1).is_empty());
    }
}
