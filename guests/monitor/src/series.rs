//! What was seen: series of values, bounded.

use std::collections::{BTreeMap, VecDeque};

use podlab_guest::exposition::Sample;

use crate::rule::Term;

/// Series of one target.
const MAX_SERIES: usize = 2000;
/// Values of one series.
const MAX_VALUES: usize = 600;
/// Over how many seconds a rate is taken.
const WINDOW: f64 = 10.0;

/// A name with labels.
pub type Key = (String, BTreeMap<String, String>);

/// The series of one target.
#[derive(Default)]
pub struct Series(BTreeMap<Key, VecDeque<(f64, f64)>>);

impl Series {
    /// Keeps a value that was seen at `at` seconds.
    pub fn add(&mut self, at: f64, sample: Sample) {
        let key = (sample.name, sample.labels);
        if !self.0.contains_key(&key) && self.0.len() >= MAX_SERIES {
            return;
        }
        let values = self.0.entry(key).or_default();
        values.push_back((at, sample.value));
        if values.len() > MAX_VALUES {
            values.pop_front();
        }
    }

    /// The series of a name.
    pub fn named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a VecDeque<(f64, f64)>)> {
        self.0.iter().filter(move |((n, _), _)| n == name)
    }

    /// The names there are.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(|(n, _)| n.as_str()).collect();
        names.dedup();
        names
    }

    /// A term's value at `now`; none if nothing of that name was seen in the window.
    pub fn value(&self, term: &Term, now: f64) -> Option<f64> {
        let (name, rate) = match term {
            Term::Last(name) => (name, false),
            Term::Rate(name) => (name, true),
        };
        let mut sum = None;
        for (_, values) in self.named(name) {
            let recent: Vec<(f64, f64)> =
                values.iter().copied().filter(|(at, _)| *at > now - WINDOW).collect();
            let (Some(first), Some(last)) = (recent.first(), recent.last()) else { continue };
            let value = if rate {
                if last.0 <= first.0 {
                    continue;
                }
                // A counter that fell has begun anew: it grew by what it shows.
                let grown: f64 = recent
                    .windows(2)
                    .map(|w| if w[1].1 >= w[0].1 { w[1].1 - w[0].1 } else { w[1].1 })
                    .sum();
                grown / (last.0 - first.0)
            } else {
                last.1
            };
            *sum.get_or_insert(0.0) += value;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(value: f64) -> Sample {
        Sample { name: "a_total".into(), labels: BTreeMap::new(), value }
    }

    #[test]
    fn a_rate_survives_a_restart_of_the_counter() {
        let mut series = Series::default();
        for (at, value) in [(1.0, 10.0), (2.0, 20.0), (3.0, 5.0), (4.0, 15.0)] {
            series.add(at, sample(value));
        }
        let rate = Term::Rate("a_total".into());
        assert_eq!(series.value(&rate, 4.0), Some(25.0 / 3.0));
        assert_eq!(series.value(&Term::Last("a_total".into()), 4.0), Some(15.0));
        assert_eq!(series.value(&rate, 100.0), None, "what is old says nothing about now");
        assert_eq!(series.value(&Term::Last("b".into()), 4.0), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut series = Series::default();
        for n in 0..5000 {
            series.add(f64::from(n), sample(0.0));
            series.add(0.0, Sample { name: format!("n{n}"), ..sample(0.0) });
        }
        assert_eq!(series.0.len(), MAX_SERIES);
        assert_eq!(series.named("a_total").next().unwrap().1.len(), MAX_VALUES);
    }
}
