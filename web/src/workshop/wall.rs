//! What is thrown at the wall: where learners join, and with which code.

use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::{said, words};
use crate::api;
use crate::i18n::fill;
use crate::ui::use_ui;

/// The wall.
#[component]
pub fn Wall() -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let shown = use_state(|| None::<Result<Value, api::Failure>>);
    {
        let shown = shown.clone();
        use_effect_with((), move |()| {
            spawn_local(async move {
                shown.set(Some(api::call("GET", "/api/workshop/projector", None).await));
            });
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
    html! {
        <main id="main" class="wall" tabindex="-1" data-testid="wall">
            <p><a href="#/board">{ t.board }</a></p>
            <h1>{ said(ui.choices.lang.tag(), &shown["title"]) }</h1>
            <div class="wall-way">
                <div>
                    <p>{ t.wall_open }</p><p class="huge">{ address.clone() }</p>
                    <p>{ t.wall_code }</p><p class="huge code" data-testid="wall-code">{ format!("{} {}", code.get(..half).unwrap_or_default(), code.get(half..).unwrap_or_default()) }</p>
                </div>
                { qr(&shown["qr"], &fill(t.qr, &[&address])) }
            </div>
        </main>
    }
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
