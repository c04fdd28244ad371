//! Taking a seat, or taking it again.

use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::queue::Queue;
use super::{given, words};
use crate::api;
use crate::ui::use_ui;
use crate::view::app::focus;

/// What is wrong already, and what to do when a seat is taken.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// What is wrong with the link that led here.
    pub trouble: Option<String>,
    /// Whether this browser waits for a seat already.
    pub waiting: bool,
    /// A seat was taken.
    pub joined: Callback<Value>,
}

/// The form.
#[component]
pub fn Join(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let (code, name) = (use_node_ref(), use_node_ref());
    let (own, word) = (use_node_ref(), use_node_ref());
    let busy = use_state(|| false);
    let failure = use_state(|| None::<String>);
    // Whoever waits; with the code and name that this page knows.
    let waits = use_state(|| props.waiting.then_some(None::<(String, String)>));
    use_effect_with((), move |()| {
        focus(if given("code").is_some() { "join-name" } else { "join-code" })
    });
    let send = |path: &'static str, fields: [(&'static str, NodeRef); 2]| {
        let (busy, failure, joined) = (busy.clone(), failure.clone(), props.joined.clone());
        let waits = waits.clone();
        Callback::from(move |e: SubmitEvent| {
            e.prevent_default();
            let value = |node: &NodeRef| {
                node.cast::<HtmlInputElement>().map(|i| i.value()).unwrap_or_default()
            };
            let body =
                json!({ fields[0].0: value(&fields[0].1), fields[1].0: value(&fields[1].1) });
            let (busy, failure, joined) = (busy.clone(), failure.clone(), joined.clone());
            let known = (value(&fields[0].1), value(&fields[1].1));
            let waits = waits.clone();
            busy.set(true);
            failure.set(None);
            spawn_local(async move {
                let answer = api::call("POST", path, Some(body)).await;
                busy.set(false);
                match answer {
                    Ok(answer) if answer["waiting"] == true => waits.set(Some(Some(known))),
                    Ok(answer) => joined.emit(answer),
                    Err(e) => {
                        failure.set(Some(e.to_string()));
                        focus("join-trouble");
                    }
                }
            });
        })
    };
    if let Some(again) = &*waits {
        let gone = {
            let waits = waits.clone();
            Callback::from(move |()| waits.set(None))
        };
        return html! { <Queue again={again.clone()} joined={props.joined.clone()} {gone} /> };
    }
    let join = send("/api/workshop/join", [("code", code.clone()), ("name", name.clone())]);
    let back = send("/api/workshop/return", [("name", own.clone()), ("word", word.clone())]);
    let trouble = (*failure).clone().or_else(|| props.trouble.clone());
    html! {
        <main id="main" class="join" tabindex="-1">
            <h1>{ t.join_title }</h1>
            <p class="quiet">{ t.join_help }</p>
            <p id="join-trouble" class="trouble" role="alert" tabindex="-1" data-testid="join-trouble">{ trouble.unwrap_or_default() }</p>
            <form onsubmit={join} autocomplete="off">
                <label for="join-code">{ t.code }</label>
                <input id="join-code" ref={code} data-testid="join-code" required=true maxlength="12" autocapitalize="characters" spellcheck="false"
                    aria-describedby="code-help" value={given("code")} />
                <p id="code-help" class="quiet">{ t.code_help }</p>
                <label for="join-name">{ t.name }</label>
                <input id="join-name" ref={name} data-testid="join-name" required=true maxlength="40" />
                <button class="primary big" data-testid="join" disabled={*busy}>{ if *busy { t.joining } else { t.join } }</button>
            </form>
            <details>
                <summary data-testid="return-open">{ t.back_title }</summary>
                <p class="quiet">{ t.back_help }</p>
                <form onsubmit={back} autocomplete="off">
                    <label for="return-name">{ t.name }</label>
                    <input id="return-name" ref={own} data-testid="return-name" required=true maxlength="40" />
                    <label for="return-word">{ t.word }</label>
                    <input id="return-word" ref={word} data-testid="return-word" required=true maxlength="40" autocapitalize="none" spellcheck="false" />
                    <button data-testid="return" disabled={*busy}>{ t.back }</button>
                </form>
            </details>
        </main>
    }
}
