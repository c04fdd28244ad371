//! The order of what happened: a lane for each container, messages as arrows between them.

use std::collections::BTreeSet;

use gloo_timers::callback::Timeout;
use podlab_trace::event::Seq;
use web_sys::{HtmlElement, HtmlInputElement};
use yew::prelude::*;

use crate::i18n::fill;
use crate::model::flight::Shape;
use crate::model::lanes::{Arrow, LANE, Wanted, lanes, related};
use crate::model::rows::{List, row};
use crate::model::show;
use crate::session::Shared;
use crate::ui::use_ui;
use crate::view::app::focus;
use crate::view::inspector::Selection;
use crate::view::pod::n;
use crate::view::stage::shape_name;

/// At most so many messages.
const MOST: usize = 90;
/// Room above the first lane, for the instants.
const HEAD: f64 = 20.0;

/// The lanes of which world.
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

/// The lanes.
#[component]
pub fn LanesView(props: &Props) -> Html {
    let t = use_ui().t();
    let folded = use_state(BTreeSet::<String>::new);
    let probes = use_state(|| false);
    let body = use_node_ref();
    let follow = use_mut_ref(|| true);
    let s = props.session.0.borrow();
    let timeline = s.around();
    let chosen = match props.selected {
        Selection::Event(seq) => Some(seq),
        _ => None,
    };
    let wanted = Wanted { folded: (*folded).clone(), probes: *probes, chosen, most: MOST };
    let drawn = lanes(timeline, s.flights(), s.edge(), &wanted);
    let kin = chosen.map(|seq| related(timeline, seq));
    let newest = drawn.arrows.last().map(|a| a.seq);
    {
        // The newest stays in sight until one scrolls away from it, or selects something.
        let (body, follow) = (body.clone(), follow.clone());
        let at = chosen.and_then(|seq| drawn.arrows.iter().find(|a| a.seq == seq)).map(|a| a.x.0);
        use_effect_with((newest, chosen), move |(_, chosen)| {
            let Some(body) = body.cast::<HtmlElement>() else { return };
            match (chosen, at) {
                (Some(_), Some(x)) => {
                    let (left, width) =
                        (f64::from(body.scroll_left()), f64::from(body.client_width()));
                    if x < left + 40.0 || x > left + width - 40.0 {
                        body.set_scroll_left((x - width / 2.0) as i32);
                    }
                }
                (None, _) if *follow.borrow() => body.set_scroll_left(body.scroll_width()),
                _ => {}
            }
        });
    }
    let onscroll = {
        let follow = follow.clone();
        Callback::from(move |e: Event| {
            let body = e.target_unchecked_into::<HtmlElement>();
            *follow.borrow_mut() =
                body.scroll_left() + body.client_width() > body.scroll_width() - 40;
        })
    };
    let height = HEAD + drawn.lanes.len() as f64 * LANE + 6.0;
    let y = |lane: usize| HEAD + lane as f64 * LANE + LANE / 2.0;
    let order: Vec<Seq> = drawn.arrows.iter().map(|a| a.seq).collect();
    // One stop for the keyboard; from there left and right.
    let stop = chosen.filter(|c| order.contains(c)).or(newest);
    let arrow = |a: &Arrow| {
        let words = timeline.event(a.seq).and_then(|e| row(timeline, e, List::Messages));
        let label = words.map_or_else(
            || shape_name(t, a.shape).to_owned(),
            |r| format!("{} → {}: {}, {}", r.who, r.whom, r.what, show::instant(r.at)),
        );
        let related = kin.as_ref().map(|k| k.contains(&a.seq));
        let class = classes!(
            "arrow",
            shape_class(a.shape),
            (chosen == Some(a.seq)).then_some("chosen"),
            match related {
                Some(true) => Some("kin"),
                Some(false) => Some("other"),
                None => None,
            },
            a.lost.then_some("lost")
        );
        let choice = Selection::Event(a.seq);
        let onclick = props.select.reform({
            let choice = choice.clone();
            move |_: MouseEvent| choice.clone()
        });
        let onkeydown = {
            let (select, order, seq) = (props.select.clone(), order.clone(), a.seq);
            Callback::from(move |e: KeyboardEvent| {
                let at = order.iter().position(|s| *s == seq).unwrap_or(0);
                let to = match e.key().as_str() {
                    "Enter" | " " => Some(&seq),
                    "ArrowLeft" => at.checked_sub(1).and_then(|i| order.get(i)),
                    "ArrowRight" => order.get(at + 1),
                    _ => return,
                };
                e.prevent_default();
                if let Some(to) = to.copied() {
                    select.emit(Selection::Event(to));
                    Timeout::new(30, move || focus(&format!("lane-{to}"))).forget();
                }
            })
        };
        let ((x0, x1), (y0, y1)) = (a.x, (y(a.lanes.0), y(a.lanes.1)));
        let d = if a.lanes.0 == a.lanes.1 && x1 - x0 < 1.0 {
            format!("M{x0:.1} {:.1}v10", y0 - 5.0)
        } else if a.lanes.0 == a.lanes.1 {
            format!("M{x0:.1} {y0:.1}q{:.1} -16 {:.1} 0", (x1 - x0) / 2.0, x1 - x0)
        } else {
            format!("M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}")
        };
        html! { <g key={a.seq} id={format!("lane-{}", a.seq)} {class} role="button" tabindex={if stop == Some(a.seq) { "0" } else { "-1" }} aria-label={label.clone()} aria-pressed={(chosen == Some(a.seq)).to_string()} {onclick} {onkeydown}>
            <title>{ label }</title>
            <path class="reach" d={d.clone()} /><path class="shaft" {d} />
            { head(a, (x0, y0), (x1, y1)) }
        </g> }
    };
    let labels = drawn.lanes.iter().enumerate().map(|(i, lane)| {
        let first = i == 0 || drawn.lanes[i - 1].group != lane.group;
        let many = drawn.lanes.iter().filter(|l| l.group == lane.group).count() > 1;
        let is_folded = folded.contains(&lane.group);
        let toggle = {
            let (folded, group) = (folded.clone(), lane.group.clone());
            Callback::from(move |_: MouseEvent| {
                let mut new = (*folded).clone();
                if !new.remove(&group) {
                    new.insert(group.clone());
                }
                folded.set(new);
            })
        };
        let name = fill(if is_folded { t.lane_unfold } else { t.lane_fold }, &[&lane.group]);
        html! { <div class="lane-name" style={format!("height:{LANE}px")}>
            if first && (many || is_folded) {
                <button class="fold" aria-expanded={(!is_folded).to_string()} aria-label={name.clone()} title={name} data-testid={format!("fold-{}", lane.group)} onclick={toggle}>{ if is_folded { "▸" } else { "▾" } }</button>
            }
            <span title={lane.label.clone()}>{ lane.label.clone() }{ if lane.of > 1 { format!(" ({})", lane.of) } else { String::new() } }</span></div> }
    });
    let onchange = {
        let probes = probes.clone();
        Callback::from(move |e: Event| {
            probes.set(e.target_unchecked_into::<HtmlInputElement>().checked())
        })
    };
    html! {
        <section class="lanes" aria-label={t.lanes} data-testid="lanes" data-arrows={drawn.arrows.len().to_string()}>
            <div class="lane-tools"><h2>{ t.lanes }</h2><span class="quiet">{ t.lanes_help }</span><span class="grow" />
                <label><input type="checkbox" data-testid="probes" checked={*probes} {onchange} />{ t.show_probes }</label></div>
            <div class="lane-body">
                <div class="lane-names" style={format!("padding-top:{HEAD}px")}>{ for labels }</div>
                <div class="lane-scroll" ref={body} {onscroll}>
                    <svg width={n(drawn.width)} height={n(height)} role="group" aria-label={t.lanes}>
                        { for (0..drawn.lanes.len()).map(|i| html! { <path class="lane-line" d={format!("M0 {0:.1}H{1:.1}", y(i), drawn.width)} /> }) }
                        { for drawn.gaps.iter().map(|(x, at)| html! { <g class="lane-gap"><path d={format!("M{x:.1} {HEAD}V{height:.1}")} /><text x={n(x + 3.0)} y="13">{ show::instant(*at) }</text></g> }) }
                        { for drawn.arrows.iter().map(arrow) }
                    </svg>
                </div>
            </div>
            if drawn.arrows.is_empty() { <p class="quiet">{ t.no_rows }</p> }
        </section>
    }
}

fn shape_class(shape: Shape) -> &'static str {
    match shape {
        Shape::Request => "request",
        Shape::Response => "response",
        Shape::Data => "data",
        Shape::Datagram => "datagram",
        Shape::Write => "write",
        Shape::Read => "read",
        Shape::Probe => "probe",
        Shape::Error => "error",
    }
}

/// What the end of an arrow looks like: its kind is told by shape, not by colour alone.
fn head(a: &Arrow, (x0, y0): (f64, f64), (x, y): (f64, f64)) -> Html {
    let d = match a.shape {
        Shape::Request => {
            let turn = (y - y0).atan2(x - x0);
            let point = |r: f64, by: f64| (x + r * (turn + by).cos(), y + r * (turn + by).sin());
            let ((bx, by), (cx, cy)) = (point(9.0, 2.6), point(9.0, -2.6));
            format!("M{x:.1} {y:.1}L{bx:.1} {by:.1}L{cx:.1} {cy:.1}z")
        }
        Shape::Error => format!("M{x:.1} {:.1}l5.5 5.5-5.5 5.5-5.5-5.5z", y - 5.5),
        Shape::Write | Shape::Read => format!("M{:.1} {:.1}h5l3 3v8h-8z", x - 4.0, y - 5.5),
        Shape::Data => format!("M{:.1} {:.1}h7v7h-7z", x - 3.5, y - 3.5),
        _ => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", x - 4.0),
    };
    html! { <path class="tip" {d} /> }
}
