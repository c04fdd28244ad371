//! What an adapter is told: where the figures are, and what they become.

use std::collections::BTreeMap;

use podlab_guest::exposition::{Kind, is_label_name, is_metric_name};
use podlab_guest::http::Url;

/// Metrics of one adapter.
const MAX_METRICS: usize = 200;

/// Where the figures come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The answer to INFO of a Redis, at this address.
    Redis(String),
    /// A JSON at this URL.
    Json(Url),
    /// Lines of statsd that arrive at this address over UDP.
    Statsd(String),
}

/// One figure, and what it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it measures.
    pub kind: Kind,
    /// Its new name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its name at the source.
    pub from: String,
    /// What it is multiplied by.
    pub factor: f64,
    /// Upper ends of a histogram's buckets, in the new unit.
    pub buckets: Vec<f64>,
    /// For people.
    pub help: String,
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the figures come from.
    pub source: Source,
    /// What they become.
    pub metrics: Vec<Metric>,
}

impl Config {
    /// Reads the text of a file:
    ///
    /// ```text
    /// source json http://localhost:8080/status
    /// counter app_requests_total requests Requests answered.
    /// gauge   app_uptime_seconds{part="main"} uptime_ms*0.001 Age.
    /// histogram app_duration_seconds orders.duration*0.001 buckets=0.01,0.1,1 How long.
    /// ```
    ///
    /// # Errors
    /// The line and what is wrong with it.
    pub fn parse(text: &str) -> Result<Config, String> {
        let (mut source, mut metrics) = (None, Vec::<Metric>::new());
        for (n, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = |e: String| format!("line {}: {e}", n + 1);
            if let Some(rest) = line.strip_prefix("source ") {
                if source.replace(parse_source(rest.trim()).map_err(place)?).is_some() {
                    return Err(place("there is a source already".into()));
                }
                continue;
            }
            let metric = parse_metric(line).map_err(place)?;
            let twin = metrics.iter().find(|m| m.name == metric.name);
            if twin.is_some_and(|m| m.kind != metric.kind || m.labels == metric.labels) {
                return Err(place(format!("{} is there already", metric.name)));
            }
            if metrics.len() >= MAX_METRICS {
                return Err(place(format!("at most {MAX_METRICS} metrics")));
            }
            metrics.push(metric);
        }
        let source =
            source.ok_or("there is no source: write for example `source redis localhost:6379`")?;
        Ok(Config { source, metrics })
    }
}

fn parse_source(text: &str) -> Result<Source, String> {
    match text.split_once(' ').map(|(kind, place)| (kind, place.trim())) {
        Some(("redis", place)) => Ok(Source::Redis(place.to_owned())),
        Some(("json", place)) => Url::parse(place).map(Source::Json),
        Some(("statsd", place)) => Ok(Source::Statsd(place.to_owned())),
        _ => Err(format!("source {text}: write redis HOST:PORT, json URL or statsd ADDR:PORT")),
    }
}

fn parse_metric(line: &str) -> Result<Metric, String> {
    let (kind, rest) = line.split_once(' ').ok_or("a metric without a name")?;
    let kind = match kind {
        "counter" => Kind::Counter,
        "gauge" => Kind::Gauge,
        "histogram" => Kind::Histogram,
        other => return Err(format!("{other:?} is none of source, counter, gauge, histogram")),
    };
    let rest = rest.trim_start();
    let end = rest.find([' ', '{']).ok_or("a metric without a source")?;
    let (name, mut rest) = rest.split_at(end);
    if !is_metric_name(name) || (kind == Kind::Counter && !name.ends_with("_total")) {
        return Err(format!("{name:?} is no good name (a counter's ends with _total)"));
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        let (inside, after) = inside.split_once('}').ok_or("a { without its }")?;
        for pair in inside.split(',').filter(|p| !p.trim().is_empty()) {
            let (label, value) = pair.split_once('=').ok_or("a label without a value")?;
            let (label, value) = (label.trim(), value.trim().trim_matches('"'));
            if !is_label_name(label) || labels.insert(label.into(), value.into()).is_some() {
                return Err(format!("{label:?} is no good label, or comes twice"));
            }
        }
        rest = after;
    }
    let rest = rest.trim_start();
    let (from, mut help) = rest.split_once(' ').unwrap_or((rest, ""));
    let (from, factor) = match from.rsplit_once('*') {
        Some((from, factor)) => {
            (from, factor.parse::<f64>().map_err(|_| format!("{factor:?} is no number"))?)
        }
        None => (from, 1.0),
    };
    if from.is_empty() {
        return Err("a metric without a source".into());
    }
    let mut buckets = Vec::new();
    if kind == Kind::Histogram {
        let after =
            help.trim_start().strip_prefix("buckets=").ok_or("a histogram needs buckets=")?;
        let (list, text) = after.split_once(' ').unwrap_or((after, ""));
        let list: Result<Vec<f64>, _> = list.split(',').map(str::parse).collect();
        buckets = list.map_err(|e| format!("buckets: {e}"))?;
        if buckets.len() > 50 || !buckets.windows(2).all(|w| w[0] < w[1]) {
            return Err("buckets: at most 50, each above the one before it".into());
        }
        help = text;
    }
    let (name, from, help) = (name.to_owned(), from.to_owned(), help.trim().to_owned());
    Ok(Metric { kind, name, labels, from, factor, buckets, help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file() {
        let config = Config::parse(
            "# comment\nsource json http://localhost:8080/status\n\
             counter app_requests_total requests Requests.\n\
             gauge app_uptime_seconds{part=\"main\", x=1} uptime_ms*0.001 Its age.\n\
             histogram d_seconds d*0.001 buckets=0.1,1 How long.\n",
        )
        .unwrap();
        assert_eq!(config.metrics.len(), 3);
        let gauge = &config.metrics[1];
        assert_eq!((gauge.from.as_str(), gauge.factor), ("uptime_ms", 0.001));
        assert_eq!((gauge.labels["part"].as_str(), gauge.help.as_str()), ("main", "Its age."));
        assert_eq!(config.metrics[2].buckets, [0.1, 1.0]);
    }

    #[test]
    fn mistakes_have_a_line() {
        for (text, why) in [
            ("", "no source"),
            ("source x y", "line 1"),
            ("source redis a:1\nsource redis a:1", "line 2"),
            ("source redis a:1\ncounter a b", "_total"),
            ("source redis a:1\ngauge 1a b", "no good name"),
            ("source redis a:1\ngauge a", "without a source"),
            ("source redis a:1\ngauge a b*x", "no number"),
            ("source redis a:1\nhistogram a b", "buckets"),
            ("source redis a:1\nhistogram a b buckets=2,1", "above"),
            ("source redis a:1\ngauge a b\ngauge a c", "already"),
            ("source redis a:1\nmeter a b", "none of"),
        ] {
            let error = Config::parse(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }
}
