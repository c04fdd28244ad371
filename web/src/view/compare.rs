//! Two worlds beside each other, on one clock, with the first difference marked.
//!
//! # Layout
//! - [`making`]: the worlds are found or made; [`half`]: one of them
//! - [`sides`]: both on the screen, with [`beside`]: what is selected in both
//! - [`clock`]: the controls of their common time; [`findings`]: where they part, and their figures
//! - [`dialogue`]: with what a world is to be compared;
//!   [`parts`]: what all of it is made of

pub mod beside;
pub mod clock;
pub mod dialogue;
pub mod findings;
pub mod half;
pub mod making;
pub mod parts;
pub mod sides;
pub mod words;

use std::cell::RefCell;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::{Interval, Timeout};
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::Element;
use yew::prelude::*;

use crate::address::Address;
use crate::api::Failure;
use crate::i18n::fill;
use crate::model::lockstep::Lockstep;
use crate::model::pair::{Pair, Side};
use crate::model::parting::{Known, Parting};
use crate::model::speed;
use crate::model::timeline::Timeline;
use crate::stream::{self, Stream};
use crate::ui::{Ui, clock, window};
use crate::view::command;
use crate::view::inspector::{Selection, Touch};
use half::{Coming, Half};

/// The page is built anew at most this often, in ms; marks fly between.
const PACE: f64 = 110.0;
/// A world is asked for all its events up to so many, and for the present beyond.
const OPENING: u64 = 50_000;

/// Which worlds.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// They.
    pub pair: Pair,
    /// Goes to another page.
    pub go: Callback<Address>,
    /// Says where on this page one is.
    pub keep: Callback<Address>,
}

type Frame = Rc<RefCell<Option<Closure<dyn FnMut(f64)>>>>;

/// Two worlds beside each other.
pub struct Compare {
    pair: Pair,
    halves: [Half; 2],
    /// Their clock, once both are there.
    clock: Option<Lockstep>,
    parting: Parting,
    /// Whether there is something to compare that was not yet.
    news: bool,
    patterns: [Value; 2],
    tick: u32,
    built: f64,
    dirty: bool,
    last: f64,
    /// The side on which something was selected last.
    side: usize,
    note: Option<Result<String, String>>,
    spoken: String,
    running: Rc<RefCell<bool>>,
    frame: Frame,
    ui: Ui,
    _ui: ContextHandle<Ui>,
    _listeners: Vec<EventListener>,
    _beat: Interval,
}

/// What is done with the time of both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Act {
    /// Plays, or pauses.
    Play,
    /// To the next event of either.
    Step,
    /// To the one before.
    Back,
    /// Shows an instant, in ns.
    Look(u64),
    /// So fast from now on, in thousandths.
    Pace(u32),
    /// To where both have been.
    Newest,
    /// To the first difference.
    Parted,
}

/// What happens to it.
#[allow(missing_docs)]
pub enum Msg {
    Made(usize, Result<Side, Failure>),
    Pattern(usize, Value),
    Open(usize, u64, Vec<u32>),
    Heard,
    Frame(f64),
    Older(usize, Box<Timeline>),
    Asked(usize, Result<(), Failure>),
    Act(Act),
    Select(usize, Selection),
    Click(usize, f64, f64),
    Touch(Touch),
    Key(String),
    Link,
    Copied(Result<String, String>),
    Again(usize),
    Ui(Ui),
    Resize,
    Beat,
}

impl Component for Compare {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<Compare>) -> Compare {
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("two worlds stand inside the application");
        let (link, keys, beat) = (ctx.link().clone(), ctx.link().clone(), ctx.link().clone());
        let listeners = vec![
            EventListener::new(&window(), "resize", move |_| link.send_message(Msg::Resize)),
            EventListener::new(&window(), "keydown", move |e| {
                let Some(e) = e.dyn_ref::<web_sys::KeyboardEvent>() else { return };
                let inside = e.target().and_then(|t| t.dyn_into::<Element>().ok());
                // Nothing is typed into a slider.
                let typing = inside.is_some_and(|e| {
                    matches!(e.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA")
                        && e.get_attribute("type").as_deref() != Some("range")
                });
                if e.key() == "Escape" || !(typing || e.ctrl_key() || e.meta_key() || e.alt_key()) {
                    keys.send_message(Msg::Key(e.key()));
                }
            }),
        ];
        let mut this = Compare {
            pair: Pair::default(),
            halves: [Half::new(), Half::new()],
            clock: None,
            parting: Parting::new(),
            news: false,
            patterns: [Value::Null, Value::Null],
            tick: 0,
            built: 0.0,
            dirty: true,
            last: 0.0,
            side: 0,
            note: None,
            spoken: String::new(),
            running: Rc::new(RefCell::new(true)),
            frame: Rc::default(),
            ui,
            _ui: handle,
            _listeners: listeners,
            _beat: Interval::new(1000, move || beat.send_message(Msg::Beat)),
        };
        this.open(ctx, ctx.props().pair.clone());
        this
    }

    fn rendered(&mut self, ctx: &Context<Compare>, first: bool) {
        if first {
            let link = ctx.link().clone();
            let (frame, running) = (self.frame.clone(), self.running.clone());
            let again = frame.clone();
            *frame.borrow_mut() = Some(Closure::new(move |at: f64| {
                if *running.borrow() {
                    link.send_message(Msg::Frame(at));
                    next_frame(&again);
                }
            }));
            next_frame(&frame);
            ctx.link().send_message(Msg::Resize);
        }
    }

    fn destroy(&mut self, _: &Context<Compare>) {
        // The worlds stand by themselves: they only run as far as they are asked to.
        *self.running.borrow_mut() = false;
    }

    fn changed(&mut self, ctx: &Context<Compare>, _: &Props) -> bool {
        let pair = ctx.props().pair.clone();
        if pair.sides != self.pair.sides {
            self.open(ctx, pair);
        } else if let (Some(at), Some(clock)) = (pair.at, &mut self.clock)
            && pair.at != self.pair.at
        {
            clock.look(at);
            self.pair.at = Some(at);
        }
        true
    }

    fn update(&mut self, ctx: &Context<Compare>, msg: Msg) -> bool {
        match msg {
            Msg::Made(i, Ok(side)) => {
                self.halves[i].coming = Coming::There;
                self.pair.sides[i] = side;
                self.keep(ctx);
                let (world, pattern) =
                    (self.pair.sides[i].world.clone(), self.pair.sides[i].pattern.clone());
                let of = world.clone();
                ctx.link().send_future(async move {
                    let counts = command::density(&of).await;
                    let whole: u64 = counts.iter().map(|n| u64::from(*n)).sum();
                    Msg::Open(i, if whole <= OPENING { 1 } else { 0 }, counts)
                });
                ctx.link().send_future(async move {
                    Msg::Pattern(i, command::pattern(pattern, &world).await)
                });
            }
            Msg::Made(i, Err(e)) => self.halves[i].coming = Coming::Failed(e),
            Msg::Pattern(i, pattern) => self.patterns[i] = pattern,
            Msg::Open(i, from, counts) => {
                let half = &mut self.halves[i];
                if from == 0 {
                    half.session.0.borrow_mut().density = counts;
                }
                let heard = ctx.link().callback(|()| Msg::Heard);
                let world = &self.pair.sides[i].world;
                half.stream = Some(Stream::open(world, from, half.session.clone(), heard));
            }
            Msg::Heard => {
                (self.dirty, self.news) = (true, true);
                return false;
            }
            Msg::Frame(at) => return self.frame(ctx, at),
            Msg::Older(i, timeline) => {
                self.halves[i].fetching = false;
                self.halves[i].session.0.borrow_mut().adopt(*timeline);
            }
            Msg::Asked(i, answer) => {
                if let Some(clock) = &mut self.clock {
                    clock.answered(i, answer.is_err());
                }
                let Err(e) = answer else { return false };
                self.note = Some(Err(fill(self.ui.t().failed, &[&e.to_string()])));
            }
            Msg::Act(act) => self.act(ctx, act),
            Msg::Select(i, selection) => {
                let other = self.halves[1 - i].like(&self.halves[i], &selection);
                (self.halves[i].selected, self.halves[1 - i].selected) = (selection, other);
                self.side = i;
            }
            Msg::Click(i, x, y) => match self.halves[i].at(x, y) {
                Some(selection) => ctx.link().send_message(Msg::Select(i, selection)),
                None => return false,
            },
            Msg::Touch(Touch::Done(Ok(said))) => self.note = said.map(Ok),
            Msg::Touch(Touch::Done(Err(e))) => {
                self.note = Some(Err(fill(self.ui.t().failed, &[&e.to_string()])));
            }
            // Lists are in the page of one world.
            Msg::Touch(_) => {
                let address = self.address(self.side);
                ctx.props().go.emit(address);
            }
            Msg::Key(key) => {
                let pace = self.clock.as_ref().map_or(1000, Lockstep::speed);
                let act = match key.as_str() {
                    "Escape" if self.halves.iter().any(|h| h.selected != Selection::None) => {
                        for half in &mut self.halves {
                            half.selected = Selection::None;
                        }
                        self.build();
                        return true;
                    }
                    "k" => Act::Play,
                    "." => Act::Step,
                    "," => Act::Back,
                    "-" => Act::Pace(speed::beside(pace, -1)),
                    "+" | "=" => Act::Pace(speed::beside(pace, 1)),
                    "n" => Act::Newest,
                    "d" => Act::Parted,
                    _ => return false,
                };
                self.act(ctx, act);
            }
            Msg::Link => self.copy_link(ctx),
            Msg::Copied(note) => self.note = Some(note),
            Msg::Again(i) => match &self.halves[i].stream {
                Some(stream) if self.halves[i].coming == Coming::There => stream.retry(),
                _ => self.make(ctx, i),
            },
            Msg::Ui(ui) => {
                self.ui = ui;
                self.halves.iter_mut().for_each(Half::repaint);
            }
            Msg::Resize => self.halves.iter_mut().for_each(Half::measure),
            Msg::Beat => {
                // A page nobody sees runs nothing: a view that stands asks for nothing.
                let hidden = window().document().is_some_and(|d| d.hidden());
                if let Some(clock) = self.clock.as_mut().filter(|c| hidden && c.playing()) {
                    clock.play(false);
                    return true;
                }
                let said = self.summary();
                let new = said != self.spoken;
                self.spoken = said;
                return new;
            }
        }
        self.build();
        true
    }

    fn view(&self, ctx: &Context<Compare>) -> Html {
        let w = words::of(self.ui.choices.lang);
        let names = [0, 1].map(|i| self.name(w, i));
        let names = [names[0].as_str(), names[1].as_str()];
        let at = self.at();
        let known = self.halves.iter().map(|h| h.session.0.borrow().known()).min().unwrap_or(0);
        let touch = ctx.link().callback(Msg::Touch);
        let go = ctx.link().callback(|at| Msg::Act(Act::Look(at)));
        let note = self.note.as_ref().map(|note| match note {
            Ok(said) => html! { <div key={said.clone()} class="toast" role="status" data-testid="note">{ said.clone() }</div> },
            Err(said) => html! { <div key={said.clone()} class="toast trouble" role="alert" data-testid="note">{ said.clone() }</div> },
        });
        html! {
            <main id="main" class="compare" tabindex="-1">
                <div class="compare-head"><h1>{ w.title }</h1><span class="grow" />
                    <button class="form" data-testid="copy-link" onclick={ctx.link().callback(|_| Msg::Link)}>{ w.link }</button></div>
                <p class="unseen" role="status" aria-live="polite" data-testid="summary">{ self.spoken.clone() }</p>
                <div class="compare-body">
                    { findings::parting(w, names, self.parting.found(), known, &go) }
                    <div class="sides">{ for (0..2).map(|i| self.side_view(ctx, w, i, names[i])) }</div>
                    <div class="compare-more">
                        { self.selected_view(ctx, w, names, touch) }
                        { findings::figures(w, names, at, [&self.halves[0].figures, &self.halves[1].figures]) }
                    </div>
                </div>
                { clock::controls(self, ctx, w, names) }
                { for note }
            </main>
        }
    }
}

/// Asks the browser for the next frame; a hidden page gets none, so it draws nothing.
fn next_frame(frame: &Frame) {
    if let Some(closure) = frame.borrow().as_ref() {
        // It fails only in a document that is gone, and then nothing needs drawing.
        let _ = window().request_animation_frame(closure.as_ref().unchecked_ref());
    }
}

impl Compare {
    /// Begins with a pair.
    fn open(&mut self, ctx: &Context<Compare>, mut pair: Pair) {
        // Both begin at the same time of day.
        let epoch = pair.sides.iter().find_map(|s| s.epoch);
        let epoch = epoch.unwrap_or((js_sys::Date::now() / 1e3) as u64);
        for side in pair.sides.iter_mut().filter(|s| s.world.is_empty()) {
            side.epoch.get_or_insert(epoch);
        }
        self.pair = pair;
        self.halves = [Half::new(), Half::new()];
        (self.clock, self.parting, self.note) = (None, Parting::new(), None);
        for i in 0..2 {
            self.make(ctx, i);
        }
        let link = ctx.link().clone();
        Timeout::new(0, move || link.send_message(Msg::Resize)).forget();
    }

    fn make(&mut self, ctx: &Context<Compare>, i: usize) {
        self.halves[i].coming = Coming::Making;
        let side = self.pair.sides[i].clone();
        ctx.link().send_future(async move { Msg::Made(i, making::there(side).await) });
    }

    /// The instant shown, in ns.
    fn at(&self) -> u64 {
        self.clock.as_ref().map_or(self.pair.at.unwrap_or(0), Lockstep::at)
    }

    fn keep(&self, ctx: &Context<Compare>) {
        ctx.props().keep.emit(Address::of(self.pair.clone()));
    }

    fn build(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        self.built = clock();
        self.dirty = false;
        for half in &mut self.halves {
            half.tally();
        }
    }

    fn frame(&mut self, ctx: &Context<Compare>, ms: f64) -> bool {
        let passed = (ms - self.last).clamp(0.0, 250.0) * 1e6;
        self.last = ms;
        if self.clock.is_none() && self.halves.iter().all(Half::is_there) {
            let now = self.halves.iter().map(|h| h.heard(0).now).min().unwrap_or(0);
            self.clock = Some(Lockstep::new(self.pair.at.unwrap_or(now)));
            self.halves.iter_mut().for_each(Half::measure);
            self.dirty = true;
        }
        let Some(clock) = &mut self.clock else {
            // What has come so far is drawn already.
            let at = self.pair.at.unwrap_or(0);
            let moved = self.halves.iter().any(|h| h.show(at, false, ms));
            return (moved || self.dirty) && self.built_again();
        };
        let before = (clock.at(), clock.steps());
        let heard = [0, 1].map(|i| self.halves[i].heard(clock.at()));
        let asks = clock.advance(passed, heard);
        let (at, playing, pace) = (clock.at(), clock.playing() || clock.steps(), clock.speed());
        let stopped = before.1 && !clock.steps();
        let live = !playing && heard.iter().all(|h| h.now == at && h.stands);
        for (i, goal) in asks.into_iter().enumerate() {
            let Some(goal) = goal else { continue };
            let world = self.pair.sides[i].world.clone();
            ctx.link().send_future(async move {
                Msg::Asked(i, command::time(world, command::seek(goal)).await.map(|_| ()))
            });
        }
        let still = self.ui.still();
        let mut moved = before.0 != at;
        for i in 0..2 {
            let half = &mut self.halves[i];
            half.session.0.borrow_mut().pace(pace);
            moved |= half.show(at, live, ms);
            half.draw(still);
            let lacks = half.session.0.borrow().lacks();
            if lacks && !half.fetching {
                half.fetching = true;
                // A little more than is shown, so that playing on from there finds something.
                let done = ctx.link().callback(move |t| Msg::Older(i, Box::new(t)));
                let until = at.saturating_add(20_000_000_000);
                stream::fetch(&self.pair.sides[i].world, until, done);
            }
        }
        if self.news {
            let (a, b) = (self.halves[0].session.0.borrow(), self.halves[1].session.0.borrow());
            let known = |s: &'_ crate::session::Session| s.known();
            let sides = [
                Known { timeline: &a.timeline, until: known(&a) },
                Known { timeline: &b.timeline, until: known(&b) },
            ];
            let before = self.parting.found().clone();
            self.news = self.parting.advance(sides);
            self.dirty |= before != *self.parting.found();
        }
        if stopped {
            self.pair.at = Some(at);
            self.keep(ctx);
        }
        (moved || self.dirty) && self.built_again()
    }

    fn built_again(&mut self) -> bool {
        let due = clock() - self.built > PACE;
        if due {
            self.build();
        }
        due
    }

    fn act(&mut self, ctx: &Context<Compare>, act: Act) {
        let parted = self.parting.found().first.as_ref().map(|d| d.at);
        let before = {
            let at = self.at();
            let last = |h: &Half| {
                let s = h.session.0.borrow();
                let timeline = s.around();
                let first = timeline.after(at.saturating_sub(1));
                timeline.event(first.checked_sub(1)?).map(|e| e.at)
            };
            self.halves.iter().filter_map(last).max()
        };
        let newest = self.halves.iter().map(|h| h.heard(0).now).max().unwrap_or(0);
        let Some(clock) = &mut self.clock else { return };
        match act {
            Act::Play => clock.play(!clock.playing()),
            Act::Step => clock.step(),
            Act::Back => clock.look(before.unwrap_or(0)),
            Act::Look(at) => clock.look(at),
            Act::Pace(speed) => clock.pace(speed),
            Act::Newest => clock.look(newest),
            Act::Parted => match parted {
                Some(at) => clock.look(at),
                None => return,
            },
        }
        if !clock.playing() && !clock.steps() && !matches!(act, Act::Pace(_)) {
            self.pair.at = Some(clock.at());
            // What is built now is of that instant already, on both sides.
            for half in &self.halves {
                half.session.0.borrow_mut().look_at(clock.at());
            }
            self.keep(ctx);
        }
    }
}
