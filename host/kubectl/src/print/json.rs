//! JSON as Go writes it: four spaces, and `<`, `>`, `&` escaped.

use serde::Serialize as _;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// `value`, indented, with a line end.
pub fn pretty(value: &Value) -> String {
    let mut out = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    // Writing JSON values to memory cannot fail.
    let _ = value.serialize(&mut serializer);
    escaped(&String::from_utf8_lossy(&out)) + "\n"
}

/// `value` on one line.
pub fn compact(value: &Value) -> String {
    escaped(&value.to_string())
}

/// These characters occur only within texts.
fn escaped(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
