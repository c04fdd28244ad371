//! The whole page: header, and below it the gallery or a world.

use gloo_events::EventListener;
use wasm_bindgen::JsValue;
use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::address::Address;
use crate::i18n::Lang;
use crate::model::link::{Link, Wrong};
use crate::recording;
use crate::ui::{Choices, Theme, Ui, use_ui, window};
use crate::view::arrival::{Arrival, said};
use crate::view::compare::Compare;
use crate::view::gallery::Gallery;
use crate::view::world::World;
use crate::workshop::Workshop;

/// The application.
pub struct App {
    address: Address,
    /// The link that is being opened.
    link: Option<Result<Link, Wrong>>,
    choices: Choices,
    _hash: EventListener,
}

/// What happens to it.
pub enum Msg {
    /// The address was changed from outside.
    Moved,
    /// The page goes elsewhere.
    Go(Address),
    /// The world of a link is there: it takes the link's place.
    Arrived(Address),
    /// The place on this page changed: the address follows.
    Keep(Address),
    /// Something was chosen.
    Choose(Choices),
}

fn here() -> Address {
    let location = window().location();
    let mut address = Address::parse(&location.hash().unwrap_or_default());
    // Whoever puts the page into another may not know how its own addresses look.
    let search = location.search().unwrap_or_default();
    address.embed |=
        search.trim_start_matches('?').split('&').any(|p| p == "embed" || p == "embed=1");
    address
}

/// The same; a page that plays a recording shows nothing else.
fn there() -> Address {
    match recording::inside() {
        Some(recorded) => {
            let pattern = recorded.pattern["name"].as_str().unwrap_or_default().to_owned();
            Address { world: recording::WORLD.into(), pattern, ..here() }
        }
        None => here(),
    }
}

fn opened() -> Option<Result<Link, Wrong>> {
    if recording::inside().is_some() {
        return None;
    }
    Link::parse(&window().location().hash().unwrap_or_default())
}

/// Makes the address of the page say this, without a new entry in the history.
fn write(address: &Address) {
    if let Ok(history) = window().history() {
        // Browsers refuse more than about 100 changes in 30 s; the next one will be right again.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&address.hash()));
    }
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<App>) -> App {
        let link = ctx.link().clone();
        let hash =
            EventListener::new(&window(), "hashchange", move |_| link.send_message(Msg::Moved));
        let address = there();
        let choices = Choices::load(address.lang);
        choices.apply(None);
        App { address, link: opened(), choices, _hash: hash }
    }

    fn update(&mut self, _: &Context<App>, msg: Msg) -> bool {
        match msg {
            Msg::Moved => {
                (self.address, self.link) = (there(), opened());
                if let Some(lang) = self.address.lang {
                    self.choose(Choices { lang, ..self.choices });
                }
            }
            Msg::Go(mut address) => {
                address.lang = self.address.lang;
                // The listener hears it, and the history has a new entry.
                let _ = window().location().set_hash(&address.hash());
                (self.address, self.link) = (address, None);
            }
            Msg::Arrived(address) => {
                (self.address, self.link) = (Address { lang: self.address.lang, ..address }, None);
                // Going back must not open the link, and with it another world, once more.
                write(&self.address);
            }
            Msg::Keep(address) => {
                self.address = Address { lang: self.address.lang, ..address };
                write(&self.address);
                return false;
            }
            Msg::Choose(choices) => {
                if choices.lang != self.choices.lang {
                    self.address.lang = Some(choices.lang);
                    write(&self.address);
                }
                self.choose(choices);
            }
        }
        true
    }

    fn view(&self, ctx: &Context<App>) -> Html {
        let ui = Ui { choices: self.choices, set: ctx.link().callback(Msg::Choose) };
        let t = ui.t();
        let go = ctx.link().callback(Msg::Go);
        let content = if let Some(link) = &self.link {
            let key = link.as_ref().map(Link::hash).unwrap_or_default();
            html! { <Arrival {key} link={link.clone()} arrive={ctx.link().callback(Msg::Arrived)} {go} /> }
        } else if let Some(pair) = self.address.pair.as_deref() {
            let keep = ctx.link().callback(Msg::Keep);
            match pair {
                Ok(pair) => html! { <Compare pair={pair.clone()} {go} {keep} /> },
                Err(wrong) => {
                    let home = go.reform(|_: MouseEvent| Address::default());
                    html! { <main id="main" class="arrival" tabindex="-1"><h1>{ t.link_title }</h1><div class="arrival-trouble" role="alert" data-testid="link-trouble">
                    <p><span class="alarm" aria-hidden="true">{ "!" }</span>{ format!("{} {}", said(t, wrong), t.link_ask_again) }</p>
                    <div class="actions"><button data-testid="link-home" onclick={home}>{ t.home }</button></div></div></main> }
                }
            }
        } else if self.address.world.is_empty() {
            html! { <Gallery {go} /> }
        } else {
            let keep = ctx.link().callback(Msg::Keep);
            html! { <World key={self.address.world.clone()} address={self.address.clone()} {go} {keep} /> }
        };
        html! {
            <ContextProvider<Ui> context={ui}>
                if !self.address.embed { <a class="skip" href="#main" onclick={|e: MouseEvent| {
                    e.prevent_default();
                    focus("main");
                }}>{ t.skip }</a>
                <Header inside={!self.address.world.is_empty() || self.address.pair.is_some()} pattern={crumb(&self.address)} go={ctx.link().callback(Msg::Go)} /> }
                <Workshop address={self.address.clone()} go={ctx.link().callback(Msg::Go)}>{ content }</Workshop>
            </ContextProvider<Ui>>
        }
    }
}

impl App {
    fn choose(&mut self, choices: Choices) {
        choices.apply(Some(&self.choices));
        self.choices = choices;
    }
}

/// What the header says one is looking at.
fn crumb(address: &Address) -> String {
    match address.pair.as_deref() {
        Some(Ok(pair)) => {
            let [a, b] = [0, 1].map(|i| pair.sides[i].pattern.as_str());
            if a == b { a.to_owned() } else { format!("{a} | {b}") }
        }
        _ => address.pattern.clone(),
    }
}

/// Moves the keyboard to the element with this id.
pub fn focus(id: &str) {
    use wasm_bindgen::JsCast;
    let element = window().document().and_then(|d| d.get_element_by_id(id));
    if let Some(element) = element.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
        // What cannot take the focus keeps none; nothing depends on it.
        let _ = element.focus();
    }
}

#[derive(Properties, PartialEq)]
struct HeaderProps {
    inside: bool,
    pattern: String,
    go: Callback<Address>,
}

#[component]
fn Header(props: &HeaderProps) -> Html {
    let ui = use_ui();
    let t = ui.t();
    let home = {
        let go = props.go.clone();
        Callback::from(move |e: MouseEvent| {
            e.prevent_default();
            go.emit(Address::default());
        })
    };
    let choose = |change: fn(&mut Choices, &str)| {
        let ui = ui.clone();
        Callback::from(move |e: Event| {
            let mut choices = ui.choices;
            change(&mut choices, &e.target_unchecked_into::<HtmlSelectElement>().value());
            ui.set.emit(choices);
        })
    };
    let other = if ui.choices.lang == Lang::En { Lang::Ja } else { Lang::En };
    let switch = {
        let ui = ui.clone();
        Callback::from(move |_| ui.set.emit(Choices { lang: other, ..ui.choices }))
    };
    let option = |value: &'static str, text: &'static str, on: bool| html! { <option {value} selected={on}>{ text }</option> };
    let (theme, still) = (ui.choices.theme, ui.still());
    html! {
        <header class="bar">
            if recording::inside().is_some() { <span class="brand">{ emblem() }</span> } else {
            <a class="brand" href="#/" onclick={home} aria-label={format!("Podlab: {}", t.home)}>{ emblem() }</a> }
            if props.inside && !props.pattern.is_empty() {
                <span class="crumb">{ props.pattern.clone() }</span>
            }
            <span class="grow" />
            <div class="choices" role="group" aria-label={t.settings}>
                <label><span class="tag">{ t.motion }</span>
                    <select data-testid="motion" onchange={choose(|c, v| c.still = Some(v == "less"))}>
                        { option("full", t.motion_full, !still) }{ option("less", t.motion_less, still) }
                    </select></label>
                <label><span class="tag">{ t.theme }</span>
                    <select data-testid="theme" onchange={choose(|c, v| c.theme = match v { "light" => Theme::Light, "dark" => Theme::Dark, _ => Theme::Auto })}>
                        { option("auto", t.theme_auto, theme == Theme::Auto) }
                        { option("light", t.theme_light, theme == Theme::Light) }
                        { option("dark", t.theme_dark, theme == Theme::Dark) }
                    </select></label>
                <button class="lang" data-testid="lang" onclick={switch} lang={other.tag()}>
                    { if other == Lang::Ja { "日本語" } else { "English" } }
                </button>
            </div>
        </header>
    }
}

/// The sign and the name.
fn emblem() -> Html {
    html! { <>
        <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
            <path d="M12 1.8 21 7v10l-9 5.2L3 17V7z" class="brand-frame" />
            <path d="M6.5 14.5h11" class="brand-rail" />
            <circle cx="9" cy="9.6" r="2" class="brand-a" /><path d="M15 7.4l2.2 2.2L15 11.8l-2.2-2.2z" class="brand-b" />
        </svg>
        <span>{ "Podlab" }</span>
    </> }
}
