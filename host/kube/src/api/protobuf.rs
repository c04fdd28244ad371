//! The few bodies that kubectl sends as protobuf and in no other way (`k8s\0` and a
//! `runtime.Unknown`): Namespaces, Secrets, ConfigMaps,
//! ServiceAccounts, delete options. Field numbers: `generated.proto` of
//! `k8s.io/api` and `k8s.io/apimachinery`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Clone, Copy)]
enum Field {
    Text,
    Int,
    Bool,
    Bytes,
    Message(&'static [(u64, &'static str, Field)]),
    /// A map: its entries are messages of a key (1) and a value (2).
    Map(&'static Field),
    /// A list of strings.
    Texts,
}

type Message = &'static [(u64, &'static str, Field)];

const META: Message = &[
    (1, "name", Field::Text),
    (2, "generateName", Field::Text),
    (3, "namespace", Field::Text),
    (5, "uid", Field::Text),
    (6, "resourceVersion", Field::Text),
    (11, "labels", Field::Map(&Field::Text)),
    (12, "annotations", Field::Map(&Field::Text)),
    (14, "finalizers", Field::Texts),
];
const NAMESPACE: Message = &[(1, "metadata", Field::Message(META))];
const SECRET: Message = &[
    (1, "metadata", Field::Message(META)),
    (2, "data", Field::Map(&Field::Bytes)),
    (3, "type", Field::Text),
    (4, "stringData", Field::Map(&Field::Text)),
    (5, "immutable", Field::Bool),
];
const CONFIG_MAP: Message = &[
    (1, "metadata", Field::Message(META)),
    (2, "data", Field::Map(&Field::Text)),
    (3, "binaryData", Field::Map(&Field::Bytes)),
    (4, "immutable", Field::Bool),
];
const ACCOUNT: Message =
    &[(1, "metadata", Field::Message(META)), (4, "automountServiceAccountToken", Field::Bool)];
const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", Field::Int),
    (
        2,
        "preconditions",
        Field::Message(&[(1, "uid", Field::Text), (2, "resourceVersion", Field::Text)]),
    ),
    (3, "orphanDependents", Field::Bool),
    (4, "propagationPolicy", Field::Text),
    (5, "dryRun", Field::Texts),
];
const UNKNOWN: Message =
    &[(1, "typeMeta", Field::Message(&[(1, "apiVersion", Field::Text), (2, "kind", Field::Text)]))];

/// A body as JSON.
///
/// # Errors
/// Why not, in words.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let raw = body.strip_prefix(b"k8s\0").ok_or(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    )?;
    let envelope = message(raw, UNKNOWN)?;
    let kind = envelope["typeMeta"]["kind"].as_str().unwrap_or("").to_string();
    let definition = match kind.as_str() {
        "Namespace" => NAMESPACE,
        "Secret" => SECRET,
        "ConfigMap" => CONFIG_MAP,
        "ServiceAccount" => ACCOUNT,
        "DeleteOptions" => DELETE_OPTIONS,
        _ => return Err(format!("{kind:?} is not understood as protobuf here: send JSON")),
    };
    let mut inner: &[u8] = b"";
    each(raw, |number, payload| {
        if let (2, Payload::Bytes(bytes)) = (number, payload) {
            inner = bytes;
        }
        Ok(())
    })?;
    let mut out = message(inner, definition)?;
    if kind != "DeleteOptions" {
        out["apiVersion"] = envelope["typeMeta"]["apiVersion"].clone();
        out["kind"] = kind.into();
    }
    Ok(out)
}

enum Payload<'a> {
    Int(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut out = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().ok_or("unexpected EOF")?;
        *bytes = rest;
        out |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Ok(out);
        }
    }
    Err("proto: integer overflow".into())
}

fn take<'a>(bytes: &mut &'a [u8], n: u64) -> Result<&'a [u8], String> {
    let n = usize::try_from(n).ok().filter(|n| *n <= bytes.len()).ok_or("unexpected EOF")?;
    let (head, rest) = bytes.split_at(n);
    *bytes = rest;
    Ok(head)
}

fn each<'a>(
    mut bytes: &'a [u8],
    mut f: impl FnMut(u64, Payload<'a>) -> Result<(), String>,
) -> Result<(), String> {
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let payload = match tag & 7 {
            0 => Payload::Int(varint(&mut bytes)?),
            1 => Payload::Bytes(take(&mut bytes, 8)?),
            2 => {
                let n = varint(&mut bytes)?;
                Payload::Bytes(take(&mut bytes, n)?)
            }
            5 => Payload::Bytes(take(&mut bytes, 4)?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        f(tag >> 3, payload)?;
    }
    Ok(())
}

fn message(bytes: &[u8], definition: Message) -> Result<Value, String> {
    let mut out = Map::new();
    each(bytes, |number, payload| {
        let Some((_, name, field)) = definition.iter().find(|(n, _, _)| *n == number) else {
            return Ok(());
        };
        match (field, payload) {
            (Field::Map(of), Payload::Bytes(entry)) => {
                let (mut key, mut value) = (String::new(), Value::from(""));
                each(entry, |n, payload| {
                    match (n, payload) {
                        (1, Payload::Bytes(b)) => key = String::from_utf8_lossy(b).into_owned(),
                        (2, payload) => value = scalar(of, payload)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                let map = out.entry(*name).or_insert_with(|| json!({}));
                map[key] = value;
            }
            (Field::Texts, payload) => {
                let item = scalar(&Field::Text, payload)?;
                if let Some(list) = out.entry(*name).or_insert_with(|| json!([])).as_array_mut() {
                    list.push(item);
                }
            }
            (field, payload) => {
                let value = scalar(field, payload)?;
                // Go writes empty strings where JSON writes nothing.
                if value != "" {
                    out.insert((*name).into(), value);
                }
            }
        }
        Ok(())
    })?;
    Ok(Value::Object(out))
}

fn scalar(field: &Field, payload: Payload<'_>) -> Result<Value, String> {
    match (field, payload) {
        (Field::Text, Payload::Bytes(b)) => match std::str::from_utf8(b) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err("proto: invalid UTF-8 string".into()),
        },
        (Field::Bytes, Payload::Bytes(b)) => Ok(STANDARD.encode(b).into()),
        (Field::Int, Payload::Int(n)) => Ok((n as i64).into()),
        (Field::Bool, Payload::Int(n)) => Ok((n != 0).into()),
        (Field::Message(definition), Payload::Bytes(b)) => message(b, definition),
        _ => Err("proto: wrong wireType".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_as_kubectl_sends_it() {
        let mut body =
            b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x0c\x0a\x0a\x0a\x04demo\x12\x00\x1a\x00"
                .to_vec();
        assert_eq!(
            decode(&body).unwrap(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
        );
        body.truncate(30);
        assert!(decode(&body).is_err());
        assert!(decode(b"{}").is_err());
    }
}
