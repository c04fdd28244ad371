//! Command lines as pflag reads them, and what it says of wrong ones.
//!
//! The flags of a verb are one line of text: `name/s` is a switch with a short form, `name=`
//! takes a text, `name=i` a whole number, `name=d` a duration, `name=b` true or false with a
//! value, `name=?x` a text that is `x` where none is given.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};

/// Flags that every verb has.
const GLOBAL: &str = "namespace/n= server/s= context= cluster= user= kubeconfig= as= as-group= \
    token= request-timeout= v/v=i insecure-skip-tls-verify cache-dir= help/h";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Switch,
    Text,
    Number,
    Duration,
}

#[derive(Clone, Copy, Debug)]
struct Flag<'a> {
    name: &'a str,
    short: Option<char>,
    kind: Kind,
    bare: Option<&'a str>,
}

impl Flag<'_> {
    fn shown(&self) -> String {
        match self.short {
            Some(short) => format!("\"-{short}, --{}\"", self.name),
            None => format!("\"--{}\"", self.name),
        }
    }
}

fn flags<'a>(spec: &'a str) -> impl Iterator<Item = Flag<'a>> {
    spec.split_whitespace().chain(GLOBAL.split_whitespace()).map(|word| {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, None),
        };
        let (name, short) = match name.split_once('/') {
            Some((name, short)) => (name, short.chars().next()),
            None => (name, None),
        };
        let kind = match value {
            None => Kind::Switch,
            Some("i") => Kind::Number,
            Some("d") => Kind::Duration,
            Some(_) => Kind::Text,
        };
        Flag { name, short, kind, bare: value.and_then(|v| v.strip_prefix('?')) }
    })
}

/// A command line that was read.
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// The words that are no flags.
    pub words: Vec<String>,
    /// How many of them came before `--`, if there was one.
    pub dash: Option<usize>,
    given: BTreeMap<String, Vec<String>>,
}

impl Args {
    /// Reads `argv` for `command` ("kubectl get"), whose flags are `spec`. With `stop`, flags end
    /// at the first word.
    ///
    /// # Errors
    /// As pflag says it.
    pub fn parse(command: &str, spec: &str, argv: &[String]) -> Result<Args> {
        let wrong =
            |text: String| Failure::new(format!("{text}\nSee '{command} --help' for usage."));
        let mut args = Args::default();
        let mut rest = argv.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                args.dash = Some(args.words.len());
                args.words.extend(rest.cloned());
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let flag = flags(spec)
                    .find(|f| f.name == name)
                    .ok_or_else(|| wrong(format!("unknown flag: --{name}")))?;
                let value = match (value, flag.kind, flag.bare) {
                    (Some(value), ..) => value,
                    (None, Kind::Switch, _) => "true".into(),
                    (None, _, Some(bare)) => bare.into(),
                    (None, ..) => rest
                        .next()
                        .cloned()
                        .ok_or_else(|| wrong(format!("flag needs an argument: --{name}")))?,
                };
                args.put(&flag, value, &wrong)?;
            } else if let Some(shorts) = word.strip_prefix('-').filter(|s| !s.is_empty()) {
                let mut left = shorts;
                while let Some(c) = left.chars().next() {
                    left = &left[c.len_utf8()..];
                    let flag = flags(spec).find(|f| f.short == Some(c)).ok_or_else(|| {
                        wrong(format!("unknown shorthand flag: '{c}' in -{shorts}"))
                    })?;
                    let value = if let Some(value) = left.strip_prefix('=') {
                        left = "";
                        value.to_owned()
                    } else if flag.kind == Kind::Switch {
                        "true".into()
                    } else if let Some(bare) = flag.bare {
                        bare.into()
                    } else if !left.is_empty() {
                        std::mem::take(&mut left).to_owned()
                    } else {
                        rest.next().cloned().ok_or_else(|| {
                            wrong(format!("flag needs an argument: '{c}' in -{shorts}"))
                        })?
                    };
                    args.put(&flag, value, &wrong)?;
                }
            } else {
                args.words.push(word.clone());
            }
        }
        Ok(args)
    }

    fn put(
        &mut self,
        flag: &Flag<'_>,
        value: String,
        wrong: &impl Fn(String) -> Failure,
    ) -> Result<()> {
        let invalid = |why: &str| {
            wrong(format!("invalid argument {value:?} for {} flag: {why}", flag.shown()))
        };
        match flag.kind {
            Kind::Switch if boolean(&value).is_none() => {
                return Err(invalid(&format!(
                    "strconv.ParseBool: parsing {value:?}: invalid syntax"
                )));
            }
            Kind::Number if value.parse::<i64>().is_err() => {
                return Err(invalid(&format!(
                    "strconv.ParseInt: parsing {value:?}: invalid syntax"
                )));
            }
            Kind::Duration if duration(&value).is_none() => {
                return Err(invalid(&format!("time: invalid duration {value:?}")));
            }
            _ => {}
        }
        self.given.entry(flag.name.to_owned()).or_default().push(value);
        Ok(())
    }

    /// Whether the flag was given.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Whether a switch is on.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| boolean(v) == Some(true))
    }

    /// The last value of a flag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).and_then(|v| v.last()).map(String::as_str)
    }

    /// The last value of a flag, or "".
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// All values of a flag.
    pub fn all(&self, name: &str) -> &[String] {
        self.given.get(name).map_or(&[], Vec::as_slice)
    }

    /// All values of a flag that takes lists with commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.all(name).iter().flat_map(|v| v.split(',')).map(str::to_owned).collect()
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(|v| v.parse().ok())
    }

    /// A duration, in ms.
    pub fn millis(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(duration)
    }

    /// The words before `--`, and those after it.
    pub fn split(&self) -> (&[String], &[String]) {
        self.words.split_at(self.dash.unwrap_or(self.words.len()))
    }
}

/// The flags of a verb, for completion: `--name` or `--name=`.
pub fn names(spec: &str) -> Vec<String> {
    flags(spec)
        .map(|f| format!("--{}{}", f.name, if f.kind == Kind::Switch { "" } else { "=" }))
        .collect()
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A duration as Go writes it ("1m30s", "500ms", "-1s", "0"), in ms.
pub fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        millis += number
            * match &rest[..end] {
                "h" => 3_600_000.0,
                "m" => 60_000.0,
                "s" => 1000.0,
                "ms" => 1.0,
                "us" | "µs" => 0.001,
                "ns" => 0.000_001,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some((sign * millis) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPEC: &str = "output/o= watch/w replicas=i dry-run=?unchanged timeout=d";

    fn parse(line: &str) -> Result<Args> {
        let argv: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Args::parse("kubectl get", SPEC, &argv)
    }

    #[test]
    fn flags_may_be_written_in_many_ways() {
        let args = parse("a -owide -wn x b --dry-run c --timeout=1m30s -- -z").unwrap();
        assert_eq!(args.words, ["a", "b", "c", "-z"]);
        assert_eq!(args.dash, Some(3));
        assert_eq!((args.text("output"), args.text("namespace")), ("wide", "x"));
        assert!(args.on("watch"));
        assert_eq!(args.text("dry-run"), "unchanged");
        assert_eq!(args.millis("timeout"), Some(90_000));
    }

    #[test]
    fn wrong_ones_are_told_as_pflag_does() {
        let see = "\nSee 'kubectl get --help' for usage.";
        for (line, wanted) in [
            ("--fooo", "error: unknown flag: --fooo"),
            ("-z", "error: unknown shorthand flag: 'z' in -z"),
            ("-o", "error: flag needs an argument: 'o' in -o"),
            ("--output", "error: flag needs an argument: --output"),
            (
                "--replicas=x",
                "error: invalid argument \"x\" for \"--replicas\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
        ] {
            assert_eq!(parse(line).unwrap_err().text, format!("{wanted}{see}"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_line_panics(words in proptest::collection::vec("[-=a-zA-Z0-9é.]{0,8}", 0..6)) {
            let _ = Args::parse("kubectl get", SPEC, &words);
        }
    }
}
