//! Time: the world's (freeze, step, speed) and the view's (where in it one looks), never confused.

use podlab_trace::event::Kind;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::bookmark::Bookmarks;
use crate::model::{show, speed};
use crate::session::{BUCKET, Shared, View};
use crate::ui::{clock, use_ui};
use crate::view::bookmarks::{self, BookmarkList};

/// What can be done with time.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Runs the world at so many thousandths of real time, or freezes it with 0.
    Speed(u32),
    /// Runs it at so many thousandths from now on, or once it is no longer frozen.
    Pace(u32),
    /// To the next event of the world.
    Step,
    /// Shows an instant of the past.
    Look(u64),
    /// Shows the event before.
    Before,
    /// Shows the next event that came of the one selected, or of the last one shown.
    Effect,
    /// Lets the view move, or stay.
    Play(bool),
    /// Shows the present.
    Present,
    /// A second world that goes on from the instant shown.
    Fork,
    /// The same, and both beside each other.
    Beside,
    /// Takes the world back to the instant shown.
    Rewind,
    /// Bookmarks an instant.
    Mark(u64),
    /// Names the bookmark at an instant.
    Name(u64, String),
    /// Takes it away.
    Unmark(u64),
    /// Shows the bookmark before.
    MarkBefore,
    /// Shows the next bookmark.
    MarkAfter,
}

/// The world whose time it is.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// The speed that was chosen, in thousandths: a frozen world goes on with it.
    pub speed: u32,
    /// The bookmarks.
    pub bookmarks: Bookmarks,
    /// Does it.
    pub act: Callback<Action>,
    /// What else stands beside the bookmarks.
    #[prop_or_default]
    pub children: Html,
}

/// What the view does beside what the world does: four things that look alike and are not.
fn standing(t: &Texts, view: View, frozen: bool, behind: &str) -> String {
    let words = match (view, frozen) {
        (View::Live, false) => t.view_live,
        (View::Live, true) => t.view_live_frozen,
        (View::Back { playing: false }, false) => t.view_paused_running,
        (View::Back { playing: true }, false) => t.view_plays_running,
        (View::Back { playing: false }, true) => t.view_paused_frozen,
        (View::Back { playing: true }, true) => t.view_plays_frozen,
    };
    fill(words, &[behind])
}

/// Controls of time.
#[component]
pub fn Transport(props: &Props) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let words = crate::view::compare::words::of(ui.choices.lang);
    let s = props.session.0.borrow();
    let (frozen, recorded) = (s.stands(), s.recorded);
    let now = s.now(clock());
    let whole = (now as u64).max(s.clock.future).max(s.timeline.until()).max(1);
    let told = s.told();
    let back = s.view != View::Live;
    let act = |a: Action| props.act.reform(move |_: MouseEvent| a.clone());
    let scrub = props.act.reform(move |e: InputEvent| {
        let part: f64 =
            e.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(0.0);
        Action::Look((part * 1e6) as u64)
    });
    let set_speed = props.act.reform(|e: InputEvent| {
        let stop = e.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(10);
        Action::Pace(speed::at(stop))
    });
    // Tenths are enough: it grows while one reads it.
    let behind = format!("{:.1} s", (now as u64).saturating_sub(told) as f64 / 1e9);
    let pace = speed::text(props.speed, t.speed_max);
    let spoken = match (props.speed, frozen) {
        (speed::MAX, false) => t.speed_endless.to_owned(),
        (_, false) => fill(t.speed_times, &[&pace]),
        (_, true) => fill(t.speed_once_running, &[&pace]),
    };
    let (standing_of, run) = match (recorded, frozen) {
        (true, true) => (t.recording_stands, t.play_view),
        (true, false) => (t.recording_plays, t.pause_view),
        (false, true) => (t.world_frozen, t.run),
        (false, false) => (t.world_running, t.freeze),
    };
    html! {
        <section class={classes!("transport", (back && !recorded).then_some("back"), frozen.then_some("frozen"))} aria-label={t.time}>
            <div class="worldtime" role="group" aria-label={standing_of}>
                <button class="round" data-testid="play" aria-label={run} title={run}
                    onclick={act(Action::Speed(if frozen { props.speed } else { 0 }))}>
                    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d={if frozen { "M4 2.5 13.5 8 4 13.5z" } else { "M3.5 2.5h3.2v11H3.5zM9.3 2.5h3.2v11H9.3z" }} /></svg>
                </button>
                <button data-testid="step" title={t.step} aria-label={t.step} onclick={act(Action::Step)}>
                    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path d="M2.5 2.5 10 8l-7.5 5.5zM11 2.5h2.5v11H11z" /></svg>
                    <span class="wide">{ t.step_short }</span></button>
                <label class="speed"><span class="tag">{ t.speed }</span>
                    <input type="range" min="0" max={speed::LAST.to_string()} step="1" value={speed::stop(props.speed).to_string()} list="speeds"
                        data-testid="speed" aria-label={t.speed} aria-valuetext={spoken.clone()} title={format!("{spoken} (-, +)")} oninput={set_speed} />
                    <output data-testid="pace">{ pace }</output></label>
                <datalist id="speeds">{ for [0, 10, 20, 30].iter().map(|stop| html! { <option value={stop.to_string()} /> }) }</datalist>
                <span class="worldstate" data-testid="world-state" data-frozen={frozen.to_string()}>
                    <span class="lamp" aria-hidden="true">{ if frozen { "❚❚" } else { "▶" } }</span>
                    { standing_of }
                    if back { <b>{ show::instant(now as u64) }</b> }
                </span>
            </div>
            <div class="scrubber">
                { density(&s, whole) }
                <div class="flags" aria-hidden="true">{ bookmarks::flags(&props.bookmarks, whole, &props.act) }</div>
                <input type="range" min="0" max={(whole / 1_000_000).to_string()} step="1" value={(told / 1_000_000).to_string()}
                    data-testid="scrub" aria-label={t.scrub} aria-valuetext={show::instant(told)} oninput={scrub} />
            </div>
            <div class="viewtime" role="group" aria-label={t.scrub}>
                <button data-testid="step-back" title={t.step_back} aria-label={t.step_back} onclick={act(Action::Before)}>
                    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path d="M13.5 2.5 6 8l7.5 5.5zM2.5 2.5H5v11H2.5z" /></svg></button>
                <button data-testid="effect" title={format!("{} (>)", t.next_effect)} aria-label={t.next_effect} onclick={act(Action::Effect)}>
                    <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true"><path d="M1.5 6.8h6V3l7 5-7 5V9.2h-6z" /></svg></button>
                <BookmarkList bookmarks={props.bookmarks.clone()} {told} act={props.act.clone()} />
                { props.children.clone() }
                <output class="instant" data-testid="instant">{ show::instant(told) }</output>
                if recorded {
                    if back { <button data-testid="present" onclick={act(Action::Present)}>{ t.to_end }</button> }
                } else if back {
                    <span class="viewstate" data-testid="view-state" data-view="back">{ standing(t, s.view, frozen, &behind) }</span>
                    <button data-testid="play-view" title={if s.view == (View::Back { playing: true }) { t.pause_view } else { t.play_view_help }} onclick={act(Action::Play(s.view == View::Back { playing: false }))}>
                        { if s.view == (View::Back { playing: true }) { t.pause_short } else { t.play_view } }</button>
                    <button data-testid="fork" title={t.fork_help} onclick={act(Action::Fork)}>{ t.fork_here }</button>
                    <button class="fork-beside" data-testid="fork-beside" title={words.fork_help} onclick={act(Action::Beside)}>{ words.fork_beside }</button>
                    <button data-testid="rewind" title={t.rewind_help} onclick={act(Action::Rewind)}>{ t.rewind_here }</button>
                    <button class="primary" data-testid="present" onclick={act(Action::Present)}>{ t.to_present }</button>
                } else {
                    <span class="viewstate" data-testid="view-state" data-view="live">{ standing(t, s.view, frozen, &behind) }</span>
                    <button data-testid="pause-view" title={format!("{}: {}", t.pause_view, t.pause_view_help)} aria-label={t.pause_view} onclick={act(Action::Look(told))}>
                        <svg viewBox="0 0 20 16" width="18" height="14" aria-hidden="true"><path class="outline" d="M1 8c2.4-4 5.4-6 9-6s6.600 2 9 6c-2.400 4-5.400 6-9 6s-6.600-2-9-6z" /><path d="M7.200 5h2v6h-2zM10.800 5h2v6h-2z" /></svg></button>
                }
            </div>
            if s.clock.lagging { <p class="note">{ t.lagging }</p> }
            if !s.clock.stopped.is_empty() && s.clock.stopped != "idle" { <p class="note">{ fill(t.stopped, &[&s.clock.stopped]) }</p> }
        </section>
    }
}

/// How much happened when, with faults and ends of programs marked.
fn density(s: &crate::session::Session, whole: u64) -> Html {
    const COLUMNS: usize = 160;
    let buckets = (whole / BUCKET + 1) as usize;
    let mut columns = vec![0u32; COLUMNS];
    for (i, count) in s.density.iter().enumerate().take(buckets) {
        columns[(i * COLUMNS / buckets).min(COLUMNS - 1)] += count;
    }
    let most = f64::from(columns.iter().copied().max().unwrap_or(1).max(1));
    let mut d = String::new();
    for (i, count) in columns.iter().enumerate().filter(|(_, n)| **n > 0) {
        // The root keeps quiet times visible beside the busiest.
        let h = (f64::from(*count) / most).sqrt() * 22.0 + 1.0;
        d.push_str(&format!("M{:.1} 24v-{h:.1}h4.6v{h:.1}z", i as f64 * 1000.0 / COLUMNS as f64));
    }
    // A sign and not only a colour: a cross for what broke, a diamond for a check.
    let marks = s.timeline.events().filter_map(|e| match &e.kind {
        Kind::Fault { on: true, .. } => Some((e.at, "fault", "✕")),
        Kind::Exit { code, .. } if *code != 0 => Some((e.at, "fault", "✕")),
        Kind::Check { .. } => Some((e.at, "check", "◆")),
        _ => None,
    });
    let place = |at: u64| format!("left:{:.2}%", at as f64 / whole as f64 * 100.0);
    html! {
        <div class="density" aria-hidden="true">
            <svg viewBox="0 0 1000 26" preserveAspectRatio="none"><path class="bars" {d} /></svg>
            { for marks.take(200).map(|(at, class, sign)| html! { <i {class} style={place(at)}>{ sign }</i> }) }
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Lang;

    #[test]
    fn a_paused_view_and_a_frozen_world_are_never_told_alike() {
        let views = [View::Live, View::Back { playing: false }, View::Back { playing: true }];
        for lang in [Lang::En, Lang::Ja] {
            let t = lang.texts();
            let said: std::collections::BTreeSet<String> = views
                .iter()
                .flat_map(|v| [false, true].map(|frozen| standing(t, *v, frozen, "4.2 s")))
                .collect();
            assert_eq!(said.len(), 6, "{said:?}");
            // Who looks back is told how far.
            assert_eq!(said.iter().filter(|s| s.contains("4.2 s")).count(), 4, "{said:?}");
        }
    }
}
