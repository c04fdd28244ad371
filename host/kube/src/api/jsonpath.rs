//! The small JSONPath of `additionalPrinterColumns` (`client-go/util/jsonpath`):
//! `.spec.a`, `.a[0]`, `.a[*].b`, `.a['k.x']`, `.conditions[?(@.type=="Ready")].status`.

use serde_json::Value;

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Where(Vec<Step>, bool, Value),
}

/// What the path finds; nothing if it is no path.
pub(super) fn find<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let path = path.trim().trim_start_matches('{').trim_end_matches('}');
    match steps(path.trim_start_matches('$')) {
        Some(steps) => walk(value, &steps),
        None => Vec::new(),
    }
}

fn walk<'a>(value: &'a Value, steps: &[Step]) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        found = found
            .into_iter()
            .flat_map(|v| -> Vec<&'a Value> {
                match step {
                    Step::Field(name) => v.get(name).into_iter().collect(),
                    Step::Index(i) => {
                        let list = v.as_array().map_or(&[][..], Vec::as_slice);
                        let at = if *i < 0 { *i + list.len() as i64 } else { *i };
                        usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
                    }
                    Step::All => match v {
                        Value::Array(items) => items.iter().collect(),
                        Value::Object(map) => map.values().collect(),
                        _ => Vec::new(),
                    },
                    Step::Where(path, equal, wanted) => {
                        let items = v.as_array().into_iter().flatten();
                        items
                            .filter(|i| walk(i, path).iter().any(|f| (*f == wanted) == *equal))
                            .collect()
                    }
                }
            })
            .collect();
    }
    found
}

fn steps(path: &str) -> Option<Vec<Step>> {
    let mut out = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            match &after[..end] {
                "" if after.starts_with('[') => {}
                "" => return None,
                "*" => out.push(Step::All),
                // A dot in a name is written with a backslash.
                name if name.ends_with('\\') => {
                    let more = after.get(end + 1..)?;
                    let stop = more.find(['.', '[']).unwrap_or(more.len());
                    out.push(Step::Field(format!("{}.{}", &name[..name.len() - 1], &more[..stop])));
                    rest = &more[stop..];
                    continue;
                }
                name => out.push(Step::Field(name.into())),
            }
            rest = &after[end..];
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            let inner = after[..end].trim();
            out.push(if inner == "*" {
                Step::All
            } else if let Some(test) = inner.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
                let (equal, at) = match (test.find("=="), test.find("!=")) {
                    (Some(at), _) => (true, at),
                    (_, Some(at)) => (false, at),
                    _ => return None,
                };
                let left = test[..at].trim().strip_prefix('@')?;
                let right = test[at + 2..].trim().replace('\'', "\"");
                Step::Where(steps(left)?, equal, serde_json::from_str(&right).ok()?)
            } else if let Ok(i) = inner.parse() {
                Step::Index(i)
            } else {
                Step::Field(inner.trim_matches(['\'', '"']).into())
            });
            rest = &after[end + 1..];
        } else {
            return None;
        }
    }
    Some(out)
}

/// Where the bracket that is open ends, quotes considered.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (i, c) in text.char_indices() {
        match (c, quote) {
            (q, Some(open)) if q == open => quote = None,
            (_, Some(_)) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('[', None) => depth += 1,
            (']', None) if depth == 0 => return Some(i),
            (']', None) => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let v = json!({"a": {"b.c": 1, "l": [1, 2, 3]}, "conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]});
        for (path, want) in [
            (".a.l[1]", json!([2])),
            (".a.l[-1]", json!([3])),
            (".a.l[*]", json!([1, 2, 3])),
            (".a['b.c']", json!([1])),
            (r".a.b\.c", json!([1])),
            (r#".conditions[?(@.type=="Ready")].status"#, json!(["True"])),
            (".conditions[?(@.type!='Ready')].status", json!(["False"])),
            (".nothing.here", json!([])),
            ("nonsense", json!([])),
        ] {
            assert_eq!(json!(find(&v, path)), want, "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn garbage_finds_nothing_and_never_panics(path in "[.\\[\\]a?(@='\"\\\\*0-9!)]{0,30}") {
            find(&json!({"a": [{"a": "a"}]}), &path);
        }
    }
}
