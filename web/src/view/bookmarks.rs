//! The bookmarks of a world: as flags on the timeline, and as a list in which they are named.

use web_sys::{HtmlElement, HtmlInputElement};
use yew::prelude::*;

use crate::i18n::fill;
use crate::model::bookmark::{Bookmark, Bookmarks, LONGEST};
use crate::model::show;
use crate::ui::{remember, remembered, use_ui};
use crate::view::transport::Action;

const KEY: &str = "bookmarks";

fn shelf() -> serde_json::Value {
    serde_json::from_str(&remembered(KEY).unwrap_or_default()).unwrap_or_default()
}

/// What the browser remembers of a world.
pub fn load(world: &str) -> Bookmarks {
    Bookmarks::of(&shelf(), world)
}

/// Remembers them.
pub fn save(bookmarks: &Bookmarks, world: &str) {
    remember(KEY, &bookmarks.among(&shelf(), world).to_string());
}

/// What it is called: its name, or when it is.
fn called(b: &Bookmark) -> String {
    if b.name.is_empty() { show::instant(b.at) } else { b.name.clone() }
}

/// The flags on a timeline that ends at `whole` ns. The list has the same for the keyboard.
pub fn flags(bookmarks: &Bookmarks, whole: u64, act: &Callback<Action>) -> Html {
    html! { <>{ for bookmarks.iter().filter(|b| b.at <= whole).map(|b| {
        let at = b.at;
        let style = format!("left:{:.3}%", at as f64 / whole.max(1) as f64 * 100.0);
        html! { <i key={at.to_string()} class="flag" title={called(b)} {style} onclick={act.reform(move |_: MouseEvent| Action::Look(at))}>{ "⚑" }</i> }
    }) }</> }
}

/// The bookmarks of a world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// They.
    pub bookmarks: Bookmarks,
    /// The instant shown, in ns.
    pub told: u64,
    /// Does what is done with them.
    pub act: Callback<Action>,
}

/// Buttons to set one and to go to the next, and the list.
#[component]
pub fn BookmarkList(props: &Props) -> Html {
    let t = use_ui().t();
    let open = use_state(|| false);
    let list = use_node_ref();
    let opener = use_node_ref();
    // The one whose name is asked for.
    let asked = use_state(|| None::<u64>);
    {
        let list = list.clone();
        use_effect_with((*asked, *open), move |(asked, open)| {
            if let (Some(at), true, Some(list)) = (asked, open, list.cast::<web_sys::Element>())
                && let Ok(Some(field)) = list.query_selector(&format!("#bookmark-{at}"))
            {
                use wasm_bindgen::JsCast;
                if let Ok(field) = field.dyn_into::<HtmlElement>() {
                    // A field that is gone already takes no name.
                    let _ = field.focus();
                }
            }
        });
    }
    let act = |a: Action| props.act.reform(move |_: MouseEvent| a.clone());
    let set = {
        let (send, open, asked, told) =
            (props.act.clone(), open.clone(), asked.clone(), props.told);
        Callback::from(move |_: MouseEvent| {
            // What is on the screen is meant, also where the world runs on.
            send.emit(Action::Mark(told));
            asked.set(Some(told));
            open.set(true);
        })
    };
    let close = {
        let (open, asked, opener) = (open.clone(), asked.clone(), opener.clone());
        Callback::from(move |()| {
            open.set(false);
            asked.set(None);
            if let Some(button) = opener.cast::<HtmlElement>() {
                // Without focus the page is still usable from its beginning.
                let _ = button.focus();
            }
        })
    };
    let keys = {
        let close = close.clone();
        Callback::from(move |e: KeyboardEvent| {
            // Enter that ends the composition of a Japanese word is not meant for us.
            if e.key() == "Escape" || (e.key() == "Enter" && !e.is_composing() && is_field(&e)) {
                e.stop_propagation();
                e.prevent_default();
                close.emit(());
            }
        })
    };
    let toggle = {
        let (open, asked) = (open.clone(), asked.clone());
        Callback::from(move |_: MouseEvent| {
            asked.set(None);
            open.set(!*open);
        })
    };
    let count = props.bookmarks.len();
    let (before, after) = (props.bookmarks.before(props.told), props.bookmarks.after(props.told));
    let item = |b: &Bookmark| {
        let at = b.at;
        let when = show::instant(at);
        let name = props.act.reform(move |e: InputEvent| {
            Action::Name(at, e.target_unchecked_into::<HtmlInputElement>().value())
        });
        let unmark = {
            let (act, opener) = (props.act.clone(), opener.clone());
            Callback::from(move |_: MouseEvent| {
                // The keyboard must not fall into nothing with the button that goes.
                if let Some(button) = opener.cast::<HtmlElement>() {
                    let _ = button.focus();
                }
                act.emit(Action::Unmark(at));
            })
        };
        html! { <li key={at.to_string()}>
            <button class="jump" data-testid="bookmark-go" aria-label={fill(t.bookmark_go, &[&called(b)])} onclick={act(Action::Look(at))}>{ when.clone() }</button>
            <input type="text" id={format!("bookmark-{at}")} data-testid="bookmark-name" aria-label={fill(t.bookmark_name, &[&when])} placeholder={t.bookmark_unnamed}
                value={b.name.clone()} maxlength={LONGEST.to_string()} autocomplete="off" oninput={name} />
            <button class="close" data-testid="bookmark-remove" aria-label={fill(t.bookmark_remove, &[&called(b)])} title={fill(t.bookmark_remove, &[&called(b)])} onclick={unmark}>{ "×" }</button>
        </li> }
    };
    html! {
        <div class="bookmarks" role="group" aria-label={t.bookmarks} onkeydown={keys}>
            <button data-testid="bookmark" title={format!("{} (b)", t.bookmark_set)} aria-label={t.bookmark_set} onclick={set}>{ "⚑" }</button>
            if count > 0 {
                <button class="narrow" data-testid="bookmark-before" disabled={before.is_none()} title={format!("{} ([)", t.bookmark_before)} aria-label={t.bookmark_before}
                    onclick={act(Action::MarkBefore)}>{ "‹" }</button>
                <button ref={opener.clone()} class="narrow" data-testid="bookmarks" aria-expanded={open.to_string()} title={t.bookmarks} aria-label={fill(t.bookmarks_n, &[&count.to_string()])}
                    onclick={toggle}>{ count }</button>
                <button class="narrow" data-testid="bookmark-after" disabled={after.is_none()} title={format!("{} (])", t.bookmark_after)} aria-label={t.bookmark_after}
                    onclick={act(Action::MarkAfter)}>{ "›" }</button>
            }
            if *open && count > 0 {
                <ul class="bookmark-list" ref={list} data-testid="bookmark-list">{ for props.bookmarks.iter().map(item) }</ul>
            }
        </div>
    }
}

fn is_field(e: &KeyboardEvent) -> bool {
    e.target_dyn_into::<HtmlInputElement>().is_some()
}
