//! One thing, looked at closely: a message and its answer, a file, a volume, a container, a line.

use podlab_trace::event::{Event, Kind, PlaceId, Seq};
use podlab_trace::state::State;
use podlab_trace::text;
use yew::prelude::*;

use crate::api::Failure;
use crate::i18n::{Texts, fill};
use crate::model::exchange::exchange;
use crate::model::pod::Pod;
use crate::model::route::End;
use crate::model::rows::{List, name, row};
use crate::model::show;
use crate::recording;
use crate::session::{Session, Shared, View};
use crate::ui::use_ui;
use crate::view::deeds::{Deeds, scaled_by, thing};
use crate::view::lists::sign;
use crate::view::object::Object;
use crate::view::payload::Payload;
use crate::view::pod::{inside, life, volume_files};
use crate::view::recorded;
use crate::view::stage::end_name;
use crate::view::why::{Again, why};

/// What is selected.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Selection {
    /// Nothing.
    #[default]
    None,
    /// An event.
    Event(Seq),
    /// A line between two things.
    Edge(End, End),
    /// A volume: "namespace/pod" and its name.
    Volume(String, String),
    /// A container.
    Container(PlaceId),
    /// A pod: "namespace/name".
    Pod(String),
    /// A node.
    Node(String),
    /// A Service: "namespace/name".
    Service(String),
    /// All that went over a connection.
    Stream(podlab_trace::event::ConnId),
}

/// What is wanted from here.
#[derive(Clone, Debug, PartialEq)]
pub enum Touch {
    /// Something was done to a thing; what came of it.
    Done(Result<Option<String>, Failure>),
    /// Its log is wanted; its name as lists have it.
    Logs(String),
    /// The messages that a filter lets through are wanted.
    Filter(String),
}

/// What is looked at.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// What is selected.
    pub selected: Selection,
    /// Selects something else.
    pub select: Callback<Selection>,
    /// Wants something.
    pub touch: Callback<Touch>,
    /// The world's id.
    pub world: String,
}

/// What is selected, closely.
#[component]
pub fn Inspector(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let mut s = props.session.0.borrow_mut();
    let state = s.state();
    let (title, body) = match &props.selected {
        Selection::None => return Html::default(),
        Selection::Event(seq) => event_view(t, &s, *seq, props),
        Selection::Stream(conn) => stream_view(t, &s, *conn, &props.select, &props.touch),
        Selection::Edge(a, b) => {
            let (title, body) = edge_view(&s, t, a, b, &props.select);
            let live = matches!(s.view, View::Live);
            let name = format!("{} ⇄ {}", end_name(&state, a), end_name(&state, b));
            (title, html! { <>{ deeds(&state, props, &name, true, live) }{ body }</> })
        }
        Selection::Volume(owner, name) => {
            let (title, body) = volume_view(t, &s, &state, owner, name, &props.select);
            let live = matches!(s.view, View::Live);
            (title, html! { <>{ deeds(&state, props, name, true, live) }{ body }</> })
        }
        Selection::Container(id) => {
            let live = matches!(s.view, View::Live);
            container_view(t, &state, *id, props, live)
        }
        Selection::Pod(owner) => pod_facts(t, &state, owner, props, matches!(s.view, View::Live)),
        Selection::Node(name) => {
            let body = object(&state, props, "Node", "", name, matches!(s.view, View::Live));
            (html! { <>{ t.node }{ " " }{ name.clone() }</> }, body)
        }
        Selection::Service(of) => {
            let (namespace, name) = of.split_once('/').unwrap_or(("default", of));
            let body =
                object(&state, props, "Service", namespace, name, matches!(s.view, View::Live));
            (html! { <>{ t.service }{ " " }{ name.to_owned() }</> }, body)
        }
    };
    let close = props.select.reform(|_: MouseEvent| Selection::None);
    html! {
        <section class="inspector" aria-label={t.inspector} data-testid="inspector">
            <div class="title"><h2 id="inspected" tabindex="-1">{ title }</h2>
                <button class="close" onclick={close} aria-label={t.close} title={format!("{} (Esc)", t.close)}>
                    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path d="M3 3l10 10M13 3 3 13" /></svg></button></div>
            { body }
        </section>
    }
}

fn fact(of: &str, value: Html) -> Html {
    html! { <div class="fact"><dt>{ of.to_owned() }</dt><dd>{ value }</dd></div> }
}

fn jump(select: &Callback<Selection>, seq: Seq, label: String) -> Html {
    html! { <button class="jump" onclick={select.reform(move |_: MouseEvent| Selection::Event(seq))}>{ label }</button> }
}

fn event_view(t: &Texts, s: &Session, seq: Seq, props: &Props) -> (Html, Html) {
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

/// Both directions of a connection, in the order in which they were sent.
fn stream_view(
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

fn edge_view(
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

fn pod_of(state: &State, owner: &str) -> Pod {
    let (namespace, name) = owner.split_once('/').unwrap_or(("", owner));
    let key = ("Pod".to_owned(), namespace.to_owned(), name.to_owned());
    state.objects.get(&key).map(|o| Pod::parse(&o.json)).unwrap_or_default()
}

fn volume_view(
    t: &Texts,
    s: &Session,
    state: &State,
    owner: &str,
    volume: &str,
    select: &Callback<Selection>,
) -> (Html, Html) {
    let pod = pod_of(state, owner);
    let files = volume_files(state, &pod, owner, volume);
    let kind =
        pod.volumes.iter().find(|(n, _)| n == volume).map(|(_, k)| k.clone()).unwrap_or_default();
    let items = files.iter().map(|(path, at)| {
        let found = contents(s, state, &pod, owner, volume, path);
        let (len, by) = state
            .files
            .iter()
            .filter(|((o, v, p), _)| o == owner && v == volume && inside(&pod, volume, p) == *path)
            .map(|(_, f)| (f.len, f.by))
            .max_by_key(|(len, _)| *len)
            .unwrap_or_default();
        let seq = found.as_ref().map(|(seq, _)| *seq);
        html! { <details open={files.len() == 1} key={path.clone()}><summary><code>{ path.clone() }</code><span class="quiet">{ show::size(len) }</span></summary>
            <p class="quiet">{ fill(t.written_by, &[&name(state, by), &show::instant(*at)]) }
                if let Some(seq) = seq { { " " }{ jump(select, seq, fill(t.event, &[&seq.to_string()])) } }</p>
            { match found {
                Some((_, bytes)) => html! { <><p class="quiet">{ t.contents }</p><Payload {bytes} whole={len} of={path.clone()} /></> },
                None => html! { <p class="quiet">{ t.no_contents }</p> },
            } }
        </details> }
    });
    let body = html! { <><p class="quiet">{ format!("{kind} · {owner}") }</p>
    if files.is_empty() { <p class="quiet">{ t.empty_volume }</p> }
    { for items }</> };
    (html! { <>{ t.volume }{ " " }{ volume.to_owned() }</> }, body)
}

/// What a file holds, as far as the trace tells: bytes written and read, laid over each other up
/// to the instant shown; and the last event that touched them.
fn contents(
    s: &Session,
    state: &State,
    pod: &Pod,
    owner: &str,
    volume: &str,
    path: &str,
) -> Option<(Seq, bytes::Bytes)> {
    const MOST: usize = 16 << 10;
    use podlab_trace::FileOp;
    let mut held: std::collections::BTreeMap<String, (Seq, Vec<u8>)> =
        std::collections::BTreeMap::new();
    let timeline = s.around();
    for e in timeline.range(timeline.first(), s.edge()) {
        let Kind::File { op, path: at, volume: of, to, offset, payload, error, len } = &e.kind
        else {
            continue;
        };
        let here = state
            .places
            .get(&e.place)
            .is_some_and(|p| format!("{}/{}", p.namespace, p.pod) == owner);
        if of != volume || !error.is_empty() || !here {
            continue;
        }
        let at = inside(pod, volume, at);
        match op {
            FileOp::Create => {
                held.insert(at, (e.seq, Vec::new()));
            }
            FileOp::Rename => {
                if let Some((_, bytes)) = held.remove(&at) {
                    held.insert(inside(pod, volume, to), (e.seq, bytes));
                }
            }
            FileOp::Remove => {
                held.remove(&at);
            }
            FileOp::Truncate => {
                if let Some((_, bytes)) = held.get_mut(&at) {
                    bytes.truncate((offset + len) as usize);
                }
            }
            FileOp::Read | FileOp::Write => {
                let Ok(offset) = usize::try_from(*offset) else { continue };
                let entry = held.entry(at).or_default();
                // A hole means that what lies before is not known.
                if offset <= entry.1.len() && offset < MOST {
                    let end = (offset + payload.len()).max(entry.1.len());
                    entry.1.resize(end, 0);
                    entry.1[offset..offset + payload.len()].copy_from_slice(payload);
                    entry.1.truncate(MOST);
                    entry.0 = e.seq;
                }
            }
            _ => {}
        }
    }
    held.remove(path).filter(|(_, b)| !b.is_empty()).map(|(seq, b)| (seq, b.into()))
}

/// What can be done to what is selected.
pub fn deeds(state: &State, props: &Props, name: &str, running: bool, live: bool) -> Html {
    let Some(thing) = thing(state, &props.selected) else { return Html::default() };
    if recording::inside().is_some() {
        return html! { <recorded::NoDeeds /> };
    }
    let faults: Vec<_> = state.faults.keys().cloned().collect();
    let done = props.touch.reform(Touch::Done);
    html! { <Deeds {thing} name={name.to_owned()} world={props.world.clone()} {faults} {running} {live} {done} /> }
}

/// Deeds, and the YAML of an object.
fn object(
    state: &State,
    props: &Props,
    kind: &str,
    namespace: &str,
    name: &str,
    live: bool,
) -> Html {
    html! { <>
        { deeds(state, props, name, true, live) }
        { in_yaml(state, props, kind, namespace, name, live) }
    </> }
}

/// An object as YAML: that of the API server, or what a recording has of it.
fn in_yaml(
    state: &State,
    props: &Props,
    kind: &str,
    namespace: &str,
    name: &str,
    live: bool,
) -> Html {
    if recording::inside().is_some() {
        return recorded::object(state, kind, namespace, name);
    }
    let done = props.touch.reform(Touch::Done);
    html! { <Object key={format!("{kind}/{namespace}/{name}")} world={props.world.clone()} kind={kind.to_owned()} namespace={namespace.to_owned()} name={name.to_owned()} {live} {done} /> }
}

fn pod_facts(
    t: &'static Texts,
    state: &State,
    owner: &str,
    props: &Props,
    live: bool,
) -> (Html, Html) {
    let (namespace, name) = owner.split_once('/').unwrap_or(("default", owner));
    let pod = pod_of(state, owner);
    let top = scaled_by(state, &(namespace.to_owned(), name.to_owned()));
    let body = html! { <>
        <dl class="facts">
            if !pod.phase.is_empty() { { fact(t.state, html! { { format!("{} · {}", pod.phase, if pod.ready { t.ready } else { t.not_ready }) } }) } }
            if !pod.ip.is_empty() { { fact(t.address, html! { { pod.ip.clone() } }) } }
            if !pod.node.is_empty() { { fact(t.node, html! { { pod.node.clone() } }) } }
            if let Some((kind, name)) = &top { { fact(t.made_by, html! { { format!("{kind} {name}") } }) } }
        </dl>
        { object(state, props, "Pod", namespace, name, live) }
        if let Some((kind, name)) = &top {
            <details><summary>{ format!("{kind} {name}") }</summary>
                { in_yaml(state, props, kind, namespace, name, live) }</details>
        }
    </> };
    (html! { <>{ "Pod " }{ name.to_owned() }</> }, body)
}

fn container_view(
    t: &'static Texts,
    state: &State,
    id: PlaceId,
    props: &Props,
    live: bool,
) -> (Html, Html) {
    let touch = &props.touch;
    let called = name(state, id);
    let Some(place) = state.places.get(&id) else { return (html! { { called } }, Html::default()) };
    let pod = pod_of(state, &format!("{}/{}", place.namespace, place.pod));
    let spec = pod.containers.iter().find(|c| c.name == place.container);
    let life = life(t, state, Some(place), spec);
    let running = ["held", "up"].contains(&life.class);
    let logs = {
        let name = called.clone();
        touch.reform(move |_: MouseEvent| Touch::Logs(name.clone()))
    };
    let whole = props.select.reform({
        let owner = format!("{}/{}", place.namespace, place.pod);
        move |_: MouseEvent| Selection::Pod(owner.clone())
    });
    let body = html! { <>
        <div class="actions">
            <button onclick={logs}>{ t.show_logs }</button>
            <button data-testid="whole-pod" onclick={whole}>{ format!("Pod {}", place.pod) }</button>
        </div>
        { deeds(state, props, &place.container, running, live) }
        <dl class="facts">
            { fact(t.state, html! { { life.text } }) }
            if let Some(spec) = spec {
                { fact(t.image, html! { <code>{ spec.image.clone() }</code> }) }
                if !spec.mounts.is_empty() { { fact(t.mounts, html! { <>{ for spec.mounts.iter().map(|(v, at)| html! { <span class="pairing">{ format!("{v} → {at}") }</span> }) }</> }) } }
            }
            if !place.listening.is_empty() {
                { fact(t.listens, html! { <>{ for place.listening.iter().map(|(a, udp)| html! { <span class="pairing">{ format!("{}{a}", if *udp { "udp " } else { "" }) }</span> }) }</> }) }
            }
            if !pod.ip.is_empty() { { fact(t.address, html! { { pod.ip.clone() } }) } }
            if !place.node.is_empty() { { fact(t.node, html! { { place.node.clone() } }) } }
        </dl>
    </> };
    (html! { <>{ t.container }{ " " }{ called }</> }, body)
}
