//! When a CronJob is due: the grammar and the errors of `robfig/cron/v3` ParseStandard, which
//! Kubernetes uses, and `croner` for the calendar.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A schedule in its time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    rule: Rule,
    zone: TimeZone,
}

#[derive(Clone, Debug)]
enum Rule {
    Calendar(Box<Cron>),
    Every(Duration),
}

/// A field: its bounds and names (`robfig/cron` spec.go).
struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { min: 0, max: 59, names: &[] },
    Field { min: 0, max: 23, names: &[] },
    Field { min: 1, max: 31, names: &[] },
    Field {
        min: 1,
        max: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

impl Schedule {
    /// Reads a schedule ("*/5 * * * *", "@hourly", "@every 90m", also behind "TZ=Zone ").
    /// `zone` is an IANA name, or empty for UTC.
    ///
    /// # Errors
    /// What is wrong, in the words of the Go library.
    pub fn parse(text: &str, zone: &str) -> Result<Schedule, String> {
        if text.is_empty() {
            return Err("empty spec string".into());
        }
        let (mut zone, mut rest) = (zone.to_owned(), text);
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            let (named, after) = text.split_once(' ').unwrap_or((text, ""));
            zone = named.split_once('=').map_or("", |(_, z)| z).to_owned();
            rest = after.trim();
        }
        let zone = time_zone(&zone)?;
        if rest.starts_with('@') {
            return Ok(Schedule { rule: descriptor(rest)?, zone });
        }
        let fields: Vec<&str> = rest.split_whitespace().collect();
        if fields.len() != 5 {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{}]",
                fields.len(),
                fields.join(" ")
            ));
        }
        let mut plain = Vec::new();
        for (field, text) in FIELDS.iter().zip(fields) {
            plain.push(expand(field, text)?);
        }
        Ok(Schedule { rule: calendar(&plain.join(" "))?, zone })
    }

    /// The first time after `after` (ns since 1970) that is due, in whole seconds. `None` if
    /// there is none within a few years ("31 of February").
    ///
    /// Time is followed as it passes: what falls into an hour that a clock change leaves out is
    /// not due, and what falls into a repeated hour is due twice.
    pub fn next(&self, after: u64) -> Option<u64> {
        let second = 1_000_000_000;
        let after = after / second;
        let cron = match &self.rule {
            Rule::Every(wait) => return Some((after + wait.as_secs()) * second),
            Rule::Calendar(cron) => cron,
        };
        let mut from = Timestamp::from_second(i64::try_from(after).ok()?).ok()?;
        let mut inclusive = false;
        loop {
            let offset = self.zone.to_offset(from);
            let change = self.zone.following(from).next().map(|t| t.timestamp());
            let civil = offset.to_datetime(from);
            let found = cron.find_next_occurrence(&civil, inclusive).ok()?;
            let at = offset.to_timestamp(found).ok()?;
            match change {
                Some(change) if at >= change => {
                    // The clock changes first: go on from there with the other offset.
                    (from, inclusive) = (change, true);
                }
                _ => return u64::try_from(at.as_second()).ok().map(|s| s * second),
            }
        }
    }

    /// A time (ns since 1970) as RFC 3339 in the schedule's zone.
    pub fn local(&self, at: u64) -> String {
        let at = Timestamp::from_nanosecond(i128::from(at)).expect("u64 ns are in jiff's range");
        let local = at.to_zoned(self.zone.clone());
        if local.offset().seconds() == 0 {
            local.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        } else {
            local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
    }
}

/// The zone of an IANA name.
///
/// # Errors
/// As Go's `time.LoadLocation`.
pub fn time_zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        _ => TimeZone::get(name).map_err(|_| format!("unknown time zone {name}")),
    }
}

fn calendar(pattern: &str) -> Result<Rule, String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .dom_and_dow(false)
        .build();
    parser.parse(pattern).map(|c| Rule::Calendar(Box::new(c))).map_err(|e| e.to_string())
}

fn descriptor(text: &str) -> Result<Rule, String> {
    let pattern = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(wait) = text.strip_prefix("@every ") else {
                return Err(format!("unrecognized descriptor: {text}"));
            };
            let parsed: Result<SignedDuration, _> = go_duration(wait);
            let wait = parsed.map_err(|e| format!("failed to parse duration {text}: {e}"))?;
            // Delays of less than a second are rounded up to one.
            return Ok(Rule::Every(Duration::from_secs(
                u64::try_from(wait.as_secs()).unwrap_or(0).max(1),
            )));
        }
    };
    calendar(pattern)
}

/// "1h30m", as Go's `time.ParseDuration`.
fn go_duration(text: &str) -> Result<SignedDuration, String> {
    let bad = || format!("time: invalid duration {text:?}");
    let (mut rest, mut seconds) = (text, 0.0f64);
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(|| format!("time: missing unit in duration {text:?}"))?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        let tail = &rest[digits..];
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let unit = match &tail[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        seconds += number * unit;
        rest = &tail[end..];
    }
    SignedDuration::try_from_secs_f64(seconds).map_err(|_| bad())
}

/// A field as a list of numbers, or `*` where every value is meant (which matters for the days:
/// if both of them are restricted, either suffices).
fn expand(field: &Field, text: &str) -> Result<String, String> {
    let mut values = std::collections::BTreeSet::new();
    let mut star = false;
    for part in text.split(',').filter(|p| !p.is_empty()) {
        star |= range(field, part, &mut values)?;
    }
    if star {
        return Ok("*".into());
    }
    if values.is_empty() {
        return Err(format!("empty field: {text}"));
    }
    Ok(values.into_iter().map(|v: u32| v.to_string()).collect::<Vec<_>>().join(","))
}

/// Adds the values of "a", "a-b", "*/n", ...; says whether that is a plain star.
fn range(
    field: &Field,
    text: &str,
    values: &mut std::collections::BTreeSet<u32>,
) -> Result<bool, String> {
    let parts: Vec<&str> = text.split('/').collect();
    let bounds: Vec<&str> = parts[0].split('-').collect();
    let single = bounds.len() == 1;
    let (start, mut end, mut star);
    if matches!(bounds[0], "*" | "?") {
        (start, end, star) = (field.min, field.max, true);
    } else {
        star = false;
        start = number(field, bounds[0])?;
        end = match bounds[..] {
            [_] => start,
            [_, last] => number(field, last)?,
            _ => return Err(format!("too many hyphens: {text}")),
        };
    }
    let step = match parts[..] {
        [_] => 1,
        [_, step] => {
            let step = number(&Field { names: &[], ..*field }, step)?;
            if single {
                // "N/step" means "N-max/step".
                end = field.max;
            }
            star &= step <= 1;
            step
        }
        _ => return Err(format!("too many slashes: {text}")),
    };
    if start < field.min {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", field.min));
    }
    if end > field.max {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", field.max));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    values.extend((start..=end).step_by(step as usize));
    Ok(star)
}

fn number(field: &Field, text: &str) -> Result<u32, String> {
    let lower = text.to_lowercase();
    if let Some(at) = field.names.iter().position(|n| *n == lower) {
        return Ok(field.min + at as u32);
    }
    let number: i64 = text.parse().map_err(|_| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    u32::try_from(number).map_err(|_| {
        if number < 0 {
            format!("negative number ({number}) not allowed: {text}")
        } else {
            format!("end of range ({number}) above maximum ({}): {text}", field.max)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::object::{parse_time, time};

    fn after(schedule: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(schedule, zone).unwrap();
        let mut at = parse_time(from).unwrap();
        let mut out = Vec::new();
        for _ in 0..count {
            at = schedule.next(at).unwrap();
            out.push(time(at)[5..16].to_owned());
        }
        out
    }

    #[test]
    fn schedules_are_due_when_they_say() {
        let from = "2026-11-21T04:59:38Z";
        assert_eq!(after("*/20 * * * *", "", from, 2), ["11-21T05:00", "11-21T05:20"]);
        assert_eq!(
            after("50/5 1 * * *", "", from, 3),
            ["11-22T01:50", "11-22T01:55", "11-23T01:50"]
        );
        assert_eq!(after("@weekly", "", from, 1), ["11-22T00:00"]);
        assert_eq!(after("@every 90m", "", from, 2), ["11-21T06:29", "11-21T07:59"]);
        // Both days restricted: either.
        assert_eq!(
            after("0 0 13 * fri", "", from, 3),
            ["11-27T00:00", "12-04T00:00", "12-11T00:00"]
        );
        assert_eq!(after("0 0 13 * fri", "", "2026-12-12T00:00:00Z", 1), ["12-13T00:00"]);
        assert_eq!(after("0 9 * jan-mar 1-5", "Asia/Tokyo", from, 1), ["01-01T00:00"]);
        assert_eq!(Schedule::parse("0 0 31 2 *", "").unwrap().next(0), None);
    }

    #[test]
    fn a_clock_change_leaves_out_or_repeats() {
        // 2026-03-29 02:00 in Berlin does not exist; 2026-10-25 02:30 exists twice.
        let berlin = "Europe/Berlin";
        assert_eq!(after("30 2 * * *", berlin, "2026-03-28T12:00:00Z", 1), ["03-30T00:30"]);
        assert_eq!(
            after("30 2 * * *", berlin, "2026-10-24T12:00:00Z", 3),
            ["10-25T00:30", "10-25T01:30", "10-26T01:30"]
        );
        assert_eq!(
            after("0 * * * *", berlin, "2026-03-29T00:30:00Z", 2),
            ["03-29T01:00", "03-29T02:00"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_as_by_the_go_library() {
        for (text, want) in [
            ("nope", "expected exactly 5 fields, found 1: [nope]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            (
                "x * * * *",
                "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("@often", "unrecognized descriptor: @often"),
            ("* * * * 7", "end of range (7) above maximum (6): 7"),
            (
                "* * L * *",
                "failed to parse int from L: strconv.Atoi: parsing \"L\": invalid syntax",
            ),
        ] {
            assert_eq!(Schedule::parse(text, "").unwrap_err(), want);
        }
        assert_eq!(
            Schedule::parse("@daily", "Moon/Base").unwrap_err(),
            "unknown time zone Moon/Base"
        );
    }
}
