//! What is selected in one world beside its counterpart in the other: messages side by side, with
//! what is other in them.

use podlab_trace::event::{Event, Kind, Seq};
use podlab_trace::text::summary;
use yew::prelude::*;

use super::parts::{head, row as facts_row, text};
use super::words::Texts;
use crate::i18n::fill;
use crate::model::diff::lines;
use crate::model::exchange::exchange;
use crate::model::rows::{List, name, row};
use crate::model::show;
use crate::session::Session;

/// So much of a text is compared.
const MOST: usize = 20_000;

/// An event of a world.
struct Half {
    at: u64,
    who: String,
    what: String,
    took: Option<u64>,
    text: String,
}

fn half(session: &Session, seq: Seq) -> Option<Half> {
    let timeline = session.around();
    let event = timeline.event(seq)?;
    let list = [List::Messages, List::Logs, List::Events];
    let (who, what) = match list.into_iter().find_map(|l| row(timeline, event, l)) {
        Some(r) if r.whom.is_empty() => (r.who, r.what),
        Some(r) => (format!("{} → {}", r.who, r.whom), r.what),
        None => (name(timeline.head(), event.place), summary(&event.kind)),
    };
    // An answer is shown once it has been sent.
    let known = session.known();
    let both = exchange(timeline, seq).map(|mut e| {
        e.response = e.response.filter(|r| r.at <= session.shown().min(known));
        e
    });
    let took = both.as_ref().and_then(|e| {
        let (request, response) = (e.request.as_ref()?, e.response.as_ref()?);
        Some(response.at.saturating_sub(request.at))
    });
    let mut whole = match &both {
        Some(e) => {
            let parts = [("→", &e.request), ("←", &e.response)];
            let parts =
                parts.iter().filter_map(|(sign, e)| Some(format!("{sign} {}", body(e.as_ref()?))));
            parts.collect::<Vec<_>>().join("\n")
        }
        None => body(event),
    };
    whole.truncate(whole.floor_char_boundary(MOST));
    Some(Half { at: event.at, who, what, took, text: whole })
}

/// All that is in an event, as text.
fn body(event: &Event) -> String {
    let bytes = |b: &[u8]| show::text(b).map_or_else(|| show::hex(b), str::to_owned);
    match &event.kind {
        Kind::Message { head, body, .. } => {
            format!("{}\n{}", head.replace('\r', "").trim_end(), bytes(body))
        }
        Kind::Data { payload, .. } | Kind::Datagram { payload, .. } => bytes(payload),
        Kind::File { payload, .. } => bytes(payload),
        Kind::Log { line, .. } => line.clone(),
        Kind::Object { object, .. } => {
            show::json(object.as_bytes()).unwrap_or_else(|| object.clone())
        }
        other => summary(other),
    }
}

/// Both events beside each other; either may be missing.
pub fn beside(
    t: &Texts,
    names: [&str; 2],
    sessions: [&Session; 2],
    seqs: [Option<Seq>; 2],
) -> Html {
    let halves = [0, 1].map(|i| seqs[i].and_then(|seq| half(sessions[i], seq)));
    let facts = halves.each_ref().map(|h| {
        let none = || ["–"; 4].map(str::to_owned);
        h.as_ref().map_or_else(none, |h| {
            let took = h.took.map_or("–".to_owned(), show::duration);
            [show::instant(h.at), took, h.who.clone(), h.what.clone()]
        })
    });
    let rows = [t.when, t.took, t.who, t.event].into_iter().enumerate().map(|(i, what)| {
        let values = [facts[0][i].clone(), facts[1][i].clone()];
        // What is no question has no answer.
        if i == 1 && values[0] == "–" && values[1] == "–" {
            return Html::default();
        }
        facts_row("fact", html! { what }, values)
    });
    let (said, text_of) = match &halves {
        [Some(a), Some(b)] if a.text == b.text => {
            (t.identical.to_owned(), vec![(' ', a.text.clone())])
        }
        [Some(a), Some(b)] => (t.changed.to_owned(), lines(&a.text, &b.text)),
        [a, b] => {
            let missing = [t.left, t.right][usize::from(b.is_none())];
            let one = a.as_ref().or(b.as_ref()).map(|h| (' ', h.text.clone()));
            (fill(t.no_counterpart, &[missing]), one.into_iter().collect())
        }
    };
    let lines = text_of.into_iter().map(|(sign, line)| match sign {
        '-' => text("span", "left", &format!("− {line}\n")),
        '+' => text("span", "right", &format!("+ {line}\n")),
        _ => html! { format!("{line}\n") },
    });
    html! { <><table>{ head(t.what, names) }<tbody>{ for rows }</tbody></table>{ text("p", "quiet", &said) }<pre tabindex="0">{ for lines }</pre></> }
}
