//! The picture, frame by frame: what is drawn anew, how large, and what must be fetched for it.

use web_sys::{Element, HtmlCanvasElement};
use yew::prelude::*;

use super::{Msg, PACE, World};
use crate::session::View;
use crate::stream;
use crate::ui::clock;
use crate::view::canvas::{self, Palette};
use crate::view::inspector::Selection;

/// The smallest scale of a picture that nobody has zoomed.
const LEAST: f64 = 0.6;
/// The largest.
const MOST: f64 = 1.5;

/// After so long the server's speed is the one that was asked for, in ms.
const HEARD: f64 = 2_000.0;

impl World {
    pub(super) fn frame(&mut self, ctx: &Context<World>, at: f64) -> bool {
        let (moved, lacks, view) = {
            let mut s = self.session.0.borrow_mut();
            let before = s.view;
            let moved = s.advance(at);
            if before != s.view {
                self.dirty = true;
            }
            (moved, s.lacks(), s.view)
        };
        self.find_wanted(ctx);
        self.watch(ctx);
        // Somebody else may have chosen another speed; what was asked for here is on its way.
        let told = self.session.0.borrow().clock.speed;
        if told != 0 && told != self.speed && clock() - self.asked.0 > HEARD {
            (self.speed, self.dirty) = (told, true);
        }
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
        if self.older_inside(ctx, until) {
            return;
        }
        let done = ctx.link().callback(|t| Msg::Older(Box::new(t)));
        stream::fetch(&self.address.world, until, done);
    }

    pub(super) fn resize(&mut self) {
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
    pub(super) fn scale(&self, (w, h): (f64, f64)) -> f64 {
        let fit = (self.room.0 / w).min(self.room.1 / h);
        // Beside the order of events there is less room, and the whole matters more.
        let small = self.address.show == "both" || self.address.embed;
        let least = if small { 0.42 } else { LEAST };
        fit.clamp(least, MOST) * self.zoom
    }
}
