//! A request that somebody writes or writes anew: sent into the world from outside; what came of
//! it stands beside what came of the old one.

use podlab_trace::event::{Dir, Event, Kind, Seq};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{HtmlInputElement, HtmlTextAreaElement};
use yew::prelude::*;

use crate::api::{Failure, refusal, unreachable};
use crate::i18n::inspect::{self, Texts};
use crate::i18n::{self, fill};
use crate::model::curl::curl;
use crate::model::exchange::exchange;
use crate::model::request::{Draft, Wrong, target};
use crate::model::timeline::Timeline;
use crate::session::{Session, Shared};
use crate::ui::{use_ui, window};
use crate::view::deeds::Copy;
use crate::view::inspector::{self, Selection, Touch, half};

/// Of an answer no more is read than this, in bytes; the trace has what is shown.
const READ: f64 = 1_048_576.0;
/// The methods that are offered; others can be typed.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// What is wrong with a request, in words.
fn told(t: &Texts, wrong: &Wrong) -> String {
    match wrong {
        Wrong::Method(_) => t.request_method_wrong.into(),
        Wrong::Slash => t.request_slash.into(),
        Wrong::Character(c) => fill(t.request_character, &[&c.escape_default().to_string()]),
        Wrong::Dots => t.request_dots.into(),
        Wrong::Long => t.request_path_long.into(),
        Wrong::Line(n) => fill(t.request_line, &[&n.to_string()]),
        Wrong::Own(name) => fill(t.request_own, &[name]),
        Wrong::Headers => t.request_headers_long.into(),
        Wrong::NoBody(method) => fill(t.request_no_body, &[method]),
        Wrong::Body => t.request_body_long.into(),
    }
}

/// Sends it; the status of the answer.
async fn send(url: &str, draft: &Draft, headers: &[(String, String)]) -> Result<u16, Failure> {
    let init = web_sys::RequestInit::new();
    init.set_method(&draft.method);
    if !draft.body.is_empty() {
        init.set_body(&JsValue::from_str(&draft.body));
    }
    let request =
        web_sys::Request::new_with_str_and_init(url, &init).map_err(|e| unreachable(&e))?;
    for (name, value) in headers {
        request.headers().append(name, value).map_err(|e| unreachable(&e))?;
    }
    let answer =
        JsFuture::from(window().fetch_with_request(&request)).await.map_err(|e| unreachable(&e))?;
    let response: web_sys::Response = answer.dyn_into().map_err(|e| unreachable(&e))?;
    let status = response.status();
    if status == 502 {
        // Either the world's own, or the server's word that nobody was reached.
        let why = refusal(&response).await;
        return if why.reason == "Unreachable" { Err(why) } else { Ok(status) };
    }
    // An answer that is not read to its end would be cut off in the world.
    if let Some(body) = response.body() {
        let reader: web_sys::ReadableStreamDefaultReader = body.get_reader().unchecked_into();
        let mut read = 0.0;
        while let Ok(piece) = JsFuture::from(reader.read()).await {
            let field = |of: &JsValue, name: &str| js_sys::Reflect::get(of, &name.into());
            if field(&piece, "done").is_ok_and(|d| d.is_truthy()) {
                break;
            }
            let bytes = field(&piece, "value").unwrap_or_default();
            read += field(&bytes, "length").ok().and_then(|n| n.as_f64()).unwrap_or(READ);
            if read >= READ {
                // Whoever never stops talking is not listened to for ever.
                let _ = reader.cancel();
                break;
            }
        }
    }
    Ok(status)
}

/// The first request after event `from` that came from outside with this method.
fn arrived(timeline: &Timeline, from: Seq, method: &str) -> Option<Seq> {
    let state = timeline.head();
    let outside = |conn: u64| {
        timeline
            .ends(conn)
            .and_then(|e| state.places.get(&e.client))
            .is_some_and(|p| p.pod.is_empty() && p.node.is_empty() && p.container != "kubelet")
    };
    let asks = |e: &&Event| match &e.kind {
        Kind::Message { dir: Dir::ToServer, conn, summary, .. } => {
            summary.split_whitespace().next() == Some(method) && outside(*conn)
        }
        _ => false,
    };
    timeline.range(from, from.saturating_add(20_000)).find(asks).map(|e| e.seq)
}

/// A request.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// The world's id.
    pub world: String,
    /// The Service and port it goes to.
    pub to: String,
    /// What it begins with.
    pub draft: Draft,
    /// The request that it is made of, if any.
    #[prop_or_default]
    pub of: Option<Seq>,
    /// Selects something.
    pub select: Callback<Selection>,
    /// What came of it.
    pub done: Callback<Result<Option<String>, Failure>>,
}

/// How far a request is.
#[derive(Clone, PartialEq)]
enum Stand {
    /// It is being written.
    Written,
    /// It is under way; the event before which it was not there, and its method.
    Sent(Seq, String),
    /// It was answered.
    Answered(Seq, String, u16),
    /// It was not.
    Failed(String),
}

/// The form, and what came of it.
#[component]
pub fn Compose(props: &Props) -> Html {
    let ui = use_ui();
    let (t, words) = (ui.t(), inspect::of(ui.choices.lang));
    let draft = use_state(|| props.draft.clone());
    let stand = use_state(|| Stand::Written);
    let wrong = use_state(|| None::<Wrong>);
    let edit = |change: fn(&mut Draft, String)| {
        let (draft, wrong) = (draft.clone(), wrong.clone());
        Callback::from(move |text: String| {
            let mut new = (*draft).clone();
            change(&mut new, text);
            draft.set(new);
            wrong.set(None);
        })
    };
    let field = |e: InputEvent| e.target_unchecked_into::<HtmlInputElement>().value();
    let area = |e: InputEvent| e.target_unchecked_into::<HtmlTextAreaElement>().value();
    let at = format!("/api/worlds/{}/proxy/{}", props.world, props.to);
    let submit = {
        let (draft, stand, wrong) = (draft.clone(), stand.clone(), wrong.clone());
        let (done, to, at) = (props.done.clone(), props.to.clone(), at.clone());
        let session = props.session.clone();
        Callback::from(move |e: SubmitEvent| {
            e.prevent_default();
            let headers = match draft.ready() {
                Ok(headers) => headers,
                Err(why) => {
                    crate::view::app::focus(&format!("request-{}", why.field()));
                    wrong.set(Some(why));
                    return;
                }
            };
            let next = session.0.borrow().timeline.next();
            stand.set(Stand::Sent(next, draft.method.clone()));
            let (draft, stand, done) = ((*draft).clone(), stand.clone(), done.clone());
            let (url, text) = (format!("{at}{}", draft.path), fill(t.did_answer, &[&to, "{}"]));
            spawn_local(async move {
                match send(&url, &draft, &headers).await {
                    Ok(status) => {
                        stand.set(Stand::Answered(next, draft.method, status));
                        done.emit(Ok(Some(fill(&text, &[&status.to_string()]))));
                    }
                    Err(why) => stand.set(Stand::Failed(why.to_string())),
                }
            });
        })
    };
    let answered = use_node_ref();
    {
        let (answered, there) = (answered.clone(), matches!(*stand, Stand::Answered(..)));
        use_effect_with(there, move |there| {
            if let (true, Some(answers)) = (*there, answered.cast::<web_sys::Element>()) {
                answers.scroll_into_view_with_bool(false);
            }
        });
    }
    let s = props.session.0.borrow();
    let origin = window().location().origin().unwrap_or_default();
    let head = format!(
        "{} {} HTTP/1.1\r\n{}\r\n\r\n",
        draft.method,
        draft.path,
        draft.headers.replace('\n', "\r\n")
    );
    let command = draft
        .ready()
        .ok()
        .and_then(|_| curl(&format!("{origin}{at}"), &head, draft.body.as_bytes()));
    let odd = |of: &str| ((*wrong).as_ref().is_some_and(|w| w.field() == of)).to_string();
    let busy = matches!(*stand, Stand::Sent(..));
    html! {
        <form class="compose" data-testid="compose" onsubmit={submit}>
            <div class="request-line">
                <input type="text" id="request-method" data-testid="request-method" aria-label={words.request_method} list="request-methods" value={draft.method.clone()} maxlength="20" autocomplete="off" spellcheck="false"
                    aria-invalid={odd("method")} oninput={edit(|d, v| d.method = v).reform(field)} />
                <datalist id="request-methods">{ for METHODS.iter().map(|m| html! { <option value={*m} /> }) }</datalist>
                <input type="text" id="request-path" data-testid="request-path" aria-label={t.again_path} value={draft.path.clone()} autocomplete="off" spellcheck="false" aria-invalid={odd("path")}
                    oninput={edit(|d, v| d.path = v).reform(field)} />
                <button class="primary" data-testid="send-again" disabled={busy}>{ t.again_send }</button>
            </div>
            <label>{ t.headers }<textarea id="request-headers" data-testid="request-headers" rows="3" placeholder="Accept: text/plain" spellcheck="false" autocomplete="off" aria-invalid={odd("headers")}
                value={draft.headers.clone()} oninput={edit(|d, v| d.headers = v).reform(area)} /></label>
            <label>{ t.body }<textarea id="request-body" data-testid="request-body" rows="3" spellcheck="false" autocomplete="off" aria-invalid={odd("body")} value={draft.body.clone()} oninput={edit(|d, v| d.body = v).reform(area)} /></label>
            <p role="status" class={if wrong.is_some() || matches!(*stand, Stand::Failed(_)) { "trouble" } else { "quiet" }} data-testid="request-said">{ match (&*wrong, &*stand) {
                (Some(why), _) => told(words, why),
                (None, Stand::Failed(why)) => why.clone(),
                (None, Stand::Sent(..)) if s.clock.speed == 0 => words.request_waits.to_owned(),
                (None, Stand::Sent(..)) => words.request_under_way.to_owned(),
                (None, Stand::Answered(_, _, status)) => fill(t.did_answer, &[&props.to, &status.to_string()]),
                (None, Stand::Written) => String::new(),
            } }</p>
            <div ref={answered}>{ answers(t, words, props, &s, &stand) }</div>
            if let Some(command) = command { <Copy of="curl" text={command} /> }
        </form>
    }
}

/// The answer beside the old one.
fn answers(t: &i18n::Texts, words: &Texts, props: &Props, s: &Session, stand: &Stand) -> Html {
    let (Stand::Sent(from, method) | Stand::Answered(from, method, _)) = stand else {
        return Html::default();
    };
    let new = arrived(&s.timeline, *from, method);
    let answer = |seq: Option<Seq>| {
        seq.and_then(|seq| exchange(&s.timeline, seq)).and_then(|both| both.response)
    };
    let old = props.of.map(|of| {
        let old = answer(Some(of));
        half(t, words.answer_before, old.as_ref(), t.not_answered, false)
    });
    let fresh = answer(new);
    let see = new.map(|seq| {
        let onclick = props.select.reform(move |_: MouseEvent| Selection::Event(seq));
        html! { <button type="button" class="jump" data-testid="see-sent" {onclick}>{ words.request_see }</button> }
    });
    html! { <>
        <div class={classes!("pair", old.is_none().then_some("single"))} data-testid="answers">{ old }{ half(t, words.answer_now, fresh.as_ref(), t.not_answered, true) }</div>
        { see }
    </> }
}

/// A request of the trace as a form that begins with what it said; nothing for what is none.
pub fn again(t: &i18n::Texts, props: &inspector::Props, request: &Event) -> Html {
    let Kind::Message { head, body, .. } = &request.kind else { return Html::default() };
    let (_, fields) = crate::model::show::head(head);
    let host = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case("host"));
    let to = host.and_then(|(_, host)| target(host));
    let (Some(to), Some(draft)) = (to, Draft::of(head, body)) else { return Html::default() };
    let (session, done) = (props.session.clone(), props.touch.reform(Touch::Done));
    html! {
        <details key={request.seq} class="again" data-testid="again-request"><summary>{ t.again_title }</summary>
            <Compose {session} tick={props.tick} world={props.world.clone()} {to} {draft} of={request.seq} select={props.select.clone()} {done} />
        </details>
    }
}
