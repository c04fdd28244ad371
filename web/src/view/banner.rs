//! How the connection to the world is, and what came of the last thing that was done.

use yew::prelude::*;

use crate::i18n::fill;
use crate::session::Link;
use crate::ui::{use_ui, window};

/// What there is to tell.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// How the stream is.
    pub link: Link,
    /// What came of the last thing that was done: said, or what went wrong.
    pub note: Option<Result<String, String>>,
    /// Whether older events are being fetched.
    pub fetching: bool,
    /// Whether a new world of the same pattern can be started.
    pub restartable: bool,
    /// Tries to connect again at once.
    pub again: Callback<MouseEvent>,
    /// Starts a new world of the same pattern.
    pub restart: Callback<MouseEvent>,
}

/// Tells it.
#[component]
pub fn Banner(props: &Props) -> Html {
    let t = use_ui().t();
    let reload = Callback::from(|_: MouseEvent| {
        // A page that cannot be reloaded stays as it is, with its message.
        let _ = window().location().reload();
    });
    let trouble = |text: String, button: Html| {
        html! { <div class="banner trouble" role="alert" data-testid="trouble"><span class="alarm" aria-hidden="true">{ "!" }</span><span>{ text }</span>{ button }</div> }
    };
    let reload = html! { <button onclick={reload}>{ t.reload }</button> };
    let state = match &props.link {
        Link::Open => Html::default(),
        Link::Connecting => html! { <div class="banner" role="status">{ t.connecting }</div> },
        Link::Waiting(s) => trouble(
            format!("{} {}", fill(t.reconnecting, &[&s.to_string()]), t.server_gone),
            html! { <button data-testid="again" onclick={props.again.clone()}>{ t.try_now }</button> },
        ),
        Link::Gone(why) => trouble(
            format!("{} {}", fill(t.world_gone, &[why]), t.world_gone_help),
            if props.restartable {
                html! { <button class="primary" onclick={props.restart.clone()}>{ t.start_again }</button> }
            } else {
                Html::default()
            },
        ),
        Link::Version(v) => trouble(
            fill(t.version_differs, &[&podlab_trace::wire::VERSION.to_string(), &v.to_string()]),
            reload,
        ),
        Link::Garbled => trouble(t.bad_data.to_owned(), reload),
    };
    let note = props.note.as_ref().map(|note| match note {
        Ok(said) => {
            html! { <div key={said.clone()} class="toast" role="status" data-testid="note">{ said.clone() }</div> }
        }
        Err(said) => {
            html! { <div key={said.clone()} class="toast trouble" role="alert" data-testid="note">{ said.clone() }</div> }
        }
    });
    html! { <>{ state }{ note }if props.fetching { <div class="toast" role="status">{ t.older }</div> }</> }
}
