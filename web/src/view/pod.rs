//! A pod in the picture: its containers, their ports, localhost, and its volumes.

use std::collections::{BTreeMap, BTreeSet};

use podlab_trace::event::PlaceId;
use podlab_trace::state::{Place, State};
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::layout::{PodBox, Rect, Slot};
use crate::model::pod::{Container, Pod, Role};
use crate::model::route::{plug, to_rail, to_volume};
use crate::view::inspector::Selection;

/// What makes a thing of the picture a button: its handlers for pointer and keyboard.
pub type Pick<'a> = &'a dyn Fn(Selection) -> (Callback<MouseEvent>, Callback<KeyboardEvent>);
/// The class of a thing that is selected.
pub type Is<'a> = &'a dyn Fn(&Selection) -> Option<&'static str>;

/// A pod at an instant.
pub struct At<'a> {
    /// The texts.
    pub t: &'static Texts,
    /// What is true then.
    pub state: &'a State,
    /// Its namespace and name.
    pub key: &'a (String, String),
    /// Where it stands.
    pub place: &'a PodBox,
    /// Its object.
    pub pod: &'a Pod,
    /// Whether it has been deleted.
    pub gone: bool,
    /// Selects.
    pub pick: Pick<'a>,
    /// Whether something is selected.
    pub is: Is<'a>,
}

/// A pod.
pub fn pod_view(at: &At) -> Html {
    let At { t, key, place, pod, .. } = at;
    let r = place.rect;
    let status = match () {
        () if at.gone => t.deleted.to_owned(),
        () if pod.ready => t.ready.to_owned(),
        () if pod.phase.is_empty() => String::new(),
        () => format!("{} · {}", pod.phase, t.not_ready),
    };
    let mounts = pod.containers.iter().flat_map(|c| {
        let slot = place.slot(&c.name);
        let line = move |volume: &String| to_volume(place, slot?, volume);
        c.mounts.iter().filter_map(move |(volume, _)| line(volume))
    });
    let ends = [r.x, r.right()];
    let choice = Selection::Pod(format!("{}/{}", key.0, key.1));
    let (onclick, onkeydown) = (at.pick)(choice.clone());
    html! {
        <g class={classes!("pod", at.gone.then_some("ghost"), (at.is)(&choice))}>
            { rect(&r, 14.0, "podframe") }
            <text x={n(r.x + 14.0)} y={n(r.y + 27.0)} class="podname">{ clip(&key.1, 20) }<title>{ format!("{}/{}", key.0, key.1) }</title></text>
            <text x={n(r.right() - 14.0)} y={n(r.y + 19.0)} text-anchor="end" class="kind">{ pod.ip.clone() }</text>
            <text x={n(r.right() - 14.0)} y={n(r.y + 34.0)} text-anchor="end" class={classes!("podstate", pod.ready.then_some("ok"))}>{ status }</text>
            <rect class="hit" x={n(r.x + 5.0)} y={n(r.y + 5.0)} width={n(r.w - 10.0)} height="34" rx="9" role="button" tabindex="0" aria-label={format!("Pod {}", key.1)}
                data-testid={format!("pod-{}", key.1)} {onclick} {onkeydown} />
            { for mounts.map(|line| html! { <path class="mount" d={line.path()} /> }) }
            <path class="rail" d={format!("M{} {}H{}", r.x, place.rail, r.right())} />
            <text x={n(r.x + 16.0)} y={n(place.rail + 17.0)} class="railname">{ t.localhost }</text>
            { for ends.iter().map(|x| html! { <circle class="eth" cx={n(*x)} cy={n(place.rail)} r="5" /> }) }
            { for place.containers.iter().map(|slot| container_view(at, slot)) }
            { for place.volumes.iter().map(|(name, rect)| drawer(at, name, *rect)) }
        </g>
    }
}

fn drawer(at: &At, name: &str, r: Rect) -> Html {
    let t = at.t;
    let owner = format!("{}/{}", at.key.0, at.key.1);
    let files = volume_files(at.state, at.pod, &owner, name);
    let choice = Selection::Volume(owner, name.to_owned());
    let (onclick, onkeydown) = (at.pick)(choice.clone());
    let count = fill(t.files_n, &[&files.len().to_string()]);
    let label = format!("{} {name}, {count}", t.volume);
    let mut shown: Vec<_> = files.iter().collect();
    shown.sort_by_key(|(_, at)| std::cmp::Reverse(**at));
    let sheets = shown.iter().take(3).enumerate().map(|(i, (path, _))| {
        let (x, y) = (r.x + 12.0, r.y + 31.0 + i as f64 * 16.5);
        html! { <g class="sheet"><path d={format!("M{x} {y}h6l3 3v8h-9z")} />
        <text x={n(r.x + 26.0)} y={n(y + 9.5)}>{ clip(path, ((r.w - 34.0) / 6.7) as usize) }</text></g> }
    });
    html! { <g class={classes!("volume", (at.is)(&choice))}>
        { rect(&r, 8.0, "vframe") }
        <path class="handle" d={format!("M{} {}h26", r.cx() - 13.0, r.y + 5.0)} />
        <text x={n(r.x + 11.0)} y={n(r.y + 22.0)} class="vname">{ clip(name, ((r.w - 44.0) / 7.2) as usize) }</text>
        <text x={n(r.right() - 11.0)} y={n(r.y + 22.0)} text-anchor="end" class="kind">{ files.len() }</text>
        if files.is_empty() { <text x={n(r.x + 11.0)} y={n(r.y + 42.0)} class="kind">{ t.empty_volume }</text> }
        { for sheets }
        <rect class="hit" x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} role="button" tabindex="0" aria-label={label}
            data-testid={format!("volume-{name}")} {onclick} {onkeydown} />
    </g> }
}

fn container_view(at: &At, slot: &Slot) -> Html {
    let (t, r, name) = (at.t, slot.rect, &slot.name);
    let id = place_id(at.state, at.key, name);
    let spec = at.pod.containers.iter().find(|c| c.name == *name);
    let place = id.and_then(|id| at.state.places.get(&id));
    let life = life(t, at.state, place, spec);
    let fit = |width: f64| ((r.w - 18.0) / width) as usize;
    // A long name is set smaller before any of it is cut off.
    let long = name.chars().count() > fit(7.9);
    let choice = Selection::Container(id.unwrap_or(0));
    let (onclick, onkeydown) = (at.pick)(choice.clone());
    let image =
        spec.map(|c| c.image.rsplit('/').next().unwrap_or_default().to_owned()).unwrap_or_default();
    let role = spec.map(|c| c.role);
    let ports: BTreeSet<u16> =
        place.iter().flat_map(|p| p.listening.iter().map(|(a, _)| a.port())).collect();
    let runs = spec.map_or(0, |c| c.restarts).max(place.map_or(0, |p| u64::from(p.run)));
    let mut label = format!("{} {name}, {}", t.container, life.text);
    if runs > 0 {
        label.push_str(&format!(", {}", fill(t.restarts, &[&runs.to_string()])));
    }
    if !ports.is_empty() {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        label.push_str(&format!(", {} {}", t.listens, ports.join(", ")));
    }
    let past = life.class == "done" && role == Some(Role::Init);
    html! {
        <g class={classes!("container", life.class, past.then_some("past"), (at.is)(&choice))}>
            <path class="drop" d={to_rail(at.place, slot).path()} />
            { rect(&r, 9.0, "cframe") }
            { glyph(role, r) }
            <text x={n(r.x + 32.0)} y={n(r.y + 20.0)} class="kind">{ role_name(t, role) }</text>
            <text x={n(r.x + 10.0)} y={n(r.y + 39.0)} class={classes!("cname", long.then_some("long"))}>{ clip(name, fit(if long { 6.2 } else { 7.9 })) }</text>
            <text x={n(r.x + 10.0)} y={n(r.y + 54.0)} class="kind">{ clip(&image, fit(6.0)) }</text>
            { status_glyph(life.class, r.x + 15.0, r.y + 69.0) }
            <text x={n(r.x + 25.0)} y={n(r.y + 73.0)} class="life">{ clip(&life.text, fit(5.8)) }</text>
            if runs > 0 {
                <text x={n(r.right() - 9.0)} y={n(r.y + 20.0)} text-anchor="end" class="runs">{ format!("↻ {runs}") }</text>
            }
            { plugs(slot, &ports) }
            <rect class="hit" x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} role="button" tabindex="0" aria-label={label}
                data-testid={format!("container-{name}")} data-state={life.class} data-runs={runs.to_string()} {onclick} {onkeydown} />
        </g>
    }
}

/// The ports a container listens on, at its foot, where its line to localhost begins.
fn plugs(slot: &Slot, ports: &BTreeSet<u16>) -> Html {
    let (x, y) = plug(slot);
    let mut right = x + 26.0;
    let tags = ports.iter().take(3).map(|port| {
        let text = format!(":{port}");
        let w = 12.0 + 6.9 * text.len() as f64;
        let left = right - w;
        right = left - 4.0;
        html! { <g class="port"><rect x={n(left)} y={n(y - 9.0)} width={n(w)} height="18" rx="5" />
        <text x={n(left + w / 2.0)} y={n(y + 4.0)} text-anchor="middle">{ text }</text></g> }
    });
    tags.collect()
}

/// How a container is, in words and as a class.
pub struct Life {
    /// In words.
    pub text: String,
    /// "up", "wait", "down", "held", "done".
    pub class: &'static str,
}

/// How a container is at the instant of `state`.
pub fn life(t: &Texts, state: &State, place: Option<&Place>, spec: Option<&Container>) -> Life {
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

fn role_name(t: &Texts, role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Sidecar) => t.role_sidecar,
        Some(Role::Init) => t.role_init,
        _ => t.role_main,
    }
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

/// A rectangle of the picture.
pub fn rect(r: &Rect, round: f64, class: &'static str) -> Html {
    html! { <rect {class} x={n(r.x)} y={n(r.y)} width={n(r.w)} height={n(r.h)} rx={n(round)} /> }
}

/// A length of the picture.
pub fn n(value: f64) -> String {
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
