//! `kubectl explain`, from the server's OpenAPI.

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::flags::Args;
use crate::kubectl::Kubectl;

/// Its flags.
pub const FLAGS: &str = "recursive/R api-version= output/o=";

/// Runs it.
///
/// # Errors
/// As kubectl.
pub async fn run(k: &mut Kubectl<'_>, args: &Args) -> Result<()> {
    let [word] = &args.words[..] else {
        return Err(Failure::new(if args.words.is_empty() {
            "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n"
        } else {
            "We accept only this format: explain RESOURCE\n"
        }.trim_end()));
    };
    let mut parts = word.split('.');
    let kind = parts.next().unwrap_or("");
    let fields: Vec<&str> = parts.collect();
    // kubectl says this without "error:".
    let plain = |f: Failure| Failure::plain(f.text.replacen("error: ", "", 1));
    let resource = k.client.kind(kind).await.map_err(plain)?;
    let path = if resource.group.is_empty() {
        format!("/openapi/v3/api/{}", resource.version)
    } else {
        format!("/openapi/v3/apis/{}/{}", resource.group, resource.version)
    };
    let document = k.client.get(&path).await?;
    let schemas = &document["components"]["schemas"];
    let gvk = |s: &Value| {
        let all = s["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        all.into_iter().any(|g| {
            g["kind"] == resource.kind.as_str()
                && g["version"] == resource.version.as_str()
                && g["group"].as_str().unwrap_or("") == resource.group
        })
    };
    let root = schemas.as_object().into_iter().flatten().map(|(_, s)| s).find(|s| gvk(s));
    let Some(root) = root else {
        return Err(Failure::new(format!(
            "couldn't find resource for \"{}, Kind={}\"",
            resource.api_version(),
            resource.kind
        )));
    };
    let mut at = root;
    let mut said = None;
    let mut out = String::new();
    if !resource.group.is_empty() {
        out += &format!("GROUP:      {}\n", resource.group);
    }
    out += &format!("KIND:       {}\nVERSION:    {}\n\n", resource.kind, resource.version);
    for (i, field) in fields.iter().enumerate() {
        let inside = resolved(schemas, at).0;
        let Some(next) = inside["properties"].get(*field) else {
            k.print(out);
            return Err(Failure::new(format!("field {:?} does not exist", fields[i])));
        };
        said = Some(next);
        at = next;
    }
    let (inside, _) = resolved(schemas, at);
    if let Some(field) = fields.last() {
        out += &format!("FIELD: {field} <{}>\n", type_of(schemas, at));
        let values = enumeration(at, inside);
        if !values.is_empty() {
            out += &format!("ENUM:\n    {}\n", values.join("\n    "));
        }
        out += "\n";
        if values.is_empty() && inside["properties"].is_null() {
            out += "\n";
        }
    }
    let text = said.and_then(|s| s["description"].as_str()).or(inside["description"].as_str());
    out += "DESCRIPTION:\n";
    match text.filter(|t| !t.is_empty()) {
        Some(text) => out += &format!("{}\n    \n", wrapped(text, "    ")),
        None => out += "    <empty>\n",
    }
    let required: Vec<&str> =
        inside["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(properties) = inside["properties"].as_object() {
        out += "FIELDS:\n";
        let recursive = args.on("recursive");
        list(schemas, properties, &required, 2, recursive, &mut Vec::new(), &mut out);
        out += "\n";
    } else {
        out += "\n";
    }
    k.print(out);
    Ok(())
}

/// Prose in lines of at most 76 characters, each after `margin`
/// (`k8s.io/kubectl/pkg/explain/v2/funcs.go`).
fn wrapped(text: &str, margin: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > 76 {
                out.push(format!("{margin}{line}"));
                line = word.to_owned();
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        out.push(format!("{margin}{line}"));
    }
    out.join("\n")
}

/// The schema behind a reference or in a list, and the reference's name.
fn resolved<'s>(schemas: &'s Value, schema: &'s Value) -> (&'s Value, Option<&'s str>) {
    let mut schema = schema;
    let mut name = None;
    for _ in 0..8 {
        let reference = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
        if let Some(reference) = reference {
            let key = reference.rsplit('/').next().unwrap_or("");
            name = Some(key);
            schema = &schemas[key];
        } else if !schema["items"].is_null() {
            schema = &schema["items"];
        } else if schema["additionalProperties"].is_object() {
            schema = &schema["additionalProperties"];
        } else {
            break;
        }
    }
    (schema, name)
}

/// The values that a field may have, in order.
fn enumeration(schema: &Value, resolved: &Value) -> Vec<String> {
    let all = schema["enum"].as_array().or(resolved["enum"].as_array());
    let mut all: Vec<String> =
        all.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    all.sort();
    all
}

fn type_of(schemas: &Value, schema: &Value) -> String {
    let reference = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let key = reference.rsplit('/').next().unwrap_or("");
        let target = &schemas[key];
        return match target["type"].as_str() {
            Some(plain @ ("string" | "integer" | "number" | "boolean"))
                if target["properties"].is_null() =>
            {
                plain.to_owned()
            }
            _ => key.rsplit('.').next().unwrap_or("").to_owned(),
        };
    }
    if !schema["items"].is_null() {
        return format!("[]{}", type_of(schemas, &schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!("map[string]{}", type_of(schemas, &schema["additionalProperties"]));
    }
    match schema["type"].as_str() {
        Some("object") | None => "Object".into(),
        Some(plain) => plain.to_owned(),
    }
}

fn list(
    schemas: &Value,
    properties: &serde_json::Map<String, Value>,
    required: &[&str],
    indent: usize,
    recursive: bool,
    within: &mut Vec<String>,
    out: &mut String,
) {
    let margin = " ".repeat(indent);
    for (name, schema) in properties {
        let must = if required.contains(&name.as_str()) { " -required-" } else { "" };
        *out += &format!("{margin}{name}\t<{}>{must}\n", type_of(schemas, schema));
        let values = enumeration(schema, resolved(schemas, schema).0);
        if !values.is_empty() {
            let more = values.len() > 4;
            let few: Vec<String> = values.into_iter().take(4).collect();
            *out +=
                &format!("{margin}enum: {}{}\n", few.join(", "), if more { ", ...." } else { "" });
        }
        if !recursive {
            let text = schema["description"]
                .as_str()
                .filter(|t| !t.is_empty())
                .unwrap_or("<no description>");
            *out += &format!("{}\n\n", wrapped(text, &format!("{margin}  ")));
            continue;
        }
        let (inside, key) = resolved(schemas, schema);
        let key = key.unwrap_or("").to_owned();
        if let Some(inner) = inside["properties"].as_object()
            && !within.contains(&key)
            && within.len() < 16
        {
            within.push(key);
            let must: Vec<&str> = inside["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            list(schemas, inner, &must, indent + 2, true, within, out);
            within.pop();
        }
    }
}
