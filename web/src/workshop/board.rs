//! The instructor's board: where the room is, who is where, who needs help.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::bar::{kind, votes};
use super::words::{self, Texts};
use super::{helm, said};
use crate::address::Address;
use crate::api;
use crate::i18n::fill;
use crate::ui::{remember, use_ui, window};

/// How often the board is read, in ms.
const PACE: u32 = 1500;

/// How to leave.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Goes to another page.
    pub go: Callback<Address>,
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Whole minutes between two instants in s.
fn minutes(from: &Value, to: u64) -> String {
    (to.saturating_sub(count(from)) / 60).to_string()
}

/// The board.
#[component]
pub fn Board(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let tag = ui.choices.lang.tag();
    let board = use_state(|| Value::Null);
    let failure = use_state(|| None::<String>);
    let told = use_state(String::new);
    let turn = use_state(|| 0u32);
    let named = use_state(helm::named);
    let message = use_node_ref();
    {
        let (board, failure) = (board.clone(), failure.clone());
        use_effect_with(*turn, move |_| {
            let over = Rc::new(Cell::new(false));
            let ended = over.clone();
            spawn_local(async move {
                while !ended.get() {
                    match api::call("GET", "/api/workshop/board", None).await {
                        Ok(seen) if !ended.get() => board.set(seen),
                        Err(e) if !ended.get() => failure.set(Some(e.to_string())),
                        _ => {}
                    }
                    TimeoutFuture::new(PACE).await;
                }
            });
            move || over.set(true)
        });
    }
    let call = {
        let (failure, turn, told) = (failure.clone(), turn.clone(), told.clone());
        Callback::from(move |(method, path, body, name): (&'static str, String, Value, String)| {
            let (failure, turn, told) = (failure.clone(), turn.clone(), told.clone());
            spawn_local(async move {
                match api::call(method, &path, Some(body)).await {
                    Ok(answer) => {
                        failure.set(None);
                        if let Some(word) = answer["word"].as_str() {
                            told.set(fill(t.word_is, &[&name, word]));
                        }
                    }
                    Err(e) => failure.set(Some(e.to_string())),
                }
                turn.set(*turn + 1);
            });
        })
    };
    let lead = {
        let call = call.clone();
        move |body: Value| {
            let call = call.clone();
            Callback::from(move |_: MouseEvent| {
                call.emit(("POST", "/api/workshop/board".into(), body.clone(), String::new()))
            })
        }
    };
    let say = {
        let (call, message) = (call.clone(), message.clone());
        Callback::from(move |e: SubmitEvent| {
            e.prevent_default();
            if let Some(input) = message.cast::<HtmlInputElement>() {
                call.emit((
                    "POST",
                    "/api/workshop/board".into(),
                    json!({ "message": input.value() }),
                    String::new(),
                ));
                input.set_value("");
            }
        })
    };
    if board.is_null() {
        return html! { <main id="main" class="board" tabindex="-1"><h1>{ t.board }</h1>
        if let Some(e) = &*failure { <p class="trouble" role="alert">{ fill(t.failed, &[e]) }</p> }</main> };
    }
    let section = &board["section"];
    let (number, of) = (count(&section["number"]), count(&section["of"]));
    let (paused, revealed) = (board["paused"] == true, board["revealed"] == true);
    let now = count(&board["now"]);
    let seats: Vec<&Value> = board["seats"].as_array().into_iter().flatten().collect();
    let answered = seats.iter().filter(|s| s["answered"] == true).count();
    let question = &section["question"];
    let current = board["message"].as_str().unwrap_or_default().to_owned();
    html! {
        <main id="main" class="board" tabindex="-1" data-testid="board">
            <div class="board-head">
                <h1>{ said(tag, &board["title"]) }</h1>
                <span class="grow" />
                <a href="#/wall">{ t.wall }</a><a href="#/">{ t.patterns }</a>
            </div>
            if board["broken"] == true { <p class="trouble" role="alert">{ t.broken }</p> }
            if let Some(e) = &*failure { <p class="trouble" role="alert">{ fill(t.failed, &[e]) }</p> }
            if !told.is_empty() { <p role="status" data-testid="told">{ (*told).clone() }</p> }
            <section aria-labelledby="parts">
                <h2 id="parts">{ t.parts }</h2>
                <p aria-live="polite" data-testid="board-part"><b>{ fill(t.part, &[&number.to_string(), &of.to_string()]) }{ " · " }{ kind(t, &section["kind"]) }{ " · " }{ said(tag, &section["title"]) }</b></p>
                <p class="quiet">{ fill(t.since, &[&minutes(&section["since"], now), &count(&section["minutes"]).to_string()]) }</p>
                <div class="actions">
                    <button disabled={number <= 1} onclick={lead(json!({ "section": number.saturating_sub(1) }))} data-testid="previous">{ t.previous }</button>
                    <button class="primary" disabled={number >= of} onclick={lead(json!({ "section": number + 1 }))} data-testid="next">{ t.next }</button>
                    <button aria-pressed={paused.to_string()} onclick={lead(json!({ "paused": !paused }))} data-testid="pause-all">{ if paused { t.go_on } else { t.pause_all } }</button>
                    if !question.is_null() { <button aria-pressed={revealed.to_string()} onclick={lead(json!({ "reveal": !revealed }))} data-testid="reveal">{ if revealed { t.hide } else { t.reveal } }</button> }
                </div>
                if !question.is_null() {
                    <div class="ask" data-testid="poll"><p><b>{ said(tag, &question["ask"]) }</b>{ " " }<span class="quiet">{ fill(t.answered, &[&answered.to_string(), &seats.len().to_string()]) }</span></p>
                    <ul>{ for question["answers"].as_array().into_iter().flatten().enumerate().map(|(n, text)| html! {
                        <li key={n}>{ said(tag, text) }{ " " }{ votes(t, question, n) }{ " " }if question["right"].as_u64() == Some(n as u64 + 1) { <b>{ t.right }</b> }</li> }) }</ul></div>
                }
                if !section["exercise"].is_null() {
                    <div class="actions" role="group" aria-label={t.give_all} data-testid="give-all"><span>{ t.give_all }{ ":" }</span>{ gifts(t, section, None, &call) }</div>
                }
                if !board["moment"].is_null() {
                    <p role="status" data-testid="moment-on">{ t.moment_on }{ " " }<button onclick={let call = call.clone(); move |_| call.emit(("DELETE", "/api/workshop/moment".into(), json!({}), String::new()))}>{ t.moment_end }</button></p>
                }
                if let Some(notes) = Some(said(tag, &section["notes"])).filter(|n| !n.is_empty()) {
                    <details open=true><summary>{ t.notes }</summary><p>{ notes }</p></details>
                }
                <form class="actions" onsubmit={say}>
                    <label for="say">{ t.message }</label>
                    <input id="say" ref={message} maxlength="2000" data-testid="say" />
                    <button data-testid="send">{ t.send }</button>
                    if !current.is_empty() { <button type="button" onclick={lead(json!({ "message": "" }))}>{ t.take_back }</button> }
                </form>
            </section>
            <section aria-labelledby="learners">
                <h2 id="learners">{ t.learners }{ " " }<span class="quiet" data-testid="seats">{ fill(t.seats, &[&seats.len().to_string(), &count(&board["learners"]).to_string()]) }</span></h2>
                if let Some(queue) = board["queue"].as_array().filter(|q| !q.is_empty()) {
                    <div class="queue" data-testid="queue"><h3>{ t.queued }{ " " }<span class="quiet">{ queue.len() }</span></h3>
                        <ol tabindex="0" aria-label={t.queued}>{ for queue.iter().map(|q| html! { <li>{ q["name"].as_str().unwrap_or_default() }{ " " }<span class="quiet">{ fill(t.queued_for, &[&minutes(&q["since"], now)]) }</span></li> }) }</ol></div>
                }
                <label class="check"><input type="checkbox" checked={*named} data-testid="named" onchange={let named = named.clone(); move |_| {
                    remember("workshop.named", if *named { "no" } else { "yes" });
                    named.set(!*named);
                }} />{ " " }{ t.wall_named }</label>
                if seats.is_empty() { <p class="quiet">{ t.nobody }</p> } else { { table(t, &seats, &board, &props.go, &call) } }
            </section>
            <section aria-labelledby="results">
                <h2 id="results">{ t.results }</h2>
                <p class="actions"><a href="/api/workshop/results?format=csv" download="workshop.csv" data-testid="csv">{ t.csv }</a>
                    <a href="/api/workshop/results?format=csv&names=0" download="workshop.csv">{ t.csv_anonymous }</a>
                    <a href="/api/workshop/results" download="workshop.json">{ t.json_file }</a></p>
            </section>
        </main>
    }
}

/// The hints of an exercise are graded in three.
const HINTS: u64 = 3;

/// Buttons that give hints or the solution of the present exercise to one learner or to all.
fn gifts(t: &'static Texts, section: &Value, seat: Option<u64>, call: &Call) -> Html {
    let give = |what: &'static str, value: Value| {
        let mut body =
            json!({ "pattern": section["pattern"], "exercise": section["exercise"], "seat": seat });
        body[what] = value;
        let call = call.clone();
        Callback::from(move |_: MouseEvent| {
            call.emit(("POST", "/api/workshop/give".into(), body.clone(), String::new()));
        })
    };
    html! { <>
        { for (1..=HINTS).map(|n| html! { <button data-testid={format!("give-hint-{n}")} onclick={give("hints", json!(n))}>{ fill(t.hint_n, &[&n.to_string()]) }</button> }) }
        <button data-testid="give-solution" onclick={give("solution", json!(true))}>{ t.solution }</button>
    </> }
}

type Call = Callback<(&'static str, String, Value, String)>;

fn table(
    t: &'static Texts,
    seats: &[&Value],
    board: &Value,
    go: &Callback<Address>,
    call: &Call,
) -> Html {
    // Who wants help comes first, then who has failed most; the others as they joined.
    let mut seats = seats.to_vec();
    seats.sort_by_key(|s| {
        let stuck = if s["here"]["solved"] == true { 0 } else { count(&s["here"]["failed"]) };
        (s["hand"] != true, u64::MAX - stuck, count(&s["seat"]))
    });
    html! {
        <div class="scroll" tabindex="0" role="region" aria-labelledby="learners">
        <table>
            <thead><tr>{ for [t.col_name, t.col_state, t.col_tries, t.col_hints, t.col_check, t.col_worlds, t.col_more].iter().map(|c| html! { <th scope="col">{ *c }</th> }) }</tr></thead>
            <tbody>{ for seats.iter().map(|seat| row(t, seat, board, go, call)) }</tbody>
        </table></div>
    }
}

fn row(
    t: &'static Texts,
    seat: &Value,
    board: &Value,
    go: &Callback<Address>,
    call: &Call,
) -> Html {
    let (section, now) = (&board["section"], count(&board["now"]));
    let name = seat["name"].as_str().unwrap_or_default().to_owned();
    let number = count(&seat["seat"]);
    let here = &seat["here"];
    let state = match section["kind"].as_str() {
        Some("exercise") if here.is_null() => t.not_begun.to_owned(),
        Some("exercise") => match here["solvedAt"].as_u64() {
            Some(at) => fill(t.solved, &[&minutes(&here["since"], at)]),
            None => fill(t.working, &[&minutes(&here["since"], now)]),
        },
        Some("question") if seat["answered"] == true => t.has_answered.to_owned(),
        _ => String::new(),
    };
    let failing: Vec<&str> =
        here["failing"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let world = |w: &Value| {
        let id = w["id"].as_str().unwrap_or_default().to_owned();
        let pattern = w["pattern"].as_str().unwrap_or_default().to_owned();
        let state = if w["parked"] == true {
            t.on_disk.to_owned()
        } else if w["dead"] == true {
            t.dead.to_owned()
        } else if w["watched"] == true {
            if w["lagging"] == true {
                format!("{}, {}", t.looking, t.lagging)
            } else {
                t.looking.to_owned()
            }
        } else {
            fill(t.quiet_for, &[&(count(&w["quiet"]) / 60).to_string()])
        };
        let address = Address { world: id.clone(), pattern: pattern.clone(), ..Address::default() };
        let label = fill(t.open_world, &[&name, &pattern]);
        let on_wall = board["projected"] == id.as_str();
        let project = {
            let (call, id) = (call.clone(), id.clone());
            Callback::from(move |_: MouseEvent| {
                let world = (!on_wall).then(|| id.clone());
                let body = json!({ "world": world, "named": helm::named() });
                call.emit(("POST", "/api/workshop/projector".into(), body, String::new()));
            })
        };
        let (go, to) = (go.clone(), address.clone());
        html! {
            <li key={id.clone()}><a href={address.hash()} aria-label={format!("{label} {id}")} data-testid={format!("watch-{id}")}
                onclick={move |e: MouseEvent| { e.prevent_default(); go.emit(to.clone()); }}>{ format!("{pattern} · {id}") }</a>{ " " }<span class="quiet">{ state }</span>{ " " }
                <button class="small" aria-pressed={on_wall.to_string()} aria-label={format!("{}: {name} {id}", if on_wall { t.off_wall } else { t.to_wall })} title={if on_wall { t.off_wall } else { t.to_wall }}
                    data-testid={format!("project-{id}")} onclick={project}>{ t.wall_short }</button></li>
        }
    };
    let act = |method: &'static str, path: String, sure: bool| {
        let (call, name) = (call.clone(), name.clone());
        Callback::from(move |_: MouseEvent| {
            let question = fill(t.free_sure, &[&name]);
            // A browser that asks nothing has no say in it.
            if !sure || window().confirm_with_message(&question).unwrap_or(true) {
                call.emit((method, path.clone(), json!({}), name.clone()));
            }
        })
    };
    let raised = seat["hand"] == true;
    let (invited, driven) = (seat["invited"] == true, seat["driven"] == true);
    let drive = {
        // To take over is to go there as well: to the world they look at.
        let (call, go, name) = (call.clone(), go.clone(), name.clone());
        let worlds = seat["worlds"].as_array().cloned().unwrap_or_default();
        let there = worlds.iter().find(|w| w["watched"] == true).or(worlds.first());
        let there = there.map(|w| Address {
            world: w["id"].as_str().unwrap_or_default().to_owned(),
            pattern: w["pattern"].as_str().unwrap_or_default().to_owned(),
            ..Address::default()
        });
        Callback::from(move |_: MouseEvent| {
            let path = format!("/api/workshop/seats/{number}/drive");
            call.emit(("POST", path, json!({ "driven": !driven }), name.clone()));
            if let Some(there) = there.clone().filter(|_| !driven) {
                go.emit(there);
            }
        })
    };
    html! {
        <tr key={number} data-testid={format!("seat-{number}")} class={raised.then_some("raised")}>
            <th scope="row">{ name.clone() }if raised { { " " }<b class="handmark">{ t.hand }</b> }
                if driven { { " " }<b class="handmark">{ t.drives }</b> } else if invited { { " " }<b class="handmark">{ t.invites }</b> }
                if raised || invited || driven { <div class="actions"><button class={(!driven).then_some("primary")} data-testid={format!("drive-{number}")} onclick={drive}>{ if driven { t.hand_back } else { t.take_over } }</button></div> }</th>
            <td>{ state }</td><td class="n">{ count(&here["failed"]) }</td><td class="n">{ count(&here["hints"]) }</td>
            <td>{ failing.join(", ") }</td>
            <td><ul>{ for seat["worlds"].as_array().into_iter().flatten().map(world) }</ul></td>
            <td><details><summary aria-label={format!("{}: {name}", t.col_more)}>{ "…" }</summary><div class="actions">
                if !section["exercise"].is_null() { <div class="actions" role="group" aria-label={fill(t.give_one, &[&name])} data-testid={format!("give-{number}")}><span>{ fill(t.give_one, &[&name]) }{ ":" }</span>{ gifts(t, section, Some(number), call) }</div> }
                if raised { <button onclick={act("POST", format!("/api/workshop/seats/{number}/lower"), false)}>{ t.lower }</button> }
                <button onclick={act("POST", format!("/api/workshop/seats/{number}/word"), false)}>{ t.new_word }</button>
                <button class="danger" onclick={act("DELETE", format!("/api/workshop/seats/{number}"), true)}>{ t.free }</button></div></details></td>
        </tr>
    }
}
