//! How kubectl says that something went wrong (`cmd/util/helpers.go`).

use serde_json::Value;

/// Why a command ends, as it is printed, and its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What goes to standard error, with no line end at its end; nothing if "".
    pub text: String,
    /// The exit code.
    pub code: i32,
}

/// What a step of a command gives.
pub type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    /// A mistake that kubectl itself noticed.
    pub fn new(text: impl AsRef<str>) -> Failure {
        let text = text.as_ref();
        let text = if text.starts_with("error: ") || text.starts_with("Error from server") {
            text.to_owned()
        } else {
            format!("error: {text}")
        };
        Failure { text, code: 1 }
    }

    /// A wrong use of `command` ("kubectl get").
    pub fn usage(command: &str, text: impl AsRef<str>) -> Failure {
        let text = text.as_ref();
        Failure::new(format!("{text}\nSee '{command} -h' for help and examples"))
    }

    /// A text as it is.
    pub fn plain(text: impl Into<String>) -> Failure {
        Failure { text: text.into(), code: 1 }
    }

    /// Only an exit code.
    pub fn code(code: i32) -> Failure {
        Failure { text: String::new(), code }
    }

    /// What the server refused.
    pub fn status(status: &Value) -> Failure {
        Failure::of_status(status, "")
    }

    /// What the server refused, and while doing what ("error when creating \"STDIN\"").
    pub fn of_status(status: &Value, doing: &str) -> Failure {
        let reason = status["reason"].as_str().unwrap_or("");
        let message = status["message"].as_str().unwrap_or("the server gave no reason");
        if reason == "Invalid" && doing.is_empty() {
            return Failure::plain(invalid(status));
        }
        let message =
            if doing.is_empty() { message.to_owned() } else { format!("{doing}: {message}") };
        if reason == "Invalid" {
            let mut status = status.clone();
            status["message"] = message.into();
            return Failure::plain(invalid(&status));
        }
        Failure::plain(if reason.is_empty() || reason == "Unknown" {
            format!("Error from server: {message}")
        } else {
            format!("Error from server ({reason}): {message}")
        })
    }

    /// Several as one, each on its line; `None` if there are none.
    pub fn all(failures: Vec<Failure>) -> Option<Failure> {
        let code = failures.last()?.code;
        let mut texts: Vec<String> = Vec::new();
        for failure in failures {
            if !texts.contains(&failure.text) {
                texts.push(failure.text);
            }
        }
        Some(Failure { text: texts.join("\n"), code })
    }

    /// Whether it is that an object is not there.
    pub fn is_not_found(&self) -> bool {
        self.text.starts_with("Error from server (NotFound)")
    }
}

/// "The Pod "x" is invalid: ..." with the causes.
fn invalid(status: &Value) -> String {
    let details = &status["details"];
    let (kind, name) =
        (details["kind"].as_str().unwrap_or(""), details["name"].as_str().unwrap_or(""));
    let mut causes: Vec<String> = Vec::new();
    for cause in details["causes"].as_array().into_iter().flatten() {
        let field = cause["field"].as_str().unwrap_or("");
        let message = cause["message"].as_str().unwrap_or("");
        let text =
            if field.is_empty() { message.to_owned() } else { format!("{field}: {message}") };
        if !causes.contains(&text) {
            causes.push(text);
        }
    }
    if details.is_null() || kind.is_empty() && name.is_empty() {
        let message = status["message"].as_str().unwrap_or("");
        return format!("The request is invalid: {message}");
    }
    let head = if name.is_empty() {
        format!("The {kind} is invalid")
    } else {
        format!("The {kind} {name:?} is invalid")
    };
    match causes.len() {
        0 => head,
        1 => format!("{head}: {}", causes[0]),
        _ => format!("{head}: \n* {}", causes.join("\n* ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_server_says() {
        let status = json!({"reason": "NotFound", "message": "pods \"x\" not found"});
        assert_eq!(
            Failure::status(&status).text,
            "Error from server (NotFound): pods \"x\" not found"
        );
        let causes = json!([{"field": "a.b", "message": "no"}, {"field": "c", "message": "nor"}]);
        let status = json!({"reason": "Invalid", "message": "",
            "details": {"kind": "Pod", "name": "x", "causes": causes}});
        assert_eq!(
            Failure::status(&status).text,
            "The Pod \"x\" is invalid: \n* a.b: no\n* c: nor"
        );
    }
}
