//! Pods, containers and other objects, closely: facts, YAML, and what can be done to them.

use podlab_trace::event::PlaceId;
use podlab_trace::state::State;
use yew::prelude::*;

use super::{Props, Selection, Touch, fact};
use crate::i18n::Texts;
use crate::model::pod::Pod;
use crate::model::rows::name;
use crate::recording;
use crate::view::deeds::{Deeds, scaled_by, thing};
use crate::view::object::Object;
use crate::view::pod::life;
use crate::view::recorded;

pub(super) fn pod_of(state: &State, owner: &str) -> Pod {
    let (namespace, name) = owner.split_once('/').unwrap_or(("", owner));
    let key = ("Pod".to_owned(), namespace.to_owned(), name.to_owned());
    state.objects.get(&key).map(|o| Pod::parse(&o.json)).unwrap_or_default()
}

/// What can be done to what is selected.
pub(super) fn deeds(state: &State, props: &Props, name: &str, running: bool, live: bool) -> Html {
    let Some(thing) = thing(state, &props.selected) else { return Html::default() };
    if recording::inside().is_some() {
        return html! { <recorded::NoDeeds /> };
    }
    let faults: Vec<_> = state.faults.keys().cloned().collect();
    let done = props.touch.reform(Touch::Done);
    html! { <Deeds {thing} name={name.to_owned()} world={props.world.clone()} {faults} {running} {live} {done} /> }
}

/// Deeds, and the YAML of an object.
pub(super) fn object(
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

pub(super) fn pod_facts(
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

pub(super) fn container_view(
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
