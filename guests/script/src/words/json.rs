//! JSON.

use rhai::{Array, Dynamic, FLOAT, INT, Map, Module, NativeCallContext as Call};
use serde_json::Value;

use crate::engine::{Answer, At, fail};

/// `json::parse(text)`, `json::stringify(value)`.
pub fn module() -> Module {
    let mut module = Module::new();
    module.set_native_fn("parse", |at: Call<'_>, text: &str| {
        let value = serde_json::from_str(text).map(from_json);
        value.or_else(|error| fail(format!("this is no JSON: {error}"))).at(&at)
    });
    module.set_native_fn("stringify", |at: Call<'_>, value: Dynamic| print(&value).at(&at));
    module
}

/// A value as JSON.
///
/// # Errors
/// If it holds what JSON has no word for: a function, a number that is none.
pub fn print(value: &Dynamic) -> Answer<String> {
    to_json(value).map(|json| json.to_string())
}

fn from_json(value: Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => b.into(),
        Value::Number(n) => match n.as_i64() {
            Some(n) => n.into(),
            None => n.as_f64().unwrap_or(FLOAT::NAN).into(),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => items.into_iter().map(from_json).collect::<Array>().into(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(k, v)| (k.into(), from_json(v)));
            fields.collect::<Map>().into()
        }
    }
}

fn to_json(value: &Dynamic) -> Answer<Value> {
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(to_json).collect();
    }
    if let Some(fields) = value.read_lock::<Map>() {
        let pairs = fields.iter().map(|(k, v)| Ok((k.to_string(), to_json(v)?)));
        return pairs.collect::<Answer<_>>().map(Value::Object);
    }
    if let Ok(b) = value.as_bool() {
        return Ok(b.into());
    }
    if let Ok(n) = value.as_int() {
        return Ok(INT::into(n));
    }
    if let Ok(n) = value.as_float() {
        let number = serde_json::Number::from_f64(n).map(Value::Number);
        return number.map_or_else(|| fail(format!("JSON has no number {n}")), Ok);
    }
    match value.is_string() || value.is_char() {
        true => Ok(value.to_string().into()),
        false => fail(format!("JSON has no word for a value of type {}", value.type_name())),
    }
}
