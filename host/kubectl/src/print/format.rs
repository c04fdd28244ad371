//! `-o`: which form the output has.

use serde_json::{Value, json};

use super::jsonpath::{Template, go};
use super::{columns, json, yaml};
use crate::failure::{Failure, Result};

/// A form of output.
#[derive(Clone, Debug)]
pub enum Format {
    /// A table, perhaps wide.
    Table(bool),
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `kind/name`.
    Name,
    /// A template.
    Path(Template, bool),
    /// Columns of one's own.
    Columns(String),
}

/// All forms, as the message about unknown ones lists them.
const KNOWN: &str = "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,yaml";
const KNOWN_GET: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,templatefile,wide,yaml";

/// Reads `-o`; `get` allows tables.
///
/// # Errors
/// If it is unknown.
pub fn format(text: &str, get: bool) -> Result<Format> {
    let unknown = || {
        let known = if get { KNOWN_GET } else { KNOWN };
        Failure::new(format!(
            "unable to match a printer suitable for the output format \"{text}\", allowed formats are: {known}"
        ))
    };
    let (name, rest) = text.split_once('=').unwrap_or((text, ""));
    match name {
        "" if get => Ok(Format::Table(false)),
        "wide" if get => Ok(Format::Table(true)),
        "json" => Ok(Format::Json),
        "yaml" => Ok(Format::Yaml),
        "name" => Ok(Format::Name),
        "jsonpath" | "jsonpath-as-json" => {
            if rest.is_empty() {
                return Err(Failure::new("template format specified but no template given"));
            }
            let template = Template::parse(rest).map_err(Failure::new)?;
            Ok(Format::Path(template, name == "jsonpath-as-json"))
        }
        "custom-columns" if get => Ok(Format::Columns(rest.into())),
        "go-template" | "template" => Err(Failure::new(
            "Go templates are not known in the page's terminal: use -o jsonpath or -o custom-columns",
        )),
        _ => Err(unknown()),
    }
}

/// An object without the fields that are not for people.
pub fn without_managed(mut object: Value, keep: bool) -> Value {
    if !keep && let Some(meta) = object["metadata"].as_object_mut() {
        meta.remove("managedFields");
    }
    object
}

/// Objects as one list.
pub fn list(items: Vec<Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

impl Format {
    /// What an object looks like; `shown` is `kind.group/name`.
    ///
    /// # Errors
    /// If a template cannot be filled in.
    pub fn object(&self, object: &Value, shown: &str) -> Result<String> {
        Ok(match self {
            Format::Json => json::pretty(object),
            Format::Yaml => yaml::yaml(object),
            Format::Name => format!("{shown}\n"),
            Format::Path(template, as_json) => {
                let failed = |why: String| {
                    let (text, object) = (template.text(), go(object));
                    Failure::new(format!(
                        "error executing jsonpath \"{}\": Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{text}\n\tobject given to jsonpath engine was:\n\t\t{object}\n\n",
                        text.replace('\\', "\\\\").replace('"', "\\\""),
                    ))
                };
                if *as_json {
                    let found = template.find(object).map_err(failed)?;
                    return Ok(json::pretty(&Value::Array(found.into_iter().cloned().collect())));
                }
                template.run(object).map_err(failed)?
            }
            Format::Columns(spec) => {
                let items = match object["items"].as_array() {
                    Some(items) if object["kind"] == "List" => items.clone(),
                    _ => vec![object.clone()],
                };
                columns::columns(spec, &items, true)?
            }
            Format::Table(_) => String::new(),
        })
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        matches!(self, Format::Table(_))
    }
}
