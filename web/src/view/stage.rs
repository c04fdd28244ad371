//! The picture: nodes, what stands outside of them, pods, and the lines between them.

use std::collections::BTreeMap;

use podlab_trace::state::State;
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::flight::{SHAPES, Shape};
use crate::model::pod::Pod;
use crate::model::route::{End, route};
use crate::model::rows::name;
use crate::session::{Session, Shared};
use crate::ui::use_ui;
use crate::view::inspector::Selection;
use crate::view::pod::{At, n, pod_view, rect};

/// Lines are shown for what happened in this time before the instant shown, in ns of the
/// viewer's time.
const MEMORY: f64 = 12e9;

/// What the picture is of.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// What is selected.
    pub selected: Selection,
    /// Selects something.
    pub select: Callback<Selection>,
}

/// The picture.
#[component]
pub fn Stage(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let mut session = props.session.0.borrow_mut();
    let state = session.state();
    let (w, h) = session.layout.size();
    let pick = |s: Selection| {
        let select = props.select.clone();
        (
            select.reform({
                let s = s.clone();
                move |e: MouseEvent| {
                    e.stop_propagation();
                    s.clone()
                }
            }),
            Callback::from(move |e: KeyboardEvent| {
                if e.key() == "Enter" || e.key() == " " {
                    e.prevent_default();
                    select.emit(s.clone());
                }
            }),
        )
    };
    let is = |s: &Selection| (props.selected == *s).then_some("chosen");

    let layout = &session.layout;
    let frames = layout.bands.iter().enumerate().map(|(i, b)| {
        let (r, k) = (layout.frame(i), b.kubelet());
        let choice = Selection::Node(b.node.clone());
        let (onclick, onkeydown) = pick(choice.clone());
        html! { <g class={classes!("node", is(&choice))}>
            { rect(&r, 16.0, "nodeframe") }
            <text x={n(r.x + 16.0)} y={n(r.y + 24.0)}><tspan class="kind">{ t.node }</tspan>{ " " }{ b.node.clone() }</text>
            <g class="kubelet">{ rect(&k, 11.0, "badge") }<text x={n(k.cx())} y={n(k.y + 15.0)} text-anchor="middle">{ "kubelet" }</text></g>
            <rect class="hit" x={n(r.x + 6.0)} y={n(r.y + 5.0)} width={n(r.w - 92.0)} height="29" rx="7" role="button" tabindex="0" aria-label={format!("{} {}", t.node, b.node)}
                data-testid={format!("node-{}", b.node)} {onclick} {onkeydown} />
        </g> }
    });
    let chips = layout.chips.iter().map(|(name, r)| {
        let (service, label) = match name.strip_prefix("svc ") {
            Some(s) => (true, s.rsplit('/').next().unwrap_or(s).to_owned()),
            // Who asks through a forwarded port has no other name.
            None if name == "outside" => (false, t.visitor.to_owned()),
            None => (false, name.clone()),
        };
        let choice = Selection::Service(name.strip_prefix("svc ").unwrap_or_default().to_owned());
        let (onclick, onkeydown) = pick(choice.clone());
        html! { <g class={classes!("chip", if service { "service" } else { "outside" }, service.then(|| is(&choice)).flatten())}>
            { rect(r, if service { 8.0 } else { 18.0 }, "chipframe") }
            <text x={n(r.cx())} y={n(r.y + 16.0)} text-anchor="middle" class="kind">{ if service { t.service } else if name == "kube-apiserver" { t.control_plane } else { t.outside } }</text>
            <text x={n(r.cx())} y={n(r.y + 30.0)} text-anchor="middle">{ label.clone() }</text>
            if service {
                <rect class="hit" x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} rx="8" role="button" tabindex="0" aria-label={format!("{} {label}", t.service)}
                    data-testid={format!("service-{label}")} {onclick} {onkeydown} />
            }
        </g> }
    });
    let pods = layout.pods.iter().map(|(key, place)| {
        let object = state.objects.get(&("Pod".to_owned(), key.0.clone(), key.1.clone()));
        let made = state.places.values().any(|p| (&p.namespace, &p.pod) == (&key.0, &key.1));
        let pod = object.map(|o| Pod::parse(&o.json)).unwrap_or_default();
        let bare = !state.objects.keys().any(|k| k.0 == "Pod");
        // Before it was made a pod is not there; once it is gone, its ghost stays.
        let gone = object.is_none() && !bare;
        if !made {
            return Html::default();
        }
        pod_view(&At { t, state: &state, key, place, pod: &pod, gone, pick: &pick, is: &is })
    });
    let edges = edges(&session);
    let lines = edges.iter().map(|((a, b, via), count)| {
        let head = session.around().head();
        let Some(line) = route(layout, head, a, b, via) else { return Html::default() };
        let (na, nb) = (end_name(head, a), end_name(head, b));
        let choice = Selection::Edge(a.clone(), b.clone());
        let (onclick, onkeydown) = pick(choice.clone());
        let label = fill(t.edge, &[&na, &nb, &count.to_string()]);
        let file = matches!((a, b), (End::Volume(..), _) | (_, End::Volume(..)));
        html! { <g class={classes!("edge", file.then_some("filing"), is(&choice))} role="button" tabindex="0" aria-label={label.clone()} {onclick} {onkeydown}>
            <title>{ label }</title>
            <path d={line.path()} class="reach" /><path d={line.path()} class="line" />
        </g> }
    });
    html! {
        <svg class="scene" viewBox={format!("0 0 {w} {h}")} role="group" aria-label={t.picture} aria-describedby="picture-help" data-testid="scene">
            { for frames }{ for chips }{ for pods }{ for lines }
        </svg>
    }
}

/// The lines to show, each with how many marks went along it lately.
fn edges(session: &Session) -> BTreeMap<(End, End, String), usize> {
    let shown = session.shown();
    let from = shown.saturating_sub((MEMORY * session.flights().speed()) as u64);
    let mut out: BTreeMap<(End, End, String), usize> = BTreeMap::new();
    for f in session.flights().between(from, shown, session.around()) {
        let (a, b) = if f.from <= f.to { (&f.from, &f.to) } else { (&f.to, &f.from) };
        *out.entry((a.clone(), b.clone(), f.via.clone())).or_default() += 1;
        if out.len() > 200 {
            break;
        }
    }
    out
}

/// The name of an end of a line.
pub fn end_name(state: &State, end: &End) -> String {
    match end {
        End::Place(id) => name(state, *id),
        End::Volume(_, name) => name.clone(),
    }
}

/// The name of a kind of mark.
pub fn shape_name(t: &Texts, shape: Shape) -> &'static str {
    match shape {
        Shape::Request => t.request,
        Shape::Response => t.response,
        Shape::Data => t.data,
        Shape::Datagram => t.datagram,
        Shape::Write => t.write,
        Shape::Read => t.read,
        Shape::Probe => t.probe,
        Shape::Error => t.error,
    }
}

/// A mark as a small sign in text.
pub fn shape_sign(shape: Shape) -> Html {
    let (class, d) = match shape {
        Shape::Request => ("request", "M14 8 4 13l2.5-5L4 3z"),
        Shape::Response => ("response", "M3 8a5 5 0 1 0 10 0a5 5 0 1 0-10 0z"),
        Shape::Data => ("data", "M4 4h8v8H4z"),
        Shape::Datagram => ("datagram", "M14 8l-3 5.2H5L2 8l3-5.2h6z"),
        Shape::Write => ("write", "M4 2h5l3 3v9H4z"),
        Shape::Read => ("read", "M4 2h5l3 3v9H4z"),
        Shape::Probe => ("probe", "M3 8a5 5 0 1 0 10 0a5 5 0 1 0-10 0z"),
        Shape::Error => ("error", "M8 1.5 14.5 8 8 14.5 1.5 8z"),
    };
    html! { <svg class={classes!("sign", class)} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path {d} /></svg> }
}

/// What the marks mean.
#[component]
pub fn Legend() -> Html {
    let t = use_ui().t();
    html! {
        <ul class="legend" aria-label={t.legend}>
            { for SHAPES.iter().map(|s| html! { <li>{ shape_sign(*s) }{ shape_name(t, *s) }</li> }) }
        </ul>
    }
}
