//! The controls of the time of both worlds: one clock, two timelines, and where they part.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::parts::{button, sign};
use super::words::Texts;
use super::{Act, Compare, Msg};
use crate::i18n::fill;
use crate::model::{show, speed};
use crate::session::BUCKET;
use crate::ui::clock;

/// How many columns a timeline has.
const COLUMNS: usize = 160;

/// How much happened when: the left world's upwards, the right one's downwards.
fn bars(density: &[u32], whole: u64, most: f64, up: bool) -> String {
    let mut d = String::new();
    for (i, count) in columns(density, whole).iter().enumerate().filter(|(_, n)| **n > 0) {
        // The root keeps quiet times visible beside the busiest.
        let h = (f64::from(*count) / most).sqrt() * 11.0 + 1.0;
        let (x, sign) = (i as f64 * 1000.0 / COLUMNS as f64, if up { "-" } else { "" });
        let back = if up { "" } else { "-" };
        d.push_str(&format!("M{x:.1} 13v{sign}{h:.1}h4.6v{back}{h:.1}z"));
    }
    d
}

fn columns(density: &[u32], whole: u64) -> Vec<u32> {
    let buckets = (whole / BUCKET + 1) as usize;
    let mut columns = vec![0u32; COLUMNS];
    for (i, count) in density.iter().enumerate().take(buckets) {
        columns[(i * COLUMNS / buckets).min(COLUMNS - 1)] += count;
    }
    columns
}

/// The controls.
pub fn controls(compare: &Compare, ctx: &Context<Compare>, w: &Texts, names: [&str; 2]) -> Html {
    let t = compare.ui.t();
    let at = compare.at();
    let nows = [0, 1].map(|i| {
        let s = compare.halves[i].session.0.borrow();
        s.now(clock()).max(s.timeline.until() as f64) as u64
    });
    let whole = nows[0].max(nows[1]).max(at).max(1);
    let (playing, steps, pace) = compare
        .clock
        .as_ref()
        .map_or((false, false, 1000), |c| (c.playing(), c.steps(), c.speed()));
    let act = |a: Act| ctx.link().callback(move |_: MouseEvent| Msg::Act(a));
    let scrub = ctx.link().callback(|e: InputEvent| {
        let ms: f64 = e.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(0.0);
        Msg::Act(Act::Look((ms * 1e6) as u64))
    });
    let set_speed = ctx.link().callback(|e: InputEvent| {
        let stop = e.target_unchecked_into::<HtmlInputElement>().value().parse().unwrap_or(10);
        Msg::Act(Act::Pace(speed::at(stop)))
    });
    let most = compare.halves.iter().flat_map(|h| columns(&h.session.0.borrow().density, whole));
    let most = f64::from(most.max().unwrap_or(1).max(1));
    let [left, right] =
        [0, 1].map(|i| bars(&compare.halves[i].session.0.borrow().density, whole, most, i == 0));
    let place = |at: u64| format!("left:{:.3}%", at.min(whole) as f64 / whole as f64 * 100.0);
    let found = compare.parting.found();
    let marks = [("first", &found.first), ("deed", &found.deed)].into_iter().filter_map(|(class, d)| {
        let at = d.as_ref()?.at;
        let title = fill(w.mark, &[&show::instant(at)]);
        let go = act(Act::Look(at));
        Some(html! { <i class={classes!("parting", class)} style={place(at)} {title} onclick={go} data-testid={format!("mark-{class}")}>{ "≠" }</i> })
    });
    let ends = [0, 1].map(|i| {
        html! { <i class={classes!("reached", ["left", "right"][i])} style={place(nows[i])} title={format!("{}: {}", names[i], show::instant(nows[i]))} /> }
    });
    let waits =
        compare.clock.as_ref().map(|c| c.waits([0, 1].map(|i| compare.halves[i].heard(at))));
    let standing = match waits {
        Some([true, _]) => fill(w.waits, &[w.left]),
        Some([_, true]) => fill(w.waits, &[w.right]),
        _ if playing || steps => w.plays.to_owned(),
        _ => w.stands.to_owned(),
    };
    let run = if playing { w.pause } else { w.play };
    let multiple = speed::text(pace, t.speed_max);
    let off = compare.clock.is_none();
    let path =
        if playing { "M3.5 2.5h3.2v11H3.5zM9.3 2.5h3.2v11H9.3z" } else { "M4 2.5 13.5 8 4 13.5z" };
    html! {
        <section class={classes!("transport", "both", (!playing).then_some("frozen"))} aria-label={w.clock}>
            <div class="worldtime" role="group" aria-label={w.clock}>
                { sign("play", "round", (run, "k"), path, off, act(Act::Play)) }
                { sign("step-back", "", (w.step_back, ","), "M13.5 2.5 6 8l7.5 5.5zM2.5 2.5H5v11H2.5z", off, act(Act::Back)) }
                { sign("step", "", (w.step, "."), "M2.5 2.5 10 8l-7.5 5.5zM11 2.5h2.5v11H11z", off, act(Act::Step)) }
                <label class="speed"><span class="tag">{ t.speed }</span>
                    <input type="range" min="0" max={speed::LAST.to_string()} step="1" value={speed::stop(pace).to_string()}
                        data-testid="speed" aria-label={t.speed} aria-valuetext={multiple.clone()} title={format!("{multiple} (-, +)")} oninput={set_speed} />
                    <output data-testid="pace">{ multiple.clone() }</output></label>
                <span class="worldstate" data-testid="both-state" data-playing={playing.to_string()}><span class="lamp" aria-hidden="true">{ if playing { "▶" } else { "❚❚" } }</span>{ standing }</span>
            </div>
            <div class="scrubber">
                <div class="density" aria-hidden="true">
                    <svg viewBox="0 0 1000 26" preserveAspectRatio="none"><path class="bars left" d={left} /><path class="bars right" d={right} /><path class="middle" d="M0 13h1000" /></svg>
                    { for ends }{ for marks }
                </div>
                <input type="range" min="0" max={(whole / 1_000_000).to_string()} step="1" value={(at / 1_000_000).to_string()} disabled={off}
                    data-testid="scrub" aria-label={w.timeline} aria-valuetext={show::instant(at)} oninput={scrub} />
            </div>
            <div class="viewtime" role="group" aria-label={w.timeline}>
                <output class="instant" data-testid="instant">{ show::instant(at) }</output>
                { button("newest", w.newest_short, &format!("{} (n)", w.newest), off, act(Act::Newest)) }
            </div>
        </section>
    }
}
