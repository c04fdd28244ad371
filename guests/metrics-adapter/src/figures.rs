//! Figures as an application has them: a flat list of names and numbers.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names that are kept.
const MAX_NAMES: usize = 5000;

/// The numbers of Redis' INFO: `name:value` lines, and `db0:keys=1,...` as `db0.keys`.
pub fn from_info(text: &str) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|l| !l.starts_with('#')).take(MAX_NAMES) {
        let Some((name, value)) = line.trim_end().split_once(':') else { continue };
        if let Ok(number) = value.parse() {
            out.insert(name.to_owned(), number);
            continue;
        }
        for (part, value) in value.split(',').filter_map(|p| p.split_once('=')) {
            if let Ok(number) = value.parse() {
                out.insert(format!("{name}.{part}"), number);
            }
        }
    }
    out
}

/// A number in a JSON: `queue.length`, `counters[name=requests].value`, `list[0]`.
pub fn at<'a>(json: &'a Value, path: &str) -> Option<&'a Value> {
    let mut here = json;
    for step in path.split('.') {
        let (name, selectors) = step.find('[').map_or((step, ""), |i| step.split_at(i));
        if !name.is_empty() {
            here = here.get(name)?;
        }
        for selector in selectors.split('[').skip(1) {
            let selector = selector.strip_suffix(']')?;
            here = match selector.split_once('=') {
                Some((field, wanted)) => here.as_array()?.iter().find(|item| {
                    item.get(field).is_some_and(|v| {
                        v.as_str() == Some(wanted)
                            || number(v).is_some_and(|n| wanted.parse() == Ok(n))
                    })
                })?,
                None => here.get(selector.parse::<usize>().ok()?)?,
            };
        }
    }
    Some(here)
}

/// A JSON value as a number: numbers, true and false, texts that are numbers.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::Bool(b) => Some(f64::from(u8::from(*b))),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info() {
        let figures =
            from_info("# Memory\r\nused_memory:104\r\nrole:master\r\n\r\ndb0:keys=3,expires=0\r\n");
        assert_eq!((figures["used_memory"], figures["db0.keys"], figures.len()), (104.0, 3.0, 3));
        assert!(from_info("\u{0}garbage\n::\n=:=").is_empty());
    }

    #[test]
    fn paths() {
        let json: Value = serde_json::from_str(
            r#"{"a":{"b":3},"c":[{"name":"x","value":"4.5"},{"name":"y","value":true}],"d":[1,2]}"#,
        )
        .unwrap();
        let get = |path| at(&json, path).and_then(number);
        assert_eq!(get("a.b"), Some(3.0));
        assert_eq!(get("c[name=x].value"), Some(4.5));
        assert_eq!(get("c[name=y].value"), Some(1.0));
        assert_eq!(get("d[1]"), Some(2.0));
        for missing in ["a", "a.c", "c[name=z].value", "d[9]", "d[", ""] {
            assert_eq!(get(missing), None, "{missing}");
        }
    }
}
