//! The picture: nodes, pods, containers, localhost, volumes, and the lines between them.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::PlaceId;
use podlab_trace::state::State;
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::flight::{SHAPES, Shape};
use crate::model::layout::{PodBox, Rect};
use crate::model::pod::{Container, Pod, Role};
use crate::model::route::{End, route};
use crate::model::rows::name;
use crate::session::{Session, Shared};
use crate::ui::use_ui;
use crate::view::inspector::Selection;

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
    let frames = layout.bands.iter().map(|b| {
        let r = b.rect;
        html! { <g class="node">
            { rect(&r, 16.0, "nodeframe") }
            <text x={n(r.x + 16.0)} y={n(r.y + 22.0)}><tspan class="kind">{ t.node }</tspan>{ " " }{ b.node.clone() }</text>
            <g class="kubelet"><rect x={n(r.right() - 76.0)} y={n(r.y + 8.0)} width="62" height="20" rx="10" /><text x={n(r.right() - 45.0)} y={n(r.y + 22.0)} text-anchor="middle">{ "kubelet" }</text></g>
        </g> }
    });
    let chips = layout.chips.iter().map(|(name, r)| {
        let (service, label) = match name.strip_prefix("svc ") {
            Some(s) => (true, s.rsplit('/').next().unwrap_or(s).to_owned()),
            None => (false, name.clone()),
        };
        html! { <g class={if service { "chip service" } else { "chip outside" }}>
            { rect(r, if service { 8.0 } else { 18.0 }, "chipframe") }
            <text x={n(r.cx())} y={n(r.y + 15.0)} text-anchor="middle" class="kind">{ if service { t.service } else { t.outside } }</text>
            <text x={n(r.cx())} y={n(r.y + 29.0)} text-anchor="middle">{ label }</text>
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
        pod_view(t, &state, key, place, &pod, gone, &pick, &is)
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

type Pick<'a> = &'a dyn Fn(Selection) -> (Callback<MouseEvent>, Callback<KeyboardEvent>);
type Is<'a> = &'a dyn Fn(&Selection) -> Option<&'static str>;

#[allow(clippy::too_many_arguments)]
fn pod_view(
    t: &'static Texts,
    state: &State,
    key: &(String, String),
    place: &PodBox,
    pod: &Pod,
    gone: bool,
    pick: Pick,
    is: Is,
) -> Html {
    let r = place.rect;
    let status = match () {
        () if gone => t.deleted.to_owned(),
        () if pod.ready => t.ready.to_owned(),
        () if pod.phase.is_empty() => String::new(),
        () => format!("{} · {}", pod.phase, t.not_ready),
    };
    let owner = format!("{}/{}", key.0, key.1);
    let containers = place.containers.iter().map(|(name, rect)| {
        let id = place_id(state, key, name);
        let spec = pod.containers.iter().find(|c| c.name == *name);
        container_view(t, state, place, *rect, id, name, spec, pick, is)
    });
    let mounts = pod.containers.iter().flat_map(|c| {
        let Some((_, from)) = place.containers.iter().find(|(n, _)| *n == c.name) else {
            return Vec::new();
        };
        let lines: Vec<Html> = c
            .mounts
            .iter()
            .filter_map(|(volume, _)| {
                let (_, to) = place.volumes.iter().find(|(n, _)| n == volume)?;
                let x = from.cx() - from.w * 0.28;
                let b = x.clamp(to.x + 14.0, to.right() - 14.0);
                let lean = (to.y - from.bottom()) * 0.55;
                let d = format!(
                    "M{x:.1} {:.1}C{x:.1} {:.1} {b:.1} {:.1} {b:.1} {:.1}",
                    from.bottom(),
                    from.bottom() + lean,
                    to.y - lean,
                    to.y
                );
                Some(html! { <path class="mount" {d} /> })
            })
            .collect();
        lines
    });
    let volumes = place.volumes.iter().map(|(name, rect)| {
        let files = volume_files(state, pod, &owner, name);
        let choice = Selection::Volume(owner.clone(), name.clone());
        let (onclick, onkeydown) = pick(choice.clone());
        let count = fill(t.files_n, &[&files.len().to_string()]);
        let label = format!("{} {name}, {count}", t.volume);
        let fit = ((rect.w - 34.0) / 6.4) as usize;
        let mut shown: Vec<_> = files.iter().collect();
        shown.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
        html! { <g class={classes!("volume", is(&choice))}>
            { self::rect(rect, 8.0, "vframe") }
            <path class="handle" d={format!("M{} {}h24", rect.cx() - 12.0, rect.y + 5.0)} />
            <text x={n(rect.x + 10.0)} y={n(rect.y + 21.0)} class="vname">{ clip(name, fit) }</text>
            <text x={n(rect.right() - 10.0)} y={n(rect.y + 21.0)} text-anchor="end" class="kind">{ files.len() }</text>
            if files.is_empty() {
                <text x={n(rect.x + 10.0)} y={n(rect.y + 40.0)} class="kind">{ t.empty_volume }</text>
            }
            { for shown.iter().take(2).enumerate().map(|(i, (path, _))| {
                let y = rect.y + 31.0 + i as f64 * 16.0;
                html! { <g class="sheet"><path d={format!("M{} {}h6l3 3v8h-9z", rect.x + 11.0, y)} />
                    <text x={n(rect.x + 25.0)} y={n(y + 9.5)}>{ clip(path, fit) }</text></g> }
            }) }
            <rect class="hit" x={n(rect.x)} y={n(rect.y)} width={n(rect.w)} height={n(rect.h)} role="button" tabindex="0" aria-label={label}
                data-testid={format!("volume-{name}")} {onclick} {onkeydown} />
        </g> }
    });
    html! {
        <g class={classes!("pod", gone.then_some("ghost"))}>
            { rect(&r, 14.0, "podframe") }
            <text x={n(r.x + 14.0)} y={n(r.y + 24.0)} class="podname">{ key.1.clone() }</text>
            <text x={n(r.right() - 14.0)} y={n(r.y + 17.0)} text-anchor="end" class="kind">{ pod.ip.clone() }</text>
            <text x={n(r.right() - 14.0)} y={n(r.y + 31.0)} text-anchor="end" class={classes!("podstate", pod.ready.then_some("ok"))}>{ status }</text>
            { for mounts }
            <path class="rail" d={format!("M{} {}H{}", r.x, place.rail, r.right())} />
            <text x={n(r.x + 16.0)} y={n(place.rail + 13.0)} class="railname">{ t.localhost }</text>
            <circle class="eth" cx={n(r.x)} cy={n(place.rail)} r="4.5" /><circle class="eth" cx={n(r.right())} cy={n(place.rail)} r="4.5" />
            { for containers }{ for volumes }
        </g>
    }
}

#[allow(clippy::too_many_arguments)]
fn container_view(
    t: &'static Texts,
    state: &State,
    pod: &PodBox,
    r: Rect,
    id: Option<PlaceId>,
    name: &str,
    spec: Option<&Container>,
    pick: Pick,
    is: Is,
) -> Html {
    let place = id.and_then(|id| state.places.get(&id));
    let life = life(t, state, place, spec);
    let fit = ((r.w - 18.0) / 7.2) as usize;
    let choice = Selection::Container(id.unwrap_or(0));
    let (onclick, onkeydown) = pick(choice.clone());
    let image =
        spec.map(|c| c.image.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default();
    let role = spec.map(|c| c.role);
    let ports: BTreeSet<u16> =
        place.iter().flat_map(|p| p.listening.iter().map(|(a, _)| a.port())).collect();
    let runs = spec.map_or(0, |c| c.restarts).max(place.map_or(0, |p| u64::from(p.run)));
    let restarts = if runs > 0 {
        format!(", {}", fill(t.restarts, &[&runs.to_string()]))
    } else {
        String::new()
    };
    let label = format!("{} {name}, {}{restarts}", t.container, life.text);
    let rail_x = r.cx() + r.w * 0.12;
    html! {
        <g class={classes!("container", life.class, is(&choice))}>
            <path class="drop" d={format!("M{rail_x:.1} {:.1}V{:.1}", r.bottom(), pod.rail)} />
            { rect(&r, 9.0, "cframe") }
            { glyph(role, r) }
            <text x={n(r.x + 10.0)} y={n(r.y + 38.0)} class="cname">{ clip(name, fit) }</text>
            <text x={n(r.x + 10.0)} y={n(r.y + 53.0)} class="kind">{ clip(&image, fit + 2) }</text>
            { status_glyph(life.class, r.x + 15.0, r.y + 70.0) }
            <text x={n(r.x + 25.0)} y={n(r.y + 74.0)} class="life">{ clip(&life.text, fit) }</text>
            if runs > 0 {
                <text x={n(r.right() - 9.0)} y={n(r.y + 19.0)} text-anchor="end" class="runs">{ format!("↻ {runs}") }</text>
            }
            { for ports.iter().enumerate().map(|(i, port)| {
                let x = rail_x + 12.0 + i as f64 * 44.0;
                html! { <g class="port"><rect x={n(x - 3.0)} y={n(pod.rail - 8.0)} width={n(15.0 + 6.6 * port.to_string().len() as f64)} height="16" rx="4" />
                    <text x={n(x + 4.0)} y={n(pod.rail + 4.0)}>{ format!(":{port}") }</text></g> }
            }) }
            <rect class="hit" x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} role="button" tabindex="0" aria-label={label}
                data-testid={format!("container-{name}")} data-state={life.class} data-runs={runs.to_string()} {onclick} {onkeydown} />
        </g>
    }
}

/// How a container is, in words and as a class.
pub struct Life {
    /// In words.
    pub text: String,
    /// "up", "wait", "down", "held".
    pub class: &'static str,
}

/// How a container is at the instant of `state`.
pub fn life(
    t: &Texts,
    state: &State,
    place: Option<&podlab_trace::state::Place>,
    spec: Option<&Container>,
) -> Life {
    let target =
        place.map(|p| format!("{}/{}/{}", p.namespace, p.pod, p.container)).unwrap_or_default();
    if state.faults.keys().any(|(name, of)| name == "pause" && *of == target) {
        return Life { text: t.frozen_program.into(), class: "held" };
    }
    if place.is_some_and(|p| p.running) {
        return Life { text: t.running.into(), class: "up" };
    }
    if let Some(spec) = spec.filter(|s| s.state == "waiting") {
        let text = if spec.reason.is_empty() { t.waiting.to_owned() } else { spec.reason.clone() };
        return Life { text, class: "wait" };
    }
    match place.and_then(|p| p.exit.as_ref()) {
        Some((0, _)) => Life { text: t.ended.into(), class: "done" },
        Some((code, reason)) => Life { text: format!("{reason} {code}"), class: "down" },
        None => Life { text: t.waiting.into(), class: "wait" },
    }
}

fn status_glyph(class: &str, x: f64, y: f64) -> Html {
    let d = match class {
        "up" => format!("M{} {y}a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z", x - 4.5),
        "down" => format!("M{x} {}l5.5 5.5-5.5 5.5-5.5-5.5z", y - 5.5),
        "done" => format!("M{} {y}l3 3.5 6-7", x - 4.5),
        "held" => format!("M{} {}h3v9h-3zM{} {}h3v9h-3z", x - 4.0, y - 4.5, x + 1.0, y - 4.5),
        _ => format!("M{} {y}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", x - 4.0),
    };
    html! { <path class={classes!("status", class.to_owned())} {d} /> }
}

/// The role of a container as a small sign.
fn glyph(role: Option<Role>, r: Rect) -> Html {
    let (x, y) = (r.x + 10.0, r.y + 9.0);
    let d = match role {
        Some(Role::Sidecar) => format!("M{x} {y}h9v13h-9zM{} {}h6v8h-6z", x + 11.0, y + 5.0),
        Some(Role::Init) => format!("M{x} {y}l11 6.5-11 6.5z"),
        _ => format!("M{x} {y}h15v13h-15z"),
    };
    html! { <path class="role" {d} aria-hidden="true" /> }
}

fn place_id(state: &State, key: &(String, String), container: &str) -> Option<PlaceId> {
    state
        .places
        .iter()
        .rev()
        .find(|(_, p)| p.namespace == key.0 && p.pod == key.1 && p.container == container)
        .map(|(id, _)| *id)
}

/// The files of a volume by their path inside it, and when each was written last. Containers may
/// mount a volume in different places: its files are one all the same.
pub fn volume_files(state: &State, pod: &Pod, owner: &str, volume: &str) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for ((of, name, path), file) in &state.files {
        if of == owner && name == volume {
            let at = files.entry(inside(pod, volume, path)).or_insert(0);
            *at = file.at.max(*at);
        }
    }
    files
}

/// A path as seen from the root of the volume.
pub fn inside(pod: &Pod, volume: &str, path: &str) -> String {
    pod.containers
        .iter()
        .flat_map(|c| &c.mounts)
        .filter(|(name, _)| name == volume)
        .filter_map(|(_, at)| path.strip_prefix(at.trim_end_matches('/')))
        .map(|rest| rest.trim_start_matches('/').to_owned())
        .min_by_key(String::len)
        .unwrap_or_else(|| path.to_owned())
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

fn rect(r: &Rect, round: f64, class: &'static str) -> Html {
    html! { <rect {class} x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} rx={n(round)} /> }
}

fn n(value: f64) -> String {
    format!("{value:.1}")
}

/// At most so many characters.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(most.saturating_sub(1)).collect();
    out.push('…');
    out
}
