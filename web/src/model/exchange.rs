//! Request and response together.

use podlab_trace::event::{Event, Kind, Seq};

use crate::model::timeline::Timeline;

/// The two halves of an exchange; either may be missing (not sent yet, or older than the window).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exchange {
    /// The request.
    pub request: Option<Event>,
    /// The response.
    pub response: Option<Event>,
}

/// The exchange that message `seq` belongs to, if it is a message.
pub fn exchange(timeline: &Timeline, seq: Seq) -> Option<Exchange> {
    let event = timeline.event(seq)?;
    let Kind::Message { answers, conn, dir, .. } = &event.kind else { return None };
    if *answers != 0 {
        let request = timeline.event(*answers).cloned();
        return Some(Exchange { request, response: Some(event.clone()) });
    }
    // A response that answers nothing (the server spoke first, or its request broke the
    // protocol) stands alone.
    if *dir == podlab_trace::Dir::ToClient {
        let _ = conn;
        return Some(Exchange { request: None, response: Some(event.clone()) });
    }
    let response = timeline.answer(seq).and_then(|s| timeline.event(s)).cloned();
    Some(Exchange { request: Some(event.clone()), response })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;
    use podlab_trace::State;

    #[test]
    fn both_halves_find_each_other() {
        let mut timeline = Timeline::new(1, State::default());
        for event in sample::world(10).read(1, usize::MAX) {
            timeline.push(event);
        }
        let mut seen = 0;
        for event in timeline.events().filter(|e| matches!(e.kind, Kind::Message { .. })) {
            let both = exchange(&timeline, event.seq).unwrap();
            if let (Some(q), Some(r)) = (&both.request, &both.response) {
                assert_eq!(exchange(&timeline, q.seq), exchange(&timeline, r.seq));
                seen += 1;
            }
        }
        assert!(seen > 10);
        assert_eq!(exchange(&timeline, 1), None);
    }
}
