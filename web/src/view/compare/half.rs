//! One of the two worlds: its stream, its picture, its figures.

use std::cell::RefCell;
use std::rc::Rc;

use web_sys::{Element, HtmlCanvasElement};
use yew::prelude::*;

use crate::api::Failure;
use crate::model::figures::{Count, Figures};
use crate::model::likeness::counterpart;
use crate::model::lockstep::Heard;
use crate::model::what::What;
use crate::session::{Session, Shared, View};
use crate::stream::Stream;
use crate::view::canvas::{self, Palette, Routes};
use crate::view::inspector::Selection;

/// The smallest scale of a picture, and the largest.
const SCALE: (f64, f64) = (0.42, 1.3);

/// Whether it is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Coming {
    /// It is found or made.
    Making,
    /// It is there.
    There,
    /// It is not, and why.
    Failed(Failure),
}

/// One of the two worlds.
pub struct Half {
    /// What came of it.
    pub session: Shared,
    /// Its stream, once it is there.
    pub stream: Option<Stream>,
    /// Whether it is there.
    pub coming: Coming,
    /// What is selected.
    pub selected: Selection,
    /// Whether older events are on their way.
    pub fetching: bool,
    /// Up to the instant shown.
    pub figures: Figures,
    /// The moving marks.
    pub canvas: NodeRef,
    /// What the picture scrolls in.
    pub stage: NodeRef,
    count: Count,
    room: f64,
    routes: Routes,
    palette: Option<Palette>,
}

impl Default for Half {
    fn default() -> Half {
        Half::new()
    }
}

impl Half {
    /// A world nothing is known of.
    pub fn new() -> Half {
        Half {
            session: Shared(Rc::new(RefCell::new(Session::new()))),
            stream: None,
            coming: Coming::Making,
            selected: Selection::None,
            fetching: false,
            figures: Figures::default(),
            canvas: NodeRef::default(),
            stage: NodeRef::default(),
            count: Count::new(),
            room: 500.0,
            routes: Routes::default(),
            palette: None,
        }
    }

    /// Whether its clock has been heard of.
    pub fn is_there(&self) -> bool {
        self.session.0.borrow().complete()
    }

    /// What the common clock needs to know of it.
    pub fn heard(&self, at: u64) -> Heard {
        let s = self.session.0.borrow();
        let next = s.timeline.event(s.timeline.after(at)).map(|e| e.at);
        Heard { now: s.clock.now, known: s.known(), stands: s.clock.speed == 0, next }
    }

    /// Shows an instant; the present, if that is `live`. Whether anything on the screen moves.
    pub fn show(&self, at: u64, live: bool, clock_ms: f64) -> bool {
        let mut s = self.session.0.borrow_mut();
        let before = (s.view, s.told());
        match live {
            true if s.view != View::Live => s.present(),
            true => {}
            false => s.look_at(at),
        }
        s.advance(clock_ms) || before != (s.view, s.told())
    }

    /// Draws the marks.
    pub fn draw(&mut self, still: bool) {
        let Some(canvas) = self.canvas.cast::<HtmlCanvasElement>() else { return };
        let palette = self.palette.get_or_insert_with(|| Palette::read(&canvas));
        let chosen = match self.selected {
            Selection::Event(seq) => Some(seq),
            _ => None,
        };
        let mut s = self.session.0.borrow_mut();
        canvas::draw(&canvas, &mut s, &mut self.routes, palette, still, chosen);
    }

    /// Colours may be others now.
    pub fn repaint(&mut self) {
        self.palette = None;
    }

    /// Counts up to the instant shown.
    pub fn tally(&mut self) {
        let s = self.session.0.borrow();
        self.figures = self.count.before(s.around(), s.edge());
    }

    /// Finds out how much room the picture has.
    pub fn measure(&mut self) {
        let Some(stage) = self.stage.cast::<Element>() else { return };
        let width = stage.client_width();
        self.room = f64::from(width);
        let columns = match width {
            0..440 => 1,
            440..900 => 2,
            _ => 3,
        };
        self.session.0.borrow_mut().columns(columns);
    }

    /// How wide the picture is, in CSS pixels, and its size in units of its own.
    pub fn paper(&self) -> (f64, (f64, f64)) {
        let (w, h) = self.session.0.borrow().layout.size();
        (w * (self.room / w).clamp(SCALE.0, SCALE.1), (w, h))
    }

    /// The mark at a point of the picture.
    pub fn at(&self, x: f64, y: f64) -> Option<Selection> {
        let s = self.session.0.borrow();
        let far = |a: f64, b: f64| (a - x).hypot(b - y);
        let near = s.drawn.iter().map(|(a, b, seq)| (far(*a, *b), *seq));
        let near = near.filter(|(d, _)| *d < 18.0).min_by(|a, b| a.0.total_cmp(&b.0));
        near.map(|(_, seq)| Selection::Event(seq))
    }

    /// What is to this world what `selection` is to `other`.
    pub fn like(&self, other: &Half, selection: &Selection) -> Selection {
        let (here, there) = (other.session.0.borrow(), self.session.0.borrow());
        let exists = |kind: &str, name: &str| {
            let (ns, name) = name.split_once('/').unwrap_or(("", name));
            let key = (kind.to_owned(), ns.to_owned(), name.to_owned());
            there.timeline.head().objects.contains_key(&key)
        };
        let found = match selection {
            Selection::None
            | Selection::Edge(..)
            | Selection::Stream(_)
            | Selection::Request(_) => None,
            Selection::Event(seq) => {
                counterpart(here.around(), *seq, there.around()).map(Selection::Event)
            }
            Selection::Container(id) => here.timeline.head().places.get(id).and_then(|p| {
                let what = What::Container(p.namespace.clone(), p.pod.clone(), p.container.clone());
                what.place(there.timeline.head()).map(Selection::Container)
            }),
            Selection::Pod(name) => exists("Pod", name).then(|| selection.clone()),
            Selection::Service(name) => exists("Service", name).then(|| selection.clone()),
            Selection::Node(name) => exists("Node", name).then(|| selection.clone()),
            Selection::Volume(pod, _) => exists("Pod", pod).then(|| selection.clone()),
        };
        found.unwrap_or(Selection::None)
    }
}
