//! Log lines as applications write them, and the one form they all become.

use std::collections::BTreeMap;

use podlab_guest::json;
use serde_json::Value;

/// How an application writes its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The combined log format of web servers.
    Combined,
    /// `key=value` words.
    Logfmt,
    /// A JSON object a line.
    Json,
}

impl Format {
    /// The format of this name.
    pub fn named(name: &str) -> Option<Format> {
        match name {
            "combined" => Some(Format::Combined),
            "logfmt" => Some(Format::Logfmt),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// The fields of a line; none if it is not of the format.
pub fn fields(format: Format, line: &str) -> Option<BTreeMap<String, String>> {
    match format {
        Format::Combined => combined(line),
        Format::Logfmt => logfmt(line),
        Format::Json => {
            let Ok(Value::Object(object)) = serde_json::from_str(line) else { return None };
            Some(object.into_iter().filter_map(|(k, v)| Some((k, plain(&v)?))).collect())
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// `HOST IDENT USER [TIME] "REQUEST" STATUS BYTES "REFERER" "AGENT"`.
fn combined(line: &str) -> Option<BTreeMap<String, String>> {
    let (host, rest) = line.split_once(' ')?;
    let (_, rest) = rest.split_once('[')?;
    let (time, rest) = rest.split_once("] \"")?;
    let (request, rest) = rest.split_once("\" ")?;
    let mut words = rest.split(' ');
    let (status, bytes) = (words.next()?, words.next()?);
    status.parse::<u16>().ok()?;
    let mut request = request.split(' ');
    let (method, path) = (request.next()?, request.next()?);
    let pairs = [
        ("client", host),
        ("time", time),
        ("method", method),
        ("path", path),
        ("status", status),
        ("bytes", bytes),
    ];
    Some(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

fn logfmt(line: &str) -> Option<BTreeMap<String, String>> {
    let (mut out, mut rest) = (BTreeMap::new(), line.trim());
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        if key.is_empty() || key.contains(char::is_whitespace) {
            return None;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut end = None;
                let mut escaped = false;
                for (at, c) in quoted.char_indices() {
                    match c {
                        '"' if !escaped => {
                            end = Some(at);
                            break;
                        }
                        '\\' => escaped = !escaped,
                        _ => escaped = false,
                    }
                }
                let end = end?;
                (quoted[..end].replace("\\\"", "\""), &quoted[end + 1..])
            }
            None => {
                let end = after.find(' ').unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        out.insert(key.to_owned(), value);
        rest = after.trim_start();
    }
    (!out.is_empty()).then_some(out)
}

/// The one form: a JSON with `app`, `status`, `path` and the rest, under the names that `rename`
/// gives, and with `time` in one form where it is known. A line that is not of the format becomes
/// `{"app":..., "unparsed":LINE}`: it is not lost.
pub fn uniform(app: &str, format: Format, rename: &BTreeMap<String, String>, line: &str) -> String {
    let mut out = format!("{{\"app\":{}", json::string(app));
    match fields(format, line) {
        None => out.push_str(&format!(",\"unparsed\":{}", json::string(line))),
        Some(fields) => {
            for (name, value) in fields {
                let name = rename.get(&name).cloned().unwrap_or(name);
                let time = (name == "time").then(|| crate::time::utc(&value)).flatten();
                let value = time.unwrap_or(value);
                let number = value.parse::<i64>().is_ok_and(|n| n.to_string() == value);
                let value = if number { value } else { json::string(&value) };
                out.push_str(&format!(",{}:{value}", json::string(&name)));
            }
        }
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_formats_become_one() {
        let none = BTreeMap::new();
        let line = "10.0.0.1 - - [Thu, 01 Jan 2026 00:00:00 GMT] \"GET /a HTTP/1.1\" 200 12 \"-\" \"x\" seq=1";
        let text = uniform("web", Format::Combined, &none, line);
        assert!(
            text.starts_with("{\"app\":\"web\",\"bytes\":12,\"client\":\"10.0.0.1\""),
            "{text}"
        );
        assert!(text.contains("\"path\":\"/a\",\"status\":200"), "{text}");
        assert!(text.contains("\"time\":\"2026-01-01T00:00:00.000Z\""), "{text}");
        let rename = BTreeMap::from([("code".to_owned(), "status".to_owned())]);
        let text =
            uniform("x", Format::Json, &rename, "{\"code\":200,\"to\":\"A\\\"\",\"n\":null}");
        assert_eq!(text, "{\"app\":\"x\",\"status\":200,\"to\":\"A\\\"\"}");
        let text = uniform("x", Format::Logfmt, &rename, "code=404 msg=\"a \\\"b\\\" c\" path=/x");
        assert_eq!(
            text,
            "{\"app\":\"x\",\"status\":404,\"msg\":\"a \\\"b\\\" c\",\"path\":\"/x\"}"
        );
    }

    #[test]
    fn what_is_of_no_format_is_kept() {
        for (format, line) in
            [(Format::Combined, "nonsense"), (Format::Json, "{"), (Format::Logfmt, "a \"b=")]
        {
            let text = uniform("a", format, &BTreeMap::new(), line);
            let json: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(json["unparsed"], line, "{format:?}");
        }
    }
}
