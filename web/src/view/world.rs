//! One world: its picture, its lists, its time.

mod act;
mod frame;
mod halt;
mod link;
mod recorded;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::Element;
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{fill, inspect};
use crate::model::bookmark::Bookmarks;
use crate::model::flight::Shape;
use crate::model::pair::Pair;
use crate::model::speed;
use crate::model::timeline::Timeline;
use crate::model::what::What;
use crate::recording;
use crate::session::{Session, Shared};
use crate::stream::Stream;
use crate::ui::{Ui, clock, remember, remembered, window};
use crate::view::banner::Banner;
use crate::view::bookmarks;
use crate::view::breakpoints::{self, BreakpointList};
use crate::view::canvas::{Palette, Routes};
use crate::view::charts::ChartsView;
use crate::view::command;
use crate::view::compare::dialogue::CompareWith;
use crate::view::export::Export;
use crate::view::inspector::{Inspector, Selection, Touch};
use crate::view::lanes::LanesView;
use crate::view::lists::Strip;
use crate::view::menu::Menu;
use crate::view::panels::Panels;
use crate::view::recognise::Recognised;
use crate::view::spoken::spoken;
use crate::view::stage::{Legend, Stage, shape_sign};
use crate::view::tour::Tour;
use crate::view::transport::{Action, Transport};

/// The page is built anew at most this often, in ms; marks fly between.
const PACE: f64 = 110.0;
/// When the page opens, it asks for everything up to so many events, and for the present beyond.
const OPENING: u64 = 50_000;

/// Which world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The address of the page.
    pub address: Address,
    /// Goes to another page.
    pub go: Callback<Address>,
    /// Says where on this page one is.
    pub keep: Callback<Address>,
}

type Frame = Rc<RefCell<Option<Closure<dyn FnMut(f64)>>>>;

/// One world.
pub struct World {
    session: Shared,
    stream: Option<Stream>,
    tick: u32,
    built: f64,
    dirty: bool,
    selected: Selection,
    /// What the address names and is to be selected when it has come.
    wanted: Option<What>,
    panel: String,
    who: BTreeSet<String>,
    filter: String,
    menu: Option<(i32, i32)>,
    speed: u32,
    /// When a speed was asked for last, in ms of the page's clock; and what is asked next.
    asked: (f64, Option<gloo_timers::callback::Timeout>),
    bookmarks: Bookmarks,
    halt: halt::Halt,
    /// Whether the panels are folded away, so that the picture has their room.
    folded: bool,
    zoom: f64,
    room: (f64, f64),
    note: Option<Result<String, String>>,
    pattern: Option<Value>,
    fetching: bool,
    address: Address,
    canvas: NodeRef,
    stage: NodeRef,
    running: Rc<RefCell<bool>>,
    frame: Frame,
    routes: Routes,
    palette: Option<Palette>,
    spoken: String,
    ui: Ui,
    _ui: ContextHandle<Ui>,
    _listeners: Vec<EventListener>,
    _beat: Interval,
}

/// What is shown of what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// Where everything is.
    Picture,
    /// In which order it happened.
    Order,
    /// Both, one above the other.
    Both,
    /// How much of it, in numbers over time.
    Charts,
}

impl Show {
    const ALL: [Show; 4] = [Show::Picture, Show::Order, Show::Both, Show::Charts];

    /// As the address of the page has it.
    fn word(self) -> &'static str {
        match self {
            Show::Picture => "",
            Show::Order => "order",
            Show::Both => "both",
            Show::Charts => "charts",
        }
    }

    fn of(word: &str) -> Show {
        Show::ALL.into_iter().find(|s| s.word() == word).unwrap_or(Show::Picture)
    }
}

/// What happens to it.
#[allow(missing_docs)]
pub enum Msg {
    Frame(f64),
    Heard,
    Open(u64, Vec<u32>),
    Select(Selection),
    Panel(&'static str),
    Who(BTreeSet<String>),
    Filter(String),
    Act(Action),
    Stop(breakpoints::Change),
    Halted(Result<(), Failure>),
    Touch(Touch),
    Zoom(f64),
    Show(Show),
    Menu(Option<(i32, i32)>),
    Done(Result<Option<String>, Failure>),
    Forked(Result<Value, Failure>),
    Beside(Result<Pair, Failure>),
    Pattern(Value),
    Send(String),
    Older(Box<Timeline>),
    Click(f64, f64),
    Key(String),
    Ui(Ui),
    Resize,
    Beat,
    Fold(bool),
    Link,
    Copied(Result<String, String>),
    Again,
    Restart,
    Started(Result<String, Failure>),
}

impl Component for World {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<World>) -> World {
        let address = ctx.props().address.clone();
        let recorded = recording::inside();
        let mut session = recorded.as_ref().map_or_else(Session::new, |r| r.session());
        if let Some(at) = address.at {
            session.look_at(at);
        }
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("a world stands inside the application");
        if recorded.is_none() {
            let world = address.world.clone();
            ctx.link().send_future(async move {
                let counts = command::density(&world).await;
                let whole: u64 = counts.iter().map(|n| u64::from(*n)).sum();
                Msg::Open(if whole <= OPENING { 1 } else { 0 }, counts)
            });
            let (pattern, world) = (address.pattern.clone(), address.world.clone());
            ctx.link()
                .send_future(async move { Msg::Pattern(command::pattern(pattern, &world).await) });
        }
        let link = ctx.link().clone();
        let keys = link.clone();
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
        let beat = ctx.link().clone();
        let panel = if address.panel.is_empty() { "lesson".into() } else { address.panel.clone() };
        World {
            session: Shared(Rc::new(RefCell::new(session))),
            stream: None,
            tick: 0,
            built: 0.0,
            dirty: true,
            selected: address.event.map_or(Selection::None, Selection::Event),
            wanted: What::parse(&address.what),
            panel,
            who: BTreeSet::new(),
            filter: String::new(),
            menu: None,
            speed: 1000,
            asked: (f64::NEG_INFINITY, None),
            bookmarks: bookmarks::load(&address.world),
            halt: halt::Halt::new(),
            folded: remembered("panels").as_deref() == Some("folded"),
            zoom: 1.0,
            room: (1000.0, 700.0),
            note: None,
            pattern: recorded.map(|r| r.pattern.clone()),
            fetching: false,
            address,
            canvas: NodeRef::default(),
            stage: NodeRef::default(),
            running: Rc::new(RefCell::new(true)),
            frame: Rc::default(),
            routes: Routes::default(),
            palette: None,
            spoken: String::new(),
            ui,
            _ui: handle,
            _listeners: listeners,
            _beat: Interval::new(1000, move || beat.send_message(Msg::Beat)),
        }
    }

    fn rendered(&mut self, ctx: &Context<World>, first: bool) {
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

    fn destroy(&mut self, _: &Context<World>) {
        *self.running.borrow_mut() = false;
    }

    fn changed(&mut self, ctx: &Context<World>, _: &Props) -> bool {
        // Someone edited the address by hand, or went back in the history.
        let address = &ctx.props().address;
        if address.at != self.address.at {
            let mut s = self.session.0.borrow_mut();
            match address.at {
                Some(at) => s.look_at(at),
                None => s.present(),
            }
        }
        self.address = address.clone();
        self.build();
        true
    }

    fn update(&mut self, ctx: &Context<World>, msg: Msg) -> bool {
        match msg {
            Msg::Frame(at) => return self.frame(ctx, at),
            Msg::Heard => {
                self.dirty = true;
                return false;
            }
            Msg::Open(from, counts) => {
                {
                    let mut s = self.session.0.borrow_mut();
                    if from == 0 {
                        s.density = counts;
                    }
                }
                let heard = ctx.link().callback(|()| Msg::Heard);
                self.stream =
                    Some(Stream::open(&self.address.world, from, self.session.clone(), heard));
            }
            Msg::Select(selection) => {
                self.menu = None;
                let opened = self.selected == Selection::None && selection != Selection::None;
                self.selected = selection;
                self.keep_selection(ctx);
                if opened {
                    gloo_timers::callback::Timeout::new(0, || crate::view::app::focus("inspected"))
                        .forget();
                }
            }
            Msg::Panel(panel) => {
                self.panel = panel.into();
                self.address.panel = panel.into();
                self.fold(ctx, false);
                self.keep(ctx);
            }
            Msg::Who(who) => self.who = who,
            Msg::Filter(filter) => self.filter = filter,
            Msg::Act(action) => self.act(ctx, action),
            Msg::Stop(change) => self.change_breakpoints(change),
            Msg::Halted(back) => self.halted(ctx, back),
            Msg::Touch(Touch::Effect) => self.act(ctx, Action::Effect),
            Msg::Touch(Touch::Stop(text)) => {
                self.change_breakpoints(breakpoints::Change::Add(text))
            }
            Msg::Touch(Touch::Logs(name)) => {
                (self.panel, self.who) = ("logs".into(), BTreeSet::from([name]));
                self.fold(ctx, false);
            }
            Msg::Touch(Touch::Filter(filter)) => {
                (self.panel, self.filter) = ("messages".into(), filter);
                self.fold(ctx, false);
            }
            Msg::Touch(Touch::Done(done)) => ctx.link().send_message(Msg::Done(done)),
            Msg::Menu(at) => self.menu = at,
            Msg::Zoom(by) => {
                self.zoom = if by == 0.0 { 1.0 } else { (self.zoom * by).clamp(0.5, 4.0) }
            }
            Msg::Show(show) => {
                self.address.show = show.word().into();
                self.keep(ctx);
                self.measure_soon(ctx);
            }
            Msg::Done(Ok(said)) => self.note = said.map(Ok),
            Msg::Done(Err(e)) => self.note = Some(Err(self.told(&e))),
            Msg::Forked(Ok(answer)) => {
                if let Some(id) = answer["world"]["id"].as_str() {
                    // What is bookmarked before the fork happened in it too.
                    let shown = self.session.0.borrow().told();
                    bookmarks::save(&self.bookmarks.until(shown), id);
                    let address = Address {
                        world: id.into(),
                        origin: Some((self.address.world.clone(), shown)),
                        at: None,
                        event: None,
                        what: String::new(),
                        ..self.address.clone()
                    };
                    ctx.props().go.emit(address);
                }
            }
            Msg::Beside(Ok(pair)) => {
                ctx.props().go.emit(Address::of(pair));
            }
            Msg::Forked(Err(e)) | Msg::Beside(Err(e)) => self.note = Some(Err(self.told(&e))),
            Msg::Pattern(pattern) => self.pattern = Some(pattern),
            Msg::Send(to) => {
                // In a frozen world the answer may be a long time coming.
                self.note = Some(Ok(fill(self.ui.t().did_send, &[&to])));
                let (t, world) = (self.ui.t(), self.address.world.clone());
                ctx.link().send_future(async move { Msg::Done(command::send(t, world, to).await) });
            }
            Msg::Older(timeline) => {
                self.fetching = false;
                self.session.0.borrow_mut().adopt(*timeline);
            }
            Msg::Click(x, y) => match near(&self.session, (x, y)) {
                Some(seq) => ctx.link().send_message(Msg::Select(Selection::Event(seq))),
                None => return false,
            },
            Msg::Key(key) => {
                let action = match key.as_str() {
                    "Escape" if self.menu.is_some() => {
                        self.menu = None;
                        return true;
                    }
                    "Escape" if self.selected != Selection::None => {
                        self.selected = Selection::None;
                        self.keep_selection(ctx);
                        self.build();
                        return true;
                    }
                    "k" => {
                        Action::Speed(if self.session.0.borrow().stands() { self.speed } else { 0 })
                    }
                    "-" => Action::Pace(speed::beside(self.speed, -1)),
                    "+" | "=" => Action::Pace(speed::beside(self.speed, 1)),
                    "." => Action::Step,
                    "," => Action::Before,
                    ">" => Action::Effect,
                    "n" => Action::Present,
                    "b" => Action::Mark(self.session.0.borrow().told()),
                    "[" => Action::MarkBefore,
                    "]" => Action::MarkAfter,
                    _ => return false,
                };
                self.act(ctx, action);
            }
            Msg::Ui(ui) => {
                self.ui = ui;
                self.palette = None;
            }
            Msg::Resize => self.resize(),
            Msg::Beat => {
                // Once a second at most, and only what has changed.
                let said = spoken(self.ui.t(), &mut self.session.0.borrow_mut());
                let new = said != self.spoken;
                self.spoken = said;
                return new;
            }
            Msg::Fold(folded) => self.fold(ctx, folded),
            Msg::Link => self.copy_link(ctx),
            Msg::Copied(note) => self.note = Some(note),
            Msg::Again => {
                if let Some(stream) = &self.stream {
                    stream.retry();
                }
            }
            Msg::Restart => {
                let (pattern, seed) =
                    (self.name(), self.address.seed.unwrap_or(crate::view::gallery::SEED));
                ctx.link()
                    .send_future(async move { Msg::Started(api::start(&pattern, seed).await) });
            }
            Msg::Started(Ok(world)) => {
                let (pattern, seed) = (self.name(), self.address.seed);
                ctx.props().go.emit(Address { world, pattern, seed, ..Address::default() });
            }
            Msg::Started(Err(e)) => self.note = Some(Err(self.told(&e))),
        }
        self.build();
        true
    }

    fn view(&self, ctx: &Context<World>) -> Html {
        let t = self.ui.t();
        let session = self.session.clone();
        let select = ctx.link().callback(Msg::Select);
        let (tick, selected) = (self.tick, self.selected.clone());
        let (w, h) = session.0.borrow().layout.size();
        let onclick = ctx.link().batch_callback({
            let canvas = self.canvas.clone();
            move |e: MouseEvent| on_canvas(&canvas, &e, w).map(|(x, y)| Msg::Click(x, y))
        });
        let chosen = match self.selected {
            Selection::Event(seq) => Some(seq),
            _ => None,
        };
        let zoom = |by: f64, name: &'static str, sign: &'static str| {
            html! { <button aria-label={name} title={name} onclick={ctx.link().callback(move |_| Msg::Zoom(by))}>{ sign }</button> }
        };
        let (recorded, told) = (session.0.borrow().recorded, session.0.borrow().told());
        let door = (!recorded)
            .then_some(())
            .and(self.pattern.as_ref().and_then(|p| p["expose"][0].as_str().map(str::to_owned)));
        let send = door.map(|to| {
            let label = fill(t.send_to, &[to.split(':').next().unwrap_or(&to)]);
            let write = inspect::of(self.ui.choices.lang).request_compose;
            let compose = select.reform({
                let to = to.clone();
                move |_: MouseEvent| Selection::Request(to.clone())
            });
            let onclick = ctx.link().callback(move |_: MouseEvent| Msg::Send(to.clone()));
            html! { <div class="sends"><button class="send" data-testid="send" {onclick}>{ shape_sign(Shape::Request) }{ label }</button>
                <button class="send" data-testid="compose-new" aria-label={write} title={write} onclick={compose}>{ "✎" }</button></div> }
        });
        let inspector = html! { <Inspector session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} touch={ctx.link().callback(Msg::Touch)}
        world={self.address.world.clone()} /> };
        let oncontextmenu = ctx.link().batch_callback({
            let (canvas, session) = (self.canvas.clone(), session.clone());
            move |e: MouseEvent| {
                if let Some(at) = crate::view::menu::wanted(&e) {
                    return vec![Msg::Menu(Some(at))];
                }
                // A mark is no element: it is found by where it was drawn.
                let mark = on_canvas(&canvas, &e, w).and_then(|at| near(&session, at));
                let Some(seq) = mark else { return Vec::new() };
                e.prevent_default();
                let at = (e.client_x(), e.client_y());
                vec![Msg::Select(Selection::Event(seq)), Msg::Menu(Some(at))]
            }
        });
        let show = Show::of(&self.address.show);
        let folded = self.folded;
        let views = Show::ALL.into_iter().map(|s| {
            let (name, id) = match s {
                Show::Picture => (t.view_picture, "view-picture"),
                Show::Order => (t.view_order, "view-order"),
                Show::Both => (t.view_both, "view-both"),
                Show::Charts => (t.charts, "view-charts"),
            };
            html! { <button class="form" data-testid={id} aria-pressed={(s == show).to_string()} onclick={ctx.link().callback(move |_| Msg::Show(s))}>{ name }</button> }
        });
        html! {
            <main id="main" class={classes!("world", format!("shows-{}", show.word()), (self.selected != Selection::None).then_some("inspecting"), self.folded.then_some("folded"), self.address.embed.then_some("embed"))} tabindex="-1" {oncontextmenu}>
                <h1 class="unseen">{ format!("{} {}", self.name(), self.address.world) }</h1>
                <p id="picture-help" class="unseen">{ t.picture_help }</p>
                <p class="unseen" role="status" aria-live="polite" data-testid="summary">{ self.spoken.clone() }</p>
                <Banner link={session.0.borrow().link.clone()} note={self.note.clone()} fetching={self.fetching} restartable={!self.name().is_empty()}
                    again={ctx.link().callback(|_| Msg::Again)} restart={ctx.link().callback(|_| Msg::Restart)} />
                <section class={classes!("stage", format!("show-{}", show.word()))} aria-label={t.picture}>
                    <div class="views" role="group" aria-label={t.views}>{ for views }
                        <Recognised session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} /><span class="grow" />
                        if !recorded { <button class="form" data-testid="copy-link" title={t.link_help} onclick={ctx.link().callback(|_| Msg::Link)}>{ t.link_copy }</button> }
                        if !recorded { <CompareWith side={self.compared()} at={told} origin={self.address.origin.clone()} pattern={self.pattern.clone()} go={ctx.props().go.clone()} /> }
                        <Export session={session.clone()} world={self.address.world.clone()} name={self.name()} done={ctx.link().callback(Msg::Done)} />
                        if !recorded { <Tour /> }
                        <button class="form fold-panels" data-testid="fold-panels" aria-expanded={(!self.folded).to_string()} aria-controls="panels" title={if self.folded { t.panels_show } else { t.panels_hide }}
                            onclick={ctx.link().callback(move |_| Msg::Fold(!folded))}>{ t.panels_word }<span aria-hidden="true">{ if self.folded { "◂" } else { "▸" } }</span></button></div>
                    <div class="view" ref={self.stage.clone()} {onclick} data-testid="stage">
                        <div class="paper" style={format!("width:{:.0}px;aspect-ratio:{w:.0}/{h:.0}", w * self.scale((w, h)))}>
                            <Stage session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} />
                            <canvas ref={self.canvas.clone()} aria-hidden="true" />
                        </div>
                    </div>
                    if show == Show::Charts {
                        <ChartsView session={session.clone()} {tick} act={ctx.link().callback(Msg::Act)} />
                    } else if show != Show::Picture {
                        <LanesView session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} />
                    }
                    <div class="foot">
                        <Strip session={session.clone()} {tick} selected={chosen} select={select.clone()} />
                        <div class="base"><Legend />{ send }<div class="zoom" role="group">{ zoom(1.25, t.zoom_in, "+") }{ zoom(0.8, t.zoom_out, "−") }{ zoom(0.0, t.zoom_fit, "⤢") }</div></div>
                    </div>
                </section>
                if let Some(at) = self.menu {
                    <Menu {at} close={ctx.link().callback(|()| Msg::Menu(None))}>{ inspector }</Menu>
                } else { { inspector } }
                <Panels session={session.clone()} {tick} speed={self.speed} act={ctx.link().callback(Msg::Act)} panel={self.panel.clone()} turn={ctx.link().callback(Msg::Panel)} pattern={self.pattern.clone()}
                    address={self.address.clone()} go={ctx.props().go.clone()} selected={selected} {select} who={self.who.clone()} want={ctx.link().callback(Msg::Who)}
                    filter={self.filter.clone()} sift={ctx.link().callback(Msg::Filter)} />
                <Transport session={session.clone()} {tick} speed={self.speed} bookmarks={self.bookmarks.clone()} act={ctx.link().callback(Msg::Act)}>
                    <BreakpointList points={self.halt.points.clone()} hit={self.halt.hit()} change={ctx.link().callback(Msg::Stop)} /></Transport>
            </main>
        }
    }
}

/// Where a pointer is in the picture, `wide` units of which are as wide as the canvas.
fn on_canvas(canvas: &NodeRef, e: &MouseEvent, wide: f64) -> Option<(f64, f64)> {
    let r = canvas.cast::<Element>()?.get_bounding_client_rect();
    let (x, y) = (f64::from(e.client_x()) - r.x(), f64::from(e.client_y()) - r.y());
    let scale = wide / r.width().max(1.0);
    (x >= 0.0 && y >= 0.0 && x <= r.width() && y <= r.height()).then_some((x * scale, y * scale))
}

/// The mark at a place of the picture.
fn near(session: &Shared, (x, y): (f64, f64)) -> Option<podlab_trace::event::Seq> {
    let s = session.0.borrow();
    let marks = s.drawn.iter().map(|(a, b, seq)| ((a - x).hypot(b - y), *seq));
    marks.filter(|(d, _)| *d < 18.0).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, seq)| seq)
}

/// Asks the browser for the next frame; a hidden page gets none, so it draws nothing.
fn next_frame(frame: &Frame) {
    if let Some(closure) = frame.borrow().as_ref() {
        // It fails only in a document that is gone, and then nothing needs drawing.
        let _ = window().request_animation_frame(closure.as_ref().unchecked_ref());
    }
}

impl World {
    fn build(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        self.built = clock();
        self.dirty = false;
    }

    /// Folds the panels away, or shows them.
    fn fold(&mut self, ctx: &Context<World>, folded: bool) {
        if folded == self.folded {
            return;
        }
        self.folded = folded;
        remember("panels", if folded { "folded" } else { "open" });
        self.measure_soon(ctx);
    }

    /// The room of the picture is known when it has been drawn.
    fn measure_soon(&self, ctx: &Context<World>) {
        let link = ctx.link().clone();
        gloo_timers::callback::Timeout::new(0, move || link.send_message(Msg::Resize)).forget();
    }

    fn keep(&self, ctx: &Context<World>) {
        ctx.props().keep.emit(self.address.clone());
    }

    /// The name of its pattern.
    fn name(&self) -> String {
        let known = self.session.0.borrow().pattern.clone();
        if known.is_empty() { self.address.pattern.clone() } else { known }
    }

    fn told(&self, e: &Failure) -> String {
        let t = self.ui.t();
        if e.reason == "unreachable" {
            t.server_gone.into()
        } else {
            fill(t.failed, &[&e.to_string()])
        }
    }
}
