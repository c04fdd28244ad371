//! Sets of completion indexes as Jobs write them: "0,2-4" (`pkg/controller/job/indexed_job_utils.go`).

use std::collections::BTreeSet;

/// A set of indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(BTreeSet<u64>);

impl Indexes {
    /// Reads "0,2-4"; indexes from `completions` on are left out.
    ///
    /// # Errors
    /// What is wrong, in Kubernetes' words.
    pub fn parse(text: &str, completions: u64) -> Result<Indexes, String> {
        let mut out = BTreeSet::new();
        let mut last: Option<u64> = None;
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let number = |s: &str| {
                s.parse::<u64>()
                    .map_err(|_| format!("cannot convert string to integer for index: {s:?}"))
            };
            let (first, end) = match part.split_once('-') {
                Some((a, b)) => (number(a)?, number(b)?),
                None => (number(part)?, number(part)?),
            };
            if end < first || last.is_some_and(|l| l >= first) {
                return Err(format!("non-increasing order, previous: {last:?}, current: {part}"));
            }
            if end >= completions {
                return Err(format!("too large index: {part:?}"));
            }
            last = Some(end);
            out.extend(first..=end);
        }
        Ok(Indexes(out))
    }

    /// Reads what a controller wrote; what is not understood or too large is left out.
    pub fn lenient(text: &str, completions: u64) -> Indexes {
        let mut out = BTreeSet::new();
        for part in text.split(',') {
            let (a, b) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(a), Ok(b)) = (a.parse::<u64>(), b.parse::<u64>())
                && completions > 0
            {
                out.extend(a..=b.min(completions - 1));
            }
        }
        Indexes(out)
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has this one.
    pub fn has(&self, index: u64) -> bool {
        self.0.contains(&index)
    }

    /// Adds one.
    pub fn insert(&mut self, index: u64) {
        self.0.insert(index);
    }

    /// How many of these are in `other` too.
    pub fn common(&self, other: &Indexes) -> u64 {
        self.0.intersection(&other.0).count() as u64
    }
}

impl std::fmt::Display for Indexes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for &i in &self.0 {
            match runs.last_mut() {
                Some((_, end)) if *end + 1 == i => *end = i,
                _ => runs.push((i, i)),
            }
        }
        for (n, (a, b)) in runs.into_iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match b - a {
                0 => write!(f, "{comma}{a}")?,
                // Two neighbours are written as two.
                1 => write!(f, "{comma}{a},{b}")?,
                _ => write!(f, "{comma}{a}-{b}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_written_as_jobs_do_and_read_back() {
        for text in ["", "0", "0,1", "0-2", "0,2-4,6,7,9"] {
            assert_eq!(Indexes::parse(text, 10).unwrap().to_string(), text);
        }
        assert_eq!(Indexes::lenient("0-3", 2).len(), 2);
        for bad in ["a", "3,1", "4-2", "1,1", "10"] {
            assert!(Indexes::parse(bad, 10).is_err(), "{bad}");
        }
    }
}
