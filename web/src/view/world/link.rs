//! What is selected, in words: for the address of the page and for links that are passed on.

use podlab_trace::event::Kind;
use wasm_bindgen_futures::JsFuture;
use yew::prelude::*;

use super::{Msg, World};
use crate::i18n::fill;
use crate::model::link::Link;
use crate::model::pair::Side;
use crate::model::what::What;
use crate::ui::{clipboard, window};
use crate::view::inspector::Selection;

impl World {
    /// The words for what is selected; `None` for what has none.
    pub(super) fn words(&self) -> Option<What> {
        Some(match &self.selected {
            Selection::None | Selection::Edge(..) | Selection::Request(_) => return None,
            Selection::Event(seq) => What::Event(*seq),
            Selection::Stream(conn) => What::Stream(*conn),
            Selection::Volume(pod, name) => What::Volume(pod.clone(), name.clone()),
            Selection::Pod(name) => What::Pod(name.clone()),
            Selection::Node(name) => What::Node(name.clone()),
            Selection::Service(name) => What::Service(name.clone()),
            Selection::Container(id) => {
                let s = self.session.0.borrow();
                let p = s.timeline.head().places.get(id)?;
                What::Container(p.namespace.clone(), p.pod.clone(), p.container.clone())
            }
        })
    }

    /// The address follows what is selected.
    pub(super) fn keep_selection(&mut self, ctx: &Context<World>) {
        let words = self.words();
        self.address.event = match words {
            Some(What::Event(seq)) => Some(seq),
            _ => None,
        };
        self.address.what = words
            .filter(|w| !matches!(w, What::Event(_)))
            .map(|w| w.to_string())
            .unwrap_or_default();
        self.keep(ctx);
    }

    /// Selects what the address names, once it is known whether it is there.
    pub(super) fn find_wanted(&mut self, ctx: &Context<World>) {
        let Some(wanted) = &self.wanted else { return };
        let found = {
            let s = self.session.0.borrow();
            if !s.complete() {
                return;
            }
            let state = s.timeline.head();
            let has = |kind: &str, name: &str| {
                let (ns, name) = name.split_once('/').unwrap_or(("", name));
                state.objects.contains_key(&(kind.to_owned(), ns.to_owned(), name.to_owned()))
            };
            match wanted {
                What::Event(seq) => (*seq < s.timeline.next()).then_some(Selection::Event(*seq)),
                What::Container(..) => wanted.place(state).map(Selection::Container),
                What::Pod(name) => has("Pod", name).then(|| Selection::Pod(name.clone())),
                What::Service(name) => {
                    has("Service", name).then(|| Selection::Service(name.clone()))
                }
                What::Node(name) => has("Node", name).then(|| Selection::Node(name.clone())),
                What::Volume(pod, name) => {
                    has("Pod", pod).then(|| Selection::Volume(pod.clone(), name.clone()))
                }
                What::Stream(conn) => s.timeline.ends(*conn).map(|_| Selection::Stream(*conn)),
            }
        };
        match found {
            Some(selection) => ctx.link().send_message(Msg::Select(selection)),
            None => {
                let lost = fill(self.ui.t().link_lost, &[&wanted.to_string()]);
                self.note = Some(Err(lost));
                self.address.what = String::new();
                self.keep(ctx);
                self.dirty = true;
            }
        }
        self.wanted = None;
    }

    /// It as one of two that are compared.
    pub(super) fn compared(&self) -> Side {
        let s = self.session.0.borrow();
        // What an exercise begins with is in no pattern.
        let pattern =
            if self.address.exercise.is_empty() { s.pattern.clone() } else { String::new() };
        let epoch = Some(s.epoch / 1_000_000_000);
        let world = self.address.world.clone();
        Side { world, pattern, seed: s.seed, epoch, ..Side::default() }
    }

    /// Copies a link to what is seen.
    pub(super) fn copy_link(&mut self, ctx: &Context<World>) {
        let t = self.ui.t();
        let (link, touched) = {
            let s = self.session.0.borrow();
            // What a world begins with is the pattern's; what came later somebody did.
            let done = |e: &&podlab_trace::Event| matches!(e.kind, Kind::Input { .. }) && e.at > 0;
            let link = Link {
                pattern: s.pattern.clone(),
                seed: s.seed,
                epoch: Some(s.epoch / 1_000_000_000),
                at: Some(s.told()),
                what: self.words(),
                show: self.address.show.clone(),
                panel: self.address.panel.clone(),
            };
            (link, s.timeline.events().filter(done).count())
        };
        if link.pattern.is_empty() || !self.address.exercise.is_empty() {
            self.note = Some(Err(t.link_none.into()));
            return;
        }
        let location = window().location();
        let (origin, path) =
            (location.origin().unwrap_or_default(), location.pathname().unwrap_or_default());
        let url = format!("{origin}{path}{}", link.hash());
        let mut said = t.link_copied.to_owned();
        if touched > 0 {
            said.push(' ');
            said.push_str(&fill(t.link_touched, &[&touched.to_string()]));
        }
        ctx.link().send_future(async move {
            let copied = match clipboard(&url) {
                Some(promise) => JsFuture::from(promise).await.is_ok(),
                None => false,
            };
            Msg::Copied(if copied { Ok(said) } else { Err(fill(t.link_by_hand, &[&url])) })
        });
    }
}
