//! What is done with time.

use gloo_timers::callback::Timeout;
use serde_json::Value;
use yew::prelude::*;

use super::{Msg, World};
use crate::i18n::fill;
use crate::model::bookmark::Refused;
use crate::model::consequence::consequences;
use crate::ui::clock;
use crate::view::bookmarks;
use crate::view::command;
use crate::view::inspector::Selection;
use crate::view::transport::Action;

/// How long a slider must stay where it is, in ms.
const SETTLE: u32 = 150;

impl World {
    pub(super) fn act(&mut self, ctx: &Context<World>, action: Action) {
        if self.session.0.borrow().recorded && self.act_recorded(ctx, &action) {
            return;
        }
        let shown = self.session.0.borrow().told();
        let world = self.address.world.clone();
        let post = |body: Value| {
            let world = world.clone();
            ctx.link().send_future(async move {
                Msg::Done(command::time(world, body).await.map(|_| None))
            });
        };
        match action {
            Action::Speed(speed) => {
                if speed != 0 {
                    self.speed = speed;
                }
                self.asked = (clock(), None);
                post(command::speed(speed));
            }
            Action::Pace(speed) => {
                self.speed = speed;
                let frozen = self.session.0.borrow().clock.speed == 0;
                // A slider says much on its way; only where it stays is asked of the server.
                let asks = (!frozen).then(|| {
                    let link = ctx.link().clone();
                    Timeout::new(SETTLE, move || {
                        link.send_message(Msg::Act(Action::Speed(speed)));
                    })
                });
                self.asked = (clock(), asks);
            }
            Action::Step => {
                self.session.0.borrow_mut().present();
                post(command::step());
            }
            Action::Rewind => post(command::seek(shown)),
            Action::Fork => {
                ctx.link().send_future(async move {
                    Msg::Forked(command::time(world, command::fork(shown)).await)
                });
            }
            Action::Beside => {
                let side = self.compared();
                ctx.link().send_future(async move {
                    Msg::Beside(crate::view::compare::making::fork(side, shown).await)
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
            Action::Effect => {
                let found = {
                    let s = self.session.0.borrow();
                    let of = match self.selected {
                        Selection::Event(seq) => seq,
                        _ => s.edge().saturating_sub(1),
                    };
                    let timeline = s.around();
                    let first = consequences(timeline, of).first().copied();
                    first.and_then(|seq| timeline.event(seq)).map(|e| (e.seq, e.at))
                };
                let Some((seq, at)) = found else {
                    self.note = Some(Ok(self.ui.t().no_effect.into()));
                    return;
                };
                self.session.0.borrow_mut().look_at(at);
                self.address.at = Some(at);
                ctx.link().send_message(Msg::Select(Selection::Event(seq)));
            }
            Action::Play(playing) => self.session.0.borrow_mut().play(playing),
            Action::Mark(at) => {
                let t = self.ui.t();
                let when = crate::model::show::instant(at);
                match self.bookmarks.set(at) {
                    Ok(()) => self.note = Some(Ok(fill(t.did_bookmark, &[&when]))),
                    Err(Refused::Twice) => self.note = Some(Ok(t.bookmark_twice.into())),
                    Err(Refused::Full) => self.note = Some(Err(t.bookmark_full.into())),
                }
                bookmarks::save(&self.bookmarks, &world);
            }
            Action::Name(at, name) => {
                self.bookmarks.rename(at, &name);
                bookmarks::save(&self.bookmarks, &world);
            }
            Action::Unmark(at) => {
                self.bookmarks.remove(at);
                bookmarks::save(&self.bookmarks, &world);
            }
            Action::MarkBefore | Action::MarkAfter => {
                let there = match action {
                    Action::MarkBefore => self.bookmarks.before(shown),
                    _ => self.bookmarks.after(shown),
                };
                match there.map(|b| b.at) {
                    Some(at) => self.act(ctx, Action::Look(at)),
                    None => self.note = Some(Ok(self.ui.t().no_bookmark.into())),
                }
            }
            Action::Present => {
                self.session.0.borrow_mut().present();
                self.address.at = None;
                self.keep(ctx);
            }
        }
    }
}
