//! Bodies that clients send as protobuf and in no other way (`k8s\0` and a `runtime.Unknown`):
//! any built-in kind, by the table of field numbers beside the schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::schema::{numbers, table};
use crate::store::object;

/// How deep messages may nest.
const DEPTH: usize = 64;
/// How many fields a body may have.
const FIELDS: usize = 200_000;

/// Numbers and switches that are no pointers in Go: protobuf writes them always, JSON leaves
/// them out when they are zero.
const ZERO_IS_NOTHING: [&str; 27] = [
    "count",
    "healthCheckNodePort",
    "failureThreshold",
    "generation",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostPort",
    "initialDelaySeconds",
    "minReadySeconds",
    "nodePort",
    "observedGeneration",
    "paused",
    "periodSeconds",
    "publishNotReadyAddresses",
    "readOnly",
    "stdin",
    "stdinOnce",
    "successThreshold",
    "timeoutSeconds",
    "tty",
    "unschedulable",
    "replicas",
    "priority",
    "isCA",
    "ready",
    "globalDefault",
];

/// A body as JSON.
///
/// # Errors
/// Why not, in words.
pub(super) fn decode(body: &[u8]) -> Result<Value, String> {
    let raw = body.strip_prefix(b"k8s\0").ok_or(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    )?;
    let (mut version, mut kind, mut inner) = (String::new(), String::new(), &b""[..]);
    each(raw, |number, payload| {
        match (number, payload) {
            (1, Payload::Bytes(meta)) => each(meta, |number, payload| {
                if let Payload::Bytes(text) = payload {
                    let text = String::from_utf8_lossy(text).into_owned();
                    match number {
                        1 => version = text,
                        2 => kind = text,
                        _ => {}
                    }
                }
                Ok(())
            })?,
            (2, Payload::Bytes(bytes)) => inner = bytes,
            _ => {}
        }
        Ok(())
    })?;
    let (group, short) = version.split_once('/').unwrap_or(("", &version));
    let definition = match kind.as_str() {
        "DeleteOptions" => Some("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"),
        _ => name_of(group, short, &kind),
    };
    let definition = definition.ok_or_else(|| {
        format!("no kind {kind:?} is registered for version {version:?} in scheme \"pkg/api/legacyscheme/scheme.go:30\"")
    })?;
    let mut left = FIELDS;
    let mut out = message(inner, definition, DEPTH, &mut left)?;
    if kind != "DeleteOptions" {
        out.insert("apiVersion".into(), version.into());
        out.insert("kind".into(), kind.into());
    }
    Ok(Value::Object(out))
}

fn name_of(group: &str, version: &str, kind: &str) -> Option<&'static str> {
    let wanted = crate::schema::kind(group, version, kind)?;
    let all = table().as_object()?;
    all.iter().find(|(_, d)| std::ptr::eq(*d, wanted)).map(|(name, _)| name.as_str())
}

enum Payload<'a> {
    Int(u64),
    Fixed(&'a [u8]),
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
            1 => Payload::Fixed(take(&mut bytes, 8)?),
            2 => {
                let n = varint(&mut bytes)?;
                Payload::Bytes(take(&mut bytes, n)?)
            }
            5 => Payload::Fixed(take(&mut bytes, 4)?),
            other => return Err(format!("proto: illegal wireType {other}")),
        };
        f(tag >> 3, payload)?;
    }
    Ok(())
}

fn message(
    bytes: &[u8],
    definition: &str,
    depth: usize,
    left: &mut usize,
) -> Result<Map<String, Value>, String> {
    let mut out = Map::new();
    let fields = &table()[definition]["fields"];
    fill(bytes, &numbers()[definition], fields, depth, left, &mut out)?;
    Ok(out)
}

/// Reads a message into `out`. Structs that Go embeds are messages of their own whose fields
/// JSON has in the outer object: "+2" in the table of numbers.
fn fill(
    bytes: &[u8],
    numbers: &'static Value,
    fields: &'static Value,
    depth: usize,
    left: &mut usize,
    out: &mut Map<String, Value>,
) -> Result<(), String> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err("proto: exceeded maximum recursion depth".into());
    };
    each(bytes, |number, payload| {
        *left = left.checked_sub(1).ok_or("proto: too many fields")?;
        if let (Payload::Bytes(inner), Some(embedded)) =
            (&payload, numbers.get(format!("+{number}")))
        {
            return fill(inner, embedded, fields, depth, left, out);
        }
        let known = numbers.as_object().into_iter().flatten().find(|(_, n)| **n == number);
        let Some((name, _)) = known else { return Ok(()) };
        let field = &fields[name.as_str()];
        if let Some(of) = field.get("map") {
            let Payload::Bytes(entry) = payload else { return Err(wrong()) };
            let (mut key, mut value) = (String::new(), empty(of));
            each(entry, |n, payload| {
                match (n, payload) {
                    (1, Payload::Bytes(b)) => key = text(b)?,
                    (2, payload) => value = one(payload, of, depth, left)?,
                    _ => {}
                }
                Ok(())
            })?;
            let map = out.entry(name.as_str()).or_insert_with(|| json!({}));
            object::map_mut(map).insert(key, value);
        } else if let Some(items) = field.get("items") {
            let list = out.entry(name.as_str()).or_insert_with(|| json!([]));
            let list = list.as_array_mut().expect("just made one");
            match payload {
                // Numbers may come packed.
                Payload::Bytes(mut packed) if items["type"] == "integer" => {
                    while !packed.is_empty() {
                        *left = left.checked_sub(1).ok_or("proto: too many fields")?;
                        list.push((varint(&mut packed)? as i64).into());
                    }
                }
                payload => list.push(one(payload, items, depth, left)?),
            }
        } else {
            let value = one(payload, field, depth, left)?;
            let zero = value == 0 || value == false;
            let nothing = value.is_null()
                || value == ""
                || (zero
                    && ZERO_IS_NOTHING.contains(&name.as_str())
                    && !(name == "replicas" && numbers.get("template").is_some()));
            if !nothing {
                out.insert(name.clone(), value);
            }
        }
        Ok(())
    })
}

/// What an entry of a map without a value holds.
fn empty(of: &Value) -> Value {
    match (of["type"].as_str(), of["ref"].as_str()) {
        (Some("string"), _) => "".into(),
        (Some("boolean"), _) => false.into(),
        (Some("integer"), _) => 0.into(),
        (_, Some(_)) => json!({}),
        _ => Value::Null,
    }
}

fn wrong() -> String {
    "proto: wrong wireType".into()
}

fn text(bytes: &[u8]) -> Result<String, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err("proto: invalid UTF-8 string".into()),
    }
}

fn one(
    payload: Payload<'_>,
    field: &'static Value,
    depth: usize,
    left: &mut usize,
) -> Result<Value, String> {
    if let Some(reference) = field["ref"].as_str() {
        let Payload::Bytes(bytes) = payload else { return Err(wrong()) };
        return referred(bytes, reference, depth, left);
    }
    Ok(match (field["type"].as_str(), payload) {
        (Some("string"), Payload::Bytes(b)) if field["format"] == "byte" => {
            STANDARD.encode(b).into()
        }
        (Some("string"), Payload::Bytes(b)) => text(b)?.into(),
        (Some("integer"), Payload::Int(n)) => (n as i64).into(),
        (Some("boolean"), Payload::Int(n)) => (n != 0).into(),
        (Some("number"), Payload::Fixed(b)) => match b.try_into() {
            Ok(bytes) => f64::from_le_bytes(bytes).into(),
            Err(_) => return Err(wrong()),
        },
        // A list in a map is a message with the items in its field 1.
        (Some("array"), Payload::Bytes(b)) => {
            let mut list = Vec::new();
            let items = &field["items"];
            each(b, |n, payload| {
                *left = left.checked_sub(1).ok_or("proto: too many fields")?;
                if n == 1 {
                    list.push(one(payload, items, depth, left)?);
                }
                Ok(())
            })?;
            list.into()
        }
        // An object without a schema travels as JSON.
        (Some("object") | None, Payload::Bytes(b)) => raw(b)?,
        _ => return Err(wrong()),
    })
}

fn raw(bytes: &[u8]) -> Result<Value, String> {
    let mut out = Value::Null;
    each(bytes, |n, payload| {
        if let (1, Payload::Bytes(b)) = (n, payload) {
            out = crate::schema::parse::json(b).map(|d| d.value)?;
        }
        Ok(())
    })?;
    Ok(out)
}

fn referred(
    bytes: &[u8],
    reference: &'static str,
    depth: usize,
    left: &mut usize,
) -> Result<Value, String> {
    if table()[reference].get("fields").is_some() {
        return message(bytes, reference, depth, left).map(Value::Object);
    }
    let (mut a, mut b, mut string) = (0u64, 0u64, Value::Null);
    let short = reference.rsplit('.').next().unwrap_or("");
    if matches!(short, "FieldsV1" | "RawExtension" | "JSON") {
        return raw(bytes);
    }
    each(bytes, |n, payload| {
        match (n, payload) {
            (1, Payload::Int(v)) => a = v,
            (2, Payload::Int(v)) => b = v,
            (1 | 3, Payload::Bytes(s)) => string = text(s)?.into(),
            _ => {}
        }
        Ok(())
    })?;
    let nanos = || a.saturating_mul(1_000_000_000).saturating_add(b.min(999_999_999));
    Ok(match short {
        // A time of zero is none.
        "Time" | "MicroTime" if a == 0 || a >= 1 << 34 => Value::Null,
        "Time" => object::time(nanos()).into(),
        "MicroTime" => object::micro_time(nanos()).into(),
        "IntOrString" if a == 0 => (b as i64).into(),
        "IntOrString" | "Quantity" => string,
        _ => Value::Null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut n = bytes.len();
        while n > 127 {
            out.push((n & 127) as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
        out.extend(bytes);
        out
    }

    fn body(version: &str, kind: &str, inner: &[u8]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [b"k8s\0".to_vec(), field(1, &meta), field(2, inner)].concat()
    }

    #[test]
    fn a_deployment_with_what_go_embeds() {
        // A probe's handler and a volume's source are embedded; a port is int-or-string.
        let get = field(1, &field(2, &[field(1, b"/ok"), field(2, &[0x08, 0, 0x10, 80])].concat()));
        let container = [
            field(1, b"c"),
            field(2, b"i:1"),
            field(11, &get),
            field(8, &field(2, &[field(1, b"cpu"), field(2, &field(1, b"100m"))].concat())),
        ]
        .concat();
        let volume = [field(1, b"v"), field(2, &field(2, b""))].concat();
        let pod = [field(1, &volume), field(2, &container), vec![0x58, 0]].concat();
        let spec = [vec![0x08, 0], field(3, &field(2, &pod)), vec![0x28, 0]].concat();
        let sent = body("apps/v1", "Deployment", &field(2, &spec));
        assert_eq!(
            decode(&sent).unwrap(),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 0, "template": {"spec": {
                "containers": [{"name": "c", "image": "i:1", "readinessProbe": {"httpGet": {"path": "/ok", "port": 80}},
                    "resources": {"requests": {"cpu": "100m"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}]}}}})
        );
    }

    #[test]
    fn every_built_in_kind_is_understood() {
        for (name, definition) in table().as_object().unwrap() {
            for gvk in definition["gvk"].as_array().into_iter().flatten() {
                let mut parts = gvk.as_str().unwrap().split('/');
                let (group, version, kind) =
                    (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
                let gv =
                    if group.is_empty() { version.into() } else { format!("{group}/{version}") };
                let meta = field(1, &field(1, b"x"));
                if definition["fields"]["metadata"]["ref"]
                    == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
                {
                    let got = decode(&body(&gv, kind, &meta)).unwrap();
                    assert_eq!(got["metadata"]["name"], "x", "{name}");
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn garbage_never_panics(
            kind in prop::sample::select(vec![("v1", "Pod"), ("apps/v1", "Deployment"), ("batch/v1", "CronJob"), ("v1", "DeleteOptions"), ("autoscaling/v2", "HorizontalPodAutoscaler"), ("apiextensions.k8s.io/v1", "CustomResourceDefinition")]),
            inner in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..40], 0..300),
        ) {
            let _ = decode(&body(kind.0, kind.1, &inner));
            let _ = decode(&[b"k8s\0", &inner[..]].concat());
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut deep = Vec::new();
        for _ in 0..2000 {
            deep = field(2, &deep);
        }
        // JSONSchemaProps nest in themselves.
        let sent = body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &deep);
        let _ = decode(&sent);
        let mut not = Vec::new();
        for _ in 0..200 {
            not = field(29, &not).into_iter().collect();
        }
        let _ = decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &not));
    }
}
