//! Times as applications write them, and the one form: RFC 3339 in UTC, `2026-01-01T00:00:00.250Z`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podlab_guest::http::{http_date, parse_http_date};

/// A time in the one form; `None` if it is in none of the known ones: HTTP's, the common log format's
/// (`10/Oct/2000:13:55:36 -0700`), milliseconds or seconds since 1970.
pub fn utc(text: &str) -> Option<String> {
    let since = |time: Duration| UNIX_EPOCH.checked_add(time);
    let time = match text.parse::<u64>() {
        // Seconds have ten digits from 2001 to 2286, milliseconds thirteen.
        Ok(n) if text.len() == 13 => since(Duration::from_millis(n))?,
        Ok(n) if text.len() == 10 => since(Duration::from_secs(n))?,
        Ok(_) => return None,
        Err(_) => parse_http_date(text).or_else(|| common(text))?,
    };
    rfc3339(time)
}

/// The common log format's.
fn common(text: &str) -> Option<SystemTime> {
    let (local, offset) = text.split_once(' ')?;
    let (date, clock) = local.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let time = parse_http_date(&format!("Thu, {day} {month} {year} {clock} GMT"))?;
    let east = offset.starts_with('+');
    let digits = offset.strip_prefix(['+', '-']).filter(|d| d.len() == 4)?;
    let (hours, minutes) = (digits.get(..2)?.parse::<u64>().ok()?, digits.get(2..)?.parse().ok()?);
    let offset = Duration::from_secs(hours * 3600 + u64::min(minutes, 59) * 60);
    if east { time.checked_sub(offset) } else { time.checked_add(offset) }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    let text = http_date(time);
    let words: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, clock, _] = words[..] else { return None };
    let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = months.find(month)? / 3 + 1;
    let millis = time.duration_since(UNIX_EPOCH).ok()?.subsec_millis();
    Some(format!("{year}-{month:02}-{day}T{clock}.{millis:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn one_form_for_all() {
        let form = |text: &str| utc(text).unwrap_or_default();
        assert_eq!(form("Sun, 06 Nov 1994 08:49:37 GMT"), "1994-11-06T08:49:37.000Z");
        assert_eq!(form("10/Oct/2000:13:55:36 -0700"), "2000-10-10T20:55:36.000Z");
        assert_eq!(form("01/Jan/2026:00:30:00 +0100"), "2025-12-31T23:30:00.000Z");
        assert_eq!(form("1767225600250"), "2026-01-01T00:00:00.250Z");
        assert_eq!(form("1767225600"), "2026-01-01T00:00:00.000Z");
        for none in ["", "12", "yesterday", "10/Oct/2000:13:55:36", "10/Oct/2000:13:55:36 +é0"] {
            assert_eq!(utc(none), None, "{none}");
        }
    }
}
