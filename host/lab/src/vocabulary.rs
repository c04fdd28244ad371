//! The words that expressions may use: kinds of events and their fields, and what was meant by a
//! word that is not among them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use podlab_trace::Kind;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};

/// What the names of its place and the clock add to every event (see `History::event`).
const OF_EVERY_EVENT: &[&str] = &[
    "seq",
    "at",
    "place",
    "cause",
    "kind",
    "node",
    "namespace",
    "pod",
    "container",
    "seconds",
    "payloadBase64",
    "bodyBase64",
];

/// The kinds of events, and the fields that at least one of them has.
pub struct Vocabulary {
    /// "connect", "message".
    pub kinds: Vec<&'static str>,
    /// "conn", "summary", and those of every event.
    pub fields: BTreeSet<&'static str>,
}

/// The words of the event model, asked of the model itself.
pub static EVENTS: LazyLock<Vocabulary> = LazyLock::new(|| {
    let mut fields: BTreeSet<&str> = OF_EVERY_EVENT.iter().copied().collect();
    let mut nth = 0;
    loop {
        let mut seen = Seen::default();
        // Always an error: nothing is ever read, only the names are noted.
        let _: Result<Kind, _> = de::Deserialize::deserialize(Asking { nth, seen: &mut seen });
        let kinds = seen.variants;
        if nth >= kinds.len() as u32 {
            return Vocabulary { kinds, fields };
        }
        fields.extend(seen.fields);
        nth += 1;
    }
});

/// The name of an event's kind, as `event.kind` has it.
pub fn kind_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Place { .. } => "place",
        Kind::Listen { .. } => "listen",
        Kind::Unlisten { .. } => "unlisten",
        Kind::Resolve { .. } => "resolve",
        Kind::Connect { .. } => "connect",
        Kind::Accept { .. } => "accept",
        Kind::Refuse { .. } => "refuse",
        Kind::Data { .. } => "data",
        Kind::Shut { .. } => "shut",
        Kind::Reset { .. } => "reset",
        Kind::Close { .. } => "close",
        Kind::Datagram { .. } => "datagram",
        Kind::Message { .. } => "message",
        Kind::File { .. } => "file",
        Kind::Start { .. } => "start",
        Kind::Exit { .. } => "exit",
        Kind::Signal { .. } => "signal",
        Kind::Log { .. } => "log",
        Kind::Probe { .. } => "probe",
        Kind::Object { .. } => "object",
        Kind::Input { .. } => "input",
        Kind::Fault { .. } => "fault",
        Kind::Check { .. } => "check",
    }
}

/// The end of a sentence about an unknown `word`: "; did you mean \"ready\"?" if one of `known` is
/// near it, else a full stop.
pub fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or(".".into(), |near| format!("; did you mean {near:?}?"))
}

/// The word of `known` that is nearest to `word`, if any is near.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|k| (distance(word, k), !k.starts_with(word), k))
        .filter(|(d, ..)| *d <= allowed)
        .min()
        .map(|(.., k)| k)
}

/// How many letters must be put in, left out, replaced, or swapped with their neighbour
/// (optimal string alignment), letters of either case being equal.
fn distance(a: &str, b: &str) -> usize {
    let letters = |s: &str| s.to_lowercase().chars().take(64).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[derive(Default)]
struct Seen {
    variants: Vec<&'static str>,
    fields: &'static [&'static str],
}

/// Stands in for a serialized [`Kind`] of the `nth` variant, and notes what it is asked for.
struct Asking<'a> {
    nth: u32,
    seen: &'a mut Seen,
}

#[derive(Debug)]
struct Asked;

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only the names were asked for")
    }
}

impl std::error::Error for Asked {}

impl de::Error for Asked {
    fn custom<T: fmt::Display>(_: T) -> Asked {
        Asked
    }
}

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = Asked;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Asked> {
        Err(Asked)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Asked> {
        self.seen.variants = variants.to_vec();
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> EnumAccess<'de> for Asking<'_> {
    type Error = Asked;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Asked> {
        let number = de::value::U32Deserializer::<Asked>::new(self.nth);
        Ok((seed.deserialize(number)?, self))
    }
}

impl<'de> VariantAccess<'de> for Asking<'_> {
    type Error = Asked;

    fn unit_variant(self) -> Result<(), Asked> {
        Err(Asked)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Asked> {
        Err(Asked)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Asked> {
        Err(Asked)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Asked> {
        self.seen.fields = fields;
        Err(Asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_model_names_its_own_words() {
        for kind in ["place", "connect", "message", "log", "object", "check"] {
            assert!(EVENTS.kinds.contains(&kind), "{kind} is not in {:?}", EVENTS.kinds);
        }
        for field in ["conn", "bodyLen", "objectKind", "pod", "seconds", "verdict"] {
            assert!(EVENTS.fields.contains(field), "{field} is not in {:?}", EVENTS.fields);
        }
        assert!(!EVENTS.fields.contains("body_len"));
    }

    #[test]
    fn a_kind_is_named_as_the_event_model_names_it() {
        let log = Kind::Log { stream: podlab_trace::Stream::Stdout, line: String::new() };
        let start = Kind::Start { run: 1, image: String::new(), args: Vec::new() };
        for kind in [log, start] {
            let json = serde_json::to_value(&kind).unwrap();
            assert!(json.get(kind_of(&kind)).is_some(), "{json}");
        }
    }

    #[test]
    fn the_nearest_word_is_offered_and_no_far_one() {
        let known = ["ready", "running", "restarts"];
        assert_eq!(nearest("redy", known), Some("ready"));
        assert_eq!(nearest("raedy", known), Some("ready"));
        assert_eq!(nearest("Restart", known), Some("restarts"));
        assert_eq!(nearest("percentile", known), None);
        assert_eq!(meant("xyz", known), ".");
    }
}
