//! Bytes in several forms.

use yew::prelude::*;

use crate::i18n::fill;
use crate::model::show;
use crate::ui::use_ui;

/// Some bytes.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The bytes that were kept.
    pub bytes: bytes::Bytes,
    /// How many there were.
    pub whole: u64,
    /// What they are, for people who cannot see where they stand.
    pub of: AttrValue,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Text,
    Json,
    Hex,
}

/// The bytes, in the form that suits them best or that was asked for.
#[component]
pub fn Payload(props: &Props) -> Html {
    let t = use_ui().t();
    let asked = use_state(|| None::<Form>);
    if props.bytes.is_empty() {
        return html! { <p class="quiet">{ t.no_body }</p> };
    }
    let (text, json) = (show::text(&props.bytes), show::json(&props.bytes));
    let best = match (&json, text) {
        (Some(_), _) => Form::Json,
        (None, Some(_)) => Form::Text,
        _ => Form::Hex,
    };
    let form = match (*asked, &json, text) {
        (Some(Form::Json), None, _) | (Some(Form::Text), _, None) | (None, ..) => best,
        (Some(form), ..) => form,
    };
    let shown = match form {
        Form::Text => text.unwrap_or_default().to_owned(),
        Form::Json => json.clone().unwrap_or_default(),
        Form::Hex => show::hex(&props.bytes),
    };
    let tab = |of: Form, name: &'static str, can: bool| {
        let asked = asked.clone();
        html! { <button class="form" aria-pressed={(form == of).to_string()} disabled={!can} onclick={move |_| asked.set(Some(of))}>{ name }</button> }
    };
    html! {
        <div class="payload">
            <div class="forms" role="group" aria-label={format!("{} {}", t.body, props.of)}>
                { tab(Form::Text, t.as_text, text.is_some()) }
                { tab(Form::Json, t.as_json, json.is_some()) }
                { tab(Form::Hex, t.as_hex, true) }
                <span class="quiet">{ show::size(props.whole) }</span>
            </div>
            <pre tabindex="0" aria-label={format!("{} {}", t.body, props.of)} role="region">{ shown }</pre>
            if (props.bytes.len() as u64) < props.whole {
                <p class="quiet">{ fill(t.clipped, &[&show::size(props.bytes.len() as u64), &show::size(props.whole)]) }</p>
            }
        </div>
    }
}
