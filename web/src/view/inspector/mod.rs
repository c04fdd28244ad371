//! One thing, looked at closely: a message and its answer, a file, a volume, a container, a line.
//!
//! # Layout
//! - `event`: an event, a message with its answer
//! - `stream`: what went over a connection, or between two things
//! - `volume`: the files of a volume and what they hold
//! - `thing`: pods, containers and other objects, with what can be done to them

mod event;
mod stream;
mod thing;
mod volume;

use podlab_trace::event::{PlaceId, Seq};
use yew::prelude::*;

use crate::api::Failure;
use crate::i18n::{fill, inspect};
use crate::model::request::Draft;
use crate::model::route::End;
use crate::session::{Shared, View};
use crate::ui::use_ui;
use crate::view::compose::Compose;
use crate::view::stage::end_name;
use event::event_view;
pub use event::half;
use stream::{edge_view, stream_view};
use thing::{container_view, deeds, object, pod_facts};
use volume::volume_view;

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
    /// A request that is being written, to this Service and port.
    Request(String),
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
    /// What came of the event is wanted.
    Effect,
    /// The world is to stop at what a filter lets through.
    Stop(String),
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
    let (t, words) = (ui.t(), inspect::of(ui.choices.lang));
    let mut s = props.session.0.borrow_mut();
    let state = s.state();
    let (title, body) = match &props.selected {
        Selection::None => return Html::default(),
        Selection::Event(seq) => event_view((t, words), &s, *seq, props),
        Selection::Stream(conn) => stream_view(t, &s, *conn, &props.select, &props.touch),
        Selection::Request(to) => {
            let title = html! { { fill(words.request_to, &[to]) } };
            (title, compose(props, to))
        }
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

/// A request to `to` that is being written.
fn compose(props: &Props, to: &str) -> Html {
    let draft = Draft { method: "GET".into(), path: "/".into(), ..Draft::default() };
    let (session, done) = (props.session.clone(), props.touch.reform(Touch::Done));
    html! { <Compose key={to.to_owned()} {session} tick={props.tick} world={props.world.clone()} to={to.to_owned()} {draft} select={props.select.clone()} {done} /> }
}

fn fact(of: &str, value: Html) -> Html {
    html! { <div class="fact"><dt>{ of.to_owned() }</dt><dd>{ value }</dd></div> }
}

fn jump(select: &Callback<Selection>, seq: Seq, label: String) -> Html {
    html! { <button class="jump" onclick={select.reform(move |_: MouseEvent| Selection::Event(seq))}>{ label }</button> }
}
