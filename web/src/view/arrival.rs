//! A link is opened: a world is made, runs to its time, and is shown. What is wrong with a link
//! is said, with a way on.

use gloo_timers::future::TimeoutFuture;
use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::link::{Link, Wrong};
use crate::model::show;
use crate::ui::use_ui;
use crate::view::command;

/// How often a world that runs to its time is asked how far it is, in ms.
const PACE: u32 = 150;

/// The link.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// As it was read.
    pub link: Result<Link, Wrong>,
    /// Goes to the world, in place of the link.
    pub arrive: Callback<Address>,
    /// Goes to another page.
    pub go: Callback<Address>,
}

/// What is wrong, in words.
pub fn said(t: &Texts, wrong: &Wrong) -> String {
    match wrong {
        Wrong::Version(v) => fill(t.link_version, &[if v.is_empty() { "–" } else { v }]),
        Wrong::Pattern => t.link_pattern.to_owned(),
        Wrong::Seed(text) => fill(t.link_seed, &[text]),
        Wrong::Epoch(text) => fill(t.link_epoch, &[text]),
        Wrong::Time(text) => fill(t.link_time, &[text]),
        Wrong::What(text) => fill(t.link_what, &[text]),
    }
}

/// Where the world of a link is looked at.
fn address(link: &Link, world: &str) -> Address {
    Address {
        world: world.to_owned(),
        pattern: link.pattern.clone(),
        seed: Some(link.seed),
        show: link.show.clone(),
        panel: link.panel.clone(),
        what: link.what.as_ref().map(|w| w.to_string()).unwrap_or_default(),
        ..Address::default()
    }
}

/// Where a world's clock is, in ns, and whether it stands.
async fn now(world: &str) -> Result<(u64, bool), Failure> {
    let status: Value = api::call("GET", &format!("/api/worlds/{world}"), None).await?;
    Ok((status["nowNanos"].as_u64().unwrap_or(0), status["speed"] == 0))
}

/// The way from a link to its world.
#[component]
pub fn Arrival(props: &Props) -> Html {
    let t = use_ui().t();
    let failure = use_state(|| None::<Failure>);
    // The world, and how far it is, in ns.
    let way = use_state(|| None::<(String, u64)>);
    let tries = use_state(|| 0u32);
    {
        let (link, arrive) = (props.link.clone(), props.arrive.clone());
        let (failure, way) = (failure.clone(), way.clone());
        use_effect_with(*tries, move |_| {
            // Whoever has left no longer waits.
            let here = std::rc::Rc::new(std::cell::Cell::new(true));
            let still = here.clone();
            if let Ok(link) = link {
                failure.set(None);
                spawn_local(async move {
                    let told = way.clone();
                    let go = async {
                        let world =
                            api::begin(&link.pattern, link.seed, link.epoch, link.at).await?;
                        let Some(at) = link.at else { return Ok(world) };
                        told.set(Some((world.clone(), 0)));
                        command::time(world.clone(), command::seek(at)).await?;
                        loop {
                            let (now, stands) = now(&world).await?;
                            if now >= at || stands || !still.get() {
                                return Ok(world);
                            }
                            told.set(Some((world.clone(), now)));
                            TimeoutFuture::new(PACE).await;
                        }
                    };
                    let came: Result<String, Failure> = go.await;
                    match came {
                        _ if !still.get() => {}
                        Ok(world) => arrive.emit(address(&link, &world)),
                        Err(e) => failure.set(Some(e)),
                    }
                });
            }
            move || here.set(false)
        });
    }
    let home = props.go.reform(|_: MouseEvent| Address::default());
    let home = html! { <button data-testid="link-home" onclick={home}>{ t.home }</button> };
    let trouble = |text: String, more: Html| {
        html! { <div class="arrival-trouble" role="alert" data-testid="link-trouble"><p><span class="alarm" aria-hidden="true">{ "!" }</span>{ text }</p><div class="actions">{ more }{ home.clone() }</div></div> }
    };
    let body = match (&props.link, &*failure) {
        (Err(wrong), _) => {
            trouble(format!("{} {}", said(t, wrong), t.link_ask_again), Html::default())
        }
        (Ok(link), Some(e)) => {
            let again = Callback::from(move |_: MouseEvent| tries.set(*tries + 1));
            let again = html! { <button class="primary" data-testid="link-again" onclick={again}>{ t.try_now }</button> };
            let plain = match &*way {
                // The world is there, only its time could not be reached.
                Some((world, _)) => {
                    let (arrive, there) = (props.arrive.clone(), address(link, world));
                    html! { <button onclick={Callback::from(move |_: MouseEvent| arrive.emit(there.clone()))}>{ t.link_as_it_is }</button> }
                }
                None => Html::default(),
            };
            let text = match e.reason.as_str() {
                "unreachable" => t.server_gone.to_owned(),
                _ => format!(
                    "{} {}",
                    fill(t.link_refused, &[&link.pattern, &e.to_string()]),
                    t.link_old
                ),
            };
            trouble(text, html! { <>{ again }{ plain }</> })
        }
        (Ok(link), None) => {
            let text = match (&*way, link.at) {
                (Some((_, now)), Some(at)) => {
                    fill(t.link_running, &[&show::instant(at), &show::instant(*now)])
                }
                _ => fill(t.link_opening, &[&link.pattern, &link.seed.to_string()]),
            };
            let part = match (&*way, link.at) {
                (Some((_, now)), Some(at)) => *now as f64 / at.max(1) as f64,
                _ => 0.0,
            };
            let stop = way.as_ref().map(|(world, _)| {
                let (arrive, there) = (props.arrive.clone(), address(link, world));
                html! { <button onclick={Callback::from(move |_: MouseEvent| arrive.emit(there.clone()))}>{ t.link_as_it_is }</button> }
            });
            html! { <>
                <p role="status">{ text }</p>
                <progress max="1" value={format!("{part:.3}")} aria-label={t.link_title} />
                <div class="actions">{ stop }{ home }</div>
            </> }
        }
    };
    html! { <main id="main" class="arrival" tabindex="-1"><h1>{ t.link_title }</h1>{ body }</main> }
}
