//! An event, closely: a message beside its answer, a file, a line.

use podlab_trace::event::{Event, Kind, Seq};
use podlab_trace::text;
use yew::prelude::*;

use super::{Props, Selection, Touch, fact, jump};
use crate::i18n::{Texts, fill};
use crate::model::exchange::exchange;
use crate::model::rows::name;
use crate::model::show;
use crate::recording;
use crate::session::{Session, View};
use crate::view::payload::Payload;
use crate::view::why::{Again, why};

pub(super) fn event_view(t: &Texts, s: &Session, seq: Seq, props: &Props) -> (Html, Html) {
    let select = &props.select;
    let timeline = s.around();
    let title = html! { { fill(t.event, &[&seq.to_string()]) } };
    let Some(event) = timeline.event(seq) else {
        return (title, html! { <p class="quiet">{ t.not_kept }</p> });
    };
    let state = timeline.head();
    let cause = timeline.event(event.cause);
    let effects: Vec<Html> = timeline
        .range(seq + 1, seq + 4_000)
        .filter(|e| e.cause == seq && e.at <= s.shown())
        .take(6)
        .map(|e| {
            jump(select, e.seq, format!("{} {}", name(state, e.place), text::summary(&e.kind)))
        })
        .collect();
    let links = html! { <dl class="facts links">
        if let Some(cause) = cause {
            { fact(t.cause, jump(select, cause.seq, format!("{} {}", name(state, cause.place), text::summary(&cause.kind)))) }
        }
        if !effects.is_empty() { { fact(t.consequences, html! { <>{ for effects }</> }) } }
    </dl> };
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
            if let Some((conn, _)) = ends {
                <div class="actions"><button data-testid="follow" onclick={select.reform(move |_: MouseEvent| Selection::Stream(conn))}>{ t.follow_stream }</button></div>
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
        if !payload.is_empty() { <Payload bytes={payload} {whole} of={text::summary(&event.kind)} /> }
        { links }
    </> };
    (html! { <>{ name(state, event.place) }</> }, body)
}

/// The request once more, where there is a present to send it in.
fn again(props: &Props, request: Option<&Event>, live: bool) -> Html {
    let Some(Kind::Message { head, body, .. }) = request.map(|e| &e.kind) else {
        return Html::default();
    };
    if !live || recording::inside().is_some() {
        return Html::default();
    }
    let done = props.touch.reform(Touch::Done);
    html! { <Again key={request.map_or(0, |e| e.seq)} world={props.world.clone()} head={head.clone()} body={body.clone()} {done} /> }
}

fn half(
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
