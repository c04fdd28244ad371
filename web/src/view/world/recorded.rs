//! Time where there is no world: a recording is played, not run.

use yew::prelude::*;

use super::{Msg, World};
use crate::recording;
use crate::session::View;
use crate::view::transport::Action;

impl World {
    /// Does with a recording what it can; whether that was all there is to do.
    pub(super) fn act_recorded(&mut self, ctx: &Context<World>, action: &Action) -> bool {
        let mut s = self.session.0.borrow_mut();
        match *action {
            Action::Speed(0) => s.play(false),
            Action::Speed(speed) => {
                self.speed = speed;
                s.pace(speed);
                if s.view == View::Live {
                    // From its end there is nowhere to go but to its beginning.
                    let since = s.beginning();
                    s.look_at(since);
                }
                s.play(true);
            }
            Action::Pace(speed) => {
                self.speed = speed;
                s.pace(speed);
            }
            Action::Step => {
                s.step();
                self.address.at = (s.view != View::Live).then(|| s.shown());
                drop(s);
                self.keep(ctx);
            }
            Action::Fork | Action::Beside | Action::Rewind => {}
            _ => return false,
        }
        true
    }

    /// Fetches what the page has given up, if the page holds it itself.
    pub(super) fn older_inside(&self, ctx: &Context<World>, until: u64) -> bool {
        let Some(recorded) = recording::inside() else { return false };
        ctx.link().send_future(async move { Msg::Older(Box::new(recorded.before(until))) });
        true
    }
}
