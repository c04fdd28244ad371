//! A recording from a file becomes a world: dropped on the page, or chosen.

use gloo_events::{EventListener, EventListenerOptions};
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DragEvent, File, HtmlInputElement};
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::ui::{use_ui, window};

/// The most bytes the server takes.
const MOST: f64 = 128.0 * 1024.0 * 1024.0;

/// Where it leads.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// What came of it.
#[derive(Clone, PartialEq)]
enum Came {
    Nothing,
    Reading(String),
    /// What is to be known before one goes there.
    Odd(String, Box<Address>),
    Wrong(String),
}

/// The world in the server's answer, and what is odd about it.
fn answered(t: &Texts, answer: &Value) -> Option<(Address, Option<String>)> {
    let world = &answer["world"];
    let address = Address {
        world: world["id"].as_str()?.to_owned(),
        pattern: world["pattern"].as_str().unwrap_or_default().to_owned(),
        seed: world["seed"].as_u64(),
        ..Address::default()
    };
    let lost = answer["lostBytes"].as_u64().unwrap_or(0);
    let odd = if answer["identical"] == false {
        Some(t.open_differs.to_owned())
    } else if lost > 0 {
        Some(fill(t.open_cut, &[&lost.to_string()]))
    } else {
        None
    };
    Some((address, odd))
}

fn refused(t: &Texts, name: &str, e: &Failure) -> String {
    let why = if e.reason == "unreachable" { t.server_gone.to_owned() } else { e.to_string() };
    fill(t.open_failed, &[name, &why])
}

/// A place to drop a file on, with a button that chooses one.
#[component]
pub fn Opening(props: &Props) -> Html {
    let t = use_ui().t();
    let came = use_state(|| Came::Nothing);
    let over = use_state(|| false);
    let open = {
        let (came, go) = (came.clone(), props.go.clone());
        Callback::from(move |file: File| {
            let (came, go, name) = (came.clone(), go.clone(), file.name());
            if file.size() > MOST {
                came.set(Came::Wrong(fill(t.open_too_large, &[&name])));
                return;
            }
            came.set(Came::Reading(name.clone()));
            spawn_local(async move {
                match api::upload("/api/recordings", &file).await {
                    Ok(answer) => match answered(t, &answer) {
                        Some((address, None)) => go.emit(address),
                        Some((address, Some(odd))) => came.set(Came::Odd(odd, Box::new(address))),
                        None => came.set(Came::Wrong(t.bad_data.to_owned())),
                    },
                    Err(e) => came.set(Came::Wrong(refused(t, &name, &e))),
                }
            });
        })
    };
    {
        // The whole page takes what is dropped: a file that misses would replace it.
        let (over, open) = (over.clone(), open.clone());
        use_effect_with((), move |()| {
            let must = EventListenerOptions::enable_prevent_default();
            let on = |name: &'static str, f: Box<dyn Fn(&DragEvent)>| {
                EventListener::new_with_options(&window(), name, must, move |e| {
                    let Some(e) = e.dyn_ref::<DragEvent>() else { return };
                    e.prevent_default();
                    f(e);
                })
            };
            let (enter, leave) = (over.clone(), over.clone());
            let listeners = [
                on("dragover", Box::new(move |_| enter.set(true))),
                on("dragleave", Box::new(move |_| leave.set(false))),
                on(
                    "drop",
                    Box::new(move |e| {
                        over.set(false);
                        let files = e.data_transfer().and_then(|d| d.files());
                        if let Some(file) = files.and_then(|f| f.get(0)) {
                            open.emit(file);
                        }
                    }),
                ),
            ];
            move || drop(listeners)
        });
    }
    let onchange = {
        let open = open.clone();
        Callback::from(move |e: Event| {
            let input: HtmlInputElement = e.target_unchecked_into();
            if let Some(file) = input.files().and_then(|f| f.get(0)) {
                open.emit(file);
            }
            // The same file may be chosen again once it was corrected.
            input.set_value("");
        })
    };
    let busy = matches!(*came, Came::Reading(_));
    html! {
        <section class={classes!("opening", over.then_some("over"))} aria-labelledby="opening">
            <h2 id="opening">{ t.open_recording }</h2>
            <p>{ t.open_help }</p>
            <input type="file" accept=".plrec" data-testid="open-recording" aria-labelledby="opening" disabled={busy} {onchange} />
            { match &*came {
                Came::Nothing => Html::default(),
                Came::Reading(name) => html! { <p role="status">{ fill(t.open_reading, &[name]) }</p> },
                Came::Wrong(said) => html! { <p class="trouble" role="alert" data-testid="open-trouble">{ said.clone() }</p> },
                Came::Odd(said, address) => {
                    let go = props.go.clone();
                    let to = address.clone();
                    html! { <p role="alert" data-testid="open-odd">{ said.clone() }{ " " }
                        <button class="primary" onclick={move |_: MouseEvent| go.emit((*to).clone())}>{ t.open_world }</button></p> }
                }
            } }
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;
    use serde_json::json;

    #[test]
    fn what_is_odd_is_said_before_one_goes_there() {
        let t = Lang::En.texts();
        let answer = |identical: Value, lost: u64| {
            let world = json!({"id": "w4", "pattern": "sidecar", "seed": 9});
            answered(t, &json!({"world": world, "identical": identical, "lostBytes": lost}))
        };
        let (address, odd) = answer(json!(true), 0).unwrap();
        assert_eq!((address.world.as_str(), address.seed, odd), ("w4", Some(9), None));
        assert_eq!(answer(json!(null), 0).unwrap().1, None);
        assert!(answer(json!(null), 12).unwrap().1.unwrap().contains("12"));
        assert_eq!(answer(json!(false), 12).unwrap().1.unwrap(), t.open_differs);
        assert_eq!(answered(t, &json!([])), None);
    }
}
