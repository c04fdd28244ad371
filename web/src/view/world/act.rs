//! What is done with time.

use serde_json::Value;
use yew::prelude::*;

use super::{Msg, World};
use crate::view::command;
use crate::view::transport::Action;

impl World {
    pub(super) fn act(&mut self, ctx: &Context<World>, action: Action) {
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
                post(command::speed(speed));
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
}
