//! Spans of virtual time, as people write them.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A span of virtual time, written `250ms`, `5s`, `1m30s`, `2h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// Reads `1m30s`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Span, String> {
        let wrong =
            || format!("{text:?} is not a span of time: write for example 250ms, 5s or 1m30s");
        let mut total = Duration::ZERO;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        if rest.starts_with('-') {
            return Err(format!("{text:?} is negative: time runs forward only"));
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let seconds = match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" => 1e-6,
                "ns" => 1e-9,
                _ => return Err(wrong()),
            };
            rest = &rest[unit..];
            let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
            total = total.checked_add(part).ok_or_else(wrong)?;
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ns) = (self.0.as_secs(), self.0.subsec_nanos());
        match (seconds, ns) {
            (s, 0) if s >= 60 && s % 60 == 0 => write!(f, "{}m", s / 60),
            (s, 0) => write!(f, "{s}s"),
            (0, n) if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
            (s, n) if n % 1_000_000 == 0 => write!(f, "{s}s{}ms", n / 1_000_000),
            (0, n) => write!(f, "{n}ns"),
            (s, n) => write!(f, "{s}s{n}ns"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        let text = String::deserialize(d)?;
        Span::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(h|m|s|ms|us|ns))+$",
            "examples": ["250ms", "5s", "1m30s"],
        })
    }
}

pub(super) fn one_minute() -> Span {
    Span(Duration::from_secs(60))
}

pub(super) fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

/// Whole milliseconds, so that plans can be read and written.
pub(super) fn millis(d: Duration) -> Duration {
    Duration::from_millis(d.as_millis() as u64)
}

/// Whether a field has its usual value and need not be written.
pub(super) fn is_one_minute(span: &Span) -> bool {
    *span == one_minute()
}

/// Whether a field has its usual value and need not be written.
pub(super) fn is_five_seconds(span: &Span) -> bool {
    *span == five_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for (text, shown) in [
            ("250ms", "250ms"),
            ("90s", "90s"),
            ("1m30s", "90s"),
            ("2h", "120m"),
            ("1.5s", "1s500ms"),
            ("20us", "20000ns"),
            ("1s5ns", "1s5ns"),
            ("0s", "0s"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span.to_string(), shown);
            assert_eq!(Span::parse(shown).unwrap(), span);
        }
    }
}
