//! What is thrown at the wall: where learners join and with which code, or a learner's world.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{said, words};
use crate::address::Address;
use crate::api;
use crate::i18n::fill;
use crate::ui::use_ui;
use crate::view::world::World;

/// How often it is asked what is to be shown, in ms.
const PACE: u32 = 1200;

/// The wall.
#[component]
pub fn Wall() -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let shown = use_state(|| None::<Result<Value, api::Failure>>);
    {
        let shown = shown.clone();
        use_effect_with((), move |()| {
            let over = Rc::new(Cell::new(false));
            let ended = over.clone();
            spawn_local(async move {
                let mut before = None;
                while !ended.get() {
                    let now = api::call("GET", "/api/workshop/projector", None).await;
                    // A moment without an answer takes nothing from the wall.
                    if !ended.get()
                        && before.as_ref() != Some(&now)
                        && (now.is_ok() || before.is_none())
                    {
                        shown.set(Some(now.clone()));
                        before = Some(now);
                    }
                    TimeoutFuture::new(PACE).await;
                }
            });
            move || over.set(true)
        });
    }
    let shown = match &*shown {
        None => return html! { <main id="main" class="wall" tabindex="-1" /> },
        Some(Err(e)) => {
            return html! { <main id="main" class="wall" tabindex="-1"><p class="trouble" role="alert">{ fill(t.failed, &[&e.to_string()]) }</p></main> };
        }
        Some(Ok(shown)) => shown,
    };
    let text = |name: &str| shown[name].as_str().unwrap_or_default().to_owned();
    let (address, code) = (text("address"), text("code"));
    let half = code.len() / 2;
    let code = format!(
        "{} {}",
        code.get(..half).unwrap_or_default(),
        code.get(half..).unwrap_or_default()
    );
    if let Some(world) = shown["shown"]["world"].as_str() {
        return learners_world(t, world, &shown["shown"], &address, &code);
    }
    html! {
        <main id="main" class="wall" tabindex="-1" data-testid="wall">
            <p><a href="#/board">{ t.board }</a></p>
            <h1>{ said(ui.choices.lang.tag(), &shown["title"]) }</h1>
            <div class="wall-way">
                <div>
                    <p>{ t.wall_open }</p><p class="huge">{ address.clone() }</p>
                    <p>{ t.wall_code }</p><p class="huge code" data-testid="wall-code">{ code }</p>
                </div>
                { qr(&shown["qr"], &fill(t.qr, &[&address])) }
            </div>
        </main>
    }
}

/// A learner's world: the picture and its time, live; and for those who come late how to join.
fn learners_world(
    t: &'static words::Texts,
    world: &str,
    shown: &Value,
    address: &str,
    code: &str,
) -> Html {
    let place = Address {
        world: world.to_owned(),
        pattern: shown["pattern"].as_str().unwrap_or_default().to_owned(),
        embed: true,
        ..Address::default()
    };
    let title = match shown["name"].as_str() {
        Some(name) => fill(t.wall_of, &[name]),
        None => t.wall_world.to_owned(),
    };
    let off = Callback::from(|_: MouseEvent| {
        spawn_local(async move {
            // If it fails the world stays on the wall, and the button with it.
            let _ =
                api::call("POST", "/api/workshop/projector", Some(json!({ "world": null }))).await;
        });
    });
    html! { <>
        <div class="roombar" data-testid="wall-world" data-world={world.to_owned()}>
            <a href="#/board">{ t.board }</a><b class="wall-name">{ title }</b>
            <span class="grow" /><span class="quiet wall-join">{ address.to_owned() }{ " · " }<b class="code">{ code.to_owned() }</b></span>
            <button data-testid="off-wall" onclick={off}>{ t.off_wall }</button>
        </div>
        <World key={world.to_owned()} address={place} go={Callback::noop()} keep={Callback::noop()} />
    </> }
}

/// A QR code as a picture: dark on light, whatever the colours of the page, with the quiet zone
/// of four modules that readers need (ISO/IEC 18004).
fn qr(rows: &Value, label: &str) -> Html {
    let rows: Vec<&str> = rows.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut path = String::new();
    for (y, row) in rows.iter().enumerate() {
        for (x, _) in row.bytes().enumerate().filter(|(_, b)| *b == b'1') {
            path.push_str(&format!("M{} {}h1v1h-1z", x + 4, y + 4));
        }
    }
    let size = rows.len() + 8;
    html! {
        <svg class="qr" viewBox={format!("0 0 {size} {size}")} role="img" aria-label={label.to_owned()} shape-rendering="crispEdges">
            <rect width={size.to_string()} height={size.to_string()} fill="#fff" /><path d={path} fill="#000" />
        </svg>
    }
}
