//! Times, for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// An instant of the API as ns since 1970.
pub fn nanos(text: &str) -> Option<i64> {
    let at: Timestamp = text.parse().ok()?;
    i64::try_from(at.as_nanosecond()).ok()
}

/// A span of ns as kubectl writes ages (`apimachinery/pkg/util/duration`): "5s", "7m38s", "3d2h".
pub fn human(nanos: i64) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    if seconds < -1 {
        return "<invalid>".into();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |big: i64, unit: char, small: i64, small_unit: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        two(days, 'd', hours % 24, 'h')
    } else if days < 365 * 2 {
        format!("{days}d")
    } else if days < 365 * 8 {
        two(days / 365, 'y', days % 365, 'd')
    } else {
        format!("{}y", days / 365)
    }
}

/// How long ago an instant of the API was.
pub fn since(text: &str, now: i64) -> String {
    match nanos(text) {
        Some(at) => human(now - at),
        None => "<unknown>".into(),
    }
}

/// RFC 1123 with a numeric zone: "Sat, 21 Nov 2026 13:23:00 +0000".
pub fn rfc1123(text: &str) -> String {
    match text.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string(),
        Err(_) => "Mon, 01 Jan 0001 00:00:00 +0000".into(),
    }
}

/// ns since 1970 as the API writes seconds.
pub fn rfc3339(nanos: i64) -> String {
    Timestamp::from_second(nanos.div_euclid(1_000_000_000))
        .map_or_else(|_| String::new(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, wanted) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (458, "7m38s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (8 * 3600, "8h"),
            (172_800, "2d"),
            (180_000, "2d2h"),
            (8 * 86400, "8d"),
            (-5, "<invalid>"),
        ] {
            assert_eq!(human(seconds * 1_000_000_000), wanted, "{seconds}");
        }
        assert_eq!(rfc1123("2026-11-21T13:23:00Z"), "Sat, 21 Nov 2026 13:23:00 +0000");
        assert_eq!(rfc3339(1_000_000_001), "1970-01-01T00:00:01Z");
    }
}
