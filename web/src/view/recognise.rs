//! Which pattern the trace shows, with what shows it.

use podlab_trace::event::Seq;
use web_sys::HtmlElement;
use yew::prelude::*;

use crate::i18n::fill;
use crate::i18n::recognise::{self as words, Texts};
use crate::model::recognise::{Clue, Evidence, Found, Pattern, recognise};
use crate::model::show;
use crate::session::Shared;
use crate::ui::{clock, use_ui};
use crate::view::inspector::Selection;

/// The trace is read again at most this often, in ms.
const PACE: f64 = 1_000.0;

fn called(t: &Texts, pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Sidecar => t.sidecar,
        Pattern::Ambassador => t.ambassador,
        Pattern::Adapter => t.adapter,
        Pattern::LeaderElection => t.election,
        Pattern::WorkQueue => t.queue,
        Pattern::ScatterGather => t.scatter,
    }
}

/// A word for programs.
fn id(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Sidecar => "sidecar",
        Pattern::Ambassador => "ambassador",
        Pattern::Adapter => "adapter",
        Pattern::LeaderElection => "leader-election",
        Pattern::WorkQueue => "work-queue",
        Pattern::ScatterGather => "scatter-gather",
    }
}

fn told(t: &Texts, e: &Evidence) -> String {
    let text = match e.clue {
        Clue::Asked => t.asked,
        Clue::Writes => t.writes,
        Clue::Reads => t.reads,
        Clue::Local => t.local,
        Clue::Unasked => t.unasked,
        Clue::LocalOnly => t.local_only,
        Clue::PassesOn => t.passes_on,
        Clue::Scrapes => t.scrapes,
        Clue::AsksNeighbour => t.asks_neighbour,
        Clue::OwnForm => t.own_form,
        Clue::OtherForm => t.other_form,
        Clue::Candidate => t.candidate,
        Clue::Refused => t.refused,
        Clue::Holds => t.holds,
        Clue::Renews => t.renews,
        Clue::TakesOver => t.takes_over,
        Clue::Puts => t.puts,
        Clue::Takes => t.takes,
        Clue::TakesOther => t.takes_other,
        Clue::Acks => t.acks,
        Clue::OneAsk => t.one_ask,
        Clue::Scatters => t.scatters,
        Clue::Straggler => t.straggler,
        Clue::Gathers => t.gathers,
    };
    let names: Vec<&str> = e.names.iter().map(String::as_str).collect();
    fill(text, &names)
}

/// The trace of which world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// What is selected.
    pub selected: Selection,
    /// Selects something.
    pub select: Callback<Selection>,
}

/// A button, and what it opens.
#[component]
pub fn Recognised(props: &Props) -> Html {
    let t = words::of(use_ui().choices.lang);
    let open = use_state(|| false);
    let opener = use_node_ref();
    // What was found, up to which event, and when that was.
    let known = use_mut_ref(|| (Vec::<Found>::new(), 0 as Seq, f64::NEG_INFINITY));
    let toggle = {
        let open = open.clone();
        Callback::from(move |_: MouseEvent| open.set(!*open))
    };
    let onkeydown = {
        let (open, opener) = (open.clone(), opener.clone());
        Callback::from(move |e: KeyboardEvent| {
            if *open && e.key() == "Escape" {
                e.stop_propagation();
                open.set(false);
                if let Some(button) = opener.cast::<HtmlElement>() {
                    // Without focus the page is still usable from its beginning.
                    let _ = button.focus();
                }
            }
        })
    };
    let body = if *open {
        let s = props.session.0.borrow();
        let edge = s.edge();
        let mut known = known.borrow_mut();
        // Whoever scrubs is shown at once what was known then; what runs is read now and then.
        if edge != known.1 && (s.stands() || edge < known.1 || clock() - known.2 > PACE) {
            *known = (recognise(s.around(), edge), edge, clock());
        }
        let line = |e: &Evidence| {
            let at = e.seq.and_then(|seq| s.around().event(seq)).map(|e| show::instant(e.at));
            let inner = html! { <><span>{ told(t, e) }</span><span class="at">{ at }</span></> };
            match e.seq {
                Some(seq) => {
                    let onclick = props.select.reform(move |_: MouseEvent| Selection::Event(seq));
                    let chosen = (props.selected == Selection::Event(seq)).then_some("chosen");
                    html! { <li><button class={classes!("jump", chosen)} {onclick}>{ inner }</button></li> }
                }
                None => html! { <li class="lack">{ inner }</li> },
            }
        };
        let found = known.0.iter().map(|f| {
            html! { <section data-testid={format!("found-{}", id(f.pattern))}>
                <h3>{ fill(t.found_at, &[called(t, f.pattern), &f.at]) }</h3><ol>{ for f.evidence.iter().map(line) }</ol></section> }
        });
        html! { <div class="recognised" id="recognised" data-testid="recognised">
            <h2>{ t.title }</h2>
            { for found }
            if known.0.is_empty() { <p data-testid="found-nothing">{ t.nothing }</p> }
            <p class="quiet">{ t.help }</p>
        </div> }
    } else {
        Html::default()
    };
    html! {
        <div class="recogniser" {onkeydown}>
            <button ref={opener} class="form" data-testid="recognise" aria-expanded={open.to_string()} aria-controls="recognised" onclick={toggle}>{ t.which }</button>
            { body }
        </div>
    }
}
