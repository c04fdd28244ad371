//! Lines of statsd: what they add up to.

use std::collections::BTreeMap;

use crate::config::Metric;

/// Names that are kept.
const MAX_NAMES: usize = 1000;

/// How many were how large.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timer {
    /// Values up to each of the buckets' ends, not yet added up.
    pub buckets: Vec<u64>,
    /// All of them.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Statsd {
    /// Counters and gauges.
    pub values: BTreeMap<String, f64>,
    /// Timers, in the new unit, by the name of what they become.
    pub timers: BTreeMap<String, Timer>,
    /// Lines that were none.
    pub bad: u64,
    /// Lines that were.
    pub good: u64,
}

impl Statsd {
    /// Takes a datagram of one line or several.
    pub fn take(&mut self, datagram: &[u8], metrics: &[Metric]) {
        let text = String::from_utf8_lossy(datagram);
        for line in text.lines().filter(|l| !l.is_empty()) {
            match self.line(line, metrics) {
                Some(()) => self.good += 1,
                None => self.bad += 1,
            }
        }
    }

    /// `NAME:VALUE|TYPE[|@RATE][|#TAGS]`.
    fn line(&mut self, line: &str, metrics: &[Metric]) -> Option<()> {
        let (name, rest) = line.split_once(':')?;
        let mut parts = rest.split('|');
        let (value, kind) = (parts.next()?, parts.next()?);
        let mut rate = 1.0;
        for part in parts {
            match part.strip_prefix('@') {
                Some(text) => rate = text.parse().ok().filter(|r| *r > 0.0 && *r <= 1.0)?,
                None if part.starts_with('#') => {}
                None => return None,
            }
        }
        let number: f64 = value.parse().ok().filter(|v: &f64| v.is_finite())?;
        let known = self.values.contains_key(name);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        let room = self.values.len() < MAX_NAMES && name.len() <= 200;
        if name.is_empty() || !name.chars().all(plain) || !(known || room) {
            return None;
        }
        match kind {
            "c" if number >= 0.0 => *self.values.entry(name.into()).or_default() += number / rate,
            // A sign makes it a change.
            "g" if value.starts_with(['+', '-']) => {
                *self.values.entry(name.into()).or_default() += number;
            }
            "g" => drop(self.values.insert(name.into(), number)),
            "ms" | "h" => {
                for metric in metrics.iter().filter(|m| m.from == name && !m.buckets.is_empty()) {
                    let value = number * metric.factor;
                    let timer = self.timers.entry(metric.name.clone()).or_default();
                    if timer.buckets.len() != metric.buckets.len() {
                        // The configuration has changed: counting begins anew.
                        let buckets = vec![0; metric.buckets.len()];
                        *timer = Timer { buckets, ..Timer::default() };
                    }
                    let times = (1.0 / rate).round() as u64;
                    if let Some(place) = metric.buckets.iter().position(|b| value <= *b) {
                        timer.buckets[place] += times;
                    }
                    timer.count += times;
                    timer.sum += value * times as f64;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn lines_add_up() {
        let config = "source statsd 0.0.0.0:1\nhistogram d_seconds d*0.001 buckets=0.01,0.1 D.";
        let metrics = Config::parse(config).unwrap().metrics;
        let mut s = Statsd::default();
        s.take(b"a:1|c\na:2|c|@0.5\ng:7|g\ng:-2|g\nd:5|ms\nd:50|ms|#tag:x\nd:500|ms\n", &metrics);
        assert_eq!((s.values["a"], s.values["g"]), (5.0, 5.0));
        let timer = &s.timers["d_seconds"];
        assert_eq!((timer.buckets.as_slice(), timer.count), (&[1, 1][..], 3));
        assert!((timer.sum - 0.555).abs() < 1e-9);
        assert_eq!((s.good, s.bad), (7, 0));
    }

    #[test]
    fn what_is_no_line_is_counted_and_dropped() {
        let mut s = Statsd::default();
        s.take(
            b"a\na:1\na:x|c\na:1|q\n:1|c\na:1|c|@2\na:-1|c\na:inf|g\na b:1|c\n\xff\xfe:1|c",
            &[],
        );
        assert_eq!((s.good, s.bad, s.values.len()), (0, 10, 0));
        for n in 0..2000 {
            s.take(format!("n{n}:1|c").as_bytes(), &[]);
        }
        assert_eq!(s.values.len(), MAX_NAMES, "names are bounded");
    }
}
