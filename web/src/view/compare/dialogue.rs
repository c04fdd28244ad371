//! With what a world is to be compared.

use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlDialogElement, HtmlElement, HtmlInputElement};
use yew::prelude::*;

use super::parts::{button, text};
use super::{making, words};
use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Lang, fill};
use crate::model::pair::{Pair, Side};
use crate::model::show;
use crate::model::variant::variants;
use crate::ui::use_ui;

/// The world that is to be compared.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// It.
    pub side: Side,
    /// The instant shown, in ns.
    pub at: u64,
    /// What it was forked from, and when.
    pub origin: Option<(String, u64)>,
    /// Its pattern, as the server tells of it.
    pub pattern: Option<Value>,
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// The button that opens it, and it.
#[component]
pub fn CompareWith(props: &Props) -> Html {
    let w = words::of(use_ui().choices.lang);
    let open = use_state(|| false);
    let opener = use_node_ref();
    let close = {
        let (open, opener) = (open.clone(), opener.clone());
        Callback::from(move |()| {
            open.set(false);
            if let Some(button) = opener.cast::<HtmlElement>() {
                // What cannot take the focus keeps none; nothing depends on it.
                let _ = button.focus();
            }
        })
    };
    let show = {
        let open = open.clone();
        Callback::from(move |_: MouseEvent| open.set(true))
    };
    html! { <>
        <button class="form" data-testid="compare" ref={opener} title={w.open_help} aria-haspopup="dialog" onclick={show}>{ w.open }</button>
        if *open {
            <Dialogue side={props.side.clone()} at={props.at} origin={props.origin.clone()} pattern={props.pattern.clone()} go={props.go.clone()} {close} />
        }
    </> }
}

#[derive(Properties, PartialEq)]
struct DialogueProps {
    side: Side,
    at: u64,
    origin: Option<(String, u64)>,
    pattern: Option<Value>,
    go: Callback<Address>,
    close: Callback<()>,
}

/// Whether both could be of one and the same history: what is fresh begins as it did.
fn fresh(side: &Side) -> Side {
    Side { world: String::new(), fork: None, ..side.clone() }
}

/// One of the worlds to compare with.
fn choice(id: &str, said: &str, off: bool, onclick: Callback<MouseEvent>) -> Html {
    html! { <li>{ button(&format!("compare-{id}"), said, "", off, onclick) }</li> }
}

#[component]
fn Dialogue(props: &DialogueProps) -> Html {
    let ui = use_ui();
    let w = words::of(ui.choices.lang);
    let frame = use_node_ref();
    let seed = use_node_ref();
    let worlds = use_state(Vec::<Value>::new);
    let failure = use_state(|| None::<Failure>);
    let busy = use_state(|| false);
    {
        let (worlds, frame) = (worlds.clone(), frame.clone());
        use_effect_with((), move |()| {
            if let Some(frame) = frame.cast::<HtmlDialogElement>() {
                // One that is shown already stays so.
                let _ = frame.show_modal();
            }
            spawn_local(async move {
                // What runs besides is a convenience; what is wrong is said where it is needed.
                let list = api::call("GET", "/api/worlds", None).await.unwrap_or_default();
                worlds.set(list["worlds"].as_array().cloned().unwrap_or_default());
            });
        });
    }
    // The dialogue may stay open while the world goes on: what is compared is the present then.
    let at = props.at;
    let beside = {
        let (go, side, close) = (props.go.clone(), props.side.clone(), props.close.clone());
        move |right: Side| {
            close.emit(());
            let pair = Pair { sides: [side.clone(), right], at: Some(at) };
            go.emit(Address::of(pair));
        }
    };
    let forked = {
        let (go, side, close) = (props.go.clone(), props.side.clone(), props.close.clone());
        let (failure, busy) = (failure.clone(), busy.clone());
        Callback::from(move |_: MouseEvent| {
            if *busy {
                return;
            }
            busy.set(true);
            let (go, close, side) = (go.clone(), close.clone(), side.clone());
            let (failure, busy) = (failure.clone(), busy.clone());
            spawn_local(async move {
                match making::fork(side, at).await {
                    Ok(pair) => {
                        close.emit(());
                        go.emit(Address::of(pair));
                    }
                    Err(e) => {
                        failure.set(Some(e));
                        busy.set(false);
                    }
                }
            });
        })
    };
    let of_pattern = !props.side.pattern.is_empty();
    let found = props.pattern.as_ref().filter(|_| of_pattern && props.side.without.is_empty());
    let lang = usize::from(ui.choices.lang == Lang::Ja);
    let without = found.map(variants).unwrap_or_default().into_iter().map(|v| {
        let right = Side { without: v.name.clone(), ..fresh(&props.side) };
        let title = if v.title[lang].is_empty() { v.name.clone() } else { v.title[lang].clone() };
        let beside = beside.clone();
        choice(&v.name, &title, false, Callback::from(move |_: MouseEvent| beside(right.clone())))
    });
    let without: Vec<Html> = without.collect();
    let others: Vec<Html> = worlds
        .iter()
        .filter(|o| o["id"] != props.side.world.as_str() && o["dead"] != true)
        .map(|o| {
            let text = |f: &str| o[f].as_str().unwrap_or_default().to_owned();
            let (id, pattern) = (text("id"), text("pattern"));
            let seed = o["seed"].as_u64().unwrap_or(0);
            let name = format!("{pattern} · {id} · {}", fill(w.label_seed, &[&seed.to_string()]));
            let right = Side {
                world: id.clone(),
                pattern,
                seed,
                epoch: o["epoch"].as_u64(),
                ..Side::default()
            };
            let beside = beside.clone();
            choice(&id, &name, false, Callback::from(move |_: MouseEvent| beside(right.clone())))
        })
        .collect();
    let with_seed = {
        let (seed, beside, side) = (seed.clone(), beside.clone(), fresh(&props.side));
        Callback::from(move |e: SubmitEvent| {
            e.prevent_default();
            let typed = seed.cast::<HtmlInputElement>().map(|i| i.value()).unwrap_or_default();
            if let Ok(number) = typed.trim().parse() {
                beside(Side { seed: number, ..side.clone() });
            }
        })
    };
    let origin = props.origin.clone().map(|(world, fork)| {
        let (go, side, close) = (props.go.clone(), props.side.clone(), props.close.clone());
        let onclick = Callback::from(move |_: MouseEvent| {
            close.emit(());
            let left = Side { world: world.clone(), fork: None, ..side.clone() };
            let right = Side { fork: Some(fork), ..side.clone() };
            let pair = Pair { sides: [left, right], at: Some(at) };
            go.emit(Address::of(pair));
        });
        choice("origin", w.origin, false, onclick)
    });
    let close = props.close.clone();
    // What is typed here is for nobody else.
    let onkeydown = Callback::from(|e: KeyboardEvent| e.stop_propagation());
    let onclose = close.reform(|_: Event| ());
    let shut = close.reform(|_: MouseEvent| ());
    let next = props.side.seed.wrapping_add(1).to_string();
    html! {
            <dialog class="compare-with" aria-labelledby="compare-with" ref={frame} data-testid="compare-with" {onkeydown} {onclose}>
                <h2 id="compare-with">{ w.with }</h2>
                if let Some(e) = &*failure { <p class="trouble" role="alert">{ fill(w.failed, &[&e.to_string()]) }</p> }
                <ul>{ for origin }
                    { choice("fork", &fill(w.fork, &[&show::instant(at)]), *busy, forked) }</ul>{ text("p", "quiet", w.fork_help) }
                if !without.is_empty() { { text("h3", "", w.without) }<ul>{ for without }</ul>{ text("p", "quiet", w.without_help) } }
                if of_pattern {
                    { text("h3", "", w.other_seed) }
                    <form onsubmit={with_seed}><label>{ w.seed }{ " " }<input type="number" min="0" step="1" required=true value={next} ref={seed} data-testid="compare-seed" /></label>
                        <button type="submit" data-testid="compare-seed-go">{ w.go }</button></form>
                    { text("p", "quiet", w.seed_help) }
                } else { { text("p", "quiet", w.nothing_else) } }
                { text("h3", "", w.running) }
                if others.is_empty() { { text("p", "quiet", w.none_running) } } else { <ul class="compare-worlds">{ for others }</ul> }
                <div class="actions">{ button("compare-cancel", w.cancel, "", false, shut) }</div>
            </dialog>
    }
}
