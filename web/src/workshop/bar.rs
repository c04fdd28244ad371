//! What a learner sees of the workshop above their world: the part the room is in, messages,
//! questions, their hand.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use serde_json::{Value, json};
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::gifts::{self, Gift};
use super::helm::here;
use super::kubectl::Kubectl;
use super::said;
use super::words::{self, Texts};
use crate::address::Address;
use crate::api::{self, Failure};
use crate::i18n::fill;
use crate::ui::{remember, remembered, use_ui};
use crate::view::exercise;

/// How long to wait after a failure, in ms.
const PATIENCE: u32 = 3000;

/// Where one is.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// Goes to another page.
    pub go: Callback<Address>,
    /// The address of the page.
    pub address: Address,
    /// The seat is not ours any more.
    pub gone: Callback<()>,
}

/// The word for a kind of section.
pub fn kind(t: &'static Texts, kind: &Value) -> &'static str {
    match kind.as_str() {
        Some("lesson") => t.lesson,
        Some("exercise") => t.exercise,
        Some("play") => t.play,
        Some("question") => t.question,
        _ => t.rest,
    }
}

/// The world of a section, as far as the learner has come.
async fn open(section: &Value) -> Result<Address, Failure> {
    let word = |name: &str| section[name].as_str().unwrap_or_default().to_owned();
    let (pattern, slug) = (word("pattern"), word("exercise"));
    if !slug.is_empty() {
        return exercise::begin(pattern, slug).await;
    }
    // The world of this pattern that is there already, rather than another one.
    let worlds = api::call("GET", "/api/worlds", None).await?;
    let same = worlds["worlds"].as_array().into_iter().flatten();
    let mut same = same.filter(|w| w["pattern"] == pattern.as_str() && w["dead"] == false);
    let found = same.find_map(|w| w["id"].as_str().map(str::to_owned));
    let world = match found {
        Some(world) => world,
        None => api::start(&pattern, 1).await?,
    };
    Ok(Address { world, pattern, ..Address::default() })
}

/// A message without the link to a moment that it holds (`#/open?...`, as a world's page copies
/// it), and that link. It leads nowhere but into this page.
fn moment(message: &str) -> (String, Option<String>) {
    const START: &str = "#/open?";
    let mut words: Vec<&str> = message.split_whitespace().collect();
    let Some(at) = words.iter().position(|w| w.contains(START)) else {
        return (message.to_owned(), None);
    };
    let link = words.remove(at).split_once(START).map_or("", |(_, rest)| rest);
    let plain = |c: &char| c.is_ascii_alphanumeric() || "=&:/._%+-".contains(*c);
    let link: String = link.chars().take_while(plain).collect();
    (words.join(" "), Some(format!("{START}{link}")))
}

/// The bar.
#[component]
pub fn Bar(props: &Props) -> Html {
    let ui = use_ui();
    let t = words::of(ui.choices.lang);
    let tag = ui.choices.lang.tag();
    let seen = use_state(|| Value::Null);
    let read = use_state(|| 0u64);
    let busy = use_state(|| false);
    let failure = use_state(|| None::<String>);
    let gift = use_state(|| None::<Gift>);
    // The moment one looks at, and where one was before.
    let looking = use_state(|| None::<(String, Address)>);
    let passed = use_state(|| 0u64);
    let noted = use_state(|| remembered("workshop.word").is_none_or(|w| w.is_empty()));
    {
        let (seen, gone, gift) = (seen.clone(), props.gone.clone(), gift.clone());
        use_effect_with((), move |()| {
            let over = Rc::new(Cell::new(false));
            let ended = over.clone();
            spawn_local(async move {
                let mut version = 0;
                while !ended.get() {
                    match api::call("GET", &format!("/api/workshop/me?after={version}"), None).await
                    {
                        Ok(view) if !ended.get() => {
                            version = view["version"].as_u64().unwrap_or(0);
                            if let Some(new) = gifts::open(&view["given"]) {
                                let gift = gift.clone();
                                spawn_local(async move { gift.set(gifts::told(new).await) });
                            }
                            seen.set(view);
                        }
                        Err(e) if e.reason == "NoSeat" => {
                            gone.emit(());
                            return;
                        }
                        _ => TimeoutFuture::new(PATIENCE).await,
                    }
                }
            });
            move || over.set(true)
        });
    }
    let tell = {
        let failure = failure.clone();
        move |path: &'static str, body: Value| {
            let failure = failure.clone();
            spawn_local(async move {
                let answer = api::call("POST", path, Some(body)).await;
                failure.set(answer.err().map(|e| e.to_string()));
            });
        }
    };
    {
        // The moment is over: whoever looked at it is where they were.
        let (looking, go) = (looking.clone(), props.go.clone());
        let here = props.address.world.clone();
        use_effect_with(seen["moment"]["world"].clone(), move |shown| {
            if let Some((world, before)) = &*looking
                && *shown != world.as_str()
            {
                if here == *world {
                    go.emit(before.clone());
                }
                looking.set(None);
            }
        });
    }
    let section = seen["section"].clone();
    let raised = seen["hand"] == true;
    let hand = {
        let tell = tell.clone();
        Callback::from(move |_: MouseEvent| {
            tell("/api/workshop/hand", json!({ "raised": !raised }))
        })
    };
    let (invited, driven) = (seen["invited"] == true, seen["driven"] == true);
    let invite = {
        let tell = tell.clone();
        Callback::from(move |_: MouseEvent| {
            tell("/api/workshop/invite", json!({ "invited": !(invited || driven) }))
        })
    };
    let enter = {
        let (busy, failure, go, section) =
            (busy.clone(), failure.clone(), props.go.clone(), section.clone());
        Callback::from(move |_: MouseEvent| {
            let (busy, failure, go, section) =
                (busy.clone(), failure.clone(), go.clone(), section.clone());
            busy.set(true);
            spawn_local(async move {
                match open(&section).await {
                    Ok(address) => {
                        failure.set(None);
                        go.emit(address);
                    }
                    Err(e) => failure.set(Some(e.to_string())),
                }
                busy.set(false);
            });
        })
    };
    let (message, link) = moment(seen["message"]["text"].as_str().unwrap_or_default());
    let number = seen["message"]["number"].as_u64().unwrap_or(0);
    let number_text = |v: &Value| v.as_u64().unwrap_or(0).to_string();
    let home = seen["home"].as_str().unwrap_or_default().to_owned();
    html! {
        <section class="roombar" aria-label={t.bar} data-testid="roombar">
            if !section.is_null() {
                <span class="part" aria-live="polite" data-testid="part">
                    <span class="quiet">{ fill(t.part, &[&number_text(&section["number"]), &number_text(&section["of"])]) }{ " · " }{ kind(t, &section["kind"]) }</span>
                    { " " }<b>{ said(tag, &section["title"]) }</b>{ " " }<span class="quiet">{ fill(t.minutes, &[&number_text(&section["minutes"])]) }</span>
                </span>
                if !section["pattern"].is_null() {
                    <button class="primary" data-testid="open-part" disabled={*busy} onclick={enter}>{ if *busy { t.opening } else { t.open_part } }</button>
                }
            }
            if !home.is_empty() && home != props.address.world { <a href={format!("#/w/{home}")} data-testid="home-world">{ t.home }</a> }
            <span class="grow" />
            <span class="quiet">{ seen["name"].as_str().unwrap_or_default() }</span>
            <button data-testid="hand" aria-pressed={raised.to_string()} title={t.invite_help} onclick={hand}>{ if raised { t.hand_down } else { t.hand_up } }</button>
            if !driven { <button data-testid="invite" aria-pressed={invited.to_string()} title={t.invite_help} onclick={invite.clone()}>{ if invited { t.invite_back } else { t.invite } }</button> }
            if !props.address.world.is_empty() && seen["moment"]["world"] != props.address.world.as_str() { <Kubectl key={props.address.world.clone()} world={props.address.world.clone()} /> }
            if driven { <p class="wideline said" role="status" data-testid="driven"><b>{ t.driven }</b>{ " " }<button class="primary" data-testid="take-back" onclick={invite}>{ t.worlds_back }</button></p> }
            { moment_line(t, &seen["moment"], props, &looking, &passed) }
            if let Some(given) = &*gift { { gift_line(t, tag, given, props, &gift, &failure) } }
            if !*noted {
                <p class="wideline" data-testid="recovery">{ fill(t.your_word, &[&remembered("workshop.word").unwrap_or_default()]) }{ " " }
                    <button onclick={let noted = noted.clone(); move |_| { remember("workshop.word", ""); noted.set(true); }} data-testid="noted">{ t.noted }</button></p>
            }
            if seen["paused"] == true { <p class="wideline" role="status" data-testid="all-paused">{ t.paused }</p> }
            if (!message.is_empty() || link.is_some()) && *read != number {
                <p class="wideline said" role="status" data-testid="message"><b>{ t.said }{ ": " }</b>{ message }{ " " }
                    if let Some(link) = link { <a href={link} data-testid="moment">{ t.moment }</a>{ " " } }
                    <button aria-label={t.dismiss} onclick={let read = read.clone(); move |_| read.set(number)}>{ "×" }</button></p>
            }
            if !section["question"].is_null() { { ask(t, tag, &section, &seen["answer"], &tell) } }
            if let Some(e) = &*failure { <p class="wideline trouble" role="alert">{ fill(t.failed, &[e]) }</p> }
        </section>
    }
}

/// The moment that the instructor shows: how to look at it, and how to go back.
fn moment_line(
    t: &'static Texts,
    moment: &Value,
    props: &Props,
    looking: &UseStateHandle<Option<(String, Address)>>,
    passed: &UseStateHandle<u64>,
) -> Html {
    let Some(world) = moment["world"].as_str().map(str::to_owned) else { return Html::default() };
    let number = moment["number"].as_u64().unwrap_or(0);
    let word = |name: &str| moment[name].as_str().unwrap_or_default().to_owned();
    let go = props.go.clone();
    if props.address.world == world {
        let before = (**looking).clone().map(|(_, before)| before).unwrap_or_default();
        let back = move |_: MouseEvent| go.emit(before.clone());
        return html! { <p class="wideline said" role="status" data-testid="moment-here"><b>{ t.moment_here }</b>{ " " }<button class="primary" data-testid="moment-back" onclick={back}>{ t.moment_back }</button></p> };
    }
    if **passed == number {
        return Html::default();
    }
    let place = Address {
        world: world.clone(),
        pattern: word("pattern"),
        at: moment["at"].as_u64(),
        what: word("what"),
        event: moment["event"].as_u64(),
        show: word("show"),
        ..Address::default()
    };
    // As the address would have it: what comes from elsewhere is looked over there.
    let place = Address::parse(&place.hash());
    let look = {
        let looking = looking.clone();
        move |_: MouseEvent| {
            looking.set(Some((world.clone(), here())));
            go.emit(place.clone());
        }
    };
    let pass = {
        let passed = passed.clone();
        move |_: MouseEvent| passed.set(number)
    };
    html! { <p class="wideline said" role="status" data-testid="moment-shown"><b>{ t.moment_shown }</b>{ " " }<button class="primary" data-testid="moment-look" onclick={look}>{ t.moment_look }</button>{ " " }
    <button aria-label={t.dismiss} onclick={pass}>{ "×" }</button></p> }
}

/// A hint or a solution that the instructor has given.
fn gift_line(
    t: &'static Texts,
    lang: &str,
    given: &Gift,
    props: &Props,
    gift: &UseStateHandle<Option<Gift>>,
    failure: &UseStateHandle<Option<String>>,
) -> Html {
    let title = said(lang, &given.exercise["title"]);
    let text = given.hint.map(|n| said(lang, &given.exercise["hints"][n.saturating_sub(1)]));
    let close = {
        let gift = gift.clone();
        move |_: MouseEvent| gift.set(None)
    };
    let open = {
        let (pattern, slug) = (given.pattern.clone(), given.slug.clone());
        let (go, gift, failure) = (props.go.clone(), gift.clone(), failure.clone());
        move |_: MouseEvent| {
            let (pattern, slug) = (pattern.clone(), slug.clone());
            let (go, gift, failure) = (go.clone(), gift.clone(), failure.clone());
            spawn_local(async move {
                match exercise::begin(pattern, slug).await {
                    Ok(address) => go.emit(address),
                    Err(e) => failure.set(Some(e.to_string())),
                }
                gift.set(None);
            });
        }
    };
    let inside = here().exercise == given.slug;
    html! { <div class="wideline said" role="status" data-testid="gift">
    <b>{ fill(if text.is_some() { t.given_hint } else { t.given_solution }, &[&title]) }</b>{ " " }{ text.unwrap_or_default() }{ " " }
    if !inside { <button data-testid="gift-open" onclick={open}>{ t.given_open }</button>{ " " } }
    <button aria-label={t.given_close} data-testid="gift-close" onclick={close}>{ "×" }</button></div> }
}

/// The question of a section, with its answers as buttons, and how the room has answered once
/// that is shown.
fn ask(
    t: &'static Texts,
    lang: &str,
    section: &Value,
    picked: &Value,
    tell: &(impl Fn(&'static str, Value) + Clone + 'static),
) -> Html {
    let question = &section["question"];
    let name = section["name"].clone();
    let shown = question["counts"].is_array();
    let answer = |(n, text): (usize, &Value)| {
        let (tell, name) = (tell.clone(), name.clone());
        let number = n as u64 + 1;
        let own = picked.as_u64() == Some(number);
        let right = shown && question["right"].as_u64() == Some(number);
        html! {
            <li key={n}>
                <button aria-pressed={own.to_string()} disabled={shown} data-testid={format!("answer-{number}")}
                    onclick={move |_| tell("/api/workshop/answer", json!({ "section": name, "answer": number }))}>{ said(lang, text) }</button>
                if own { <span class="quiet">{ t.picked }</span> }
                if shown { { votes(t, question, n) } }
                if right { <b>{ t.right }</b> }
            </li>
        }
    };
    html! {
        <div class="wideline ask" role="group" aria-label={t.asked} data-testid="question">
            <p><b>{ said(lang, &question["ask"]) }</b></p>
            <ul>{ for question["answers"].as_array().into_iter().flatten().enumerate().map(answer) }</ul>
            if shown && !question["why"].is_null() { <p data-testid="why">{ said(lang, &question["why"]) }</p> }
        </div>
    }
}

/// How many picked an answer, as a number and as a bar.
pub fn votes(t: &'static Texts, question: &Value, n: usize) -> Html {
    let counts: Vec<u64> =
        question["counts"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let all: u64 = counts.iter().sum();
    let own = counts.get(n).copied().unwrap_or(0);
    html! {
        <span class="votes"><meter min="0" max={all.max(1).to_string()} value={own.to_string()} aria-hidden="true" />
            { fill(t.votes, &[&own.to_string(), &all.to_string()]) }</span>
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn a_link_to_a_moment_is_taken_out_of_a_message_and_leads_into_this_page() {
        assert_eq!(moment("look here"), ("look here".to_owned(), None));
        let sent = "look: http://evil.example/#/open?v=1&pattern=sidecar&t=7.25\"onclick= now";
        let link = "#/open?v=1&pattern=sidecar&t=7.25".to_owned();
        assert_eq!(moment(sent), ("look: now".to_owned(), Some(link)));
    }
}
