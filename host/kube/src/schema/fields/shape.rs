//! What a field is: a leaf, a map whose keys are owned one by one, or a list whose items are.

use serde_json::Value;

use crate::schema::table;

/// What is known of a value's form.
#[derive(Clone, Copy, Debug)]
pub enum Shape<'a> {
    /// A definition of the table: a struct.
    Definition(&'a Value),
    /// A field of the table.
    Field(&'a Value),
    /// An object of a custom kind, with its OpenAPI schema.
    Custom(&'a Value),
    /// A part of it.
    Schema(&'a Value),
    /// Nothing: maps are owned key by key, lists as a whole.
    Open,
}

/// How a value is owned.
pub enum Form<'a> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Map,
    /// Item by item, found by keys (name and default).
    Keyed(Vec<(&'a str, &'a Value)>),
    /// Item by item, found by value.
    Set,
}

impl<'a> Shape<'a> {
    /// The shape of a kind; open if it is not in the table.
    pub fn of_kind(group: &str, version: &str, kind: &str) -> Shape<'static> {
        crate::schema::kind(group, version, kind).map_or(Shape::Open, Shape::Definition)
    }

    /// How `value` is owned.
    pub fn form(self, value: &Value) -> Form<'a> {
        match self {
            Shape::Definition(d) if d.get("fields").is_none() || d["map-type"] == "atomic" => {
                Form::Leaf
            }
            Shape::Definition(_) => Form::Map,
            Shape::Field(f) if f["map-type"] == "atomic" => Form::Leaf,
            Shape::Field(f) => match f["ref"].as_str() {
                Some(_) => self.target().map_or(Form::Leaf, |d| Shape::Definition(d).form(value)),
                None if f.get("map").is_some() => Form::Map,
                None => match f["list-type"].as_str() {
                    Some("map") => {
                        let items = Shape::Field(&f["items"]);
                        Form::Keyed(keys(&f["list-map-keys"], |k| items.field_default(k)))
                    }
                    Some("set") => Form::Set,
                    _ => Form::Leaf,
                },
            },
            Shape::Custom(_) => Form::Map,
            Shape::Schema(s) => {
                if s["x-kubernetes-map-type"] == "atomic" {
                    return Form::Leaf;
                }
                match s["type"].as_str() {
                    Some("object") => Form::Map,
                    Some("array") => match s["x-kubernetes-list-type"].as_str() {
                        Some("map") => Form::Keyed(keys(&s["x-kubernetes-list-map-keys"], |k| {
                            &s["items"]["properties"][k]["default"]
                        })),
                        Some("set") => Form::Set,
                        _ => Form::Leaf,
                    },
                    Some(_) => Form::Leaf,
                    None => Shape::Open.form(value),
                }
            }
            Shape::Open => {
                if value.is_object() {
                    Form::Map
                } else {
                    Form::Leaf
                }
            }
        }
    }

    fn target(self) -> Option<&'a Value> {
        match self {
            Shape::Field(f) => table().get(f["ref"].as_str()?),
            Shape::Definition(d) => Some(d),
            _ => None,
        }
    }

    fn field_default(self, key: &str) -> &'a Value {
        self.target().map_or(&Value::Null, |d| &d["fields"][key]["default"])
    }

    /// The shape of a field or a map's value, and whether the schema names it.
    pub fn at(self, key: &str) -> (Shape<'a>, bool) {
        match self {
            Shape::Definition(d) => match d["fields"].get(key) {
                Some(f) => (Shape::Field(f), true),
                None => (Shape::Open, false),
            },
            Shape::Field(f) => match self.target() {
                Some(d) => Shape::Definition(d).at(key),
                None if f.get("map").is_some() => (Shape::Field(&f["map"]), false),
                None => (Shape::Open, false),
            },
            Shape::Custom(_) if key == "metadata" => (
                Shape::Definition(&table()["io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"]),
                true,
            ),
            Shape::Custom(_) if matches!(key, "apiVersion" | "kind") => (Shape::Open, true),
            Shape::Custom(s) | Shape::Schema(s) => match s["properties"].get(key) {
                Some(f) => (Shape::Schema(f), true),
                None if s["additionalProperties"].is_object() => {
                    (Shape::Schema(&s["additionalProperties"]), false)
                }
                None => (Shape::Open, false),
            },
            Shape::Open => (Shape::Open, false),
        }
    }

    /// The shape of a list's items.
    pub fn items(self) -> Shape<'a> {
        match self {
            Shape::Field(f) if f["items"].is_object() => Shape::Field(&f["items"]),
            Shape::Schema(s) if s["items"].is_object() => Shape::Schema(&s["items"]),
            _ => Shape::Open,
        }
    }

    /// The fields that are structs and no pointers in Go: they are there even when they are
    /// empty.
    pub fn always(self) -> impl Iterator<Item = &'a str> {
        let fields = self.target().and_then(|d| d["fields"].as_object());
        fields.into_iter().flatten().filter_map(|(name, f)| {
            let there = f["default"].as_object().is_some_and(serde_json::Map::is_empty)
                && table().get(f["ref"].as_str()?)?.get("fields").is_some();
            there.then_some(name.as_str())
        })
    }

    /// Whether a field may be there: the schema knows it, or knows nothing.
    pub fn knows(self, key: &str) -> bool {
        match self {
            Shape::Definition(d) => d["fields"].get(key).is_some(),
            Shape::Field(f) => match self.target() {
                Some(d) => d.get("fields").is_none() || d["fields"].get(key).is_some(),
                None => f.get("map").is_some(),
            },
            Shape::Custom(_) if matches!(key, "apiVersion" | "kind" | "metadata") => true,
            Shape::Custom(s) | Shape::Schema(s) => {
                s["properties"].get(key).is_some()
                    || s["additionalProperties"].is_object()
                    || s["additionalProperties"] == true
                    || s["x-kubernetes-preserve-unknown-fields"] == true
            }
            Shape::Open => true,
        }
    }
}

fn keys<'a>(list: &'a Value, default: impl Fn(&'a str) -> &'a Value) -> Vec<(&'a str, &'a Value)> {
    let names = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    // An empty default is Go's zero value and stands for none.
    let real = |v: &'a Value| if *v == "" || *v == 0 { &Value::Null } else { v };
    let mut out: Vec<(&str, &Value)> = names.map(|k| (k, real(default(k)))).collect();
    out.sort_unstable_by_key(|(k, _)| *k);
    out
}
