//! Language, colours and motion: what people choose and the browser remembers.

use web_sys::{Storage, Window};
use yew::prelude::*;

use crate::i18n::{Lang, Texts};

/// The colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it.
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What people chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The language.
    pub lang: Lang,
    /// The colours.
    pub theme: Theme,
    /// Whether marks flash instead of flying; `None` as the system has it.
    pub still: Option<bool>,
}

/// The choices and how to change them, for every view.
#[derive(Clone, PartialEq)]
pub struct Ui {
    /// The choices.
    pub choices: Choices,
    /// Changes them.
    pub set: Callback<Choices>,
}

impl Ui {
    /// The texts of the language.
    pub fn t(&self) -> &'static Texts {
        self.choices.lang.texts()
    }

    /// Whether marks flash instead of flying.
    pub fn still(&self) -> bool {
        self.choices.still.unwrap_or_else(|| media("(prefers-reduced-motion: reduce)"))
    }
}

/// The choices of the surrounding page.
#[hook]
pub fn use_ui() -> Ui {
    use_context::<Ui>().expect("every view stands inside the application")
}

/// The browser's window.
pub fn window() -> Window {
    web_sys::window().expect("the page runs in a window")
}

/// Copies a text; `None` where the browser gives the page no clipboard (it does so over https
/// and from this machine only).
pub fn clipboard(text: &str) -> Option<js_sys::Promise> {
    let navigator = window().navigator();
    let there = js_sys::Reflect::get(&navigator, &"clipboard".into()).ok()?;
    (!there.is_undefined()).then(|| navigator.clipboard().write_text(text))
}

/// The page's own clock, in ms.
pub fn clock() -> f64 {
    window().performance().map_or(0.0, |p| p.now())
}

/// Whether a media query holds.
pub fn media(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|m| m.matches())
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

/// Something remembered, if the browser remembers.
pub fn remembered(key: &str) -> Option<String> {
    storage()?.get_item(&format!("podlab.{key}")).ok().flatten()
}

/// All that is remembered, by its keys.
pub fn remembered_keys() -> Vec<String> {
    let Some(storage) = storage() else { return Vec::new() };
    let count = storage.length().unwrap_or(0);
    let key = |i: u32| storage.key(i).ok().flatten()?.strip_prefix("podlab.").map(str::to_owned);
    (0..count).filter_map(key).collect()
}

/// Remembers something, if the browser does.
pub fn remember(key: &str, value: &str) {
    if let Some(storage) = storage() {
        // A full or forbidden store only means that the choice is made again next time.
        let _ = storage.set_item(&format!("podlab.{key}"), value);
    }
}

impl Choices {
    /// What was chosen last, else what the browser asks for; `lang` wins over both.
    pub fn load(lang: Option<Lang>) -> Choices {
        let lang = lang
            .or_else(|| remembered("lang").map(|l| Lang::of(&l)))
            .unwrap_or_else(|| Lang::of(&window().navigator().language().unwrap_or_default()));
        let theme = match remembered("theme").as_deref() {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        };
        let still = match remembered("motion").as_deref() {
            Some("less") => Some(true),
            Some("full") => Some(false),
            _ => None,
        };
        Choices { lang, theme, still }
    }

    /// Remembers them and tells the document.
    pub fn apply(&self, before: Option<&Choices>) {
        let theme = match self.theme {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        if before.is_some_and(|b| b.lang != self.lang) {
            remember("lang", self.lang.tag());
        }
        if before.is_some_and(|b| b.theme != self.theme) {
            remember("theme", theme);
        }
        if let Some(still) = self.still.filter(|_| before.is_some_and(|b| b.still != self.still)) {
            remember("motion", if still { "less" } else { "full" });
        }
        if let Some(root) = window().document().and_then(|d| d.document_element()) {
            for (name, value) in [("lang", self.lang.tag()), ("data-theme", theme)] {
                // Setting an attribute of a name that is known to be valid does not fail.
                let _ = root.set_attribute(name, value);
            }
        }
    }
}
