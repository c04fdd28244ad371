//! What is computed from series, and when it is alarming.

use std::time::Duration;

use podlab_guest::args::duration;
use podlab_guest::exposition::is_metric_name;

/// One series' value: what it is now, or how fast it grows.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// The sum of the last values of this name.
    Last(String),
    /// The sum of what they grew by a second.
    Rate(String),
}

/// A term, or one divided by another.
#[derive(Clone, Debug, PartialEq)]
pub struct Query(pub Term, pub Option<Term>);

impl Query {
    /// Reads `NAME`, `rate(NAME)`, `rate(NAME) / rate(NAME)`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Query, String> {
        let term = |text: &str| {
            let text = text.trim();
            let rate = text.strip_prefix("rate(").and_then(|t| t.strip_suffix(')'));
            let name = rate.unwrap_or(text).trim().to_owned();
            if !is_metric_name(&name) {
                return Err(format!("{text:?} is neither a name nor rate(NAME)"));
            }
            Ok(if rate.is_some() { Term::Rate(name) } else { Term::Last(name) })
        };
        match text.split_once('/') {
            None => Ok(Query(term(text)?, None)),
            Some((a, b)) => Ok(Query(term(a)?, Some(term(b)?))),
        }
    }

    /// Its value, if there is one, where `of` gives that of a term.
    pub fn value(&self, of: impl Fn(&Term) -> Option<f64>) -> Option<f64> {
        let a = of(&self.0)?;
        match &self.1 {
            None => Some(a),
            // Nothing of nothing is no share.
            Some(b) => of(b).filter(|b| *b != 0.0).map(|b| a / b),
        }
    }
}

/// When to raise an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The alert.
    pub name: String,
    /// What is looked at.
    pub query: Query,
    /// Whether it must be above the limit, or else below.
    pub above: bool,
    /// The limit.
    pub limit: f64,
    /// For how long.
    pub hold: Duration,
}

/// What a monitor is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// How often it asks.
    pub interval: Duration,
    /// Names and URLs.
    pub targets: Vec<(String, String)>,
    /// When to raise an alert.
    pub rules: Vec<Rule>,
}

impl Config {
    /// Reads a file:
    ///
    /// ```text
    /// interval 1s
    /// target shop http://shop:9100/metrics
    /// alert Failing rate(app_failures_total) / rate(app_requests_total) > 0.2 for 5s
    /// ```
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Config, String> {
        let mut config =
            Config { interval: Duration::from_secs(1), targets: Vec::new(), rules: Vec::new() };
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            config.line(line).map_err(|e| format!("line {}: {e}", n + 1))?;
        }
        if config.targets.is_empty() || config.targets.len() > 100 || config.rules.len() > 100 {
            return Err("there must be 1 to 100 targets, and at most 100 alerts".into());
        }
        Ok(config)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let wrong = || format!("{line:?} is none of interval, target, alert");
        let (word, rest) = line.split_once(' ').ok_or_else(wrong)?;
        match word {
            "interval" => {
                let interval = duration(rest.trim()).filter(|d| *d >= Duration::from_millis(100));
                self.interval = interval.ok_or("an interval is a time of 100ms or more")?;
            }
            "target" => {
                let (name, url) = rest.trim().split_once(' ').ok_or("write target NAME URL")?;
                if self.targets.iter().any(|(n, _)| n == name) {
                    return Err(format!("there is a target {name} already"));
                }
                podlab_guest::http::Url::parse(url.trim())?;
                self.targets.push((name.to_owned(), url.trim().to_owned()));
            }
            "alert" => {
                let (name, rest) = rest.trim().split_once(' ').ok_or("an alert without a name")?;
                let (rest, hold) = rest.rsplit_once(" for ").unwrap_or((rest, "0s"));
                let hold = duration(hold.trim()).ok_or("for how long?")?;
                let sign = rest.find(['<', '>']).ok_or("an alert compares with < or >")?;
                let (query, limit) = rest.split_at(sign);
                let (above, query) = (limit.starts_with('>'), Query::parse(query)?);
                let limit = limit[1..].trim().parse().map_err(|_| "the limit is no number")?;
                self.rules.push(Rule { name: name.to_owned(), query, above, limit, hold });
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file() {
        let config = Config::parse(
            "interval 500ms\ntarget a http://a:1/metrics\n# c\n\
             alert Failing rate(f_total) / rate(r_total) > 0.2 for 5s\nalert Down up < 1\n",
        )
        .unwrap();
        assert_eq!((config.interval, config.rules.len()), (Duration::from_millis(500), 2));
        let failing = &config.rules[0];
        assert_eq!((failing.above, failing.limit, failing.hold.as_secs()), (true, 0.2, 5));
        let of = |t: &Term| Some(if *t == Term::Rate("f_total".into()) { 1.0 } else { 4.0 });
        assert_eq!(failing.query.value(of), Some(0.25));
        assert_eq!(failing.query.value(|_| Some(0.0)), None);
    }

    #[test]
    fn mistakes_have_a_line() {
        for text in [
            "",
            "target a b c",
            "target a http://a\ntarget a http://b",
            "target a http://a\nalert X y = 3",
            "target a http://a\nalert X 1y > 3",
            "target a http://a\nalert X y > z",
            "target a http://a\ninterval 1ms",
            "what",
        ] {
            assert!(Config::parse(text).is_err(), "{text:?}");
        }
    }
}
