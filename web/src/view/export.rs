//! What can be taken away: the recording, the trace in other people's formats, the view as a
//! picture.

use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, HtmlElement};
use yew::prelude::*;

use crate::api::Failure;
use crate::download;
use crate::i18n::fill;
use crate::session::{Shared, View};
use crate::ui::use_ui;
use crate::view::snapshot;

/// Of which world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Its id.
    pub world: String,
    /// What people call it.
    pub name: String,
    /// What came of it.
    pub done: Callback<Result<Option<String>, Failure>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    /// From the server: under the world's path, and named so.
    File(&'static str),
    Svg,
    Png,
}

fn failure(e: &JsValue) -> Failure {
    let message = e.dyn_ref::<js_sys::Error>().map(|e| String::from(e.message()));
    Failure {
        reason: "picture".into(),
        message: message.unwrap_or_default(),
        remedy: String::new(),
    }
}

async fn get(wanted: Wanted, world: &str, at: Option<u64>, title: &str) -> Result<String, Failure> {
    let name = |ending: &str| format!("podlab-{world}.{ending}");
    match wanted {
        Wanted::File(what) => {
            let at = match at.filter(|_| what == "export/html") {
                Some(ns) => format!("?at={}.{:09}s", ns / 1_000_000_000, ns % 1_000_000_000),
                None => String::new(),
            };
            let path = format!("/api/worlds/{world}/{what}{at}");
            download::fetched(&path, &name("bin")).await
        }
        Wanted::Svg => {
            let picture = snapshot::take(title).map_err(|e| failure(&e))?;
            let name = name("svg");
            download::text(&picture.svg, "image/svg+xml", &name).map_err(|e| failure(&e))?;
            Ok(name)
        }
        Wanted::Png => {
            let picture = snapshot::take(title).map_err(|e| failure(&e))?;
            let blob = picture.png().await.map_err(|e| failure(&e))?;
            let name = name("png");
            download::save(&blob, &name).map_err(|e| failure(&e))?;
            Ok(name)
        }
    }
}

/// A button that opens the list.
#[component]
pub fn Export(props: &Props) -> Html {
    let t = use_ui().t();
    let menu = use_node_ref();
    let busy = use_state(|| false);
    let recorded = props.session.0.borrow().recorded;
    let close = {
        let menu = menu.clone();
        move || {
            let Some(menu) = menu.cast::<Element>() else { return };
            // An attribute that is not there is as good as removed.
            let _ = menu.remove_attribute("open");
            let summary = menu.query_selector("summary").ok().flatten();
            if let Some(summary) = summary.and_then(|s| s.dyn_into::<HtmlElement>().ok()) {
                let _ = summary.focus();
            }
        }
    };
    let onkeydown = {
        let (close, menu) = (close.clone(), menu.clone());
        Callback::from(move |e: KeyboardEvent| {
            let open = menu.cast::<Element>().is_some_and(|m| m.has_attribute("open"));
            if e.key() == "Escape" && open {
                // Only this closes, not what lies below it.
                e.stop_propagation();
                close();
            }
        })
    };
    let pick = |wanted: Wanted| {
        let (busy, close, done) = (busy.clone(), close.clone(), props.done.clone());
        let (world, session, name) =
            (props.world.clone(), props.session.clone(), props.name.clone());
        Callback::from(move |_: MouseEvent| {
            if *busy {
                return;
            }
            let at = {
                let s = session.0.borrow();
                (s.view != View::Live).then(|| s.told())
            };
            busy.set(true);
            close();
            let (busy, done, world, name) =
                (busy.clone(), done.clone(), world.clone(), name.clone());
            spawn_local(async move {
                let got = get(wanted, &world, at, &format!("{name} · Podlab")).await;
                busy.set(false);
                done.emit(got.map(|name| Some(fill(t.export_done, &[&name]))));
            });
        })
    };
    let item = |id: &'static str, wanted: Wanted, text: &'static str, help: &'static str| {
        html! { <li><button data-testid={format!("export-{id}")} onclick={pick(wanted)} aria-disabled={busy.to_string()}>
        <b>{ text }</b>if !help.is_empty() { <span>{ help }</span> }</button></li> }
    };
    html! {
        <details class="export" ref={menu} data-testid="export" {onkeydown}>
            <summary>{ if *busy { t.export_busy } else { t.export } }</summary>
            <ul>
                if !recorded {
                    { item("html", Wanted::File("export/html"), t.export_html, t.export_html_help) }
                    { item("plrec", Wanted::File("recording"), t.export_plrec, t.export_plrec_help) }
                    { item("jsonl", Wanted::File("export/jsonl"), t.export_jsonl, "") }
                    { item("pcapng", Wanted::File("export/pcapng"), t.export_pcapng, t.export_pcapng_help) }
                    { item("har", Wanted::File("export/har"), t.export_har, t.export_har_help) }
                    { item("otlp", Wanted::File("export/otlp"), t.export_otlp, "") }
                }
                { item("svg", Wanted::Svg, t.export_svg, "") }
                { item("png", Wanted::Png, t.export_png, "") }
            </ul>
        </details>
    }
}
