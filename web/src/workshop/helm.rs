//! What the instructor sees above a world: whose it is, who acts in it, where it is shown.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::words;
use crate::address::Address;
use crate::api;
use crate::i18n::fill;
use crate::ui::{use_ui, window};

/// How often it is asked whose a world is, in ms.
const PACE: u32 = 1500;

/// Which world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world's id, or empty.
    pub world: String,
}

/// What stands in the address of the page now: the address follows what is looked at.
pub fn here() -> Address {
    Address::parse(&window().location().hash().unwrap_or_default())
}

/// The bar.
#[component]
pub fn Helm(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let seen = use_state(|| Value::Null);
    let turn = use_state(|| 0u32);
    let failure = use_state(|| None::<String>);
    {
        let seen = seen.clone();
        use_effect_with((props.world.clone(), *turn), move |(world, _)| {
            let over = Rc::new(Cell::new(world.is_empty()));
            let (ended, path) = (over.clone(), format!("/api/workshop/worlds/{world}"));
            spawn_local(async move {
                while !ended.get() {
                    // Who is asked in vain is asked again.
                    if let Ok(now) = api::call("GET", &path, None).await
                        && !ended.get()
                    {
                        seen.set(now);
                    }
                    TimeoutFuture::new(PACE).await;
                }
            });
            move || over.set(true)
        });
    }
    let act = {
        let (turn, failure) = (turn.clone(), failure.clone());
        move |method: &'static str, path: String, body: Value| {
            let (turn, failure) = (turn.clone(), failure.clone());
            spawn_local(async move {
                let answer = api::call(method, &path, Some(body)).await;
                failure.set(answer.err().map(|e| e.to_string()));
                turn.set(*turn + 1);
            });
        }
    };
    let name = seen["name"].as_str().unwrap_or_default().to_owned();
    let (driven, invited) = (seen["driven"] == true, seen["invited"] == true);
    let (projected, moment) = (seen["projected"] == true, seen["moment"] == true);
    let seat = seen["seat"].as_u64();
    let drive = seat.map(|seat| {
        let act = act.clone();
        Callback::from(move |_: MouseEvent| {
            let path = format!("/api/workshop/seats/{seat}/drive");
            act("POST", path, json!({ "driven": !driven }));
        })
    });
    let project = {
        let (act, world) = (act.clone(), props.world.clone());
        Callback::from(move |_: MouseEvent| {
            let world = (!projected).then(|| world.clone());
            act(
                "POST",
                "/api/workshop/projector".into(),
                json!({ "world": world, "named": named() }),
            );
        })
    };
    let show = {
        let act = act.clone();
        Callback::from(move |_: MouseEvent| {
            let at = here();
            let body = json!({ "world": at.world, "at": at.at, "what": at.what, "event": at.event, "show": at.show });
            act("POST", "/api/workshop/moment".into(), body);
        })
    };
    let end = Callback::from(move |_: MouseEvent| {
        act("DELETE", "/api/workshop/moment".into(), json!({}));
    });
    html! {
        <nav class="roombar" aria-label={t.bar}><a href="#/board">{ t.board }</a><a href="#/wall">{ t.wall }</a>
            if !props.world.is_empty() {
                if seat.is_some() {
                    <span role="status" data-testid="helm" data-driven={driven.to_string()}>
                        if driven { <b>{ fill(t.driving, &[&name]) }</b> } else if invited { <b>{ fill(t.asks_you, &[&name]) }</b> }
                        else { { fill(t.watching, &[&name]) }{ " " }<span class="quiet">{ t.watching_help }</span> }</span>
                }
                <span class="grow" />
                if seat.is_some() && (driven || invited) {
                    <button class={(!driven).then_some("primary")} data-testid="drive" onclick={drive}>{ if driven { t.hand_back } else { t.take_over } }</button>
                }
                if seat.is_some() { <button aria-pressed={projected.to_string()} data-testid="to-wall" onclick={project}>{ if projected { t.off_wall } else { t.to_wall } }</button> }
                <button data-testid="show-moment" onclick={show}>{ t.show_moment }</button>
                if moment { <span class="quiet" role="status">{ t.moment_on }</span><button data-testid="end-moment" onclick={end}>{ t.moment_end }</button> }
                if let Some(e) = &*failure { <p class="wideline trouble" role="alert">{ fill(t.failed, &[e]) }</p> }
            }
        </nav>
    }
}

/// Whether the instructor wants names on the projector.
pub fn named() -> bool {
    crate::ui::remembered("workshop.named").as_deref() != Some("no")
}
