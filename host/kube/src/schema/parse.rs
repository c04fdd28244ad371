//! Bytes to JSON values, within bounds: duplicate fields are noticed, errors are worded as Go's.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep a document may nest (serde_json's own limit, kept for YAML too).
const DEPTH: usize = 127;

/// A document and the fields that it had more than once.
#[derive(Debug, Default)]
pub struct Document {
    /// The value; of a duplicate field, the last.
    pub value: Value,
    /// What a strict decoder says of them.
    pub duplicates: Vec<String>,
}

/// JSON.
///
/// # Errors
/// What Go's decoder would say.
pub fn json(bytes: &[u8]) -> Result<Document, String> {
    let mut duplicates = Vec::new();
    let mut de = serde_json::Deserializer::from_slice(bytes);
    let seed = Seed { path: String::new(), duplicates: &mut duplicates };
    let value = seed.deserialize(&mut de).and_then(|v| de.end().map(|()| v));
    match value {
        Ok(value) => {
            let said = duplicates.iter().map(|path| format!("duplicate field {path:?}"));
            Ok(Document { value, duplicates: said.collect() })
        }
        Err(e) => Err(as_go_says(bytes, &e)),
    }
}

/// YAML, one document. Of its duplicate keys only the first is told: as a real server does, this
/// looks for them with a parser that stops there.
///
/// # Errors
/// The parser's message with line and column.
pub fn yaml(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid UTF-8".to_string())?;
    // `defaultMode: 0644` means octal in every manifest there is (YAML 1.1).
    let strict = serde_saphyr::options! { legacy_octal_numbers: true };
    let mut duplicates = Vec::new();
    let parsed: Result<Value, _> = match serde_saphyr::from_str_with_options(text, strict) {
        Err(e) => match duplicate(&e) {
            Some(said) => {
                duplicates.push(said);
                let loose = serde_saphyr::options! {
                    legacy_octal_numbers: true,
                    duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
                };
                serde_saphyr::from_str_with_options(text, loose)
            }
            None => Err(e),
        },
        fine => fine,
    };
    let value = parsed.map_err(|e| format!("error converting YAML to JSON: yaml: {e}"))?;
    if depth_exceeds(&value, DEPTH) {
        return Err("error converting YAML to JSON: yaml: exceeded max depth".into());
    }
    Ok(Document { value, duplicates })
}

/// A duplicate key as go-yaml tells it.
fn duplicate(e: &serde_saphyr::Error) -> Option<String> {
    let serde_saphyr::Error::DuplicateMappingKey { key, location } = e.without_snippet() else {
        return None;
    };
    let (line, key) = (location.line(), key.as_deref().unwrap_or(""));
    Some(format!("yaml: unmarshal errors:\n  line {line}: key {key:?} already set in map"))
}

fn depth_exceeds(value: &Value, left: usize) -> bool {
    if left == 0 {
        return true;
    }
    match value {
        Value::Array(items) => items.iter().any(|v| depth_exceeds(v, left - 1)),
        Value::Object(map) => map.values().any(|v| depth_exceeds(v, left - 1)),
        _ => false,
    }
}

fn as_go_says(bytes: &[u8], e: &serde_json::Error) -> String {
    if e.is_eof() {
        return "unexpected end of JSON input".into();
    }
    let line = bytes.split(|b| *b == b'\n').nth(e.line().saturating_sub(1)).unwrap_or(b"");
    let at = line.get(e.column().saturating_sub(1)).copied().unwrap_or(b' ');
    let message = e.to_string();
    let place = if message.starts_with("key must be a string") {
        "looking for beginning of object key string"
    } else if message.starts_with("expected value") || message.starts_with("expected ident") {
        "looking for beginning of value"
    } else if message.starts_with("expected `:`") {
        "after object key"
    } else if message.starts_with("expected `,` or `}`") {
        "after object key:value pair"
    } else if message.starts_with("expected `,` or `]`") {
        "after array element"
    } else if message.starts_with("trailing characters") {
        "after top-level value"
    } else {
        return message;
    };
    format!("invalid character '{}' {place}", char::from(at).escape_default())
}

struct Seed<'a> {
    path: String,
    duplicates: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_string<E>(self, v: String) -> Result<Value, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut out = Vec::new();
        while let Some(v) = seq.next_element_seed(Seed {
            path: format!("{}[{}]", self.path, out.len()),
            duplicates: &mut *self.duplicates,
        })? {
            out.push(v);
        }
        Ok(Value::Array(out))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut out = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path =
                if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            let value = map
                .next_value_seed(Seed { path: path.clone(), duplicates: &mut *self.duplicates })?;
            if out.insert(key, value).is_some() && self.duplicates.len() < 100 {
                self.duplicates.push(path);
            }
        }
        Ok(Value::Object(out))
    }
}
