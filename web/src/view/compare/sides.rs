//! The two sides on the screen: their names, their pictures, and what is selected in them.

use wasm_bindgen_futures::JsFuture;
use web_sys::Element;
use yew::prelude::*;

use super::half::Coming;
use super::words::{self, Texts};
use super::{Compare, Msg, beside, parts};
use crate::address::Address;
use crate::i18n::{Lang, fill};
use crate::model::show;
use crate::model::variant::variants;
use crate::session::{Link, View};
use crate::ui::{clipboard, window};
use crate::view::inspector::{Inspector, Selection, Touch};
use crate::view::lists::Strip;
use crate::view::stage::Stage;

impl Compare {
    /// The page of one of them alone.
    pub(super) fn address(&self, i: usize) -> Address {
        let side = &self.pair.sides[i];
        let origin = side.fork.map(|at| (self.pair.sides[1 - i].world.clone(), at));
        Address {
            world: side.world.clone(),
            pattern: side.pattern.clone(),
            seed: (!side.pattern.is_empty()).then_some(side.seed),
            origin,
            ..Address::default()
        }
    }

    /// What tells one from the other.
    pub(super) fn name(&self, w: &Texts, i: usize) -> String {
        let (side, other) = (&self.pair.sides[i], &self.pair.sides[1 - i]);
        if let Some(at) = side.fork {
            return fill(w.label_fork, &[&show::instant(at)]);
        }
        if other.fork.is_some() {
            return w.label_origin.into();
        }
        if side.without != other.without {
            if side.without.is_empty() {
                return w.label_with.into();
            }
            let lang = usize::from(self.ui.choices.lang == Lang::Ja);
            let found = variants(&self.patterns[i]).into_iter().find(|v| v.name == side.without);
            let title = found.map(|v| v.title[lang].clone()).filter(|t| !t.is_empty());
            return title.unwrap_or_else(|| w.label_without.into());
        }
        if side.pattern != other.pattern && !side.pattern.is_empty() {
            return side.pattern.clone();
        }
        if side.seed != other.seed {
            return fill(w.label_seed, &[&side.seed.to_string()]);
        }
        let (one, two) = (&side.world, &other.world);
        if one != two { fill(w.label_world, &[one]) } else { [w.left, w.right][i].into() }
    }

    /// It in a sentence.
    pub(super) fn summary(&self) -> String {
        let w = words::of(self.ui.choices.lang);
        let found = self.parting.found();
        let said = match &found.first {
            None => fill(w.same, &[&show::instant(found.same)]),
            Some(d) => fill(w.mark, &[&show::instant(d.at)]),
        };
        fill(w.spoken, &[&show::instant(self.at()), &said])
    }

    pub(super) fn side_view(
        &self,
        ctx: &Context<Compare>,
        w: &'static Texts,
        i: usize,
        name: &str,
    ) -> Html {
        let half = &self.halves[i];
        let side = &self.pair.sides[i];
        let (width, (lw, lh)) = half.paper();
        let which = [w.left, w.right][i];
        let select = ctx.link().callback(move |s| Msg::Select(i, s));
        let canvas = half.canvas.clone();
        let onclick = ctx.link().batch_callback(move |e: MouseEvent| {
            let r = canvas.cast::<Element>()?.get_bounding_client_rect();
            let scale = lw / r.width().max(1.0);
            let (x, y) = (f64::from(e.client_x()) - r.x(), f64::from(e.client_y()) - r.y());
            Some(Msg::Click(i, x * scale, y * scale))
        });
        let chosen = match half.selected {
            Selection::Event(seq) => Some(seq),
            _ => None,
        };
        let (known, link) = {
            let s = half.session.0.borrow();
            (s.known(), s.link.clone())
        };
        let again = ctx.link().callback(move |_: MouseEvent| Msg::Again(i));
        let trouble = |said: String| parts::banner(&said, Some((w.again, again.clone())));
        let t = self.ui.t();
        let state = match (&half.coming, &link) {
            (Coming::Making, _) => parts::banner(w.making, None),
            (Coming::Failed(e), _) if e.reason == "gone" => {
                trouble(fill(w.no_world, &[&e.message]))
            }
            (Coming::Failed(e), _) if e.reason == "unreachable" => trouble(t.server_gone.into()),
            (Coming::Failed(e), _) => trouble(fill(w.failed, &[&e.to_string()])),
            (_, Link::Gone(why)) => trouble(fill(t.world_gone, &[why])),
            (_, Link::Waiting(_)) => trouble(t.server_gone.into()),
            (_, Link::Version(_) | Link::Garbled) => trouble(t.bad_data.into()),
            (_, Link::Connecting | Link::Open) => match &self.clock {
                Some(clock) if known < clock.at() => {
                    let said =
                        fill(w.catching, &[&show::instant(clock.at()), &show::instant(known)]);
                    parts::banner(&said, None)
                }
                _ => Html::default(),
            },
        };
        let facts = match side.pattern.as_str() {
            "" => side.world.clone(),
            pattern => format!(
                "{pattern} · {} · {}",
                fill(w.label_seed, &[&side.seed.to_string()]),
                side.world
            ),
        };
        html! {
            <section class={classes!("compared", ["left", "right"][i])} aria-label={fill(w.side, &[which, name])} data-testid={["left", "right"][i]}>
                <header><h2>{ name.to_owned() }</h2><span class="quiet facts-short">{ facts }</span><span class="grow" />
                    if !side.world.is_empty() { <a href={self.address(i).hash()} data-testid={["open-left", "open-right"][i]} aria-label={format!("{}: {name}", w.open_world)}>{ w.open_world }</a> }</header>
                { state }
                <div class="view" ref={half.stage.clone()} {onclick}>
                    <div class="paper" style={format!("width:{width:.0}px;aspect-ratio:{lw:.0}/{lh:.0}")}>
                        <Stage session={half.session.clone()} tick={self.tick} selected={half.selected.clone()} select={select.clone()} />
                        <canvas ref={half.canvas.clone()} aria-hidden="true" />
                    </div>
                </div>
                <Strip session={half.session.clone()} tick={self.tick} selected={chosen} {select} />
            </section>
        }
    }

    pub(super) fn selected_view(
        &self,
        ctx: &Context<Compare>,
        w: &'static Texts,
        names: [&str; 2],
        touch: Callback<Touch>,
    ) -> Html {
        let close = ctx.link().callback(|_: MouseEvent| Msg::Select(0, Selection::None));
        let selected = [&self.halves[0].selected, &self.halves[1].selected];
        let seqs = selected.map(|s| match s {
            Selection::Event(seq) => Some(*seq),
            _ => None,
        });
        if seqs.iter().any(Option::is_some) {
            let (a, b) = (self.halves[0].session.0.borrow(), self.halves[1].session.0.borrow());
            return html! {
                <section class="beside" aria-label={w.selected} data-testid="beside">
                    <div class="title"><h2>{ w.selected }</h2><button class="close" onclick={close} aria-label={w.close} title={format!("{} (Esc)", w.close)}>{ "✕" }</button></div>
                    { beside::beside(w, names, [&a, &b], seqs) }
                </section>
            };
        }
        let i = self.side;
        if *selected[i] == Selection::None {
            return Html::default();
        }
        let other = [w.left, w.right][1 - i];
        let said = match *selected[1 - i] {
            Selection::None => fill(w.no_counterpart, &[other]),
            _ => fill(w.counterpart, &[other]),
        };
        let live = self.halves[i].session.0.borrow().view == View::Live;
        html! {
            <div class="beside" data-testid="beside">
                <p class="quiet">{ names[i].to_owned() }{ " · " }{ said }if !live { { " " }{ w.act_newest } }</p>
                <Inspector session={self.halves[i].session.clone()} tick={self.tick} selected={selected[i].clone()} select={ctx.link().callback(move |s| Msg::Select(i, s))}
                    {touch} world={self.pair.sides[i].world.clone()} />
            </div>
        }
    }

    pub(super) fn copy_link(&mut self, ctx: &Context<Compare>) {
        let w = words::of(self.ui.choices.lang);
        let t = self.ui.t();
        let Some(pair) = self.pair.shared(self.at()) else {
            self.note = Some(Err(w.link_none.into()));
            return;
        };
        // What a world begins with is the pattern's; what came later somebody did.
        let done = [0, 1].map(|i| {
            let s = self.halves[i].session.0.borrow();
            let late = |e: &&podlab_trace::Event| {
                matches!(e.kind, podlab_trace::Kind::Input { .. }) && e.at > 0
            };
            s.timeline.events().filter(late).count()
        });
        let location = window().location();
        let (origin, path) =
            (location.origin().unwrap_or_default(), location.pathname().unwrap_or_default());
        let url = format!("{origin}{path}{}", pair.hash());
        let mut said = t.link_copied.to_owned();
        if done != [0, 0] {
            said.push(' ');
            said.push_str(&fill(w.link_touched, &[&done[0].to_string(), &done[1].to_string()]));
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
