//! Reading the values of an object.

use serde_json::Value;

/// A string, "" for anything else.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

/// The elements of a list, none for anything else.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The strings of a list.
pub fn words(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}

/// A string without quotes, anything else as JSON.
pub fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
