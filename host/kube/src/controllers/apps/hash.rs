//! Names made from a template's content (`controller.ComputeHash`, `rand.SafeEncodeString`).
//!
//! Kubernetes hashes a dump of the Go struct; here it is the canonical JSON. The names differ,
//! what they are good for does not: same content, same name.

use serde_json::Value;

/// The content of a template without what its owner adds to it: keys in order, nothing that is
/// null.
pub(super) fn canonical(template: &Value, without: &[&str]) -> String {
    let mut out = String::new();
    let mut template = template.clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        for label in without {
            labels.remove(*label);
        }
    }
    write(&template, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().filter(|(_, v)| !v.is_null()).collect();
            fields.sort_by_key(|(k, _)| *k);
            out.push('{');
            for (key, value) in fields {
                out.push_str(key);
                out.push(':');
                write(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// The hash of a canonical text as it stands in names. `collisions` makes a new one when the
/// name is taken by something else.
pub(super) fn hash(canonical: &str, collisions: Option<i64>) -> String {
    // FNV-1a of 32 bits.
    let mut hash = 0x811c_9dc5_u32;
    let extra = collisions.map(|c| (c as u64).to_le_bytes());
    for byte in canonical.bytes().chain(extra.into_iter().flatten()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    // The digits become letters that form no words.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digits = hash.to_string();
    digits.bytes().map(|d| char::from(LETTERS[usize::from(d) % LETTERS.len()])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn same_content_same_name() {
        let a = json!({"metadata": {"labels": {"a": "1", "x": "h"}}, "spec": {"b": 1, "a": [null, "t"]}});
        let b = json!({"spec": {"a": [null, "t"], "b": 1, "c": null}, "metadata": {"labels": {"a": "1"}}});
        let (a, b) = (canonical(&a, &["x"]), canonical(&b, &["x"]));
        assert_eq!(a, b);
        // FNV-1a of "foobar" is 0xbf9cf968 = 3214735720.
        assert_eq!(hash("foobar", None), "7658c79c64");
        assert_ne!(hash(&a, None), hash(&a, Some(0)));
        assert_ne!(hash(&a, Some(1)), hash(&a, Some(2)));
    }
}
