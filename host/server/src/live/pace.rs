//! Which virtual instant belongs to an instant of real time.

use std::time::{Duration, Instant};

use serde_json::Value;

/// How fast virtual time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// Not at all.
    Paused,
    /// This many virtual seconds a second, 0.1 to 100.
    Rate(f64),
    /// As fast as possible.
    Max,
}

impl Speed {
    /// Reads `0`, a number from 0.1 to 100, or `"max"`.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn from_json(value: &Value) -> Result<Speed, String> {
        match value {
            Value::String(s) if s == "max" => Ok(Speed::Max),
            Value::Number(n) => Speed::from_rate(n.as_f64().unwrap_or(f64::NAN)),
            other => Err(format!("speed {other} is neither a number nor \"max\"")),
        }
    }

    /// Reads 0, or a number from 0.1 to 100.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn from_rate(rate: f64) -> Result<Speed, String> {
        if rate == 0.0 {
            Ok(Speed::Paused)
        } else if (0.1..=100.0).contains(&rate) {
            Ok(Speed::Rate(rate))
        } else {
            Err(format!("speed {rate} is not possible: it is 0, or from 0.1 to 100, or \"max\""))
        }
    }
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let rate = text.parse().map_err(|_| format!("{text:?} is neither a number nor \"max\""))?;
        Speed::from_rate(rate)
    }
}

/// A speed, and the pair of instants from which it counts.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    speed: Speed,
    real: Instant,
    nanos: u64,
    goal: Option<u64>,
}

impl Pace {
    /// From now on, starting at `nanos` of virtual time.
    pub fn new(speed: Speed, nanos: u64) -> Pace {
        Pace { speed, real: Instant::now(), nanos, goal: None }
    }

    /// The same, pausing at `goal`.
    pub fn until(self, goal: Option<u64>) -> Pace {
        Pace { goal, ..self }
    }

    /// The speed.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// Where it pauses, in ns.
    pub fn goal(&self) -> Option<u64> {
        self.goal
    }

    /// Counts from here: the world could not keep up, and time lost is lost.
    pub fn rebase(&mut self, real: Instant, nanos: u64) {
        self.real = real;
        self.nanos = nanos;
    }

    /// The virtual instant that belongs to `real`; `None` where the speed does not say.
    pub fn target(&self, real: Instant) -> Option<u64> {
        match self.speed {
            Speed::Paused => Some(self.nanos),
            Speed::Max => None,
            Speed::Rate(rate) => {
                let elapsed = real.saturating_duration_since(self.real).as_nanos() as f64;
                let target = self.nanos.saturating_add((elapsed * rate) as u64);
                Some(target.min(self.goal.unwrap_or(u64::MAX)))
            }
        }
    }

    /// The instant of real time at which `nanos` is reached; `None` if not by itself.
    pub fn when(&self, nanos: u64) -> Option<Instant> {
        match self.speed {
            Speed::Paused => None,
            Speed::Max => Some(self.real),
            Speed::Rate(rate) => {
                let ahead = nanos.saturating_sub(self.nanos) as f64 / rate;
                // Far beyond any timer that matters; keeps the addition in range.
                self.real.checked_add(Duration::from_nanos(ahead.min(1e18) as u64))
            }
        }
    }

    /// Virtual seconds a second in thousandths; `u32::MAX` for as fast as possible.
    pub fn thousandths(&self) -> u32 {
        match self.speed {
            Speed::Paused => 0,
            Speed::Rate(rate) => (rate * 1000.0).round() as u32,
            Speed::Max => u32::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn speeds_are_within_bounds() {
        assert_eq!(Speed::from_json(&json!(0)), Ok(Speed::Paused));
        assert_eq!(Speed::from_json(&json!(0.1)), Ok(Speed::Rate(0.1)));
        assert_eq!(Speed::from_json(&json!("max")), Ok(Speed::Max));
        assert_eq!("2.5".parse(), Ok(Speed::Rate(2.5)));
        for bad in [json!(-1), json!(0.05), json!(101), json!("fast"), json!(null), json!([1])] {
            assert!(Speed::from_json(&bad).is_err(), "{bad}");
        }
        assert!("nan".parse::<Speed>().is_err());
    }

    #[test]
    fn virtual_time_follows_real_time() {
        let pace = Pace::new(Speed::Rate(10.0), 5_000_000_000);
        let later = pace.real + Duration::from_millis(200);
        assert_eq!(pace.target(later), Some(7_000_000_000));
        assert_eq!(pace.when(7_000_000_000), Some(later));
        assert_eq!(pace.until(Some(6_000_000_000)).target(later), Some(6_000_000_000));
        let paused = Pace::new(Speed::Paused, 5);
        assert_eq!((paused.target(later), paused.when(9)), (Some(5), None));
    }
}
