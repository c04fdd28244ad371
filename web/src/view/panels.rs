//! What stands beside the picture: the lesson and the lists, one at a time.

use std::collections::BTreeSet;

use gloo_timers::callback::Timeout;
use serde_json::Value;
use yew::prelude::*;

use crate::address::Address;
use crate::model::rows::List;
use crate::session::Shared;
use crate::ui::use_ui;
use crate::view::app::focus;
use crate::view::inspector::Selection;
use crate::view::lists::Rows;
use crate::view::practice::Practice;
use crate::view::predict::LessonWithQuestions;
use crate::view::recorded::About;
use crate::view::terminal::Terminal;
use crate::view::transport::Action;

/// The panels, in their order.
const ORDER: &[&str] = &["lesson", "practice", "messages", "logs", "events", "terminal"];
/// Those of a recording, behind which no world runs.
const RECORDED: &[&str] = &["lesson", "messages", "logs", "events"];

/// What is shown in them.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// Which panel is open.
    pub panel: String,
    /// Opens another.
    pub turn: Callback<&'static str>,
    /// The pattern, with its lesson; `None` until it has come.
    pub pattern: Option<Value>,
    /// The speed that was chosen, in thousandths.
    pub speed: u32,
    /// Does something with time.
    pub act: Callback<Action>,
    /// The address of the page.
    pub address: Address,
    /// Goes to another page.
    pub go: Callback<Address>,
    /// What is selected.
    pub selected: Selection,
    /// Selects something.
    pub select: Callback<Selection>,
    /// The containers whose lines are wanted; empty for all.
    pub who: BTreeSet<String>,
    /// Wants those of others.
    pub want: Callback<BTreeSet<String>>,
    /// The filter of the lists.
    pub filter: String,
    /// Filters by something else.
    pub sift: Callback<String>,
}

/// The panels.
#[component]
pub fn Panels(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let recorded = props.session.0.borrow().recorded;
    let order = if recorded { RECORDED } else { ORDER };
    let at = order.iter().position(|p| *p == props.panel).unwrap_or(0);
    let tab = |(i, name): (usize, &'static str)| {
        let text = match name {
            "practice" => t.practice,
            "messages" => t.messages,
            "logs" => t.logs,
            "events" => t.events,
            "terminal" => t.terminal,
            _ => t.lesson,
        };
        let turn = props.turn.clone();
        let onclick = Callback::from(move |_: MouseEvent| {
            turn.emit(name);
            if name == "terminal" {
                // What is typed next is meant for it: letters are keys of the page elsewhere.
                Timeout::new(0, || focus("terminal-line")).forget();
            }
        });
        html! { <button role="tab" id={format!("tab-{name}")} aria-selected={(i == at).to_string()} aria-controls="panel" data-testid={format!("tab-{name}")}
        tabindex={if i == at { "0" } else { "-1" }} {onclick}>{ text }</button> }
    };
    let turn = props.turn.clone();
    let onkeydown = Callback::from(move |e: KeyboardEvent| {
        let to = match e.key().as_str() {
            "ArrowRight" => (at + 1) % order.len(),
            "ArrowLeft" => (at + order.len() - 1) % order.len(),
            _ => return,
        };
        Timeout::new(0, move || focus(&format!("tab-{}", order[to]))).forget();
        turn.emit(order[to]);
    });
    let list = |list: List| {
        let who = if list == List::Logs { props.who.clone() } else { BTreeSet::new() };
        html! { <Rows session={props.session.clone()} tick={props.tick} {list} selected={props.selected.clone()} select={props.select.clone()}
        {who} want={props.want.clone()} filter={props.filter.clone()} sift={props.sift.clone()} /> }
    };
    let panel = match order[at] {
        "practice" => {
            html! { <Practice pattern={props.pattern.clone()} address={props.address.clone()} go={props.go.clone()} /> }
        }
        "messages" => list(List::Messages),
        "logs" => list(List::Logs),
        "events" => list(List::Events),
        "terminal" => html! {},
        _ => {
            let tag = ui.choices.lang.tag();
            let text = |p: &Value| {
                let lesson = &p["lesson"];
                lesson[tag].as_str().or(lesson["en"].as_str()).map(str::to_owned)
            };
            match props.pattern.as_ref().map(text) {
                None => html! { <p class="quiet">{ t.loading }</p> },
                Some(None) => html! { <p class="quiet">{ t.no_lesson }</p> },
                Some(Some(markdown)) => {
                    let pattern = props.pattern.as_ref().and_then(|p| p["name"].as_str());
                    let (sift, turn) = (props.sift.clone(), props.turn.clone());
                    let see = Callback::from(move |filter: String| {
                        sift.emit(filter);
                        turn.emit("messages");
                    });
                    html! { <LessonWithQuestions {markdown} pattern={pattern.unwrap_or_default().to_owned()} session={props.session.clone()} world={props.address.world.clone()}
                    tick={props.tick} speed={props.speed} act={props.act.clone()} {see} /> }
                }
            }
        }
    };
    html! {
        <aside class="side" id="panels" aria-label={t.panels}>
            <div class="tabs" role="tablist" aria-label={t.panels} {onkeydown}>{ for order.iter().copied().enumerate().map(tab) }</div>
            <div id="panel" class="panel" role="tabpanel" aria-labelledby={format!("tab-{}", order[at])}>{ panel }if !recorded { <Terminal world={props.address.world.clone()} shown={order[at] == "terminal"} /> }</div>
            if recorded { <About /> }
        </aside>
    }
}
