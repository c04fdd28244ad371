//! The breakpoints: a button beside the controls of time, and the list in which they are set,
//! named, heeded or not, and removed.

use web_sys::{HtmlElement, HtmlInputElement};
use yew::prelude::*;

use crate::i18n::fill;
use crate::i18n::inspect::{self, Texts};
use crate::model::breakpoint::{Breakpoint, Breakpoints, NAME, Refused};
use crate::model::filter::{FIELDS, KINDS, LONGEST, Wrong};
use crate::ui::{remember, remembered, use_ui};

/// What one may want to wait for, where nothing else comes to mind.
const EXAMPLES: [&str; 4] = ["kind:restart", "is:error", "status:>=500", "kind:probe body:failed"];

fn key(pattern: &str) -> String {
    format!("breakpoints.{pattern}")
}

/// What the browser remembers for a pattern.
pub fn load(pattern: &str) -> Breakpoints {
    let text = remembered(&key(pattern)).unwrap_or_default();
    Breakpoints::of(&serde_json::from_str(&text).unwrap_or_default())
}

/// Remembers them.
pub fn save(points: &Breakpoints, pattern: &str) {
    remember(&key(pattern), &points.json().to_string());
}

/// What can be done with them.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new one, by what it waits for.
    Add(String),
    /// Gives one a name.
    Name(usize, String),
    /// Heeds one, or does not.
    Switch(usize, bool),
    /// Takes one away.
    Remove(usize),
}

/// Why there is no new breakpoint, in words.
pub fn told(t: &Texts, refused: &Refused) -> String {
    match refused {
        Refused::Twice => t.breakpoint_twice.into(),
        Refused::Full => t.breakpoint_full.into(),
        Refused::Wrong(Wrong::Empty) => t.filter_empty.into(),
        Refused::Wrong(Wrong::Long) => t.filter_long.into(),
        Refused::Wrong(Wrong::Field(field)) => {
            fill(t.filter_field, &[field, &FIELDS.map(|f| format!("{f}:")).join(" ")])
        }
        Refused::Wrong(Wrong::Value(field, value)) => {
            let remedy = match *field {
                "kind" => fill(t.filter_kinds, &[&KINDS.join(", ")]),
                "is" => t.filter_marks.into(),
                "status" => t.filter_status.into(),
                "conn" | "after" | "before" => t.filter_number.into(),
                _ => t.filter_value_missing.into(),
            };
            fill(t.filter_value, &[value, field, &remedy])
        }
    }
}

/// The breakpoints of a pattern.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// They.
    pub points: Breakpoints,
    /// The one at which the world stands.
    pub hit: Option<usize>,
    /// Changes them.
    pub change: Callback<Change>,
}

/// The button, and the list.
#[component]
pub fn BreakpointList(props: &Props) -> Html {
    let t = inspect::of(use_ui().choices.lang);
    let open = use_state(|| false);
    let text = use_state(String::new);
    let wrong = use_state(|| None::<Refused>);
    let (opener, field) = (use_node_ref(), use_node_ref());
    {
        let field = field.clone();
        use_effect_with(*open, move |open| {
            if let (true, Some(field)) = (*open, field.cast::<HtmlElement>()) {
                // A field that is gone already takes no focus.
                let _ = field.focus();
            }
        });
    }
    let close = {
        let (open, opener) = (open.clone(), opener.clone());
        Callback::from(move |()| {
            open.set(false);
            if let Some(button) = opener.cast::<HtmlElement>() {
                // Without focus the page is still usable from its beginning.
                let _ = button.focus();
            }
        })
    };
    let keys = {
        let close = close.clone();
        Callback::from(move |e: KeyboardEvent| {
            if e.key() == "Escape" {
                e.stop_propagation();
                close.emit(());
            }
        })
    };
    let toggle = {
        let open = open.clone();
        Callback::from(move |_: MouseEvent| open.set(!*open))
    };
    let add = {
        let (points, change) = (props.points.clone(), props.change.clone());
        let (text, wrong) = (text.clone(), wrong.clone());
        Callback::from(move |e: SubmitEvent| {
            e.prevent_default();
            match points.clone().add(&text, "") {
                Ok(()) => {
                    change.emit(Change::Add((*text).clone()));
                    text.set(String::new());
                    wrong.set(None);
                }
                Err(refused) => wrong.set(Some(refused)),
            }
        })
    };
    let oninput = {
        let (text, wrong) = (text.clone(), wrong.clone());
        Callback::from(move |e: InputEvent| {
            text.set(e.target_unchecked_into::<HtmlInputElement>().value());
            wrong.set(None);
        })
    };
    let example = |say: &&'static str| {
        let (text, wrong, field, say) = (text.clone(), wrong.clone(), field.clone(), *say);
        let onclick = Callback::from(move |_: MouseEvent| {
            text.set(say.into());
            wrong.set(None);
            if let Some(field) = field.cast::<HtmlElement>() {
                let _ = field.focus();
            }
        });
        html! { <button type="button" class="form" {onclick}><code>{ say }</code></button> }
    };
    let item = |(at, b): (usize, &Breakpoint)| {
        let called = b.called().to_owned();
        let on = b.on;
        let switch = props.change.reform(move |_: Event| Change::Switch(at, !on));
        let name = props.change.reform(move |e: InputEvent| {
            Change::Name(at, e.target_unchecked_into::<HtmlInputElement>().value())
        });
        let remove = {
            let (change, field) = (props.change.clone(), field.clone());
            Callback::from(move |_: MouseEvent| {
                // The keyboard must not fall into nothing with the button that goes.
                if let Some(field) = field.cast::<HtmlElement>() {
                    let _ = field.focus();
                }
                change.emit(Change::Remove(at));
            })
        };
        let here = props.hit == Some(at);
        html! { <li key={b.text.clone()} class={classes!(here.then_some("here"), (!on).then_some("off"))}>
            <input type="checkbox" checked={on} data-testid="breakpoint-on" aria-label={fill(t.breakpoint_on, &[&called])} onchange={switch} />
            <div><code>{ b.text.clone() }</code>if here { <b class="here-mark">{ "◂ " }{ t.breakpoint_here }</b> }
                <input type="text" data-testid="breakpoint-name" aria-label={fill(t.breakpoint_name, &[&b.text])} placeholder={t.breakpoint_unnamed} value={b.name.clone()} maxlength={NAME.to_string()}
                    autocomplete="off" oninput={name} /></div>
            <button class="close" data-testid="breakpoint-remove" aria-label={fill(t.breakpoint_remove, &[&called])} title={fill(t.breakpoint_remove, &[&called])} onclick={remove}>{ "×" }</button>
        </li> }
    };
    let on = props.points.iter().filter(|b| b.on).count();
    let label = fill(t.breakpoints_n, &[&on.to_string(), &props.points.len().to_string()]);
    html! {
        <div class="breakpoints" role="group" aria-label={t.breakpoints} onkeydown={keys}>
            <button ref={opener} class={classes!("stops", props.hit.is_some().then_some("hit"))} data-testid="breakpoints" aria-expanded={open.to_string()} aria-label={label.clone()} title={format!("{}. {}", label, t.breakpoints_help)} onclick={toggle}>
                <svg viewBox="0 0 16 16" width="15" height="15" aria-hidden="true"><path d="M5.2 1.500h5.600L14.500 5.200v5.600L10.800 14.500H5.200L1.500 10.800V5.200z" /></svg>
                if !props.points.is_empty() { <span>{ on }</span> }</button>
            if *open {
                <div class="breakpoint-list" data-testid="breakpoint-list">
                    <form onsubmit={add}>
                        <label for="breakpoint-when">{ t.breakpoint_when }</label>
                        <input ref={field.clone()} id="breakpoint-when" type="text" data-testid="breakpoint-when" value={(*text).clone()} maxlength={LONGEST.to_string()} placeholder="path:/lock" autocomplete="off" spellcheck="false"
                            autocapitalize="off" aria-describedby="breakpoint-said" aria-invalid={wrong.is_some().to_string()} {oninput} />
                        <button data-testid="breakpoint-add">{ t.breakpoint_add }</button>
                    </form>
                    <p id="breakpoint-said" role="status" class={if wrong.is_some() { "trouble" } else { "quiet" }} data-testid="breakpoint-said">{ (*wrong).as_ref().map_or_else(|| t.breakpoints_help.to_owned(), |w| told(t, w)) }</p>
                    <div class="forms" role="group" aria-label={t.breakpoint_try}>{ for EXAMPLES.iter().map(example) }</div>
                    if !props.points.is_empty() { <ul>{ for props.points.iter().enumerate().map(item) }</ul> }
                </div>
            }
        </div>
    }
}
