//! How a task is written down for the main container.

use serde_json::Value;

use crate::broker::Task;

/// A format of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{"id": 3, "key": "k", "tries": 1, "task": ...}`; the body must be JSON.
    Json,
    /// A line of names and one of values; the body must be a flat JSON object.
    Csv,
    /// The body as it is.
    Raw,
}

impl Format {
    /// The format of this name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Format, String> {
        match name {
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            "raw" => Ok(Format::Raw),
            other => Err(format!("--format: {other:?} is none of json, csv, raw")),
        }
    }

    /// What its files end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Raw => "raw",
        }
    }

    /// The file of a task.
    ///
    /// # Errors
    /// If its body cannot be written so: the task is poison.
    pub fn write(self, task: &Task) -> Result<Vec<u8>, String> {
        if self == Format::Raw {
            return Ok(task.body.clone());
        }
        let body: Value =
            serde_json::from_slice(&task.body).map_err(|e| format!("the task is no JSON: {e}"))?;
        let number = |text: &str| text.parse::<u64>().unwrap_or(0);
        if self == Format::Json {
            let whole = serde_json::json!({
                "id": number(&task.id), "key": task.key, "tries": number(&task.tries), "task": body,
            });
            return Ok(whole.to_string().into_bytes());
        }
        let Value::Object(fields) = body else { return Err("the task is no JSON object".into()) };
        let mut names = vec!["id".to_owned(), "key".into(), "tries".into()];
        let mut values = vec![task.id.clone(), quote(&task.key), task.tries.clone()];
        for (name, value) in fields {
            names.push(quote(&name));
            values.push(match value {
                Value::String(text) => quote(&text),
                Value::Null => String::new(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!("{name} is no single value, and CSV has no others"));
                }
                other => other.to_string(),
            });
        }
        Ok(format!("{}\n{}\n", names.join(","), values.join(",")).into_bytes())
    }
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_in_each_format() {
        let task = |body: &str| Task {
            id: "3".into(),
            receipt: "9".into(),
            key: "k".into(),
            tries: "1".into(),
            body: body.as_bytes().to_vec(),
        };
        let text = |f: Format, b| f.write(&task(b)).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(
            text(Format::Json, "{\"a\":1}").unwrap(),
            "{\"id\":3,\"key\":\"k\",\"task\":{\"a\":1},\"tries\":1}"
        );
        assert_eq!(
            text(Format::Csv, "{\"a\":\"x,y\",\"b\":null}").unwrap(),
            "id,key,tries,a,b\n3,k,1,\"x,y\",\n"
        );
        assert_eq!(text(Format::Raw, "a").unwrap(), "a");
        assert!(text(Format::Json, "a").is_err() && text(Format::Csv, "[1]").is_err());
        assert!(text(Format::Csv, "{\"a\":[]}").is_err() && Format::named("xml").is_err());
    }
}
