//! Reading YAML strictly, and saying where it is wrong.

use crate::vocabulary::meant;

/// Why a scenario cannot be used: where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", .line.map(|l| format!(":{l}")).unwrap_or_default())]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// The line, from 1, where it is known.
    pub line: Option<u64>,
    /// What is wrong, with the field.
    pub message: String,
}

/// Reads a YAML document strictly, within limits that no honest file reaches.
///
/// # Errors
/// With file and line.
pub fn read_yaml<T: serde::de::DeserializeOwned>(
    file: &str,
    text: &str,
) -> Result<T, ScenarioError> {
    if text.len() > 1 << 20 {
        let message = "the file is larger than 1 MiB".into();
        return Err(ScenarioError { file: file.into(), line: None, message });
    }
    serde_saphyr::from_str(text).map_err(|e| {
        let line = e.location().map(|l| l.line()).filter(|l| *l > 0);
        let mut message = e.without_snippet().to_string();
        // The place stands before the message already.
        if let Some(cut) = message.rfind(" at line ") {
            message.truncate(cut);
        }
        message += &meant_in(&message);
        ScenarioError { file: file.into(), line, message }
    })
}

/// What was meant in "unknown field `witin`, expected one of `until`, `within`".
fn meant_in(message: &str) -> String {
    let (Some(rest), Some((_, known))) =
        (message.strip_prefix("unknown "), message.split_once("expected "))
    else {
        return String::new();
    };
    let Some(word) = rest.split('`').nth(1) else { return String::new() };
    let known = known.trim_start_matches("one of ").split(", ").map(|k| k.trim_matches('`'));
    let meant = meant(word, known);
    if meant.ends_with('?') { meant } else { String::new() }
}

pub(super) fn line_of(text: &str, needle: &str) -> Option<u64> {
    text.lines().position(|l| l.contains(needle)).map(|n| n as u64 + 1)
}
