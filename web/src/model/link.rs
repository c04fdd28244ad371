//! A link to what one sees: pattern, seed, beginning, time and selection. Whoever opens it gets a
//! world of their own in which the same has happened.

use crate::model::what::What;

/// The form of links; one that is read differently has another number.
const VERSION: &str = "1";
/// The longest time a link may ask a world to run, in s: a day.
const LONGEST: f64 = 86_400.0;

/// What a link says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// The pattern.
    pub pattern: String,
    /// Its seed.
    pub seed: u64,
    /// What the world's wall clock shows at its beginning, in s since 1970; `None` for now.
    pub epoch: Option<u64>,
    /// The instant, in ns; `None` for the beginning, running.
    pub at: Option<u64>,
    /// What is selected.
    pub what: Option<What>,
    /// What is shown of what happened, as the address of the page has it.
    pub show: String,
    /// The panel that is open.
    pub panel: String,
}

/// Why a link cannot be opened.
#[derive(Clone, Debug, PartialEq)]
pub enum Wrong {
    /// It is of another form than this page reads.
    Version(String),
    /// It names no pattern.
    Pattern,
    /// Its seed is no whole number.
    Seed(String),
    /// The beginning of its world is no number of seconds.
    Epoch(String),
    /// Its time is none, or too far.
    Time(String),
    /// What it selects is nothing that can be selected.
    What(String),
}

impl Link {
    /// Reads the part of an address after the `#`; `None` if it is not a link.
    pub fn parse(hash: &str) -> Option<Result<Link, Wrong>> {
        let hash = hash.trim_start_matches('#').trim_matches('/');
        let (path, query) = hash.split_once('?').unwrap_or((hash, ""));
        (path.trim_matches('/') == "open").then(|| Link::read(query))
    }

    fn read(query: &str) -> Result<Link, Wrong> {
        let mut link = Link::default();
        let (mut version, mut seed) = (String::new(), None);
        for (name, value) in query.split('&').filter_map(|p| p.split_once('=')) {
            let said = || value.chars().take(60).collect::<String>();
            match name {
                "v" => version = said(),
                "pattern" => link.pattern = name_of(value),
                "seed" => seed = Some(value.parse().map_err(|_| Wrong::Seed(said()))?),
                "epoch" => link.epoch = Some(value.parse().map_err(|_| Wrong::Epoch(said()))?),
                "t" => {
                    let seconds = value.parse::<f64>().ok().filter(|s| (0.0..=LONGEST).contains(s));
                    let seconds = seconds.ok_or_else(|| Wrong::Time(said()))?;
                    link.at = Some((seconds * 1e9).round() as u64);
                }
                "what" => {
                    link.what = Some(What::parse(value).ok_or_else(|| Wrong::What(said()))?);
                }
                "show" => link.show = name_of(value),
                "panel" => link.panel = name_of(value),
                _ => {}
            }
        }
        if version != VERSION {
            return Err(Wrong::Version(version));
        }
        if link.pattern.is_empty() {
            return Err(Wrong::Pattern);
        }
        link.seed = seed.ok_or_else(|| Wrong::Seed(String::new()))?;
        Ok(link)
    }

    /// The part of the address after and with the `#`.
    pub fn hash(&self) -> String {
        let mut out = format!("#/open?v={VERSION}&pattern={}&seed={}", self.pattern, self.seed);
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                out.push_str(&format!("&{name}={value}"));
            }
        };
        add("epoch", &self.epoch.map(|s| s.to_string()).unwrap_or_default());
        let t = self.at.map(|at| format!("{}.{:09}", at / 1_000_000_000, at % 1_000_000_000));
        add("t", &t.unwrap_or_default());
        add("what", &self.what.as_ref().map(What::to_string).unwrap_or_default());
        add("show", &self.show);
        add("panel", &self.panel);
        out
    }
}

/// Names only: a link is given by strangers and becomes part of paths.
fn name_of(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let link = Link {
            pattern: "work-queue".into(),
            seed: u64::MAX,
            epoch: Some(1_790_000_000),
            at: Some(12_345_678_901),
            what: What::parse("container:default/web/log-saver"),
            show: "both".into(),
            panel: "logs".into(),
        };
        assert_eq!(Link::parse(&link.hash()), Some(Ok(link)));
        let least = Link { pattern: "sidecar".into(), seed: 7, ..Link::default() };
        assert_eq!(least.hash(), "#/open?v=1&pattern=sidecar&seed=7");
        assert_eq!(Link::parse(&least.hash()), Some(Ok(least)));
    }

    #[test]
    fn other_addresses_are_no_links() {
        for hash in ["", "#/", "#/w/abc?t=1", "#/opened?v=1"] {
            assert_eq!(Link::parse(hash), None, "{hash}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_link_is_known() {
        let wrong = |query: &str| Link::parse(&format!("#/open?{query}")).expect("a link").err();
        assert_eq!(wrong(""), Some(Wrong::Version(String::new())));
        assert_eq!(wrong("v=0&pattern=sidecar&seed=7"), Some(Wrong::Version("0".into())));
        assert_eq!(wrong("v=1&seed=7"), Some(Wrong::Pattern));
        assert_eq!(wrong("v=1&pattern=sidecar"), Some(Wrong::Seed(String::new())));
        assert_eq!(wrong("v=1&pattern=sidecar&seed=-7"), Some(Wrong::Seed("-7".into())));
        for t in ["x", "-1", "NaN", "inf", "1e9"] {
            assert_eq!(wrong(&format!("v=1&pattern=a&seed=1&t={t}")), Some(Wrong::Time(t.into())));
        }
        assert_eq!(wrong("v=1&pattern=a&seed=1&epoch=x"), Some(Wrong::Epoch("x".into())));
        assert_eq!(wrong("v=1&pattern=a&seed=1&what=moon:a"), Some(Wrong::What("moon:a".into())));
        // Nothing in a link leads out of the path it becomes part of.
        let link = Link::parse("#/open?v=1&pattern=../../x&seed=1").expect("a link").expect("read");
        assert_eq!(link.pattern, "x");
    }
}
