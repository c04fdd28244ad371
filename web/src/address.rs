//! What the address of the page says: which page, and how it is looked at. A reload finds the
//! same place again.

use crate::i18n::Lang;
use crate::model::link::Wrong;
use crate::model::pair::Pair;
use crate::model::what::What;

/// The address of the page, as it stands after the `#`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Address {
    /// The world, or empty for the gallery.
    pub world: String,
    /// The pattern it was made from, so that a dead link can offer a new one.
    pub pattern: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// The language, if it is chosen.
    pub lang: Option<Lang>,
    /// The instant looked at in ns, if it is not the present.
    pub at: Option<u64>,
    /// The panel that is open, or empty.
    pub panel: String,
    /// The event that is inspected.
    pub event: Option<u64>,
    /// What is selected, other than an event, in words; or empty.
    pub what: String,
    /// What is shown of what happened: "order", "both", or empty for the picture.
    pub show: String,
    /// The exercise that is worked at, or empty.
    pub exercise: String,
    /// Whether only the picture and its time are shown: the page is part of another.
    pub embed: bool,
    /// The page of a workshop (`join`, `board`, `wall`), or empty.
    pub workshop: String,
    /// The world it was forked from, and the instant, in ns.
    pub origin: Option<(String, u64)>,
    /// Two worlds beside each other, in place of one.
    pub pair: Option<Box<Result<Pair, Wrong>>>,
}

impl Address {
    /// Of two worlds.
    pub fn of(pair: Pair) -> Address {
        Address { pair: Some(Box::new(Ok(pair))), ..Address::default() }
    }

    /// Reads the part of an address after the `#`; what it does not know it leaves out.
    pub fn parse(hash: &str) -> Address {
        let hash = hash.trim_start_matches('#');
        let (path, query) = hash.split_once('?').unwrap_or((hash, ""));
        let mut address = Address { pair: Pair::parse(hash).map(Box::new), ..Address::default() };
        let mut parts = path.trim_matches('/').split('/');
        match parts.next() {
            Some("w") => address.world = clean(parts.next().unwrap_or_default()),
            Some(page @ ("join" | "board" | "wall")) => address.workshop = page.into(),
            _ => {}
        }
        if address.pair.is_some() {
            let lang = query.split('&').find_map(|p| p.strip_prefix("lang="));
            address.lang = lang.map(Lang::of);
            return address;
        }
        for (name, value) in query.split('&').map(|p| p.split_once('=').unwrap_or((p, ""))) {
            match name {
                "lang" => address.lang = Some(Lang::of(value)),
                "pattern" => address.pattern = clean(value),
                "seed" => address.seed = value.parse().ok(),
                "t" => {
                    let seconds = value.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
                    address.at = seconds.map(|s| (s * 1e9) as u64);
                }
                "panel" => address.panel = clean(value),
                "what" => {
                    address.what = What::parse(value).map(|w| w.to_string()).unwrap_or_default();
                }
                "show" => address.show = clean(value),
                "exercise" => address.exercise = clean(value),
                "embed" => address.embed = value != "0",
                "event" => address.event = value.parse().ok(),
                "origin" => {
                    let (world, at) = value.split_once(',').unwrap_or((value, "0"));
                    address.origin = at.parse().ok().map(|at| (clean(world), at));
                }
                _ => {}
            }
        }
        address
    }

    /// The part of the address after and with the `#`.
    pub fn hash(&self) -> String {
        if let Some(Ok(pair)) = self.pair.as_deref() {
            let lang = self.lang.map(|l| format!("&lang={}", l.tag()));
            return pair.hash() + &lang.unwrap_or_default();
        }
        let mut out = if self.world.is_empty() {
            format!("#/{}", self.workshop)
        } else {
            format!("#/w/{}", self.world)
        };
        let mut sep = '?';
        let mut add = |name: &str, value: String| {
            out.push(sep);
            out.push_str(&format!("{name}={value}"));
            sep = '&';
        };
        if !self.pattern.is_empty() {
            add("pattern", self.pattern.clone());
        }
        if let Some(seed) = self.seed {
            add("seed", seed.to_string());
        }
        if let Some(lang) = self.lang {
            add("lang", lang.tag().into());
        }
        if let Some(at) = self.at {
            add("t", format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000));
        }
        if !self.panel.is_empty() {
            add("panel", self.panel.clone());
        }
        if !self.show.is_empty() {
            add("show", self.show.clone());
        }
        if !self.exercise.is_empty() {
            add("exercise", self.exercise.clone());
        }
        if !self.what.is_empty() {
            add("what", self.what.clone());
        }
        if let Some(event) = self.event {
            add("event", event.to_string());
        }
        if let Some((world, at)) = &self.origin {
            add("origin", format!("{world},{at}"));
        }
        if self.embed {
            add("embed", "1".into());
        }
        out
    }
}

/// Names only: an address is given by strangers and becomes part of paths.
fn clean(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        let address = Address {
            world: "k3x9".into(),
            pattern: "sidecar".into(),
            seed: Some(7),
            lang: Some(Lang::Ja),
            at: Some(12_500_000_000),
            panel: "logs".into(),
            event: Some(99),
            what: "container:default/web/log-saver".into(),
            exercise: "wrong-port".into(),
            show: "both".into(),
            embed: true,
            workshop: String::new(),
            origin: Some(("w2".into(), 3_500_000_000)),
            pair: None,
        };
        assert_eq!(Address::parse(&address.hash()), address);
        let two = "#/compare?v=1&world=w1&world2=w2&t=1.500000000&lang=ja";
        let pair = Address::parse(two);
        assert_eq!((pair.lang, pair.hash().as_str()), (Some(Lang::Ja), two));
        assert!(matches!(Address::parse("#/compare?v=1").pair.as_deref(), Some(Err(_))));
        let board =
            Address { workshop: "board".into(), lang: Some(Lang::Ja), ..Address::default() };
        assert_eq!(Address::parse(&board.hash()), board);
        assert_eq!(Address::parse(""), Address::default());
        assert_eq!(Address::parse("#/w/../../etc?t=-1&x").world, "..");
        assert_eq!(Address::parse("#/w/a?t=nan").at, None);
        assert!(Address::parse("#/w/a?embed").embed && !Address::parse("#/w/a?embed=0").embed);
    }
}
