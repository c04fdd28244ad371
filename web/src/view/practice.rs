//! The exercises of a pattern, or the one that is worked at.

use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::address::Address;
use crate::api::Failure;
use crate::i18n::{Texts, fill};
use crate::progress::{Progress, Stage};
use crate::ui::{Ui, use_ui};
use crate::view::exercise::{Exercise, badge, begin, said};

/// The exercises of which pattern.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The pattern; `None` until it has come.
    pub pattern: Option<Value>,
    /// The address of the page.
    pub address: Address,
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// The exercises.
#[component]
pub fn Practice(props: &Props) -> Html {
    let t = use_ui().t();
    let Some(pattern) = &props.pattern else { return html! { <p class="quiet">{ t.loading }</p> } };
    let name = pattern["name"].as_str().unwrap_or_default().to_owned();
    let all = slugs(pattern);
    if all.is_empty() {
        return html! { <p class="quiet">{ t.no_exercises }</p> };
    }
    let slug = props.address.exercise.clone();
    if let Some(at) = all.iter().position(|s| *s == slug) {
        let next = all.get(at + 1).cloned();
        let key = slug.clone();
        return html! { <Exercise {key} pattern={name} {slug} address={props.address.clone()} go={props.go.clone()} {next} /> };
    }
    html! {
        <div class="practice">
            <p>{ t.practice_intro }</p>
            <p class="quiet">{ done(t, pattern) }</p>
            <Exercises pattern={pattern.clone()} go={props.go.clone()} />
        </div>
    }
}

fn slugs(pattern: &Value) -> Vec<String> {
    let list = pattern["exercises"].as_array().into_iter().flatten();
    list.filter_map(|e| Some(e["slug"].as_str()?.to_owned())).collect()
}

/// How hard something is, in dots: from 1 to 5.
pub fn difficulty(t: &Texts, level: usize) -> Html {
    let (full, rest) = ("●".repeat(level), "○".repeat(5usize.saturating_sub(level)));
    let label = fill(t.difficulty, &[&level.to_string(), "5"]);
    html! { <span class="level" role="img" aria-label={label}>{ full }<span>{ rest }</span></span> }
}

/// "1 of 3 solved".
pub fn done(t: &Texts, pattern: &Value) -> String {
    let name = pattern["name"].as_str().unwrap_or_default();
    let all = slugs(pattern);
    let solved = all.iter().filter(|s| Progress::load(name, s).solved).count();
    fill(t.exercises_done, &[&solved.to_string(), &all.len().to_string()])
}

/// A list of exercises.
#[derive(Properties, PartialEq)]
pub struct ListProps {
    /// Their pattern.
    pub pattern: Value,
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// The exercises of a pattern, each with how far one has come.
#[component]
pub fn Exercises(props: &ListProps) -> Html {
    let ui: Ui = use_ui();
    let t = ui.t();
    let starting = use_state(String::new);
    let failure = use_state(|| None::<Failure>);
    let name = props.pattern["name"].as_str().unwrap_or_default().to_owned();
    let list = props.pattern["exercises"].as_array().map(Vec::as_slice).unwrap_or_default();
    let items = list.iter().map(|e| {
        let slug = e["slug"].as_str().unwrap_or_default().to_owned();
        let title = said(&ui, &e["title"]);
        let level = (e["difficulty"].as_u64().unwrap_or(1).min(5)) as usize;
        let progress = Progress::load(&name, &slug);
        let word = match progress.stage() {
            Stage::New => t.begin,
            Stage::Begun => t.go_on,
            Stage::Solved => t.again,
        };
        let onclick = {
            let (starting, failure, go) = (starting.clone(), failure.clone(), props.go.clone());
            let (pattern, slug) = (name.clone(), slug.clone());
            Callback::from(move |_: MouseEvent| {
                let (starting, failure, go) = (starting.clone(), failure.clone(), go.clone());
                let (pattern, slug) = (pattern.clone(), slug.clone());
                starting.set(slug.clone());
                failure.set(None);
                spawn_local(async move {
                    match begin(pattern, slug).await {
                        Ok(address) => go.emit(address),
                        Err(e) => failure.set(Some(e)),
                    }
                    starting.set(String::new());
                });
            })
        };
        let busy = *starting == slug;
        html! { <li key={slug.clone()} class="exercise-item">
            <span class="exercise-name"><b>{ title.clone() }</b>
                { difficulty(t, level) }
                { badge(t, &progress) }</span>
            <button data-testid={format!("exercise-{slug}")} disabled={!starting.is_empty()} aria-label={format!("{word}: {title}")} {onclick}>{ if busy { t.starting } else { word } }</button>
        </li> }
    });
    html! { <>
        <ul class="exercise-list">{ for items }</ul>
        if let Some(e) = &*failure { <p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p> }
    </> }
}
