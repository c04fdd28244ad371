//! The patterns, and the worlds that run.

use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::predict::joined;
use crate::ui::use_ui;
use crate::view::belongings::BelongingsView;
use crate::view::opening::Opening;
use crate::view::practice::{Exercises, difficulty, done};

/// The seed of a world that was started with one click.
pub const SEED: u64 = 7;

/// Where the gallery leads.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// The patterns, and the worlds that run.
#[component]
pub fn Gallery(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let patterns = use_state(|| None::<Result<Vec<Value>, Failure>>);
    let worlds = use_state(Vec::<Value>::new);
    let starting = use_state(String::new);
    let failure = use_state(|| None::<Failure>);
    {
        let (patterns, worlds) = (patterns.clone(), worlds.clone());
        use_effect_with((), move |()| {
            spawn_local(async move {
                let list = api::call("GET", "/api/patterns", None).await;
                patterns.set(Some(list.map(|l| {
                    let mut list = items(&l, "patterns");
                    // First steps first.
                    list.sort_by_key(|p| p["difficulty"].as_u64());
                    list
                })));
                // Worlds are a convenience here; what is wrong is said above.
                if let Ok(list) = api::call("GET", "/api/worlds", None).await {
                    worlds.set(items(&list, "worlds"));
                }
            });
        });
    }
    let start = {
        let (starting, failure, go) = (starting.clone(), failure.clone(), props.go.clone());
        Callback::from(move |pattern: String| {
            let (starting, failure, go) = (starting.clone(), failure.clone(), go.clone());
            starting.set(pattern.clone());
            failure.set(None);
            spawn_local(async move {
                match api::start(&pattern, SEED).await {
                    Ok(world) => {
                        go.emit(Address { world, pattern, seed: Some(SEED), ..Address::default() })
                    }
                    Err(e) => failure.set(Some(e)),
                }
                starting.set(String::new());
            });
        })
    };
    // What is solved is read from the browser when it is drawn.
    let again = use_force_update();
    let changed = Callback::from(move |()| again.force_update());
    let busy = !starting.is_empty();
    let sidecar = start.reform(|_: MouseEvent| "sidecar".to_owned());
    let tag = ui.choices.lang.tag();
    let text = |v: &Value| -> String {
        let said = v[tag].as_str().or(v["en"].as_str()).or(v.as_str()).unwrap_or_default();
        joined(said)
    };
    let card = |pattern: &Value| {
        let name = pattern["name"].as_str().unwrap_or_default().to_owned();
        let level = pattern["difficulty"].as_u64().unwrap_or(1).min(5) as usize;
        let many = pattern["exercises"].as_array().is_some_and(|e| !e.is_empty());
        html! {
            <li class="card" key={name.clone()}>
                <p class="family">{ family(t, &text(&pattern["family"])) }
                    { difficulty(t, level) }</p>
                <h3>{ text(&pattern["title"]) }</h3>
                <p class="what">{ text(&pattern["summary"]) }</p>
                <button disabled={busy} data-testid={format!("start-{name}")} onclick={start.reform({ let name = name.clone(); move |_| name.clone() })}
                    aria-label={format!("{}: {}", t.start, text(&pattern["title"]))}>{ t.start }</button>
                if many {
                    <details class="card-exercises" data-testid={format!("exercises-{name}")}><summary>{ t.exercises }{ " · " }{ done(t, pattern) }</summary>
                        <Exercises pattern={pattern.clone()} go={props.go.clone()} /></details>
                }
            </li>
        }
    };
    let body = match &*patterns {
        None => html! { <p class="quiet">{ t.loading }</p> },
        Some(Err(e)) => {
            html! { <p class="trouble" role="alert">{ if e.reason == "unreachable" { t.server_gone.to_owned() } else { e.to_string() } }</p> }
        }
        Some(Ok(list)) if list.is_empty() => html! { <p class="quiet">{ t.no_patterns }</p> },
        Some(Ok(list)) => html! { <ul class="cards">{ for list.iter().map(card) }</ul> },
    };
    html! {
        <main id="main" class="gallery" tabindex="-1">
            <section class="hero">
                <div>
                    <h1>{ t.claim }</h1>
                    <p>{ t.claim_more }</p>
                    <button class="primary big" disabled={busy} data-testid="start" onclick={sidecar}>
                        { if busy { t.starting } else { t.start_sidecar } }
                    </button>
                    <p class="quiet">{ t.footer }</p>
                    if let Some(e) = &*failure {
                        <p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p>
                    }
                </div>
                { drawing() }
            </section>
            <section aria-labelledby="patterns"><h2 id="patterns">{ t.gallery }</h2>{ body }</section>
            <Opening go={props.go.clone()} />
            <BelongingsView changed={changed} />
            if !worlds.is_empty() {
                <section aria-labelledby="worlds"><h2 id="worlds">{ t.worlds }</h2>
                    <ul class="worlds">{ for worlds.iter().map(|w| {
                        let world = text_of(&w["id"]);
                        let pattern = text_of(&w["pattern"]);
                        let seed = w["seed"].as_u64();
                        let address = Address { world: world.clone(), pattern: pattern.clone(), seed, ..Address::default() };
                        html! { <li key={world.clone()}><a href={address.hash()}>{ format!("{pattern} · {world}") }</a>
                            if let Some(seed) = seed { <span class="quiet">{ fill(t.seed, &[&seed.to_string()]) }</span> }</li> }
                    }) }</ul>
                </section>
            }
        </main>
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.as_u64().map(|n| n.to_string()).unwrap_or_default(), str::to_owned)
}

/// The family of a pattern, as people read it.
fn family(t: &Texts, name: &str) -> String {
    match name {
        "single-node" => t.family_single.to_owned(),
        "multi-node" => t.family_multi.to_owned(),
        "single-container" => t.family_container.to_owned(),
        other => other.to_owned(),
    }
}

/// A list, be it bare or in a field of an object.
fn items(value: &Value, field: &str) -> Vec<Value> {
    value.as_array().or(value[field].as_array()).cloned().unwrap_or_default()
}

/// What a pod is, in one drawing.
fn drawing() -> Html {
    html! {
        <svg class="emblem" viewBox="0 0 420 250" aria-hidden="true">
            <rect x="10" y="14" width="400" height="222" rx="18" class="podframe" />
            { for [(34.0, "web"), (160.0, "log-saver"), (286.0, "puller")].iter().map(|(x, name)| html! {
                <g><rect x={x.to_string()} y="42" width="100" height="66" rx="10" class="cframe" />
                <text x={(x + 50.0).to_string()} y="80" text-anchor="middle">{ *name }</text>
                <path d={format!("M{} 108v24", x + 50.0)} class="railline" /></g> }) }
            <path d="M24 132h372" class="railline" />
            <rect x="90" y="164" width="110" height="50" rx="8" class="vframe" /><path d="M90 178h110" class="railthin" />
            <rect x="226" y="164" width="110" height="50" rx="8" class="vframe" /><path d="M226 178h110" class="railthin" />
            <path d="M112 124l18 8-18 8z" class="m-request" /><circle cx="256" cy="132" r="8" class="m-response" />
            <path d="M186 140h12l5 5v15h-17z" class="m-file" />
        </svg>
    }
}
