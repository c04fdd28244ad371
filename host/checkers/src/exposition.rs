//! Prometheus' text format, version 0.0.4, strictly
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! What the format allows but a scraper should not meet is an error too: samples of one family in
//! several places, a series twice, a counter below zero, a histogram whose buckets shrink.

use std::collections::{BTreeMap, BTreeSet};

use crate::Violation;

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name, with the suffix of its series (`_bucket`).
    pub name: String,
    /// Its labels, by name.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Reads and checks a document.
///
/// # Errors
/// The first line that is wrong; its position is that of the line, from 0.
pub fn parse(text: &str) -> Result<Vec<Sample>, Violation> {
    let mut samples: Vec<Sample> = Vec::new();
    let mut kinds: BTreeMap<String, String> = BTreeMap::new();
    let mut helped: BTreeSet<String> = BTreeSet::new();
    let mut finished: BTreeSet<String> = BTreeSet::new();
    let mut series: BTreeSet<(String, BTreeMap<String, String>)> = BTreeSet::new();
    let mut current = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(wrong(text.lines().count().saturating_sub(1), "the last line has no end"));
    }
    for (n, line) in text.lines().enumerate() {
        let bad = |what: &str| wrong(n, &format!("{what}: {line:?}"));
        if line.trim().is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.trim_start().splitn(3, [' ', '\t']);
            let (what, name) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let rest = words.next().unwrap_or("");
            if what != "TYPE" && what != "HELP" {
                continue;
            }
            if !is_name(name, true) {
                return Err(bad("not the name of a metric"));
            }
            enter(&mut current, name, &mut finished).map_err(|e| bad(&e))?;
            if what == "HELP" {
                if !helped.insert(name.to_owned()) {
                    return Err(bad("a second HELP"));
                }
                continue;
            }
            if !matches!(rest.trim(), "counter" | "gauge" | "histogram" | "summary" | "untyped") {
                return Err(bad("not a type"));
            }
            if samples.iter().any(|s| family(&s.name, &kinds) == name) {
                return Err(bad("a TYPE after samples of its family"));
            }
            if kinds.insert(name.to_owned(), rest.trim().to_owned()).is_some() {
                return Err(bad("a second TYPE"));
            }
            continue;
        }
        let sample = sample(line).map_err(|e| bad(&e))?;
        let name = family(&sample.name, &kinds).to_owned();
        enter(&mut current, &name, &mut finished).map_err(|e| bad(&e))?;
        let kind = kinds.get(&name).map_or("untyped", String::as_str);
        if kind == "counter" && (sample.value.is_nan() || sample.value < 0.0) {
            return Err(bad("a counter is never below zero"));
        }
        if kind == "histogram"
            && sample.name.ends_with("_bucket")
            && !sample.labels.contains_key("le")
        {
            return Err(bad("a bucket without le"));
        }
        if !series.insert((sample.name.clone(), sample.labels.clone())) {
            return Err(bad("the same series twice"));
        }
        samples.push(sample);
    }
    histograms(&samples, &kinds)?;
    Ok(samples)
}

fn wrong(line: usize, what: &str) -> Violation {
    Violation::new(format!("line {}: {what}", line + 1), vec![line])
}

/// All that belongs to one metric stands together.
fn enter(current: &mut String, name: &str, finished: &mut BTreeSet<String>) -> Result<(), String> {
    if current != name {
        if finished.contains(name) {
            return Err("the lines of one metric must stand together".into());
        }
        finished.insert(std::mem::replace(current, name.to_owned()));
    }
    Ok(())
}

/// The metric that a series belongs to.
fn family<'a>(name: &'a str, kinds: &BTreeMap<String, String>) -> &'a str {
    for suffix in ["_bucket", "_sum", "_count"] {
        if let Some(base) = name.strip_suffix(suffix)
            && let Some(kind) = kinds.get(base)
            && (kind == "histogram" || (kind == "summary" && suffix != "_bucket"))
        {
            return base;
        }
    }
    name
}

fn is_name(name: &str, colons: bool) -> bool {
    let mut letters = name.chars();
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colons && c == ':');
    letters.next().is_some_and(first) && letters.all(|c| first(c) || c.is_ascii_digit())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ', '\t']).ok_or("a sample without a value")?;
    let name = &line[..end];
    if !is_name(name, true) {
        return Err("not the name of a metric".into());
    }
    let mut rest = line[end..].trim_start();
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = read_labels(inner, &mut labels)?;
    }
    let mut words = rest.split_whitespace();
    let value = number(words.next().ok_or("a sample without a value")?)?;
    if let Some(time) = words.next() {
        time.parse::<i64>().map_err(|_| "not a time in milliseconds")?;
    }
    if words.next().is_some() {
        return Err("something after the sample".into());
    }
    Ok(Sample { name: name.into(), labels, value })
}

/// Reads labels up to the closing brace, and gives back what follows it.
fn read_labels<'a>(
    mut rest: &'a str,
    labels: &mut BTreeMap<String, String>,
) -> Result<&'a str, String> {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = rest.split_once('=').ok_or("a label without a value")?;
        let name = name.trim();
        if !is_name(name, false) {
            return Err(format!("{name:?} is not the name of a label"));
        }
        let mut letters = after.trim_start().char_indices();
        let quoted = after.trim_start();
        if letters.next().map(|(_, c)| c) != Some('"') {
            return Err("the value of a label stands in quotes".into());
        }
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in letters {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, '\\' | '"') => value.push(c),
                (true, _) => return Err("not an escape".into()),
                (false, '\\') => {
                    escaped = true;
                    continue;
                }
                (false, '"') => {
                    end = Some(at);
                    break;
                }
                (false, c) => value.push(c),
            }
            escaped = false;
        }
        let end = end.ok_or("the value of a label has no end")?;
        if labels.insert(name.into(), value).is_some() {
            return Err(format!("the label {name} twice"));
        }
        rest = quoted[end + 1..].trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err("labels are separated by commas".into()),
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    match text {
        "NaN" => Ok(f64::NAN),
        "+Inf" | "Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E') => {
            Err(format!("{text:?} is not a number"))
        }
        _ => text.parse().map_err(|_| format!("{text:?} is not a number")),
    }
}

/// Buckets grow with `le`, and the last one, `+Inf`, is there and equals the count.
fn histograms(samples: &[Sample], kinds: &BTreeMap<String, String>) -> Result<(), Violation> {
    type Group<'a> = (Vec<(f64, f64)>, Option<f64>);
    let mut groups: BTreeMap<(String, BTreeMap<String, String>), Group<'_>> = BTreeMap::new();
    for sample in samples {
        let name = family(&sample.name, kinds);
        if kinds.get(name).map(String::as_str) != Some("histogram") {
            continue;
        }
        let mut labels = sample.labels.clone();
        let le = labels.remove("le");
        let group = groups.entry((name.to_owned(), labels)).or_default();
        if let Some(le) = le.filter(|_| sample.name.ends_with("_bucket")) {
            let le = number(&le).map_err(|e| Violation::new(format!("{name}: le: {e}"), vec![]))?;
            group.0.push((le, sample.value));
        } else if sample.name.ends_with("_count") {
            group.1 = Some(sample.value);
        }
    }
    for ((name, _), (mut buckets, count)) in groups {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if buckets.windows(2).any(|w| w[0].1 > w[1].1) {
            return Err(Violation::new(format!("{name}: its buckets shrink"), vec![]));
        }
        match buckets.last() {
            Some((le, value)) if le.is_infinite() => {
                if count.is_some_and(|c| c != *value) {
                    let what = format!("{name}: its count is not that of the last bucket");
                    return Err(Violation::new(what, vec![]));
                }
            }
            _ => return Err(Violation::new(format!("{name}: no bucket +Inf"), vec![])),
        }
    }
    Ok(())
}
