//! What went over a connection, and what goes between two things.

use podlab_trace::event::Kind;
use yew::prelude::*;

use super::{Selection, Touch};
use crate::i18n::{Texts, fill};
use crate::model::route::End;
use crate::model::rows::{List, name, row};
use crate::model::show;
use crate::session::Session;
use crate::view::lists::sign;
use crate::view::stage::end_name;

/// Both directions of a connection, in the order in which they were sent.
pub(super) fn stream_view(
    t: &'static Texts,
    s: &Session,
    conn: podlab_trace::event::ConnId,
    select: &Callback<Selection>,
    touch: &Callback<Touch>,
) -> (Html, Html) {
    const MOST: usize = 400;
    let timeline = s.around();
    let Some(ends) = timeline.ends(conn) else {
        return (html! {}, html! { <p class="quiet">{ t.not_kept }</p> });
    };
    let state = timeline.head();
    let from = ends.begun.max(timeline.first());
    let parts = timeline.range(from, s.edge()).filter_map(|e| match &e.kind {
        Kind::Data { conn: of, dir, payload, len, .. } if *of == conn => {
            Some((e.seq, e.at, *dir, payload.clone(), *len))
        }
        _ => None,
    });
    let parts = parts.take(MOST).map(|(seq, at, dir, payload, len)| {
        let up = dir == podlab_trace::Dir::ToServer;
        let text = show::text(&payload).map_or_else(|| show::hex(&payload), str::to_owned);
        let cut = payload.len() < len as usize;
        html! { <li class={if up { "up" } else { "down" }} key={seq}>
            <p><button class="jump" onclick={select.reform(move |_: MouseEvent| Selection::Event(seq))}>{ show::instant(at) }</button>
                <span class="quiet">{ format!("{} {}", if up { "→" } else { "←" }, show::size(u64::from(len))) }</span></p>
            <pre>{ text }{ if cut { "…" } else { "" } }</pre></li> }
    });
    let filter = touch.reform(move |_: MouseEvent| Touch::Filter(format!("conn:{conn}")));
    let body = html! { <>
        <div class="actions"><button onclick={filter} data-testid="only-conn">{ t.stream_filter }</button>
            <span class="quiet">{ format!("{} → {}", ends.from, ends.to) }</span></div>
        <ol class="conversation" tabindex="0" aria-label={fill(t.stream_of, &[&conn.to_string()])} data-testid="conversation">{ for parts }</ol>
    </> };
    let title = format!("{} ⇄ {}", name(state, ends.client), name(state, ends.server));
    (html! { <>{ title }</> }, body)
}

pub(super) fn edge_view(
    s: &Session,
    t: &Texts,
    a: &End,
    b: &End,
    select: &Callback<Selection>,
) -> (Html, Html) {
    let timeline = s.around();
    let (na, nb) = (end_name(timeline.head(), a), end_name(timeline.head(), b));
    let list: Vec<_> = s
        .flights()
        .between(0, s.shown(), timeline)
        .filter(|f| (&f.from, &f.to) == (a, b) || (&f.from, &f.to) == (b, a))
        .filter_map(|f| timeline.event(f.seq).and_then(|e| row(timeline, e, List::Messages)))
        .collect();
    let rows = list.iter().rev().take(60).map(|r| {
        let seq = r.seq;
        html! { <li><button class="jump" onclick={select.reform(move |_: MouseEvent| Selection::Event(seq))}>
            <span class="at">{ show::instant(r.at) }</span>{ sign(t, r) }<span>{ r.what.clone() }</span></button></li> }
    });
    (
        html! { <>{ na }<span class="to">{ " ⇄ " }</span>{ nb }</> },
        html! { <ul class="jumps">{ for rows }</ul> },
    )
}
