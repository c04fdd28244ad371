//! A field for YAML: lines have numbers, and what is wrong stands at its line.

use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlTextAreaElement};
use yew::prelude::*;

use crate::i18n::fill;
use crate::ui::{use_ui, window};

/// Something that is wrong: its line from 1, 0 where none is known, and what it is.
pub type Wrong = (usize, String);

/// A text that is edited.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The text.
    pub text: AttrValue,
    /// What is wrong with it.
    pub wrong: Vec<Wrong>,
    /// A name for the field.
    pub label: AttrValue,
    /// Its id in the document.
    pub id: AttrValue,
    /// Whether it can only be read.
    #[prop_or_default]
    pub fixed: bool,
    /// The text is another now.
    #[prop_or_default]
    pub change: Callback<String>,
}

/// The field.
#[component]
pub fn Editor(props: &Props) -> Html {
    let t = use_ui().t();
    let lines = props.text.lines().count() + usize::from(props.text.ends_with('\n'));
    let widest = props.text.lines().map(width).max().unwrap_or(0);
    let bad = |n: usize| props.wrong.iter().any(|(line, _)| *line == n);
    let oninput = props
        .change
        .reform(|e: InputEvent| e.target_unchecked_into::<HtmlTextAreaElement>().value());
    let onkeydown = {
        let change = props.change.clone();
        Callback::from(move |e: KeyboardEvent| {
            // While an input method composes, Enter belongs to it.
            if e.key() == "Enter" && !e.is_composing() && !e.ctrl_key() && !e.meta_key() {
                indent(&e, &change);
            }
        })
    };
    let list = format!("{}-wrong", props.id);
    let wrong = props.wrong.iter().map(|(line, what)| {
        let (id, line) = (props.id.clone(), *line);
        let go = Callback::from(move |_: MouseEvent| select(&id, line));
        html! { <li>
            if line > 0 { <button class="jump" onclick={go}>{ fill(t.line_n, &[&line.to_string()]) }</button> }
            <span>{ what.clone() }</span></li> }
    });
    html! {
        <div class="editor">
            <div class="sheetpaper" tabindex="-1">
                <div class="gutter" aria-hidden="true">
                    { for (1..=lines.max(1)).map(|n| html! { <span class={bad(n).then_some("bad")}>{ n }</span> }) }
                </div>
                <textarea id={props.id.clone()} class="code" value={props.text.clone()} readonly={props.fixed} spellcheck="false" autocomplete="off" autocapitalize="off" wrap="off"
                    aria-label={props.label.clone()} aria-invalid={(!props.wrong.is_empty()).to_string()} aria-describedby={list.clone()}
                    rows={lines.max(1).to_string()} style={format!("width:max(100%, {}ch)", widest + 6)} {oninput} {onkeydown} />
            </div>
            <div role="status" id={list}><ul class="wrongs" data-testid="wrongs">{ for wrong }</ul></div>
        </div>
    }
}

/// How many columns a line takes: a Japanese character takes two.
fn width(line: &str) -> usize {
    line.chars().map(|c| if (c as u32) < 0x1100 { 1 } else { 2 }).sum()
}

/// Begins a new line as deep as the one before.
fn indent(e: &KeyboardEvent, change: &Callback<String>) {
    let area = e.target_unchecked_into::<HtmlTextAreaElement>();
    let text = area.value();
    // The browser counts in UTF-16.
    let units: Vec<u16> = text.encode_utf16().collect();
    let Ok(Some(at)) = area.selection_start() else { return };
    let before = String::from_utf16_lossy(&units[..(at as usize).min(units.len())]);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let depth = line.len() - line.trim_start_matches(' ').len();
    let depth = depth + if line.trim_end().ends_with(':') { 2 } else { 0 };
    if depth == 0 {
        return;
    }
    e.prevent_default();
    let new = format!("\n{}", " ".repeat(depth));
    // Through the browser's own command, so that its undo knows of it.
    let document = window().document().and_then(|d| d.dyn_into::<web_sys::HtmlDocument>().ok());
    let done = document.is_some_and(|d| {
        d.exec_command_with_show_ui_and_value("insertText", false, &new).unwrap_or(false)
    });
    if !done && area.set_range_text(&new).is_ok() {
        change.emit(area.value());
    }
}

/// Selects a line of the field with this id, and brings it into sight.
pub fn select(id: &str, line: usize) {
    let element = window().document().and_then(|d| d.get_element_by_id(id));
    let Some(area) = element.and_then(|e| e.dyn_into::<HtmlTextAreaElement>().ok()) else { return };
    let text = area.value();
    let units = |s: &str| s.encode_utf16().count() as u32;
    let before: u32 = text.split('\n').take(line.saturating_sub(1)).map(|l| units(l) + 1).sum();
    let own = text.split('\n').nth(line.saturating_sub(1)).map_or(0, units);
    // A field that is gone has nothing to select.
    let _ = area.focus();
    let _ = area.set_selection_range(before, before + own);
    if let Some(paper) = area.parent_element().and_then(|p| p.dyn_into::<HtmlElement>().ok()) {
        let height = f64::from(area.scroll_height()) / text.split('\n').count().max(1) as f64;
        paper.set_scroll_top((height * (line as f64 - 4.0)).max(0.0) as i32);
        paper.set_scroll_left(0);
    }
}
