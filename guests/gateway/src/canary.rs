//! Which of two backends a request goes to: the annotations of ingress-nginx, and their order
//! (header, then cookie, then weight).

use std::collections::BTreeMap;

use podlab_guest::http::Headers;
use regex_lite::{Regex, RegexBuilder};

/// What the annotations begin with.
pub const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Bytes a compiled pattern may take.
const PATTERN: usize = 64 << 10;

/// A regular expression; `None` is one that could not be read, and matches nothing.
#[derive(Clone, Debug)]
pub struct Pattern(Option<Regex>);

impl Pattern {
    fn text(&self) -> Option<&str> {
        self.0.as_ref().map(Regex::as_str)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Pattern {}

/// When a request goes to the canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// The field that decides first.
    pub header: Option<String>,
    /// With it only this value decides; without it and a pattern, `always` and `never` do.
    pub header_value: Option<String>,
    /// With it, and without a value, only what matches decides.
    pub header_pattern: Option<Pattern>,
    /// The cookie that decides next, by `always` and `never`.
    pub cookie: Option<String>,
    /// Of `total` requests so many go to the canary, by chance.
    pub weight: u32,
    /// 100 unless the annotations say otherwise; at least 1.
    pub total: u32,
}

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The header says so.
    Header,
    /// The cookie says so.
    Cookie,
    /// The draw says so.
    Weight,
}

impl Canary {
    /// What annotations say: `None` unless `canary` is `true`. What cannot be read does not count,
    /// and is named in `wrong`.
    pub fn read(annotations: &BTreeMap<String, String>, wrong: &mut Vec<String>) -> Option<Canary> {
        let get = |name: &str| annotations.get(&format!("{PREFIX}{name}")).map(|v| v.trim());
        let text = |name: &str| get(name).filter(|v| !v.is_empty()).map(str::to_owned);
        match get("canary") {
            Some("true") => {}
            None | Some("false" | "") => return None,
            Some(other) => {
                wrong.push(format!("canary: {other:?} is neither true nor false"));
                return None;
            }
        }
        let mut number = |name: &str, otherwise: u32| match get(name).map(str::parse::<u32>) {
            None => otherwise,
            Some(Ok(n)) => n,
            Some(Err(_)) => {
                wrong.push(format!("{name}: no whole number that fits; {otherwise} counts"));
                otherwise
            }
        };
        let total = number("canary-weight-total", 100).max(1);
        let weight = number("canary-weight", 0).min(total);
        let pattern = text("canary-by-header-pattern").map(|pattern| {
            let made = RegexBuilder::new(&pattern).size_limit(PATTERN).build();
            Pattern(made.map_err(|e| wrong.push(format!("canary-by-header-pattern: {e}"))).ok())
        });
        Some(Canary {
            header_pattern: pattern,
            header: text("canary-by-header"),
            header_value: text("canary-by-header-value"),
            cookie: text("canary-by-cookie"),
            weight,
            total,
        })
    }

    /// Whether a request goes to the canary, and why. `draw` gives a number below what it is given,
    /// and is asked only where chance decides.
    pub fn takes(&self, headers: &Headers, draw: impl FnOnce(u32) -> u32) -> (bool, Why) {
        if let Some(value) = self.header.as_ref().and_then(|name| headers.get(name)) {
            match (&self.header_value, &self.header_pattern) {
                (Some(wanted), _) if value == wanted => return (true, Why::Header),
                (Some(_), _) => {}
                (None, Some(Pattern(pattern))) => {
                    if pattern.as_ref().is_some_and(|pattern| pattern.is_match(value)) {
                        return (true, Why::Header);
                    }
                }
                (None, None) if value == "always" => return (true, Why::Header),
                (None, None) if value == "never" => return (false, Why::Header),
                (None, None) => {}
            }
        }
        match self.cookie.as_ref().and_then(|name| cookie(headers, name)) {
            Some("always") => return (true, Why::Cookie),
            Some("never") => return (false, Why::Cookie),
            _ => {}
        }
        let canary = match self.weight {
            0 => false,
            all if all >= self.total => true,
            weight => draw(self.total) < weight,
        };
        (canary, Why::Weight)
    }
}

/// The value of a cookie (RFC 6265, 5.4).
fn cookie<'a>(headers: &'a Headers, name: &str) -> Option<&'a str> {
    let fields = headers.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case("cookie"));
    let pairs = fields.flat_map(|(_, v)| v.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.map(|(n, v)| (n.trim(), v.trim())).find(|(n, _)| *n == name).map(|(_, v)| v)
}

#[cfg(all(test, not(target_os = "wasi")))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(n, v)| (format!("{PREFIX}{n}"), (*v).to_owned())).collect()
    }

    fn canary(pairs: &[(&str, &str)]) -> Canary {
        let all = [&[("canary", "true")], pairs].concat();
        Canary::read(&annotations(&all), &mut Vec::new()).unwrap()
    }

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn no_draw(_: u32) -> u32 {
        panic!("chance decides nothing here")
    }

    #[test]
    fn the_header_comes_before_the_cookie_and_the_cookie_before_the_weight() {
        let c = canary(&[
            ("canary-by-header", "X-Canary"),
            ("canary-by-cookie", "beta"),
            ("canary-weight", "100"),
        ]);
        let takes = |pairs: &[(&str, &str)]| c.takes(&headers(pairs), no_draw);
        assert_eq!(
            takes(&[("x-canary", "never"), ("Cookie", "beta=always")]),
            (false, Why::Header)
        );
        assert_eq!(takes(&[("x-canary", "always"), ("Cookie", "beta=never")]), (true, Why::Header));
        assert_eq!(
            takes(&[("x-canary", "maybe"), ("Cookie", "a=b; beta=never")]),
            (false, Why::Cookie)
        );
        assert_eq!(takes(&[("Cookie", "beta=yes")]), (true, Why::Weight));
        assert_eq!(takes(&[("Cookie", "gamma=never")]), (true, Why::Weight));
    }

    #[test]
    fn with_a_value_only_that_value_decides() {
        let c = canary(&[("canary-by-header", "region"), ("canary-by-header-value", "tokyo")]);
        let takes = |value| c.takes(&headers(&[("Region", value)]), no_draw);
        assert_eq!(takes("tokyo"), (true, Why::Header));
        assert_eq!(takes("always"), (false, Why::Weight));
        // Without a header's name its value means nothing.
        let c = canary(&[("canary-by-header-value", "tokyo")]);
        assert_eq!(c.takes(&headers(&[("Region", "tokyo")]), no_draw), (false, Why::Weight));
    }

    #[test]
    fn with_a_pattern_only_what_matches_decides() {
        let by = |pattern: &str, more: &[(&str, &str)]| {
            let two = [("canary-by-header", "region"), ("canary-by-header-pattern", pattern)];
            canary(&[&two, more].concat())
        };
        let takes = |c: &Canary, value| c.takes(&headers(&[("Region", value)]), no_draw).0;
        let c = by("^(tokyo|osaka)-[0-9]+$", &[]);
        assert!(takes(&c, "osaka-7") && !takes(&c, "kobe-1") && !takes(&c, "always"));
        // A value comes before a pattern, and what cannot be read matches nothing.
        assert!(!takes(&by(".*", &[("canary-by-header-value", "x")]), "y"));
        assert!(!takes(&by("(", &[]), "("));
        let mut wrong = Vec::new();
        let odd = [("canary", "true"), ("canary-by-header-pattern", "(")];
        assert!(Canary::read(&annotations(&odd), &mut wrong).is_some() && wrong.len() == 1);
    }

    #[test]
    fn what_is_no_canary() {
        let read = |pairs: &[(&str, &str)]| {
            let mut wrong = Vec::new();
            (Canary::read(&annotations(pairs), &mut wrong), wrong.len())
        };
        assert_eq!(read(&[("canary-weight", "20")]), (None, 0));
        assert_eq!(read(&[("canary", "false"), ("canary-weight", "20")]), (None, 0));
        assert_eq!(read(&[("canary", "yes")]), (None, 1));
        let (odd, wrong) = read(&[("canary", "true"), ("canary-weight", "-1")]);
        assert_eq!((odd.unwrap().weight, wrong), (0, 1));
        assert_eq!(canary(&[("canary-weight", "300")]).weight, 100);
        assert_eq!(canary(&[("canary-weight", "3"), ("canary-weight-total", "0")]).total, 1);
    }

    proptest! {
        /// Of all draws, exactly the weight's share goes to the canary.
        #[test]
        fn the_weight_is_a_share_of_all_draws(weight in 0u32..1200, total in 1u32..1000) {
            let c = canary(&[
                ("canary-weight", &weight.to_string()),
                ("canary-weight-total", &total.to_string()),
            ]);
            let taken = (0..total).filter(|n| c.takes(&Headers::default(), |most| {
                assert_eq!(most, total);
                *n
            }).0).count();
            prop_assert_eq!(taken as u32, weight.min(total));
        }

        /// A header or a cookie that decides is never overruled, whatever else is sent.
        #[test]
        fn nothing_overrules_the_header(
            weight in 0u32..=100,
            fields in prop::collection::vec(("[a-z]{1,6}", "[ -~]{0,12}"), 0..6),
            always: bool,
        ) {
            let c = canary(&[
                ("canary-by-header", "x-canary"),
                ("canary-by-cookie", "beta"),
                ("canary-weight", &weight.to_string()),
            ]);
            let mut headers = Headers(fields);
            let word = if always { "always" } else { "never" };
            headers.0.push(("X-Canary".to_owned(), word.to_owned()));
            prop_assert_eq!(c.takes(&headers, no_draw), (always, Why::Header));
        }
    }
}
