//! Why a message went where it went: the name that was looked up, the Service that chose, who
//! listened there. And the same request once more.

use podlab_trace::event::{ConnId, Kind, Seq};
use serde_json::Value;
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::api::{self, Failure};
use crate::i18n::{Texts, fill};
use crate::model::curl::curl;
use crate::model::rows::name;
use crate::model::show;
use crate::session::Session;
use crate::ui::{use_ui, window};
use crate::view::deeds::Copy;
use crate::view::inspector::Selection;

/// So many events before a connection its name is looked for.
const REACH: u64 = 4_000;

/// The way of a connection, step by step, each with its event.
pub fn why(t: &Texts, s: &Session, conn: ConnId, select: &Callback<Selection>) -> Html {
    let timeline = s.around();
    let Some(ends) = timeline.ends(conn) else { return Html::default() };
    let state = timeline.head();
    let begun = timeline.event(ends.begun);
    let Some(Kind::Connect { to, target, via, .. }) = begun.map(|e| &e.kind) else {
        return Html::default();
    };
    let mut steps: Vec<(Option<Seq>, String)> = Vec::new();
    let client = name(state, ends.client);
    let looked_up = timeline
        .range(ends.begun.saturating_sub(REACH), ends.begun)
        .rev()
        .filter(|e| e.place == ends.client)
        .find_map(|e| match &e.kind {
            Kind::Resolve { name, answers, .. } if answers.contains(&to.ip()) => {
                Some((e.seq, name.clone()))
            }
            _ => None,
        });
    match looked_up {
        Some((seq, name)) => {
            steps.push((Some(seq), fill(t.why_name, &[&client, &name, &to.ip().to_string()])));
        }
        None => steps.push((None, fill(t.why_address, &[&client, &to.to_string()]))),
    }
    if via.is_empty() {
        steps.push((Some(ends.begun), fill(t.why_direct, &[&to.to_string()])));
    } else {
        let said = fill(t.why_service, &[&to.to_string(), via, &target.to_string()]);
        steps.push((Some(ends.begun), said));
    }
    let server = name(state, ends.server);
    let refused =
        timeline.range(ends.begun, s.edge()).take(REACH as usize).find_map(|e| match &e.kind {
            Kind::Refuse { conn: of, reason } if *of == conn => Some((e.seq, reason.clone())),
            _ => None,
        });
    match refused {
        Some((seq, reason)) => {
            steps.push((Some(seq), fill(t.why_refused, &[&target.to_string(), &reason])));
        }
        None => steps.push((None, fill(t.why_listener, &[&server, &target.to_string()]))),
    }
    let step = |(seq, text): &(Option<Seq>, String)| {
        let event = seq.map(|seq| {
            let onclick = select.reform(move |_: MouseEvent| Selection::Event(seq));
            html! { <button class="jump" {onclick}>{ fill(t.event, &[&seq.to_string()]) }</button> }
        });
        html! { <li>{ text.clone() }{ " " }{ event.unwrap_or_default() }</li> }
    };
    html! { <details class="why" data-testid="why"><summary>{ t.why }</summary><ol>{ for steps.iter().map(step) }</ol></details> }
}

/// A request that can be sent once more.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world's id.
    pub world: String,
    /// Its head.
    pub head: String,
    /// Its body.
    pub body: bytes::Bytes,
    /// What came of it.
    pub done: Callback<Result<Option<String>, Failure>>,
}

/// The request as `curl`, and a form that changes its path and body and sends it.
#[component]
pub fn Again(props: &Props) -> Html {
    let t = use_ui().t();
    let (first, fields) = show::head(&props.head);
    let mut words = first.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let edited = use_state(|| None::<String>);
    let host = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case("host")).map(|(_, v)| v.clone());
    let Some(host) = host.filter(|h| !h.is_empty()) else { return Html::default() };
    // A Service's door needs a port; 80 is that of HTTP.
    let target = if host.contains(':') { host } else { format!("{host}:80") };
    let at = format!("/api/worlds/{}/proxy/{target}", props.world);
    let origin = window().location().origin().unwrap_or_default();
    let Some(command) = curl(&format!("{origin}{at}"), &props.head, &props.body) else {
        return Html::default();
    };
    let shown = (*edited).clone().unwrap_or_else(|| path.clone());
    let oninput = {
        let edited = edited.clone();
        Callback::from(move |e: InputEvent| {
            edited.set(Some(e.target_unchecked_into::<HtmlInputElement>().value()));
        })
    };
    let send = {
        let (done, method, shown) = (props.done.clone(), method.clone(), shown.clone());
        let body = show::text(&props.body).unwrap_or_default().to_owned();
        Callback::from(move |_: MouseEvent| {
            let (done, method, body) = (done.clone(), method.clone(), body.clone());
            let slash = if shown.starts_with('/') { "" } else { "/" };
            let url = format!("{at}{slash}{shown}");
            let text = fill(t.did_answer, &[&target, "{}"]);
            spawn_local(async move {
                let body = (!body.is_empty()).then_some(body);
                let kind = if body.is_some() { "text/plain" } else { "" };
                let answer = api::kube(&method, &url, kind, body.as_deref()).await;
                done.emit(answer.map(|(status, value): (u16, Value)| {
                    let why = value["error"]["message"].as_str().unwrap_or_default();
                    Some(format!("{} {why}", fill(&text, &[&status.to_string()])))
                }));
            });
        })
    };
    html! {
        <details class="again" data-testid="again-request"><summary>{ t.again_title }</summary>
            <Copy of="curl" text={command} />
            <div class="actions"><span class="tag">{ method }</span>
                <input type="text" class="path" aria-label={t.again_path} value={shown} {oninput} />
                <button data-testid="send-again" onclick={send}>{ t.again_send }</button></div>
        </details>
    }
}
