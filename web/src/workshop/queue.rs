//! Waiting for a seat: the page asks by itself, shows how far one has come, and sits down.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::words;
use crate::api;
use crate::i18n::fill;
use crate::ui::use_ui;

/// How long to wait after a failure, in ms.
const PATIENCE: u32 = 2000;

/// Who waits.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Code and name, where this page knows them: with them it joins again after a restart.
    pub again: Option<(String, String)>,
    /// A seat was taken.
    pub joined: Callback<Value>,
    /// One does not wait any more.
    pub gone: Callback<()>,
}

/// The queue.
#[component]
pub fn Queue(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let seen = use_state(|| Value::Null);
    {
        let (seen, again) = (seen.clone(), props.again.clone());
        let (joined, gone) = (props.joined.clone(), props.gone.clone());
        use_effect_with((), move |()| {
            let over = Rc::new(Cell::new(false));
            let ended = over.clone();
            spawn_local(async move {
                let mut place = 0;
                while !ended.get() {
                    let path = format!("/api/workshop/queue?after={place}");
                    let answer = match api::call("GET", &path, None).await {
                        Ok(view) if view["ready"] == true => {
                            api::call("POST", "/api/workshop/seat", None).await
                        }
                        Err(e) if e.reason == "NoSeat" => match &again {
                            Some((code, name)) => {
                                let body = json!({ "code": code, "name": name });
                                api::call("POST", "/api/workshop/join", Some(body)).await
                            }
                            None => {
                                gone.emit(());
                                return;
                            }
                        },
                        other => other,
                    };
                    match answer {
                        _ if ended.get() => return,
                        Ok(answer) if answer["seat"].is_u64() => {
                            joined.emit(answer);
                            return;
                        }
                        Ok(view) if view["place"].is_u64() => {
                            place = view["place"].as_u64().unwrap_or(0);
                            seen.set(view);
                        }
                        // Joined once more, and waits anew.
                        Ok(_) => place = 0,
                        Err(e) if e.reason == "NameTaken" => {
                            gone.emit(());
                            return;
                        }
                        Err(_) => TimeoutFuture::new(PATIENCE).await,
                    }
                }
            });
            move || over.set(true)
        });
    }
    let leave = {
        let gone = props.gone.clone();
        Callback::from(move |_: MouseEvent| {
            let gone = gone.clone();
            spawn_local(async move {
                // Who has gone is forgotten after a while in any case.
                let _ = api::call("POST", "/api/workshop/leave", None).await;
                gone.emit(());
            });
        })
    };
    let number = |name: &str| seen[name].as_u64().unwrap_or(0).to_string();
    html! {
        <main id="main" class="join" tabindex="-1" data-testid="queue">
            <h1>{ t.queue_title }</h1>
            <p class="huge" role="status" aria-live="polite" data-testid="queue-place">{ if seen.is_null() { t.joining.to_owned() } else { fill(t.queue_place, &[&number("place"), &number("of")]) } }</p>
            <p>{ t.queue_help }</p>
            <p><button data-testid="queue-leave" onclick={leave}>{ t.queue_leave }</button></p>
        </main>
    }
}
