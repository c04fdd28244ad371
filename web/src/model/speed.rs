//! How fast a world runs: a slider whose stops are preferred numbers, ten to a decade (ISO 3,
//! R″10), and "as fast as possible" beyond the last.

/// As fast as possible.
pub const MAX: u32 = u32::MAX;

/// One decade of the slider, in thousandths of real time from 0.1x.
const DECADE: [u32; 10] = [100, 120, 150, 200, 250, 300, 400, 500, 600, 800];
/// How many decades: 0.1x to 100x.
const DECADES: u32 = 3;
/// The last stop: as fast as possible.
pub const LAST: u32 = 10 * DECADES + 1;

/// The speed at a stop of the slider, in thousandths of real time; [`MAX`] at the last.
pub fn at(stop: u32) -> u32 {
    if stop >= LAST {
        return MAX;
    }
    DECADE[(stop % 10) as usize] * 10u32.pow(stop / 10)
}

/// The stop that is nearest to a speed, be it one of the slider's or not.
pub fn stop(speed: u32) -> u32 {
    let far = |stop: &u32| (f64::from(at(*stop)).ln() - f64::from(speed.max(1)).ln()).abs();
    match speed {
        MAX => LAST,
        _ => (0..LAST).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0),
    }
}

/// The speed so many stops faster or slower, in thousandths.
pub fn beside(speed: u32, by: i32) -> u32 {
    at(stop(speed).saturating_add_signed(by).min(LAST))
}

/// "0.25×"; `max` for as fast as possible.
pub fn text(speed: u32, max: &str) -> String {
    if speed == MAX { max.to_owned() } else { format!("{}×", f64::from(speed) / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slider_reaches_from_a_tenth_to_a_hundred_and_beyond() {
        assert_eq!((at(0), at(10), at(20), at(LAST - 1)), (100, 1_000, 10_000, 100_000));
        assert_eq!((at(LAST), at(LAST + 5)), (MAX, MAX));
        assert!((0..LAST).all(|s| at(s) < at(s + 1)), "each stop is faster than the one before");
        // No step is a leap: that is what a logarithmic scale is for.
        assert!((1..LAST).all(|s| f64::from(at(s)) / f64::from(at(s - 1)) < 1.35));
    }

    #[test]
    fn every_speed_has_its_stop() {
        for s in 0..=LAST {
            assert_eq!(stop(at(s)), s);
        }
        assert_eq!(at(stop(0)), 100);
        assert_eq!(at(stop(5_100)), 5_000);
        assert_eq!(at(stop(30_000)), 30_000);
        assert_eq!(at(stop(1_000_000)), 100_000, "what is not said to be endless is not");
    }

    #[test]
    fn a_key_goes_to_the_next_stop_and_no_further_than_the_ends() {
        assert_eq!(beside(1_000, 1), 1_200);
        assert_eq!(beside(1_000, -1), 800);
        assert_eq!(beside(100, -1), 100);
        assert_eq!(beside(100_000, 1), MAX);
        assert_eq!(beside(MAX, 1), MAX);
        assert_eq!(beside(MAX, -1), 100_000);
    }

    #[test]
    fn a_speed_is_read_by_people() {
        assert_eq!(text(250, "max"), "0.25×");
        assert_eq!(text(30_000, "max"), "30×");
        assert_eq!(text(MAX, "max"), "max");
    }
}
