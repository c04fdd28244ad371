//! An event, closely: a message beside its answer, a file, a line.

use podlab_trace::event::{Event, Kind, Seq};
use podlab_trace::text;
use yew::prelude::*;

use super::{Props, Selection, Touch, fact, jump};
use crate::i18n::{Texts, fill, inspect};
use crate::model::consequence::{cause, consequences};
use crate::model::exchange::exchange;
use crate::model::filter::like;
use crate::model::rows::{anywhere, name};
use crate::model::show;
use crate::model::timeline::Timeline;
use crate::recording;
use crate::session::{Session, View};
use crate::view::compose::again;
use crate::view::payload::Payload;
use crate::view::why::why;

/// The words of the page and of what looks closely.
pub(super) type Words = (&'static Texts, &'static inspect::Texts);

/// An event.
pub(super) fn event_view(all: Words, s: &Session, seq: Seq, props: &Props) -> (Html, Html) {
    let t = all.0;
    let select = &props.select;
    let timeline = s.around();
    let title = html! { { fill(t.event, &[&seq.to_string()]) } };
    let Some(event) = timeline.event(seq) else {
        return (title, html! { <p class="quiet">{ t.not_kept }</p> });
    };
    let state = timeline.head();
    let cause = cause(timeline, seq);
    let came: Vec<&Event> = consequences(timeline, seq)
        .iter()
        .filter_map(|c| timeline.event(*c))
        .filter(|e| e.seq < s.edge())
        .collect();
    let effects = came.iter().take(6).map(|e| {
        jump(select, e.seq, format!("{} {}", name(state, e.place), text::summary(&e.kind)))
    });
    let links = html! { <dl class="facts links">
        if let Some(cause) = cause {
            { fact(t.cause, jump(select, cause.seq, format!("{} {}", name(state, cause.place), text::summary(&cause.kind)))) }
        }
        if !came.is_empty() { { fact(t.consequences, html! { <>{ for effects }</> }) } }
    </dl> };
    let deeds = event_deeds(all, timeline, seq, props);
    if let Some(both) = exchange(timeline, seq) {
        let (q, r) = (&both.request, &both.response);
        // What has not happened at the instant shown is not known yet.
        let r = r.as_ref().filter(|r| r.seq < s.edge() || r.seq == seq);
        let first = q.as_ref().or(r);
        let ends = first.and_then(|e| match &e.kind {
            Kind::Message { conn, .. } => timeline.ends(*conn).map(|ends| (*conn, ends)),
            _ => None,
        });
        let answered = match (q, r) {
            (Some(q), Some(r)) => Some(r.at.saturating_sub(q.at)),
            _ => None,
        };
        let title = match ends {
            Some((_, e)) => {
                html! { <>{ name(state, e.client) }<span class="to">{ " → " }</span>{ name(state, e.server) }</> }
            }
            None => title,
        };
        // There must be a present to send it in.
        let can = s.view == View::Live && recording::inside().is_none();
        let once_more = q.as_ref().filter(|_| can).map(|q| again(t, props, q));
        let body = html! { <>
            <dl class="facts">
                if let Some((conn, e)) = ends {
                    { fact(t.connection, html! { { format!("#{conn}  {} → {}", e.from, e.to) } }) }
                    if !e.via.is_empty() { <div class="fact"><dd>{ fill(t.via, &[&e.via]) }</dd></div> }
                }
                if let Some(ns) = answered { { fact(t.answered_in, html! { <b>{ show::duration(ns) }</b> }) } }
            </dl>
            { deeds }
            if let Some((conn, _)) = ends {
                { why(t, s, conn, select) }
            }
            <div class="pair">
                { half(t, t.request, q.as_ref(), t.not_kept, q.as_ref().is_some_and(|e| e.seq == seq)) }
                { half(t, t.response, r, if q.is_some() { t.not_answered } else { t.not_kept }, r.is_some_and(|e| e.seq == seq)) }
            </div>
            { links }
            { once_more }
        </> };
        return (title, body);
    }
    let (payload, whole) = match &event.kind {
        Kind::Data { payload, len, .. } | Kind::Datagram { payload, len, .. } => {
            (payload.clone(), u64::from(*len))
        }
        Kind::File { payload, len, .. } => (payload.clone(), *len),
        Kind::Object { object, .. } => (bytes::Bytes::from(object.clone()), object.len() as u64),
        Kind::Log { line, .. } => (bytes::Bytes::from(line.clone()), line.len() as u64),
        Kind::Exit { message, .. } => (bytes::Bytes::from(message.clone()), message.len() as u64),
        _ => (bytes::Bytes::new(), 0),
    };
    let body = html! { <>
        <p class="line">{ text::summary(&event.kind) }</p>
        <dl class="facts">{ fact(t.col_time, html! { { show::instant(event.at) } }) }
            if let Kind::File { path, volume, .. } = &event.kind {
                { fact(t.file, html! { <code>{ path.clone() }</code> }) }
                if !volume.is_empty() { { fact(t.volume, html! { { volume.clone() } }) } }
            }</dl>
        { deeds }
        if !payload.is_empty() { <Payload bytes={payload} {whole} of={text::summary(&event.kind)} /> }
        { links }
    </> };
    (html! { <>{ name(state, event.place) }</> }, body)
}

/// What can be done with an event, also from its menu.
fn event_deeds((t, words): Words, timeline: &Timeline, seq: Seq, props: &Props) -> Html {
    let row = timeline.event(seq).and_then(|e| anywhere(timeline, e));
    let (like, touch) = (like(timeline, seq, row.as_ref()), props.touch.clone());
    let conn = match timeline.event(seq).map(|e| &e.kind) {
        Some(Kind::Message { conn, .. } | Kind::Data { conn, .. }) => Some(*conn),
        _ => None,
    };
    let conn = conn.filter(|c| timeline.ends(*c).is_some());
    let effect = props.touch.reform(|_: MouseEvent| Touch::Effect);
    let stop = like.map(|like| {
        let title = like.clone();
        let onclick = touch.reform(move |_: MouseEvent| Touch::Stop(like.clone()));
        html! { <button data-testid="stop-here" {title} {onclick}>{ words.breakpoint_like }</button> }
    });
    let follow = conn.map(|conn| {
        let onclick = props.select.reform(move |_: MouseEvent| Selection::Stream(conn));
        html! { <button data-testid="follow" {onclick}>{ t.follow_stream }</button> }
    });
    html! { <div class="deeds of-event">
        <button data-testid="effect-here" title={format!("{} (>)", t.next_effect)} onclick={effect}>{ words.next_effect_short }</button>
        { stop }{ follow }
    </div> }
}

/// One half of an exchange.
pub fn half(
    t: &Texts,
    title: &'static str,
    event: Option<&Event>,
    missing: &'static str,
    chosen: bool,
) -> Html {
    let inner = match event {
        Some(Event {
            at,
            kind: Kind::Message { head, body, body_len, began, arrives, malformed, .. },
            ..
        }) => {
            let (first, fields) = show::head(head);
            let flight = if *arrives == u64::MAX {
                t.never.to_owned()
            } else {
                show::duration(arrives.saturating_sub(*began))
            };
            html! { <>
                <p class={classes!("first", malformed.then_some("bad"))}>{ first }</p>
                <dl class="facts">{ fact(t.sent_at, html! { { show::instant(*at) } }) }{ fact(t.took, html! { <b>{ flight }</b> }) }</dl>
                if !fields.is_empty() {
                    <details open=true><summary>{ t.headers }</summary>
                    <dl class="fields">{ for fields.into_iter().map(|(n, v)| html! { <div><dt>{ n }</dt><dd>{ v }</dd></div> }) }</dl></details>
                }
                <Payload bytes={body.clone()} whole={*body_len} of={title} />
            </> }
        }
        _ => html! { <p class="quiet">{ missing }</p> },
    };
    html! { <section class={classes!("half", chosen.then_some("chosen"))} aria-label={title}><h3>{ title }</h3>{ inner }</section> }
}
