//! Stopping at breakpoints: events are looked at as they arrive; at the first that one waits for
//! the world is taken back to exactly its instant, and stands.

use podlab_trace::event::Seq;
use yew::prelude::*;

use super::{Msg, World};
use crate::api::Failure;
use crate::i18n::{fill, inspect};
use crate::model::breakpoint::{Breakpoints, Hit};
use crate::model::show;
use crate::session::View;
use crate::view::breakpoints::{self, Change};
use crate::view::command;
use crate::view::inspector::Selection;

/// Where the watch over the events stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Each event that comes is looked at.
    Watching,
    /// The world is on its way to the instant of this event.
    Stopping(Hit),
    /// It stands there until somebody lets it go on.
    Standing(Hit),
}

/// The breakpoints of this world's pattern, and what came of them.
pub(super) struct Halt {
    pub(super) points: Breakpoints,
    /// Under which name they are kept; `None` until the pattern is known.
    kept: Option<String>,
    /// The next event to look at; `None` until the page has what happened before it was opened.
    next: Option<Seq>,
    /// The next event to look at while the view is played, and the instant it stood at last.
    played: Option<(Seq, u64)>,
    phase: Phase,
}

impl Halt {
    pub(super) fn new() -> Halt {
        Halt {
            points: Breakpoints::default(),
            kept: None,
            next: None,
            played: None,
            phase: Phase::Watching,
        }
    }

    /// The breakpoint at which the world stands.
    pub(super) fn hit(&self) -> Option<usize> {
        match self.phase {
            Phase::Standing(hit) => Some(hit.which),
            _ => None,
        }
    }
}

impl World {
    /// Changes the breakpoints.
    pub(super) fn change_breakpoints(&mut self, change: Change) {
        let t = inspect::of(self.ui.choices.lang);
        let points = &mut self.halt.points;
        match change {
            Change::Add(text) => {
                self.note = Some(match points.add(&text, "") {
                    Ok(()) => Ok(fill(t.breakpoint_set, &[text.trim()])),
                    Err(refused) => Err(breakpoints::told(t, &refused)),
                });
            }
            Change::Name(at, name) => points.rename(at, &name),
            Change::Switch(at, on) => points.switch(at, on),
            Change::Remove(at) => {
                points.remove(at);
                // What is shown as the one that was met must not be its neighbour.
                if matches!(self.halt.phase, Phase::Standing(_)) {
                    self.halt.phase = Phase::Watching;
                }
            }
        }
        if let Some(name) = &self.halt.kept {
            breakpoints::save(&self.halt.points, name);
        }
    }

    /// Looks at what has come since the last frame.
    pub(super) fn watch(&mut self, ctx: &Context<World>) {
        if self.halt.kept.is_none() {
            let name = self.name();
            if name.is_empty() && !self.session.0.borrow().complete() {
                return;
            }
            self.halt.points = breakpoints::load(&name);
            self.halt.kept = Some(name);
            self.dirty = true;
        }
        self.watch_view(ctx);
        let mut s = self.session.0.borrow_mut();
        if s.recorded || !s.complete() {
            return;
        }
        let end = s.timeline.next();
        // What happened before the page was opened is past; going back makes it come again.
        let kept = s.returned.take().unwrap_or(end).min(end);
        let next = self.halt.next.map_or(end, |next| next.min(kept));
        self.halt.next = Some(next);
        let (now, stands) = (s.clock.now, s.clock.speed == 0);
        match self.halt.phase {
            Phase::Stopping(hit) if stands && now == hit.at => {
                drop(s);
                self.stand(ctx, hit);
            }
            Phase::Stopping(_) => {}
            Phase::Standing(hit) if stands && now == hit.at => {}
            Phase::Standing(_) | Phase::Watching => {
                self.dirty |= self.halt.hit().is_some();
                self.halt.phase = Phase::Watching;
                let (next, hit) = self.halt.points.look(&s.timeline, next, end);
                drop(s);
                self.halt.next = Some(next);
                if let Some(hit) = hit {
                    self.stop(ctx, hit);
                }
            }
        }
    }

    /// The same for a view that is played: there only the view stops.
    fn watch_view(&mut self, ctx: &Context<World>) {
        let mut s = self.session.0.borrow_mut();
        let (edge, shown) = (s.edge(), s.shown());
        if s.view != (View::Back { playing: true }) {
            if self.halt.played.is_some_and(|(_, at)| at != shown) {
                self.halt.played = None;
            }
            return;
        }
        let from = self.halt.played.map_or(edge, |(next, _)| next);
        let (next, hit) = self.halt.points.look(s.around(), from, edge);
        self.halt.played = Some((next, shown));
        if let Some(hit) = hit {
            s.look_at(hit.at);
            self.halt.played = Some((next, s.shown()));
            drop(s);
            self.address.at = Some(hit.at);
            self.met(ctx, hit);
        }
    }

    fn stop(&mut self, ctx: &Context<World>, hit: Hit) {
        self.halt.phase = Phase::Stopping(hit);
        let world = self.address.world.clone();
        ctx.link().send_future(async move {
            let back = command::time(world.clone(), command::seek(hit.at)).await;
            if back.is_err() {
                // Where it cannot go back it can at least stand; if not even that, it is told.
                let _ = command::time(world, command::speed(0)).await;
            }
            Msg::Halted(back.map(|_| ()))
        });
    }

    /// The world was asked to go to an event.
    pub(super) fn halted(&mut self, ctx: &Context<World>, back: Result<(), Failure>) {
        let (Phase::Stopping(hit), Err(e)) = (self.halt.phase, back) else { return };
        self.halt.phase = Phase::Watching;
        self.session.0.borrow_mut().look_at(hit.at);
        self.address.at = Some(hit.at);
        self.met(ctx, hit);
        let t = inspect::of(self.ui.choices.lang);
        let (called, when) = (self.called(hit), show::instant(hit.at));
        self.note = Some(Err(fill(t.breakpoint_not_there, &[&called, &when, &self.told(&e)])));
    }

    /// The world stands at an event.
    fn stand(&mut self, ctx: &Context<World>, hit: Hit) {
        self.halt.phase = Phase::Standing(hit);
        // What happened at the same instant after it is looked at when the world goes on.
        self.halt.next = Some(hit.seq + 1);
        self.session.0.borrow_mut().present();
        self.address.at = None;
        self.met(ctx, hit);
    }

    fn called(&self, hit: Hit) -> String {
        self.halt.points.get(hit.which).map(|b| b.called().to_owned()).unwrap_or_default()
    }

    fn met(&mut self, ctx: &Context<World>, hit: Hit) {
        let t = inspect::of(self.ui.choices.lang);
        let said = fill(t.breakpoint_hit, &[&show::instant(hit.at), &self.called(hit)]);
        self.note = Some(Ok(format!("{said} {}", t.breakpoint_hit_again)));
        self.dirty = true;
        ctx.link().send_message(Msg::Select(Selection::Event(hit.seq)));
    }
}
