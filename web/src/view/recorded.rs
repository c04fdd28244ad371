//! What stands in a recording where a world would offer deeds.

use podlab_trace::state::State;
use serde_json::Value;
use yew::prelude::*;

use crate::model::yaml::{editable, yaml};
use crate::ui::use_ui;
use crate::view::editor::Editor;

/// Why nothing can be done.
#[component]
pub fn NoDeeds() -> Html {
    let t = use_ui().t();
    html! { <p class="quiet" data-testid="no-deeds">{ t.not_in_a_recording }</p> }
}

/// Whose page this is, above the lists.
#[component]
pub fn About() -> Html {
    let t = use_ui().t();
    html! { <p class="about-recording" data-testid="about-recording">{ t.recording_about }</p> }
}

/// An object of a recording.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Its name.
    pub name: String,
    /// It as YAML, or empty.
    pub text: String,
}

/// An object as it was at the instant shown, to read.
#[component]
pub fn Read(props: &Props) -> Html {
    let t = use_ui().t();
    if props.text.is_empty() {
        return html! { <p class="quiet">{ t.not_kept }</p> };
    }
    html! {
        <div class="object" data-testid="object">
            <Editor id="object-yaml" label={props.name.clone()} text={props.text.clone()} wrong={Vec::new()} fixed={true} change={Callback::noop()} />
        </div>
    }
}

/// An object as the trace has it.
pub fn object(state: &State, kind: &str, namespace: &str, name: &str) -> Html {
    let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
    let text = state.objects.get(&key).map(|held| {
        // The trace holds what the API server held.
        let object: Value = serde_json::from_str(&held.json).unwrap_or_default();
        yaml(&editable(&object))
    });
    html! { <Read name={name.to_owned()} text={text.unwrap_or_default()} /> }
}
