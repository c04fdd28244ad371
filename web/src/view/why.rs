//! Why a message went where it went: the name that was looked up, the Service that chose, who
//! listened there.

use podlab_trace::event::{ConnId, Kind, Seq};
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::rows::name;
use crate::session::Session;
use crate::view::inspector::Selection;

/// So many events before a connection its name is looked for.
const REACH: u64 = 4_000;

/// The way of a connection, step by step, each with its event.
pub fn why(t: &Texts, s: &Session, conn: ConnId, select: &Callback<Selection>) -> Html {
    let timeline = s.around();
    let Some(ends) = timeline.ends(conn) else { return Html::default() };
    let state = timeline.head();
    let begun = timeline.event(ends.begun);
    let Some(Kind::Connect { to, target, via, .. }) = begun.map(|e| &e.kind) else {
        return Html::default();
    };
    let mut steps: Vec<(Option<Seq>, String)> = Vec::new();
    let client = name(state, ends.client);
    let looked_up = timeline
        .range(ends.begun.saturating_sub(REACH), ends.begun)
        .rev()
        .filter(|e| e.place == ends.client)
        .find_map(|e| match &e.kind {
            Kind::Resolve { name, answers, .. } if answers.contains(&to.ip()) => {
                Some((e.seq, name.clone()))
            }
            _ => None,
        });
    match looked_up {
        Some((seq, name)) => {
            steps.push((Some(seq), fill(t.why_name, &[&client, &name, &to.ip().to_string()])));
        }
        None => steps.push((None, fill(t.why_address, &[&client, &to.to_string()]))),
    }
    if via.is_empty() {
        steps.push((Some(ends.begun), fill(t.why_direct, &[&to.to_string()])));
    } else {
        let said = fill(t.why_service, &[&to.to_string(), via, &target.to_string()]);
        steps.push((Some(ends.begun), said));
    }
    let server = name(state, ends.server);
    let refused =
        timeline.range(ends.begun, s.edge()).take(REACH as usize).find_map(|e| match &e.kind {
            Kind::Refuse { conn: of, reason } if *of == conn => Some((e.seq, reason.clone())),
            _ => None,
        });
    match refused {
        Some((seq, reason)) => {
            steps.push((Some(seq), fill(t.why_refused, &[&target.to_string(), &reason])));
        }
        None => steps.push((None, fill(t.why_listener, &[&server, &target.to_string()]))),
    }
    let step = |(seq, text): &(Option<Seq>, String)| {
        let event = seq.map(|seq| {
            let onclick = select.reform(move |_: MouseEvent| Selection::Event(seq));
            html! { <button class="jump" {onclick}>{ fill(t.event, &[&seq.to_string()]) }</button> }
        });
        html! { <li>{ text.clone() }{ " " }{ event.unwrap_or_default() }</li> }
    };
    html! { <details class="why" data-testid="why"><summary>{ t.why }</summary><ol>{ for steps.iter().map(step) }</ol></details> }
}
