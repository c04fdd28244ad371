//! The text in which figures are exposed to a monitor: Prometheus' text format 0.0.4, and
//! OpenMetrics 1.0. Writing it, and reading it strictly.

use std::collections::{BTreeMap, BTreeSet};

/// The content type of the text format.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The content type of OpenMetrics.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, or begins anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were how large.
    Histogram,
    /// Nobody said.
    Untyped,
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Some(match name {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "histogram" => Kind::Histogram,
            "untyped" | "unknown" => Kind::Untyped,
            _ => return None,
        })
    }

    fn word(self, open_metrics: bool) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped if open_metrics => "unknown",
            Kind::Untyped => "untyped",
        }
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its whole name, with `_total`, `_bucket`, `_sum`, `_count`.
    pub name: String,
    /// What tells it from others of its name.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name as the text format has it: a counter's with `_total`.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// For people.
    pub help: String,
    /// The figures.
    pub samples: Vec<Sample>,
}

/// Whether `name` can be that of a metric.
pub fn is_metric_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Whether `name` can be that of a label.
pub fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':') && !name.starts_with("__")
}

/// Writes families, each with its HELP and TYPE.
pub fn write(families: &[Family], open_metrics: bool) -> String {
    let mut out = String::new();
    for family in families {
        // OpenMetrics names a counter's family without its suffix.
        let name = match family.kind {
            Kind::Counter if open_metrics => family.name.trim_end_matches("_total"),
            _ => family.name.as_str(),
        };
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let word = family.kind.word(open_metrics);
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {word}\n"));
        for sample in &family.samples {
            out.push_str(&sample.name);
            if !sample.labels.is_empty() {
                let label =
                    |(name, value): (&String, &String)| format!("{name}=\"{}\"", escape(value));
                let labels: Vec<String> = sample.labels.iter().map(label).collect();
                out.push_str(&format!("{{{}}}", labels.join(",")));
            }
            out.push_str(&format!(" {}\n", number(sample.value)));
        }
    }
    if open_metrics {
        out.push_str("# EOF\n");
    }
    out
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A value as the format writes it.
pub fn number(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".into()
    } else if value == f64::NEG_INFINITY {
        "-Inf".into()
    } else {
        value.to_string()
    }
}

/// Reads a text strictly.
///
/// # Errors
/// The line and what is wrong with it: a name, a label, a value, a TYPE that comes twice or too
/// late, families that are mixed, a series that comes twice, a counter below 0, buckets that do not
/// grow; in OpenMetrics a missing end.
pub fn parse(text: &str, open_metrics: bool) -> Result<Vec<Family>, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line has no end".into());
    }
    let mut reader = Reader { open_metrics, ..Reader::default() };
    for (n, line) in text.lines().enumerate() {
        reader.line(line).map_err(|e| format!("line {}: {e}: {line:.80}", n + 1))?;
    }
    if open_metrics && !reader.ended {
        return Err("there is no # EOF".into());
    }
    for family in &reader.families {
        check(family).map_err(|e| format!("{}: {e}", family.name))?;
    }
    Ok(reader.families)
}

/// Names and values, in order.
type Labels = Vec<(String, String)>;

#[derive(Default)]
struct Reader {
    open_metrics: bool,
    families: Vec<Family>,
    typed: BTreeSet<String>,
    seen: BTreeSet<(String, Labels)>,
    ended: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if self.ended {
            return Err("something after # EOF".into());
        }
        if let Some(comment) = line.strip_prefix('#') {
            let words: Vec<&str> = comment.trim_start().splitn(3, ' ').collect();
            match words[..] {
                ["EOF"] if self.open_metrics => self.ended = true,
                ["HELP", name, help] => self.family(name)?.help = help.to_owned(),
                ["HELP", name] => drop(self.family(name)?),
                ["TYPE", name, kind] => {
                    let kind = Kind::named(kind).ok_or("an unknown type")?;
                    if !self.typed.insert(name.to_owned()) {
                        return Err("a second TYPE for the family".into());
                    }
                    let family = self.family(name)?;
                    if !family.samples.is_empty() {
                        return Err("a TYPE after the family's samples".into());
                    }
                    family.kind = kind;
                }
                ["TYPE", ..] => return Err("a TYPE without its type".into()),
                _ if self.open_metrics => {
                    return Err("a comment that is none of OpenMetrics".into());
                }
                _ => {}
            }
            return Ok(());
        }
        if line.trim().is_empty() {
            return if self.open_metrics { Err("an empty line".into()) } else { Ok(()) };
        }
        let sample = sample(line)?;
        let key = (sample.name.clone(), sample.labels.clone().into_iter().collect());
        if !self.seen.insert(key) {
            return Err("the series comes twice".into());
        }
        let belongs = self.families.last().is_some_and(|f| self.belongs(f, &sample.name));
        if !belongs {
            if self.families.iter().any(|f| self.belongs(f, &sample.name)) {
                return Err("a sample apart from its family".into());
            }
            self.family(&sample.name.clone())?;
        }
        if let Some(family) = self.families.last_mut() {
            family.samples.push(sample);
        }
        Ok(())
    }

    /// The family that is being read, or a new one.
    fn family(&mut self, name: &str) -> Result<&mut Family, String> {
        if !is_metric_name(name) {
            return Err("that is no name of a metric".into());
        }
        if self.families.last().is_none_or(|f| f.name != name) {
            if self.families.iter().any(|f| f.name == name) {
                return Err("the family's lines are not together".into());
            }
            self.families.push(Family {
                name: name.to_owned(),
                kind: Kind::Untyped,
                help: String::new(),
                samples: Vec::new(),
            });
        }
        self.families.last_mut().ok_or_else(|| "no family".into())
    }

    fn belongs(&self, family: &Family, sample: &str) -> bool {
        let suffixes: &[&str] = match family.kind {
            Kind::Counter if self.open_metrics => &["_total", "_created"],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        sample.strip_prefix(family.name.as_str()).is_some_and(|s| suffixes.contains(&s))
    }
}

fn check(family: &Family) -> Result<(), String> {
    if family.kind == Kind::Counter
        && family.samples.iter().any(|s| s.value.is_nan() || s.value < 0.0)
    {
        return Err("a counter below 0".into());
    }
    if family.kind == Kind::Histogram {
        let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for sample in family.samples.iter().filter(|s| s.name.ends_with("_bucket")) {
            let mut labels = sample.labels.clone();
            let le = labels.remove("le").and_then(|l| value(&l)).ok_or("a bucket without le")?;
            buckets.entry(labels.into_iter().collect()).or_default().push((le, sample.value));
        }
        for (labels, buckets) in buckets {
            let grows = buckets.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1);
            let last = buckets.last().filter(|b| b.0 == f64::INFINITY);
            let last = last.filter(|_| grows).ok_or("buckets do not grow up to +Inf")?.1;
            let count = family.samples.iter().find(|s| {
                s.name.ends_with("_count") && s.labels.clone().into_iter().eq(labels.clone())
            });
            if count.is_none_or(|c| c.value != last) {
                return Err("the count is not that of the last bucket".into());
            }
        }
    }
    Ok(())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, mut rest) = line.split_at(end);
    if !is_metric_name(name) {
        return Err("that is no name of a metric".into());
    }
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            if !is_label_name(label) {
                return Err(format!("{label:?} is no name of a label"));
            }
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err("a label comes twice".into());
            }
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None if after.starts_with('}') => after,
                None => return Err("something between two labels".into()),
            };
        }
        rest = &rest[1..];
    }
    let mut words = rest.strip_prefix(' ').ok_or("no space before the value")?.split(' ');
    let value = words.next().and_then(value).ok_or("that is no value")?;
    // A time may follow.
    if words.next().is_some_and(|t| t.parse::<f64>().is_err()) || words.next().is_some() {
        return Err("something after the value".into());
    }
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// A quoted text up to its end, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let (mut out, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('\\' | '"'))) => out.push(c),
                _ => return Err("an unknown escape".into()),
            },
            c => out.push(c),
        }
    }
    Err("a label's value without an end".into())
}

fn value(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads "infinity", which the format does not know.
        text if text.bytes().any(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Sample { name: name.to_owned(), labels, value }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let family = |name: &str, kind, samples| Family {
            name: name.into(),
            kind,
            help: "A \\ thing.".into(),
            samples,
        };
        let families = [
            family("a_total", Kind::Counter, vec![sample("a_total", &[("q", "\"x\\\n")], 3.0)]),
            family(
                "b",
                Kind::Gauge,
                vec![sample("b", &[], -0.25), sample("b", &[("l", "é")], 1e30)],
            ),
            family(
                "h",
                Kind::Histogram,
                vec![
                    sample("h_bucket", &[("le", "0.1")], 1.0),
                    sample("h_bucket", &[("le", "+Inf")], 2.0),
                    sample("h_sum", &[], 3.5),
                    sample("h_count", &[], 2.0),
                ],
            ),
        ];
        let text = write(&families, false);
        let read = parse(&text, false).unwrap();
        assert_eq!(
            read.iter().map(|f| &f.samples).collect::<Vec<_>>(),
            families.iter().map(|f| &f.samples).collect::<Vec<_>>()
        );
        let open = write(&families, true);
        assert!(open.contains("# TYPE a counter\na_total{") && open.ends_with("# EOF\n"), "{open}");
        assert!(parse(&open, true).is_ok());
        assert!(parse(&text, true).is_err(), "no end");
    }

    #[test]
    fn what_is_wrong_is_found() {
        for (text, why) in [
            ("a 1", "no end"),
            ("1a 1\n", "name"),
            ("a{b=\"x\",b=\"y\"} 1\n", "twice"),
            ("a{b=x} 1\n", "label"),
            ("a{b=\"x} 1\n", "end"),
            ("a x\n", "value"),
            ("a 1\na 1\n", "twice"),
            ("a 1\n# TYPE a gauge\n", "after"),
            ("# TYPE a gauge\n# TYPE a gauge\n", "second TYPE"),
            ("# TYPE a nonsense\n", "unknown type"),
            ("# TYPE a gauge\na 1\nb 1\na{x=\"1\"} 1\n", "apart"),
            ("# TYPE a counter\na -1\n", "below 0"),
            (
                "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
                "grow",
            ),
            ("# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\n", "count"),
        ] {
            let error = parse(text, false).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
        assert!(parse("# a comment\n\na 1 1234\n", false).is_ok());
    }

    #[test]
    fn whatever_comes_nothing_breaks() {
        crate::memcached::hostile(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            for open_metrics in [false, true] {
                if let Ok(families) = parse(&text, open_metrics) {
                    // What was read can be written, and is read again.
                    let again = parse(&write(&families, open_metrics), open_metrics);
                    assert!(again.is_ok(), "{text:?}: {again:?}");
                }
            }
        });
    }
}
