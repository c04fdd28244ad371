//! An event, closely: a message beside its answer, a file, a line.

use podlab_trace::event::{ConnId, Event, Kind, Seq};
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
use crate::ui::use_ui;
use crate::view::compose::Again;
use crate::view::payload::Payload;
use crate::view::why::why;

pub(super) fn event_view(t: &Texts, s: &Session, seq: Seq, props: &Props) -> (Html, Html) {
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
    let deeds = event_deeds(timeline, seq, props);
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
            { again(props, q.as_ref(), s.view == View::Live) }
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
fn event_deeds(timeline: &Timeline, seq: Seq, props: &Props) -> Html {
    let row = timeline.event(seq).and_then(|e| anywhere(timeline, e));
    let (like, touch) = (like(timeline, seq, row.as_ref()), props.touch.clone());
    let conn = match timeline.event(seq).map(|e| &e.kind) {
        Some(Kind::Message { conn, .. } | Kind::Data { conn, .. }) => Some(*conn),
        _ => None,
    };
    let conn = conn.filter(|c| timeline.ends(*c).is_some());
    html! { <EventDeeds {like} {touch} {conn} select={props.select.clone()} /> }
}

#[derive(Properties, PartialEq)]
struct DeedProps {
    /// The filter that lets through what is like the event.
    like: Option<String>,
    /// Its connection.
    conn: Option<ConnId>,
    select: Callback<Selection>,
    touch: Callback<Touch>,
}

#[component]
fn EventDeeds(props: &DeedProps) -> Html {
    let ui = use_ui();
    let (t, words) = (ui.t(), inspect::of(ui.choices.lang));
    let effect = props.touch.reform(|_: MouseEvent| Touch::Effect);
    let stop = props.like.clone().map(|like| {
        let title = like.clone();
        let onclick = props.touch.reform(move |_: MouseEvent| Touch::Stop(like.clone()));
        html! { <button data-testid="stop-here" {title} {onclick}>{ words.breakpoint_like }</button> }
    });
    html! { <div class="deeds of-event">
        <button data-testid="effect-here" title={format!("{} (>)", t.next_effect)} onclick={effect}>{ words.next_effect_short }</button>
        { stop }
        if let Some(conn) = props.conn { <button data-testid="follow" onclick={props.select.reform(move |_: MouseEvent| Selection::Stream(conn))}>{ t.follow_stream }</button> }
    </div> }
}

/// The request once more, where there is a present to send it in.
fn again(props: &Props, request: Option<&Event>, live: bool) -> Html {
    let Some(Event { seq, kind: Kind::Message { head, body, .. }, .. }) = request else {
        return Html::default();
    };
    let seq = *seq;
    if !live || recording::inside().is_some() {
        return Html::default();
    }
    let done = props.touch.reform(Touch::Done);
    html! { <Again key={seq} session={props.session.clone()} tick={props.tick} world={props.world.clone()} of={seq} head={head.clone()} body={body.clone()} select={props.select.clone()} {done} /> }
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
