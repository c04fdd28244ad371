//! Label and field selectors (`k8s.io/apimachinery/pkg/{labels,fields}`).

use serde_json::Value;

use super::error::Error;
use super::names;
use super::object::{self, at};
use super::resource::Resource;

/// A condition on labels; all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
    ///
    /// # Errors
    /// `BadRequest` with what is wrong.
    pub fn parse(text: &str) -> Result<LabelSelector, Error> {
        let bad = |why: String| Error::bad_request(format!("unable to parse requirement: {why}"));
        let mut out = Vec::new();
        for part in split_outside_parentheses(text) {
            let part = part.trim();
            if part.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                return Err(bad("found ',', expected: !, identifier, or 'end of string'".into()));
            }
            let (key, test) = requirement(part).map_err(bad)?;
            if let Some(why) = names::qualified_errors(key).into_iter().next() {
                return Err(bad(format!("<nil>: Invalid value: {key:?}: {why}")));
            }
            if let Test::In(values) | Test::NotIn(values) = &test {
                for (i, value) in values.iter().enumerate() {
                    if let Some(why) = names::label_value_error(value) {
                        return Err(bad(format!(
                            "values[{i}][{key}]: Invalid value: {value:?}: {why}"
                        )));
                    }
                }
            }
            out.push(Requirement { key: key.to_string(), test });
        }
        Ok(LabelSelector(out))
    }

    /// The selector of an object's `spec.selector` that is a plain map (a Service).
    pub fn from_map(map: &Value) -> LabelSelector {
        let requirements = map.as_object().into_iter().flatten().map(|(key, value)| Requirement {
            key: key.clone(),
            test: Test::In(vec![value.as_str().unwrap_or("").to_string()]),
        });
        LabelSelector(requirements.collect())
    }

    /// A `LabelSelector` as objects have it: `matchLabels` and `matchExpressions`. An empty one
    /// selects everything; an operator that does not exist selects nothing.
    pub fn from_selector(selector: &Value) -> LabelSelector {
        let mut out = LabelSelector::from_map(&selector["matchLabels"]);
        for e in selector["matchExpressions"].as_array().into_iter().flatten() {
            let values = e["values"].as_array().into_iter().flatten();
            let values = values.filter_map(|v| v.as_str().map(str::to_string)).collect();
            let test = match e["operator"].as_str().unwrap_or("") {
                "NotIn" => Test::NotIn(values),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Missing,
                "In" => Test::In(values),
                _ => Test::In(Vec::new()),
            };
            let key = e["key"].as_str().unwrap_or("").to_string();
            out.0.push(Requirement { key, test });
        }
        out
    }

    /// What selects nothing.
    pub fn nothing() -> LabelSelector {
        LabelSelector(vec![Requirement { key: "never".into(), test: Test::In(Vec::new()) }])
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the object's labels fulfil it.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|r| {
            let value = labels.get(&r.key).and_then(Value::as_str);
            let number = || value.and_then(|v| v.parse::<i64>().ok());
            match &r.test {
                Test::In(values) => value.is_some_and(|v| values.iter().any(|w| w == v)),
                Test::NotIn(values) => value.is_none_or(|v| values.iter().all(|w| w != v)),
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::Greater(n) => number().is_some_and(|v| v > *n),
                Test::Less(n) => number().is_some_and(|v| v < *n),
            }
        })
    }
}

fn requirement(part: &str) -> Result<(&str, Test), String> {
    if let Some(key) = part.strip_prefix('!') {
        return Ok((key.trim(), Test::Missing));
    }
    let one = |value: &str| vec![value.trim().to_string()];
    if let Some((key, value)) = part.split_once("!=") {
        return Ok((key.trim(), Test::NotIn(one(value))));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok((key.trim(), Test::In(one(value))));
    }
    let number = |value: &str| {
        value
            .trim()
            .parse()
            .map_err(|_| "for 'Gt', 'Lt' operators, the value must be an integer".to_string())
    };
    if let Some((key, value)) = part.split_once('>') {
        return Ok((key.trim(), Test::Greater(number(value)?)));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Ok((key.trim(), Test::Less(number(value)?)));
    }
    let Some((key, rest)) = part.split_once(|c: char| c.is_whitespace()) else {
        return Ok((part, Test::Exists));
    };
    let rest = rest.trim();
    let (operator, list) = match rest.find(['(', ' ']) {
        Some(i) => (rest[..i].trim(), rest[i..].trim()),
        None => (rest, ""),
    };
    let inner = list
        .strip_prefix('(')
        .and_then(|l| l.strip_suffix(')'))
        .map(|l| l.split(',').map(|v| v.trim().to_string()).collect::<Vec<_>>());
    match (operator, inner) {
        ("in", Some(values)) => Ok((key, Test::In(values))),
        ("notin", Some(values)) => Ok((key, Test::NotIn(values))),
        ("in" | "notin", None) => Err(format!("found '{list}' expected: '('")),
        (other, _) => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut out) = (0i32, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth <= 0 => {
                out.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[start..]);
    out
}

/// A condition on fields; all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

impl FieldSelector {
    /// `metadata.name=x,status.phase!=Running`.
    ///
    /// # Errors
    /// `BadRequest` with what is wrong, or for a field that `resource` does not offer.
    pub fn parse(text: &str, resource: &Resource) -> Result<FieldSelector, Error> {
        let mut out = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (field, equal, value) = if let Some((f, v)) = part.split_once("!=") {
                (f, false, v)
            } else if let Some((f, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (f, true, v)
            } else {
                return Err(Error::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                )));
            };
            let known = field == "metadata.name"
                || (field == "metadata.namespace" && resource.namespaced)
                || resource.selectable.iter().any(|s| s == field);
            if !known {
                return Err(Error::bad_request(format!("field label not supported: {field}")));
            }
            out.push((field.to_string(), equal, value.to_string()));
        }
        Ok(FieldSelector(out))
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one name that `metadata.name=` asks for.
    pub fn name(&self) -> Option<&str> {
        self.0
            .iter()
            .find(|(f, equal, _)| *equal && f == "metadata.name")
            .map(|(_, _, v)| v.as_str())
    }

    /// Whether the object's fields fulfil it.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, equal, wanted)| {
            let path: Vec<&str> = match field.as_str() {
                "status.podIP" | "status.podIPs" => vec!["status", "podIP"],
                other => other.split('.').collect(),
            };
            let mut value = at(object, &path);
            if field == "source" {
                value = match &object["source"]["component"] {
                    Value::Null => &object["reportingComponent"],
                    component => component,
                };
            }
            let is = match value {
                Value::String(s) => s.clone(),
                Value::Null
                    if matches!(field.as_str(), "spec.unschedulable" | "spec.hostNetwork") =>
                {
                    "false".into()
                }
                Value::Null => String::new(),
                other => other.to_string(),
            };
            (is == *wanted) == *equal
        })
    }
}

/// Both selectors of a request.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    /// On labels.
    pub labels: LabelSelector,
    /// On fields.
    pub fields: FieldSelector,
    /// On the namespace; `None` for all.
    pub namespace: Option<String>,
}

impl Selector {
    /// Whether the object fulfils all.
    pub fn matches(&self, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|ns| ns == object::namespace(object))
            && self.labels.matches(object)
            && self.fields.matches(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn label_selectors() {
        let o = json!({"metadata": {"labels": {"app": "web", "n": "3"}}});
        for (text, want) in [
            ("", true),
            ("app=web", true),
            ("app==web,n", true),
            ("app!=web", false),
            ("x!=y", true),
            ("app in (a, web)", true),
            ("app notin (a,web)", false),
            ("app in(web),!x", true),
            ("!app", false),
            ("n>2,n<4", true),
        ] {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&o), want, "{text}");
        }
        for text in ["a b c", "a=b c", "=x", "a in x", ","] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_know_their_fields() {
        let pods = Resource::new("", "v1", "pods", "Pod").selectable(&["status.phase"]);
        let o =
            json!({"metadata": {"name": "a", "namespace": "d"}, "status": {"phase": "Running"}});
        let parse = |t| FieldSelector::parse(t, &pods);
        assert!(parse("metadata.name=a,status.phase!=Failed").unwrap().matches(&o));
        assert!(!parse("status.phase=Failed").unwrap().matches(&o));
        assert_eq!(parse("spec.x=1").unwrap_err().message, "field label not supported: spec.x");
        assert_eq!(
            parse("bogus").unwrap_err().message,
            "invalid selector: 'bogus'; can't understand 'bogus'"
        );
    }
}
