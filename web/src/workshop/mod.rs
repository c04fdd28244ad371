//! The pages of a workshop: joining, the learner's bar, the instructor's board, the wall.
//!
//! Where no workshop is held they do not show.

pub mod bar;
pub mod board;
pub mod gifts;
pub mod helm;
pub mod join;
pub mod kubectl;
pub mod queue;
pub mod wall;
pub mod words;

use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::recording;
use crate::ui::{remember, use_ui, window};

/// Who looks at the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No workshop is held here.
    Owner,
    /// Somebody who has not joined.
    Nobody,
    /// Somebody who waits for a seat.
    Waiting,
    /// A learner.
    Learner,
    /// The instructor.
    Instructor,
}

/// Where one is, and what stands there if no workshop has anything to say.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The address of the page.
    pub address: Address,
    /// Goes to another page.
    pub go: Callback<Address>,
    /// The page itself.
    pub children: Children,
}

/// A value of the address after the `#`: `of("key")` of `#/board?key=abc`.
pub fn given(name: &str) -> Option<String> {
    let hash = window().location().hash().unwrap_or_default();
    let (_, query) = hash.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(k, v)| *k == name && !v.is_empty()).map(|(_, v)| v.to_owned())
}

/// Takes what is given out of the address, so that it stays in no history and on no screen.
fn forget_given(page: &str) {
    if let Ok(history) = window().history() {
        // A secret that stays in the address is a nuisance, no fault.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("#/{page}")));
    }
}

/// A text in the language of the page.
pub fn said(lang: &str, text: &Value) -> String {
    text[lang].as_str().or(text["en"].as_str()).unwrap_or_default().to_owned()
}

thread_local! {
    /// Whether this page is a learner's.
    static LEARNER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Tells the board, if there is one, how many hints of an exercise are open.
pub fn hints(pattern: &str, exercise: &str, hints: usize) {
    if !LEARNER.get() {
        return;
    }
    let body = json!({ "pattern": pattern, "exercise": exercise, "hints": hints });
    spawn_local(async move {
        // The board is then one hint behind; the learner is not disturbed for that.
        let _ = api::call("POST", "/api/workshop/hints", Some(body)).await;
    });
}

async fn who() -> Result<Role, Failure> {
    if let Some(secret) = given("key") {
        forget_given("board");
        api::call("POST", "/api/workshop/instructor", Some(json!({ "secret": secret }))).await?;
    }
    let about = api::call("GET", "/api/workshop", None).await?;
    Ok(match about["role"].as_str() {
        Some("nobody") => Role::Nobody,
        Some("waiting") => Role::Waiting,
        Some("learner") => Role::Learner,
        Some("instructor") => Role::Instructor,
        _ => Role::Owner,
    })
}

/// The page as who looks at it may see it.
#[component]
pub fn Workshop(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    // A recording in one file has no server to ask.
    let role = use_state(|| recording::inside().map(|_| Role::Owner));
    let trouble = use_state(|| None::<Failure>);
    let asked = use_state(|| 0u32);
    {
        let (role, trouble) = (role.clone(), trouble.clone());
        // A link with a secret that is pasted into an open page counts as well.
        let key = given("key");
        use_effect_with((key, *asked), move |_| {
            if recording::inside().is_some() {
                return;
            }
            spawn_local(async move {
                match who().await {
                    Ok(found) => {
                        LEARNER.set(found == Role::Learner);
                        trouble.set(None);
                        role.set(Some(found));
                    }
                    // Without an answer the page itself says what is wrong.
                    Err(e) if e.reason == "unreachable" || e.reason == "404" => {
                        role.set(Some(Role::Owner))
                    }
                    Err(e) => {
                        trouble.set(Some(e));
                        role.set(Some(Role::Nobody));
                    }
                }
            });
        });
    }
    let again = {
        let asked = asked.clone();
        Callback::from(move |()| asked.set(*asked + 1))
    };
    let joined = {
        let (again, go) = (again.clone(), props.go.clone());
        Callback::from(move |answer: Value| {
            if let Some(word) = answer["word"].as_str() {
                remember("workshop.word", word);
            }
            let world = answer["world"].as_str().unwrap_or_default().to_owned();
            go.emit(Address { world, ..Address::default() });
            again.emit(());
        })
    };
    match *role {
        None => html! { <p class="boot">{ "Podlab…" }</p> },
        Some(Role::Owner) => html! { <>{ props.children.clone() }</> },
        Some(role @ (Role::Nobody | Role::Waiting)) => {
            html! { <join::Join waiting={role == Role::Waiting} trouble={(*trouble).clone().map(|e| if e.reason == "Wrong" { t.instructor_wrong.to_owned() } else { e.to_string() })} {joined} /> }
        }
        Some(Role::Learner) => html! { <>
            <bar::Bar go={props.go.clone()} address={props.address.clone()} gone={again} />
            { props.children.clone() }
        </> },
        Some(Role::Instructor) => match props.address.workshop.as_str() {
            "board" | "join" => html! { <board::Board go={props.go.clone()} /> },
            "wall" => html! { <wall::Wall /> },
            _ => html! { <>
                <helm::Helm key={props.address.world.clone()} world={props.address.world.clone()} />
                { props.children.clone() }
            </> },
        },
    }
}
