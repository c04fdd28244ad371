//! Errors as Kubernetes words them: a `Status` with code, reason, message and details.

use serde_json::{Map, Value, json};

use super::resource::Resource;

/// A failure that the API answers as a `Status` object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status.
    pub code: u16,
    /// The machine's word for it ("NotFound"); empty for `Unknown`.
    pub reason: &'static str,
    /// The sentence for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
    /// Where a list that is too old to go on may be resumed.
    pub resume: Option<String>,
}

/// What an [`Error`] is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource ("pods") or, for invalid objects, the kind ("Pod").
    pub kind: String,
    /// The object's uid.
    pub uid: String,
    /// The single reasons.
    pub causes: Vec<Cause>,
    /// When to try again, in seconds; 0 for not said.
    pub retry_after_seconds: u32,
}

/// One reason among the [`Details`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// "FieldValueInvalid", ...
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// The path of the field.
    pub field: String,
}

impl Error {
    /// An error without details.
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Error {
        Error { code, reason, message: message.into(), details: None, resume: None }
    }

    fn about(mut self, r: &Resource, name: &str) -> Error {
        self.details = Some(Box::new(Details {
            name: name.into(),
            group: r.group.to_string(),
            kind: r.plural.to_string(),
            ..Details::default()
        }));
        self
    }

    /// 404 for an object.
    pub fn not_found(r: &Resource, name: &str) -> Error {
        Error::new(404, "NotFound", format!("{} {name:?} not found", r.qualified())).about(r, name)
    }

    /// 404 for a path.
    pub fn no_such_path() -> Error {
        let mut e = Error::new(404, "NotFound", "the server could not find the requested resource");
        e.details = Some(Box::default());
        e
    }

    /// 409 for a name that is taken.
    pub fn already_exists(r: &Resource, name: &str) -> Error {
        Error::new(409, "AlreadyExists", format!("{} {name:?} already exists", r.qualified()))
            .about(r, name)
    }

    /// 409 with the reason `why`.
    pub fn conflict(r: &Resource, name: &str, why: &str) -> Error {
        Error::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {} {name:?}: {why}", r.qualified()),
        )
        .about(r, name)
    }

    /// 409 for a stale resourceVersion.
    pub fn modified(r: &Resource, name: &str) -> Error {
        Error::conflict(
            r,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 403 with the reason `why`.
    pub fn forbidden(r: &Resource, name: &str, why: &str) -> Error {
        let message = if name.is_empty() {
            format!("{} is forbidden: {why}", r.qualified())
        } else {
            format!("{} {name:?} is forbidden: {why}", r.qualified())
        };
        Error::new(403, "Forbidden", message).about(r, name)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Error {
        Error::new(400, "BadRequest", message)
    }

    /// 410: the watch log no longer reaches back that far.
    pub fn expired(message: impl Into<String>) -> Error {
        Error::new(410, "Expired", message)
    }

    /// 405.
    pub fn method_not_allowed() -> Error {
        let mut e = Error::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        e.details = Some(Box::default());
        e
    }

    /// 500.
    pub fn internal(message: impl Into<String>) -> Error {
        let message = message.into();
        let mut e = Error::new(500, "InternalError", format!("Internal error occurred: {message}"));
        e.details = Some(Box::new(Details {
            causes: vec![Cause { message, ..Cause::default() }],
            ..Details::default()
        }));
        e
    }

    /// 422: `errors` must not be empty.
    pub fn invalid(kind: &str, group: &str, name: &str, errors: &[FieldError]) -> Error {
        let qualified = if group.is_empty() { kind.to_string() } else { format!("{kind}.{group}") };
        // As Kubernetes' aggregate does, the same sentence is said once.
        let mut said: Vec<String> = Vec::new();
        for e in errors {
            let text = e.to_string();
            if !said.contains(&text) {
                said.push(text);
            }
        }
        let list = if said.len() == 1 { said.remove(0) } else { format!("[{}]", said.join(", ")) };
        let mut e = Error::new(422, "Invalid", format!("{qualified} {name:?} is invalid: {list}"));
        e.details = Some(Box::new(Details {
            name: name.into(),
            group: group.into(),
            kind: kind.into(),
            causes: errors
                .iter()
                .map(|e| Cause {
                    reason: e.kind.reason().into(),
                    message: e.body(),
                    field: e.field.clone(),
                })
                .collect(),
            ..Details::default()
        }));
        e
    }

    /// Whether one of its causes has this reason ("NamespaceTerminating").
    pub fn is_about(&self, cause: &str) -> bool {
        self.details.as_ref().is_some_and(|d| d.causes.iter().any(|c| c.reason == cause))
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        let mut out = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = self.reason.into();
        }
        if let Some(token) = &self.resume {
            out["metadata"]["continue"] = token.as_str().into();
        }
        if let Some(d) = &self.details {
            let mut map = Map::new();
            let mut put = |key: &str, value: &str| {
                if !value.is_empty() {
                    map.insert(key.into(), value.into());
                }
            };
            put("name", &d.name);
            put("group", &d.group);
            put("kind", &d.kind);
            put("uid", &d.uid);
            if !d.causes.is_empty() {
                let causes = d.causes.iter().map(|c| {
                    let mut cause = Map::new();
                    for (key, value) in
                        [("reason", &c.reason), ("message", &c.message), ("field", &c.field)]
                    {
                        if !value.is_empty() {
                            cause.insert(key.into(), value.as_str().into());
                        }
                    }
                    Value::Object(cause)
                });
                map.insert("causes".into(), causes.collect());
            }
            if d.retry_after_seconds > 0 {
                map.insert("retryAfterSeconds".into(), d.retry_after_seconds.into());
            }
            out["details"] = Value::Object(map);
        }
        out
    }
}

/// What is wrong with a field (`k8s.io/apimachinery/pkg/util/validation/field/errors.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// It must be set.
    Required,
    /// Its value is wrong.
    Invalid,
    /// It is not one of the values that exist.
    NotSupported,
    /// It is there twice.
    Duplicate,
    /// What it names is not there.
    NotFound,
    /// It may not be set.
    Forbidden,
    /// It is too long.
    TooLong,
    /// There are too many.
    TooMany,
}

impl FieldErrorKind {
    fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::NotFound => "Not found",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
        }
    }
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// Its path ("spec.containers\[0\].name").
    pub field: String,
    /// The value as Go prints it (strings quoted); empty if the message shows none.
    pub value: String,
    /// Why, in words; may be empty.
    pub detail: String,
}

/// A string as Go's `%q` prints it, close enough for names and messages.
pub fn quoted(text: &str) -> String {
    format!("{text:?}")
}

impl FieldError {
    fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: String,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError { kind, field: field.into(), value, detail: detail.into() }
    }

    /// It must be set.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Required, field, String::new(), detail)
    }

    /// The string is wrong.
    pub fn invalid(field: impl Into<String>, value: &str, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Invalid, field, quoted(value), detail)
    }

    /// A value that is not a string is wrong.
    pub fn invalid_raw(
        field: impl Into<String>,
        value: impl ToString,
        detail: impl Into<String>,
    ) -> FieldError {
        FieldError::new(FieldErrorKind::Invalid, field, value.to_string(), detail)
    }

    /// Not one of `supported`, which are listed in their given order.
    pub fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> FieldError {
        let list: Vec<String> = supported.iter().map(|s| quoted(s)).collect();
        let detail = format!("supported values: {}", list.join(", "));
        FieldError::new(FieldErrorKind::NotSupported, field, quoted(value), detail)
    }

    /// There twice.
    pub fn duplicate(field: impl Into<String>, value: &str) -> FieldError {
        FieldError::new(FieldErrorKind::Duplicate, field, quoted(value), "")
    }

    /// It names something that is not there.
    pub fn not_found(field: impl Into<String>, value: &str) -> FieldError {
        FieldError::new(FieldErrorKind::NotFound, field, quoted(value), "")
    }

    /// It may not be set, or not be changed.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> FieldError {
        FieldError::new(FieldErrorKind::Forbidden, field, String::new(), detail)
    }

    /// Longer than `limit` bytes.
    pub fn too_long(field: impl Into<String>, limit: usize) -> FieldError {
        let detail = format!("may not be more than {limit} bytes");
        FieldError::new(FieldErrorKind::TooLong, field, String::new(), detail)
    }

    /// A value that is not a string is there twice.
    pub fn duplicate_raw(field: impl Into<String>, value: impl ToString) -> FieldError {
        FieldError::new(FieldErrorKind::Duplicate, field, value.to_string(), "")
    }

    /// `given` of what there may be `limit` of.
    pub fn too_many(field: impl Into<String>, given: usize, limit: usize) -> FieldError {
        let detail = format!("must have at most {limit} items");
        FieldError::new(FieldErrorKind::TooMany, field, given.to_string(), detail)
    }

    /// The message without the field.
    pub fn body(&self) -> String {
        let mut out = self.kind.words().to_string();
        for part in [&self.value, &self.detail] {
            if !part.is_empty() {
                out.push_str(": ");
                out.push_str(part);
            }
        }
        out
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}
