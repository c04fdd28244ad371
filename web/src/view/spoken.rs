//! The picture in a sentence, for those who do not see it.

use std::collections::BTreeSet;

use crate::i18n::{Texts, fill};
use crate::model::rows::{List, rows};
use crate::model::show;
use crate::session::{Session, View};

/// The instant shown, in a sentence.
pub fn spoken(t: &Texts, s: &mut Session) -> String {
    let state = s.state();
    let containers: Vec<_> =
        state.places.values().filter(|p| !p.pod.is_empty() && !p.container.is_empty()).collect();
    let up = containers.iter().filter(|p| p.running).count();
    let how = match (s.view, s.clock.speed) {
        (View::Back { .. }, _) => format!("{} {}", t.scrub, show::instant(s.told())),
        (View::Live, 0) if s.recorded => format!("{} {}", t.recording, show::instant(s.told())),
        (View::Live, 0) => format!("{} {}", t.world_frozen, show::instant(s.told())),
        (View::Live, _) => t.world_running.to_owned(),
    };
    let (flying, last) = if s.view == View::Live && s.clock.speed != 0 {
        // While it runs, numbers change too fast to be read out.
        ("…".to_owned(), "…".to_owned())
    } else {
        let flying = s.flights().at(s.shown(), s.around()).count();
        let last = rows(s.around(), List::Messages, s.edge(), "", &BTreeSet::new(), 1);
        let last = last.first().map_or_else(
            || t.nothing_yet.to_owned(),
            |r| format!("{} → {}: {}", r.who, r.whom, r.what),
        );
        (flying.to_string(), last)
    };
    let (up, of) = (up.to_string(), containers.len().to_string());
    fill(t.summary, &[&how, &up, &of, &flying, &last])
}
