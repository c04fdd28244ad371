//! Two worlds beside each other, as the address of the page has them: a link holds all it takes to
//! make both again, and the address also knows the worlds that run already.

use crate::model::link::Wrong;

/// The form of these links; one that is read differently has another number.
const VERSION: &str = "1";
/// The longest time a link may ask a world to run, in s: a day.
const LONGEST: f64 = 86_400.0;

/// One of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The world, if it runs already.
    pub world: String,
    /// The pattern it is of, or empty.
    pub pattern: String,
    /// Its seed.
    pub seed: u64,
    /// What its wall clock shows at its beginning, in s since 1970.
    pub epoch: Option<u64>,
    /// The manifest that takes the pattern out of it ("without"), or empty.
    pub without: String,
    /// The instant at which it was forked from the other, in ns.
    pub fork: Option<u64>,
}

/// Both, the left one first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// They.
    pub sides: [Side; 2],
    /// The instant looked at, in ns; `None` for as far as both are.
    pub at: Option<u64>,
}

impl Pair {
    /// Reads the part of an address after the `#`; `None` if it is not one of two worlds.
    pub fn parse(hash: &str) -> Option<Result<Pair, Wrong>> {
        let hash = hash.trim_start_matches('#').trim_matches('/');
        let (path, query) = hash.split_once('?').unwrap_or((hash, ""));
        (path.trim_matches('/') == "compare").then(|| Pair::read(query))
    }

    fn read(query: &str) -> Result<Pair, Wrong> {
        let mut pair = Pair::default();
        let (mut version, mut seeds) = (String::new(), [None, None]);
        for (name, value) in query.split('&').filter_map(|p| p.split_once('=')) {
            let said = || value.chars().take(60).collect::<String>();
            let time = || {
                let seconds = value.parse::<f64>().ok().filter(|s| (0.0..=LONGEST).contains(s));
                let seconds = seconds.ok_or_else(|| Wrong::Time(said()))?;
                Ok((seconds * 1e9).round() as u64)
            };
            let (name, i) = name.strip_suffix('2').map_or((name, 0), |name| (name, 1));
            let side = &mut pair.sides[i];
            match name {
                "v" => version = said(),
                "t" => pair.at = Some(time()?),
                "world" => side.world = name_of(value),
                "pattern" => side.pattern = name_of(value),
                "seed" => seeds[i] = Some(value.parse().map_err(|_| Wrong::Seed(said()))?),
                "epoch" => side.epoch = Some(value.parse().map_err(|_| Wrong::Epoch(said()))?),
                "without" => side.without = name_of(value),
                "fork" => side.fork = Some(time()?),
                _ => {}
            }
        }
        if version != VERSION {
            return Err(Wrong::Version(version));
        }
        for (side, seed) in pair.sides.iter_mut().zip(seeds) {
            if side.world.is_empty() && side.pattern.is_empty() {
                return Err(Wrong::Pattern);
            }
            match seed {
                Some(seed) => side.seed = seed,
                None if side.pattern.is_empty() => {}
                None => return Err(Wrong::Seed(String::new())),
            }
        }
        Ok(pair)
    }

    /// The part of the address after and with the `#`.
    pub fn hash(&self) -> String {
        let mut out = format!("#/compare?v={VERSION}");
        let mut add = |name: &str, i: usize, value: String| {
            if !value.is_empty() {
                let number = if i == 0 { "" } else { "2" };
                out.push_str(&format!("&{name}{number}={value}"));
            }
        };
        for (i, side) in self.sides.iter().enumerate() {
            add("world", i, side.world.clone());
            if !side.pattern.is_empty() {
                add("pattern", i, side.pattern.clone());
                add("seed", i, side.seed.to_string());
            }
            add("epoch", i, side.epoch.map(|s| s.to_string()).unwrap_or_default());
            add("without", i, side.without.clone());
            add("fork", i, side.fork.map(seconds).unwrap_or_default());
        }
        add("t", 0, self.at.map(seconds).unwrap_or_default());
        out
    }

    /// The same for somebody else, who has neither of the worlds; `None` where one is of no pattern.
    pub fn shared(&self, at: u64) -> Option<Pair> {
        if self.sides.iter().any(|s| s.pattern.is_empty()) {
            return None;
        }
        let mut pair = Pair { at: Some(at), ..self.clone() };
        for side in &mut pair.sides {
            side.world.clear();
        }
        Some(pair)
    }
}

fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// Names only: a link is given by strangers and becomes part of paths.
fn name_of(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Pair {
        let left = Side {
            world: "w3".into(),
            pattern: "sidecar".into(),
            seed: 7,
            epoch: Some(1_790_000_000),
            ..Side::default()
        };
        let right = Side { world: "w4".into(), without: "without".into(), ..left.clone() };
        Pair { sides: [left, right], at: Some(12_345_678_901) }
    }

    #[test]
    fn a_pair_is_read_as_it_was_written() {
        let mut pair = pair();
        assert_eq!(Pair::parse(&pair.hash()), Some(Ok(pair.clone())));
        pair.sides[1].fork = Some(3_500_000_000);
        (pair.sides[1].seed, pair.at) = (u64::MAX, None);
        assert_eq!(Pair::parse(&pair.hash()), Some(Ok(pair)));
        // Worlds of no pattern: recordings.
        let worlds = Pair::parse("#/compare?v=1&world=w1&world2=w2").unwrap().unwrap();
        assert_eq!((&*worlds.sides[0].world, &*worlds.sides[1].world), ("w1", "w2"));
        assert_eq!(worlds.shared(5), None);
    }

    #[test]
    fn a_link_for_others_names_no_world() {
        let shared = pair().shared(1_000_000_000).unwrap();
        let hash = shared.hash();
        assert!(!hash.contains("world"), "{hash}");
        assert!(hash.ends_with("&t=1.000000000"), "{hash}");
        assert_eq!(shared.sides[1].without, "without");
    }

    #[test]
    fn what_is_wrong_with_it_is_known() {
        for hash in ["", "#/", "#/open?v=1", "#/compared?v=1"] {
            assert_eq!(Pair::parse(hash), None, "{hash}");
        }
        let wrong = |query: &str| Pair::parse(&format!("#/compare?{query}")).unwrap().err();
        assert_eq!(wrong(""), Some(Wrong::Version(String::new())));
        assert_eq!(wrong("v=2&world=a&world2=b"), Some(Wrong::Version("2".into())));
        assert_eq!(wrong("v=1&world=a"), Some(Wrong::Pattern));
        assert_eq!(wrong("v=1&world=a&pattern2=b"), Some(Wrong::Seed(String::new())));
        assert_eq!(wrong("v=1&pattern=a&seed=-1"), Some(Wrong::Seed("-1".into())));
        assert_eq!(wrong("v=1&pattern=a&seed=1&epoch2=x"), Some(Wrong::Epoch("x".into())));
        for t in ["x", "-1", "NaN", "inf", "1e9"] {
            assert_eq!(wrong(&format!("v=1&t={t}")), Some(Wrong::Time(t.into())));
            assert_eq!(wrong(&format!("v=1&fork2={t}")), Some(Wrong::Time(t.into())));
        }
        let hostile = Pair::parse("#/compare?v=1&world=../x&world2=a%2fb&without=../../y");
        let hostile = hostile.unwrap().unwrap();
        assert_eq!((&*hostile.sides[0].world, &*hostile.sides[1].world), ("x", "a2fb"));
        assert_eq!(hostile.sides[0].without, "y");
    }
}
