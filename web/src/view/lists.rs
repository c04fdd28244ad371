//! Messages, logs and events as lists of which only the visible part is built.

use std::collections::BTreeSet;

use gloo_timers::callback::Timeout;
use podlab_trace::event::Seq;
use web_sys::{HtmlElement, HtmlInputElement};
use yew::prelude::*;

use crate::model::rows::{List, Mark, Row, name, rows};
use crate::model::show;
use crate::session::Shared;
use crate::ui::use_ui;
use crate::view::inspector::Selection;
use crate::view::stage::{shape_name, shape_sign};

/// The height of a row in CSS pixels; the style sheet knows it too.
const ROW: f64 = 46.0;
/// At most this many rows are listed: the newest.
const MOST: usize = 3_000;

/// A list.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// Which list.
    pub list: List,
    /// What is selected.
    pub selected: Selection,
    /// Selects something.
    pub select: Callback<Selection>,
    /// The containers whose lines are wanted; empty for all.
    #[prop_or_default]
    pub who: BTreeSet<String>,
    /// Wants those of others.
    #[prop_or_default]
    pub want: Callback<BTreeSet<String>>,
    /// The filter.
    #[prop_or_default]
    pub filter: String,
    /// Filters by something else.
    #[prop_or_default]
    pub sift: Callback<String>,
}

/// A list with its filter.
#[component]
pub fn Rows(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let scroll = use_state(|| (0.0, 600.0, true));
    let body = use_node_ref();
    let (list, places): (Vec<Row>, Vec<String>) = {
        let mut s = props.session.0.borrow_mut();
        let (edge, state) = (s.edge(), s.state());
        let list = rows(s.around(), props.list, edge, &props.filter, &props.who, MOST);
        let mut places: Vec<String> = state
            .places
            .iter()
            .filter(|(_, p)| !p.container.is_empty() && !p.pod.is_empty())
            .map(|(id, _)| name(&state, *id))
            .collect();
        places.sort();
        places.dedup();
        (list, places)
    };
    let (top, height, follow) = *scroll;
    {
        // The newest stays in sight until one scrolls away from it.
        let body = body.clone();
        use_effect_with((list.len(), list.last().map(|r| r.seq), follow), move |(_, _, follow)| {
            if *follow && let Some(body) = body.cast::<HtmlElement>() {
                body.set_scroll_top(body.scroll_height());
            }
        });
    }
    {
        // What is selected elsewhere is brought into sight here.
        let (body, scroll) = (body.clone(), scroll.clone());
        let chosen = match props.selected {
            Selection::Event(seq) => list.iter().position(|r| r.seq == seq),
            _ => None,
        };
        use_effect_with(props.selected.clone(), move |_| {
            let (Some(at), Some(body)) = (chosen, body.cast::<HtmlElement>()) else { return };
            let (y, top, height) =
                (at as f64 * ROW, f64::from(body.scroll_top()), f64::from(body.client_height()));
            if y < top || y + ROW > top + height {
                let top = (y - height / 2.0).max(0.0);
                scroll.set((top, height, false));
                body.set_scroll_top(top as i32);
            }
        });
    }
    let onscroll = {
        let scroll = scroll.clone();
        Callback::from(move |e: Event| {
            let body = e.target_unchecked_into::<HtmlElement>();
            let (top, height) = (f64::from(body.scroll_top()), f64::from(body.client_height()));
            let follow = top + height > f64::from(body.scroll_height()) - ROW;
            if *scroll != (top, height, follow) {
                scroll.set((top, height, follow));
            }
        })
    };
    let first = ((top / ROW) as usize).saturating_sub(8).min(list.len().saturating_sub(1));
    let first =
        if follow { list.len().saturating_sub((height / ROW) as usize + 16) } else { first };
    let count = (height / ROW) as usize + 24;
    let shown = list.iter().enumerate().skip(first).take(count);
    // Also while an input method composes: the field must never be set to anything but what it
    // shows, or the composition would be lost.
    let oninput =
        props.sift.reform(|e: InputEvent| e.target_unchecked_into::<HtmlInputElement>().value());
    let chip = |p: &String| {
        let on = props.who.contains(p);
        let mut new = props.who.clone();
        if !new.remove(p) {
            new.insert(p.clone());
        }
        let onclick = props.want.reform(move |_: MouseEvent| new.clone());
        html! { <button key={p.clone()} class="form" aria-pressed={on.to_string()} {onclick}>{ p.clone() }</button> }
    };
    let everybody = props.want.reform(|_: MouseEvent| BTreeSet::new());
    let onkeydown = Callback::from(|e: KeyboardEvent| {
        let to = match e.key().as_str() {
            "ArrowDown" => e.target_unchecked_into::<web_sys::Element>().next_element_sibling(),
            "ArrowUp" => e.target_unchecked_into::<web_sys::Element>().previous_element_sibling(),
            _ => return,
        };
        use wasm_bindgen::JsCast;
        if let Some(to) = to.and_then(|e| e.dyn_into::<HtmlElement>().ok()) {
            e.prevent_default();
            Timeout::new(0, move || {
                // A row that has just been scrolled away takes no focus.
                let _ = to.focus();
            })
            .forget();
        }
    });
    let title = match props.list {
        List::Messages => t.messages,
        List::Logs => t.logs,
        List::Events => t.events,
    };
    let row = |(i, r): (usize, &Row)| {
        let choice = Selection::Event(r.seq);
        let chosen = props.selected == choice;
        let onclick = props.select.reform(move |_: MouseEvent| choice.clone());
        html! { <button key={r.seq} class={classes!("row", class_of(props.list), chosen.then_some("chosen"))} style={format!("top:{}px", i as f64 * ROW)} {onclick}>
            { sign(t, r) }<span class="what" title={r.what.clone()}>{ r.what.clone() }</span><span class="at">{ show::instant(r.at) }</span>
            <span class="who">{ r.who.clone() }if !r.whom.is_empty() { <span class="to">{ " → " }</span>{ r.whom.clone() } }</span>
        </button> }
    };
    html! {
        <div class="list">
            <div class="tools">
                <input type="search" value={props.filter.clone()} placeholder={t.filter} aria-label={format!("{} ({})", t.filter, t.filter_help)} title={t.filter_help} {oninput} />
            </div>
            if props.list == List::Logs {
                <div class="forms of-logs" role="group" aria-label={t.container} data-testid="log-containers">
                    <button class="form" aria-pressed={props.who.is_empty().to_string()} onclick={everybody}>{ t.all_containers }</button>
                    { for places.iter().map(chip) }
                </div>
            }
            <div class="rows" ref={body} {onscroll} {onkeydown} role="group" aria-label={title} tabindex={if list.is_empty() { "-1" } else { "0" }} data-testid="rows" data-count={list.len().to_string()}>
                if list.is_empty() { <p class="quiet">{ t.no_rows }</p> }
                <div class="run" style={format!("height:{}px", list.len() as f64 * ROW)}>{ for shown.map(row) }</div>
            </div>
        </div>
    }
}

fn class_of(list: List) -> &'static str {
    match list {
        List::Messages => "message",
        List::Logs => "log",
        List::Events => "event",
    }
}

/// The sign of a row, with a name for those who do not see it.
pub fn sign(t: &crate::i18n::Texts, row: &Row) -> Html {
    let (sign, name) = match row.mark {
        Mark::Shape(shape) => (shape_sign(shape), shape_name(t, shape)),
        Mark::Out => (html! { <i class="sign out">{ "›" }</i> }, "stdout"),
        Mark::Err => (html! { <i class="sign err">{ "!" }</i> }, "stderr"),
        Mark::Normal => (html! { <i class="sign normal">{ "i" }</i> }, "Normal"),
        Mark::Warning => (html! { <i class="sign warning">{ "!" }</i> }, "Warning"),
        Mark::Program => (html! { <i class="sign program">{ "●" }</i> }, t.container),
        Mark::Outside => (html! { <i class="sign outside">{ "◆" }</i> }, t.outside),
    };
    html! { <>{ sign }<span class="unseen">{ name }</span></> }
}

/// The latest messages, as a strip below the picture: what flies can be reached from here by
/// keyboard.
#[derive(Properties, PartialEq)]
pub struct StripProps {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// What is selected.
    pub selected: Option<Seq>,
    /// Selects something.
    pub select: Callback<Selection>,
}

/// The latest messages.
#[component]
pub fn Strip(props: &StripProps) -> Html {
    let t = use_ui().t();
    let s = props.session.0.borrow();
    let mut list = rows(s.around(), List::Messages, s.edge(), "", &BTreeSet::new(), 6);
    list.reverse();
    html! {
        <div class="strip" role="group" aria-label={t.recent} data-testid="strip">
            { for list.iter().map(|r| {
                let seq = r.seq;
                let onclick = props.select.reform(move |_: MouseEvent| Selection::Event(seq));
                html! { <button key={seq} class={classes!((props.selected == Some(seq)).then_some("chosen"))} {onclick}>
                    { sign(t, r) }<span>{ r.what.clone() }</span><span class="quiet">{ format!("{} → {}", r.who, r.whom) }</span></button> }
            }) }
            if list.is_empty() { <span class="quiet">{ t.nothing_yet }</span> }
        </div>
    }
}
