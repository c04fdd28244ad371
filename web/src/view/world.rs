//! One world: its picture, its lists, its time.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Interval;
use serde_json::{Value, json};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlCanvasElement};
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::rows::{List, rows};
use crate::model::show;
use crate::model::timeline::Timeline;
use crate::session::{Link, MAX, Session, Shared, View};
use crate::stream::{self, Stream};
use crate::ui::{Ui, clock, window};
use crate::view::canvas::{self, Palette, Routes};
use crate::view::inspector::{Inspector, Selection, Touch};
use crate::view::lesson::Lesson;
use crate::view::lists::{Rows, Strip};
use crate::view::stage::{Legend, Stage};
use crate::view::transport::{Action, Transport};

/// The page is built anew at most this often, in ms; marks fly between.
const PACE: f64 = 110.0;
/// The smallest scale of a picture that nobody has zoomed.
const LEAST: f64 = 0.6;
/// The largest.
const MOST: f64 = 1.5;
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
    panel: String,
    who: String,
    speed: u32,
    zoom: f64,
    room: (f64, f64),
    note: Option<Result<String, String>>,
    lesson: Option<Value>,
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

/// What happens to it.
#[allow(missing_docs)]
pub enum Msg {
    Frame(f64),
    Heard,
    Open(u64, Vec<u32>),
    Select(Selection),
    Panel(&'static str),
    Who(String),
    Act(Action),
    Touch(Touch),
    Zoom(f64),
    Done(Result<Option<String>, Failure>),
    Forked(Result<Value, Failure>),
    Lesson(Value),
    Older(Box<Timeline>),
    Click(f64, f64),
    Key(String),
    Ui(Ui),
    Resize,
    Beat,
    Again,
    Restart,
    Started(Result<String, Failure>),
}

impl Component for World {
    type Message = Msg;
    type Properties = Props;

    fn create(ctx: &Context<World>) -> World {
        let address = ctx.props().address.clone();
        let mut session = Session::new();
        if let Some(at) = address.at {
            session.look_at(at);
        }
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("a world stands inside the application");
        let world = address.world.clone();
        ctx.link().send_future(async move {
            // Where to begin is a matter of comfort: without an answer the stream begins at 1.
            let density = api::call("GET", &format!("/api/worlds/{world}/density"), None)
                .await
                .unwrap_or_default();
            let counts: Vec<u32> = density["counts"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .map(|n| n.as_u64().unwrap_or(0) as u32)
                .collect();
            let whole: u64 = counts.iter().map(|n| u64::from(*n)).sum();
            Msg::Open(if whole <= OPENING { 1 } else { 0 }, counts)
        });
        let link = ctx.link().clone();
        let keys = link.clone();
        let listeners = vec![
            EventListener::new(&window(), "resize", move |_| link.send_message(Msg::Resize)),
            EventListener::new(&window(), "keydown", move |e| {
                let Some(e) = e.dyn_ref::<web_sys::KeyboardEvent>() else { return };
                let inside = e
                    .target()
                    .and_then(|t| t.dyn_into::<Element>().ok())
                    .map(|e| e.tag_name())
                    .unwrap_or_default();
                let typing = matches!(inside.as_str(), "INPUT" | "SELECT" | "TEXTAREA");
                if e.key() == "Escape" || !(typing || e.ctrl_key() || e.meta_key() || e.alt_key()) {
                    keys.send_message(Msg::Key(e.key()));
                }
            }),
        ];
        let beat = ctx.link().clone();
        let panel = if address.panel.is_empty() { "lesson".into() } else { address.panel.clone() };
        let mut this = World {
            session: Shared(Rc::new(RefCell::new(session))),
            stream: None,
            tick: 0,
            built: 0.0,
            dirty: true,
            selected: address.event.map_or(Selection::None, Selection::Event),
            panel,
            who: String::new(),
            speed: 1000,
            zoom: 1.0,
            room: (1000.0, 700.0),
            note: None,
            lesson: None,
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
        };
        this.ask_lesson(ctx);
        this
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
                let opened = self.selected == Selection::None && selection != Selection::None;
                self.selected = selection;
                self.address.event = match self.selected {
                    Selection::Event(seq) => Some(seq),
                    _ => None,
                };
                self.keep(ctx);
                if opened {
                    gloo_timers::callback::Timeout::new(0, || crate::view::app::focus("inspected"))
                        .forget();
                }
            }
            Msg::Panel(panel) => {
                self.panel = panel.into();
                self.address.panel = panel.into();
                self.keep(ctx);
            }
            Msg::Who(who) => self.who = who,
            Msg::Act(action) => self.act(ctx, action),
            Msg::Touch(Touch::Logs(name)) => {
                (self.panel, self.who) = ("logs".into(), name);
            }
            Msg::Touch(Touch::Fault(kind, target)) => {
                let t = self.ui.t();
                let name =
                    target.split_once('/').map_or(target.clone(), |(_, name)| name.to_owned());
                let said = match kind {
                    "kill" => t.did_kill,
                    "pause" => t.did_pause,
                    _ => t.did_resume,
                };
                let said = fill(said, &[&name]);
                let path = format!("/api/worlds/{}/faults", self.address.world);
                ctx.link().send_future(async move {
                    let answer =
                        api::call("POST", &path, Some(json!({"kind": kind, "target": target})))
                            .await;
                    Msg::Done(answer.map(|_| Some(said)))
                });
            }
            Msg::Zoom(by) => {
                self.zoom = if by == 0.0 { 1.0 } else { (self.zoom * by).clamp(0.5, 4.0) }
            }
            Msg::Done(Ok(said)) => self.note = said.map(Ok),
            Msg::Done(Err(e)) => self.note = Some(Err(self.told(&e))),
            Msg::Forked(Ok(world)) => {
                if let Some(id) = world["id"].as_str() {
                    let address =
                        Address { world: id.into(), at: None, event: None, ..self.address.clone() };
                    ctx.props().go.emit(address);
                }
            }
            Msg::Forked(Err(e)) => self.note = Some(Err(self.told(&e))),
            Msg::Lesson(lesson) => self.lesson = Some(lesson),
            Msg::Older(timeline) => {
                self.fetching = false;
                self.session.0.borrow_mut().adopt(*timeline);
            }
            Msg::Click(x, y) => {
                let near = {
                    let s = self.session.0.borrow();
                    let far = |(a, b): (f64, f64)| (a - x).hypot(b - y);
                    s.drawn
                        .iter()
                        .map(|(a, b, seq)| (far((*a, *b)), *seq))
                        .filter(|(d, _)| *d < 18.0)
                        .min_by(|a, b| a.0.total_cmp(&b.0))
                        .map(|(_, seq)| seq)
                };
                match near {
                    Some(seq) => ctx.link().send_message(Msg::Select(Selection::Event(seq))),
                    None => return false,
                }
            }
            Msg::Key(key) => {
                let action = match key.as_str() {
                    "Escape" if self.selected != Selection::None => {
                        self.selected = Selection::None;
                        self.address.event = None;
                        self.keep(ctx);
                        self.build();
                        return true;
                    }
                    "k" => Action::Speed(if self.session.0.borrow().clock.speed == 0 {
                        self.speed
                    } else {
                        0
                    }),
                    "." => Action::Step,
                    "," => Action::Before,
                    "n" => Action::Present,
                    _ => return false,
                };
                self.act(ctx, action);
            }
            Msg::Ui(ui) => {
                self.ui = ui;
                self.palette = None;
            }
            Msg::Resize => self.resize(),
            Msg::Beat => return self.speak(),
            Msg::Again => {
                if let Some(stream) = &self.stream {
                    stream.retry();
                }
            }
            Msg::Restart => {
                let (pattern, seed) =
                    (self.pattern(), self.address.seed.unwrap_or(crate::view::gallery::SEED));
                ctx.link()
                    .send_future(async move { Msg::Started(api::start(&pattern, seed).await) });
            }
            Msg::Started(Ok(world)) => {
                let (pattern, seed) = (self.pattern(), self.address.seed);
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
            move |e: MouseEvent| {
                let canvas = canvas.cast::<Element>()?;
                let r = canvas.get_bounding_client_rect();
                let scale = w / r.width().max(1.0);
                Some(Msg::Click(
                    (f64::from(e.client_x()) - r.x()) * scale,
                    (f64::from(e.client_y()) - r.y()) * scale,
                ))
            }
        });
        let tab = |name: &'static str, text: &'static str| {
            let on = self.panel == name;
            html! { <button role="tab" id={format!("tab-{name}")} aria-selected={on.to_string()} aria-controls="panel" data-testid={format!("tab-{name}")}
            tabindex={if on { "0" } else { "-1" }} onclick={ctx.link().callback(move |_| Msg::Panel(name))}>{ text }</button> }
        };
        let order = ["lesson", "messages", "logs", "events"];
        let at = order.iter().position(|p| *p == self.panel).unwrap_or(0);
        let turn = ctx.link().batch_callback(move |e: KeyboardEvent| {
            let to = match e.key().as_str() {
                "ArrowRight" => (at + 1) % order.len(),
                "ArrowLeft" => (at + order.len() - 1) % order.len(),
                _ => return None,
            };
            gloo_timers::callback::Timeout::new(0, move || {
                crate::view::app::focus(&format!("tab-{}", order[to]))
            })
            .forget();
            Some(Msg::Panel(order[to]))
        });
        let list = |list: List| {
            html! { <Rows session={session.clone()} {tick} {list} selected={selected.clone()} select={select.clone()}
            who={if list == List::Logs { self.who.clone() } else { String::new() }} want={ctx.link().callback(Msg::Who)} /> }
        };
        let panel = match self.panel.as_str() {
            "messages" => list(List::Messages),
            "logs" => list(List::Logs),
            "events" => list(List::Events),
            _ => self.lesson_view(t),
        };
        let chosen = match self.selected {
            Selection::Event(seq) => Some(seq),
            _ => None,
        };
        let zoom = |by: f64, name: &'static str, sign: &'static str| {
            html! { <button aria-label={name} title={name} onclick={ctx.link().callback(move |_| Msg::Zoom(by))}>{ sign }</button> }
        };
        html! {
            <main id="main" class={classes!("world", (self.selected != Selection::None).then_some("inspecting"))} tabindex="-1">
                <h1 class="unseen">{ format!("{} {}", self.pattern(), self.address.world) }</h1>
                <p id="picture-help" class="unseen">{ t.picture_help }</p>
                <p class="unseen" role="status" aria-live="polite" data-testid="summary">{ self.spoken.clone() }</p>
                { self.banner(ctx, t) }
                <section class="stage" aria-label={t.picture}>
                    <div class="view" ref={self.stage.clone()} {onclick} data-testid="stage">
                        <div class="paper" style={format!("width:{:.0}px;aspect-ratio:{w:.0}/{h:.0}", w * self.scale((w, h)))}>
                            <Stage session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} />
                            <canvas ref={self.canvas.clone()} aria-hidden="true" />
                        </div>
                    </div>
                    <div class="foot"><Strip session={session.clone()} {tick} selected={chosen} select={select.clone()} /><div class="base"><Legend /><div class="zoom" role="group">{ zoom(1.25, t.zoom_in, "+") }{ zoom(0.8, t.zoom_out, "−") }{ zoom(0.0, t.zoom_fit, "⤢") }</div></div></div>
                    <Inspector session={session.clone()} {tick} selected={selected.clone()} select={select.clone()} touch={ctx.link().callback(Msg::Touch)} />
                </section>
                <aside class="side" aria-label={t.panels}>
                    <div class="tabs" role="tablist" aria-label={t.panels} onkeydown={turn}>
                        { tab("lesson", t.lesson) }{ tab("messages", t.messages) }{ tab("logs", t.logs) }{ tab("events", t.events) }
                    </div>
                    <div id="panel" class="panel" role="tabpanel" aria-labelledby={format!("tab-{}", order[at])}>{ panel }</div>
                </aside>
                <Transport session={session.clone()} {tick} speed={self.speed} act={ctx.link().callback(Msg::Act)} />
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

impl World {
    fn build(&mut self) {
        self.tick = self.tick.wrapping_add(1);
        self.built = clock();
        self.dirty = false;
    }

    fn frame(&mut self, ctx: &Context<World>, at: f64) -> bool {
        let (moved, lacks, view) = {
            let mut s = self.session.0.borrow_mut();
            let before = s.view;
            let moved = s.advance(at);
            if before != s.view {
                self.dirty = true;
            }
            (moved, s.lacks(), s.view)
        };
        if let Some(canvas) = self.canvas.cast::<HtmlCanvasElement>() {
            let palette = self.palette.get_or_insert_with(|| Palette::read(&canvas));
            let chosen = match self.selected {
                Selection::Event(seq) => Some(seq),
                _ => None,
            };
            let mut s = self.session.0.borrow_mut();
            canvas::draw(&canvas, &mut s, &mut self.routes, palette, self.ui.still(), chosen);
        }
        if lacks && !self.fetching {
            self.fetch_older(ctx);
        }
        if view == View::Live && self.address.at.is_some() {
            self.address.at = None;
            self.keep(ctx);
        }
        if (moved || self.dirty) && clock() - self.built > PACE {
            self.build();
            return true;
        }
        false
    }

    fn fetch_older(&mut self, ctx: &Context<World>) {
        self.fetching = true;
        // A little more than is shown, so that playing on from there finds something.
        let until = self.session.0.borrow().shown().saturating_add(20_000_000_000);
        let done = ctx.link().callback(|t| Msg::Older(Box::new(t)));
        stream::fetch(&self.address.world, until, done);
    }

    fn keep(&self, ctx: &Context<World>) {
        ctx.props().keep.emit(self.address.clone());
    }

    fn pattern(&self) -> String {
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

    fn act(&mut self, ctx: &Context<World>, action: Action) {
        let path = format!("/api/worlds/{}/time", self.address.world);
        let seconds = |ns: u64| format!("{}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000);
        let shown = self.session.0.borrow().told();
        let post = |body: Value| {
            let path = path.clone();
            ctx.link().send_future(async move {
                Msg::Done(api::call("POST", &path, Some(body)).await.map(|_| None))
            });
        };
        match action {
            Action::Speed(speed) => {
                if speed != 0 {
                    self.speed = speed;
                }
                post(
                    json!({"speed": if speed == MAX { json!("max") } else { json!(f64::from(speed) / 1000.0) }}),
                );
            }
            Action::Step => {
                self.session.0.borrow_mut().present();
                post(json!({"step": "event"}));
            }
            Action::Rewind => post(json!({"seek": seconds(shown)})),
            Action::Fork => {
                ctx.link().send_future(async move {
                    Msg::Forked(
                        api::call("POST", &path, Some(json!({"fork": seconds(shown)}))).await,
                    )
                });
            }
            Action::Look(at) => {
                self.session.0.borrow_mut().look_at(at);
                self.address.at = Some(at);
                self.keep(ctx);
            }
            Action::Before => {
                let mut s = self.session.0.borrow_mut();
                s.step_back();
                self.address.at = Some(s.shown());
                drop(s);
                self.keep(ctx);
            }
            Action::Play(playing) => self.session.0.borrow_mut().play(playing),
            Action::Present => {
                self.session.0.borrow_mut().present();
                self.address.at = None;
                self.keep(ctx);
            }
        }
    }

    fn resize(&mut self) {
        if let Some(stage) = self.stage.cast::<Element>() {
            let (width, height) = (stage.client_width(), stage.client_height());
            let columns = match width {
                0..560 => 1,
                560..680 => 2,
                _ => 3,
            };
            // On a narrow page the picture is as high as it likes, and the page scrolls.
            let height = if columns == 1 { f64::INFINITY } else { f64::from(height) };
            self.room = (f64::from(width), height);
            self.session.0.borrow_mut().columns(columns);
        }
    }

    /// CSS pixels for a unit of the picture: all of it is seen, unless nobody could read it then.
    fn scale(&self, (w, h): (f64, f64)) -> f64 {
        let fit = (self.room.0 / w).min(self.room.1 / h);
        fit.clamp(LEAST, MOST) * self.zoom
    }

    fn ask_lesson(&mut self, ctx: &Context<World>) {
        let (pattern, world) = (self.address.pattern.clone(), self.address.world.clone());
        let link = ctx.link().clone();
        spawn_local(async move {
            let pattern = if pattern.is_empty() {
                let world = api::call("GET", &format!("/api/worlds/{world}"), None)
                    .await
                    .unwrap_or_default();
                world["pattern"].as_str().unwrap_or_default().to_owned()
            } else {
                pattern
            };
            // A world without a pattern has no lesson, and the panel says so.
            let lesson = api::call("GET", &format!("/api/patterns/{pattern}"), None)
                .await
                .unwrap_or_default();
            link.send_message(Msg::Lesson(lesson));
        });
    }

    fn lesson_view(&self, t: &'static Texts) -> Html {
        let Some(lesson) = &self.lesson else {
            return html! { <p class="quiet">{ t.loading }</p> };
        };
        let tag = self.ui.choices.lang.tag();
        let text = lesson["lesson"][tag].as_str().or(lesson["lesson"]["en"].as_str());
        match text {
            Some(markdown) => html! { <Lesson markdown={markdown.to_owned()} /> },
            None => html! { <p class="quiet">{ t.no_lesson }</p> },
        }
    }

    /// What is told to those who do not see the picture: once a second at most, and only what
    /// has changed.
    fn speak(&mut self) -> bool {
        let t = self.ui.t();
        let mut s = self.session.0.borrow_mut();
        let state = s.state();
        let containers: Vec<_> = state
            .places
            .values()
            .filter(|p| !p.pod.is_empty() && !p.container.is_empty())
            .collect();
        let up = containers.iter().filter(|p| p.running).count();
        let flying = s.flights().at(s.shown(), s.around()).count();
        let last = rows(s.around(), List::Messages, s.edge(), "", "", 1);
        let last = last.first().map_or_else(
            || t.nothing_yet.to_owned(),
            |r| format!("{} → {}: {}", r.who, r.whom, r.what),
        );
        let how = match (s.view, s.clock.speed) {
            (View::Back { .. }, _) => format!("{} {}", t.scrub, show::instant(s.told())),
            (View::Live, 0) => format!("{} {}", t.world_frozen, show::instant(s.told())),
            // While it runs, numbers change too fast to be read out.
            (View::Live, _) => t.world_running.to_owned(),
        };
        let running = s.view == View::Live && s.clock.speed != 0;
        let (flying, last) =
            if running { ("…".to_owned(), "…".to_owned()) } else { (flying.to_string(), last) };
        let said = fill(
            t.summary,
            &[&how, &up.to_string(), &containers.len().to_string(), &flying, &last],
        );
        let new = said != self.spoken;
        self.spoken = said;
        new
    }

    fn banner(&self, ctx: &Context<World>, t: &'static Texts) -> Html {
        let link = self.session.0.borrow().link.clone();
        let again = ctx.link().callback(|_: MouseEvent| Msg::Again);
        let restart = ctx.link().callback(|_: MouseEvent| Msg::Restart);
        let reload = Callback::from(|_: MouseEvent| {
            // A page that cannot be reloaded stays as it is, with its message.
            let _ = window().location().reload();
        });
        let state = match link {
            Link::Open => Html::default(),
            Link::Connecting => html! { <div class="banner" role="status">{ t.connecting }</div> },
            Link::Waiting(s) => {
                html! { <div class="banner trouble" role="alert">{ fill(t.reconnecting, &[&s.to_string()]) }{ " " }{ t.server_gone }<button onclick={again}>{ t.try_now }</button></div> }
            }
            Link::Gone(why) => {
                html! { <div class="banner trouble" role="alert"><span>{ fill(t.world_gone, &[&why]) }{ " " }{ t.world_gone_help }</span>
                if !self.pattern().is_empty() { <button class="primary" onclick={restart}>{ t.start_again }</button> }</div> }
            }
            Link::Version(v) => {
                html! { <div class="banner trouble" role="alert">{ fill(t.version_differs, &[&podlab_trace::wire::VERSION.to_string(), &v.to_string()]) }<button onclick={reload}>{ t.reload }</button></div> }
            }
            Link::Garbled => {
                html! { <div class="banner trouble" role="alert">{ t.bad_data }<button onclick={reload}>{ t.reload }</button></div> }
            }
        };
        let note = match &self.note {
            None => Html::default(),
            Some(Ok(said)) => {
                html! { <div class="toast" role="status" data-testid="note">{ said.clone() }</div> }
            }
            Some(Err(said)) => {
                html! { <div class="toast trouble" role="alert" data-testid="note">{ said.clone() }</div> }
            }
        };
        html! { <>{ state }{ note }if self.fetching { <div class="toast" role="status">{ t.older }</div> }</> }
    }
}
