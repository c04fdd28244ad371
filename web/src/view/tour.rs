//! The first minute: a card that points at one thing after the other. It blocks nothing, and who
//! has seen it once is not shown it again, unless asked for.

use gloo_events::{EventListener, EventListenerOptions};
use gloo_timers::callback::{Interval, Timeout};
use web_sys::{Element, HtmlElement};
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::beside::{Area, place};
use crate::ui::{Ui, remember, remembered, window};

const KEY: &str = "tour";
/// Around what it points at, in CSS pixels.
const MARGIN: f64 = 6.0;
/// How often it looks where that is now, in ms.
const PACE: u32 = 200;

/// What a step points at, the first of these that is there; its heading and its text.
type Step = (&'static [&'static str], fn(&Texts) -> (&'static str, &'static str));

const STEPS: [Step; 6] = [
    (&[".pod:has(.volume)", ".pod"], |t| (t.tour_pod, t.tour_pod_text)),
    (&[".pod:has(.volume) .rail", ".pod .rail"], |t| (t.tour_rail, t.tour_rail_text)),
    (&[".volume"], |t| (t.tour_volume, t.tour_volume_text)),
    (&[".strip"], |t| (t.tour_message, t.tour_message_text)),
    (&[".transport"], |t| (t.tour_time, t.tour_time_text)),
    (&[".inspector", ".pod:has(.volume) .container:not(.past)", ".container"], |t| {
        (t.tour_inspector, t.tour_inspector_text)
    }),
];

/// The tour, and the button that begins it again.
pub struct Tour {
    /// Which step is shown, or none.
    step: Option<usize>,
    card: NodeRef,
    ring: NodeRef,
    again: NodeRef,
    _beat: Option<Interval>,
    /// Whether what the first step points at was brought into view.
    brought: bool,
    _resize: EventListener,
    _escape: EventListener,
    ui: Ui,
    _ui: ContextHandle<Ui>,
}

/// What happens to it.
pub enum Msg {
    /// To this step, by somebody who is at it.
    Go(usize),
    /// It is over.
    End,
    /// Escape was pressed, and nothing else took it.
    Escape,
    /// Looks again where everything is.
    Look,
    /// Another language.
    Ui(Ui),
}

impl Component for Tour {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Tour>) -> Tour {
        let link = ctx.link().clone();
        let keys = ctx.link().clone();
        let early = EventListenerOptions::run_in_capture_phase();
        let (ui, handle) = ctx
            .link()
            .context::<Ui>(ctx.link().callback(Msg::Ui))
            .expect("a tour stands inside the application");
        let step = remembered(KEY).is_none().then_some(0);
        Tour {
            step,
            card: NodeRef::default(),
            ring: NodeRef::default(),
            again: NodeRef::default(),
            _beat: step.map(|_| beat(ctx)),
            _resize: EventListener::new(&window(), "resize", move |_| link.send_message(Msg::Look)),
            // On a first visit the keyboard is not in the card, and Escape shall end it all the same.
            // Asked before the page acts on the key: then what it would close is still open.
            _escape: EventListener::new_with_options(&window(), "keydown", early, move |e| {
                let key = wasm_bindgen::JsCast::dyn_ref::<web_sys::KeyboardEvent>(e);
                if key.is_some_and(|k| k.key() == "Escape" && !k.is_composing()) && nowhere() {
                    keys.send_message(Msg::Escape);
                }
            }),
            brought: false,
            ui,
            _ui: handle,
        }
    }

    fn update(&mut self, ctx: &Context<Tour>, msg: Msg) -> bool {
        match msg {
            Msg::Go(step) => {
                self.step = Some(step.min(STEPS.len() - 1));
                self._beat = Some(beat(ctx));
                if let Some(target) = self.target() {
                    bring(&target);
                }
                // Whoever goes on has the keyboard in the card, also with a button that is new.
                let card = self.card.clone();
                Timeout::new(0, move || focus_in(&card)).forget();
                true
            }
            Msg::End => {
                let inside = window().document().and_then(|d| d.active_element());
                let had = self.card.get().zip(inside).is_some_and(|(c, a)| c.contains(Some(&a)));
                remember(KEY, "seen");
                (self.step, self._beat) = (None, None);
                if had && let Some(button) = self.again.cast::<HtmlElement>() {
                    // It stands where the keyboard was before, and begins the tour again.
                    let _ = button.focus();
                }
                true
            }
            Msg::Escape if self.step.is_none() => false,
            Msg::Escape => Component::update(self, ctx, Msg::End),
            Msg::Look => {
                if self.step == Some(0)
                    && !self.brought
                    && let Some(target) = self.target()
                {
                    self.brought = true;
                    bring(&target);
                }
                self.put();
                false
            }
            Msg::Ui(ui) => {
                self.ui = ui;
                true
            }
        }
    }

    fn rendered(&mut self, _: &Context<Tour>, _: bool) {
        self.put();
    }

    fn view(&self, ctx: &Context<Tour>) -> Html {
        let t = self.ui.t();
        let go = |to: usize| ctx.link().callback(move |_: MouseEvent| Msg::Go(to));
        let again = html! { <button ref={self.again.clone()} class="form tour-again" data-testid="tour-again" onclick={go(0)}>{ t.tour_again }</button> };
        // Always two children: one that comes and goes would take the button's place, and its focus.
        let card = self.step.map(|step| self.card(ctx, t, step)).unwrap_or_default();
        html! { <>{ again }{ card }</> }
    }
}

impl Tour {
    fn card(&self, ctx: &Context<Tour>, t: &'static Texts, step: usize) -> Html {
        let go = |to: usize| ctx.link().callback(move |_: MouseEvent| Msg::Go(to));
        let end = ctx.link().callback(|_: MouseEvent| Msg::End);
        let (name, text) = (STEPS[step].1)(t);
        let count = fill(t.tour_step, &[&(step + 1).to_string(), &STEPS.len().to_string()]);
        let keys = ctx.link().batch_callback(|e: KeyboardEvent| {
            (e.key() == "Escape").then(|| {
                e.stop_propagation();
                Msg::End
            })
        });
        let last = step + 1 == STEPS.len();
        html! { <>
            <div class="tour-ring" ref={self.ring.clone()} aria-hidden="true" />
            <div class="tour" ref={self.card.clone()} role="dialog" aria-modal="false" aria-labelledby="tour-name" aria-describedby="tour-text" data-testid="tour" data-step={step.to_string()} onkeydown={keys}>
                <div aria-live="polite">
                    <h2 id="tour-name"><span class="unseen">{ format!("{count}: ") }</span>{ name }</h2>
                    <p id="tour-text">{ text }</p>
                </div>
                <div class="tour-foot">
                    <span class="quiet" aria-hidden="true">{ format!("{} / {}", step + 1, STEPS.len()) }</span>
                    <span class="grow" />
                    if !last { <button data-testid="tour-skip" onclick={end.clone()}>{ t.tour_skip }</button> }
                    if step > 0 { <button data-testid="tour-back" onclick={go(step - 1)}>{ t.tour_back }</button> }
                    if last {
                        <button class="primary" data-testid="tour-next" onclick={end}>{ t.tour_end }</button>
                    } else {
                        <button class="primary" data-testid="tour-next" onclick={go(step + 1)}>{ t.tour_next }</button>
                    }
                </div>
            </div>
        </> }
    }
}

/// Whether the keyboard is at nothing in particular, and nothing is open that Escape closes first.
fn nowhere() -> bool {
    let Some(document) = window().document() else { return false };
    let open = document.query_selector(".inspector, .menu, .export[open]");
    document.active_element().is_none_or(|e| e.tag_name() == "BODY")
        && open.is_ok_and(|e| e.is_none())
}

fn beat(ctx: &Context<Tour>) -> Interval {
    let link = ctx.link().clone();
    Interval::new(PACE, move || link.send_message(Msg::Look))
}

fn focus_in(card: &NodeRef) {
    let next = card.cast::<Element>().and_then(|c| c.query_selector(".primary").ok().flatten());
    if let Some(next) = next.and_then(|n| wasm_bindgen::JsCast::dyn_into::<HtmlElement>(n).ok()) {
        // Without focus it can still be reached with Tab.
        let _ = next.focus();
    }
}

fn room() -> (f64, f64) {
    let size = |v: Result<wasm_bindgen::JsValue, _>| v.ok().and_then(|v| v.as_f64()).unwrap_or(0.0);
    (size(window().inner_width()), size(window().inner_height()))
}

fn area(e: &Element) -> Area {
    let r = e.get_bounding_client_rect();
    Area { x: r.x(), y: r.y(), w: r.width(), h: r.height() }
}

/// Scrolls a thing into view that is not.
fn bring(e: &Element) {
    let (a, (_, height)) = (area(e), room());
    if a.y < 0.0 || a.y + a.h.min(height / 2.0) > height {
        e.scroll_into_view();
    }
}

impl Tour {
    /// What the step points at, if that is there yet.
    fn target(&self) -> Option<Element> {
        let document = window().document()?;
        let (names, _) = STEPS[self.step?];
        names.iter().find_map(|name| document.query_selector(name).ok().flatten())
    }

    /// Puts ring and card where they belong. Outside of Yew: nothing of it is state.
    fn put(&self) {
        let (Some(card), Some(ring)) =
            (self.card.cast::<HtmlElement>(), self.ring.cast::<HtmlElement>())
        else {
            return;
        };
        let around = self.target().map(|e| {
            let a = area(&e);
            let (x, y) = (a.x - MARGIN, a.y - MARGIN);
            Area { x, y, w: a.w + 2.0 * MARGIN, h: a.h + 2.0 * MARGIN }
        });
        let size = (f64::from(card.offset_width()), f64::from(card.offset_height()));
        let at = place(&around.unwrap_or_default(), size, room());
        // Lengths in pixels are valid values: setting them does not fail.
        let put = |e: &HtmlElement, name: &str, v: f64| {
            let _ = e.style().set_property(name, &format!("{v:.0}px"));
        };
        put(&card, "left", at.x);
        put(&card, "top", at.y);
        let _ =
            ring.style().set_property("display", if around.is_some() { "block" } else { "none" });
        let a = around.unwrap_or_default();
        for (name, v) in [("left", a.x), ("top", a.y), ("width", a.w), ("height", a.h)] {
            put(&ring, name, v);
        }
    }
}
