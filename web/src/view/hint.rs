//! What to do first. Who has seen it once is not told again.

use yew::prelude::*;

use crate::ui::{remember, remembered, use_ui};

/// First steps.
#[component]
pub fn Hint() -> Html {
    let t = use_ui().t();
    let open = use_state(|| remembered("hint").is_none());
    let close = {
        let open = open.clone();
        Callback::from(move |_: MouseEvent| {
            remember("hint", "seen");
            open.set(false);
        })
    };
    if !*open {
        return Html::default();
    }
    html! {
        <section class="hint" aria-label={t.hint} data-testid="hint">
            <ol>
                { for [t.hint_send, t.hint_freeze, t.hint_click, t.hint_break].iter().map(|step| html! { <li>{ *step }</li> }) }
            </ol>
            <button data-testid="hint-close" onclick={close}>{ t.hint_close }</button>
        </section>
    }
}
