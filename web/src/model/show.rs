//! Bytes and instants as text.

use std::fmt::Write as _;

/// "12.345 s" for an instant in ns; with the hour or minute only where there is one.
pub fn instant(ns: u64) -> String {
    let (s, ms) = (ns / 1_000_000_000, ns / 1_000_000 % 1000);
    if s < 60 {
        format!("{s}.{ms:03} s")
    } else if s < 3600 {
        format!("{}:{:02}.{ms:03}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}.{ms:03}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// "1.203 ms" for a duration in ns.
pub fn duration(ns: u64) -> String {
    match ns {
        u64::MAX => "∞".into(),
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.3} ms", ns as f64 / 1e6),
        _ => format!("{:.3} s", ns as f64 / 1e9),
    }
}

/// "1.2 KiB" for a number of bytes.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Bytes as a hex dump: offset, sixteen bytes, and the characters they are.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (i, row) in bytes.chunks(16).enumerate() {
        let _ = write!(out, "{:06x}  ", i * 16);
        for n in 0..16 {
            match row.get(n) {
                Some(b) => {
                    let _ = write!(out, "{b:02x} ");
                }
                None => out.push_str("   "),
            }
            if n == 7 {
                out.push(' ');
            }
        }
        out.push(' ');
        out.extend(row.iter().map(|b| if (0x20..0x7f).contains(b) { *b as char } else { '·' }));
        out.push('\n');
    }
    out
}

/// Bytes as text, if they are: what UTF-8 a bounded payload cut in the middle is no objection.
pub fn text(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => std::str::from_utf8(&bytes[..e.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.chars().any(odd)).then_some(text)
}

/// Bytes as indented JSON, if they are JSON.
pub fn json(bytes: &[u8]) -> Option<String> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace())?;
    if !b"{[".contains(first) {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

/// The head of an HTTP message as its first line and its fields.
pub fn head(head: &str) -> (String, Vec<(String, String)>) {
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let fields = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    (first, fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_durations() {
        assert_eq!(instant(12_345_678_901), "12.345 s");
        assert_eq!(instant(61_000_000_000), "1:01.000");
        assert_eq!(instant(3_661_500_000_000), "1:01:01.500");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_500), "1.5 µs");
        assert_eq!(duration(103_000), "103.0 µs");
        assert_eq!(duration(2_500_000_000), "2.500 s");
        assert_eq!(size(1536), "1.5 KiB");
    }

    #[test]
    fn bytes() {
        assert_eq!(hex(b"Hi\n"), format!("000000  48 69 0a {:40} Hi·\n", ""));
        assert_eq!(text("é".as_bytes()), Some("é"));
        assert_eq!(text(&"aé".as_bytes()[..2]), Some("a"));
        assert_eq!(text(&[0xff, 0xfe]), None);
        assert_eq!(text(b"\0"), None);
        assert_eq!(json(b" {\"a\":1}").as_deref(), Some("{\n  \"a\": 1\n}"));
        assert_eq!(json(b"12"), None);
        let (first, fields) = head("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
        assert_eq!((first.as_str(), fields[0].1.as_str()), ("GET / HTTP/1.1", "web"));
    }
}
