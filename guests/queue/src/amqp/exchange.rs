//! Exchanges: which queues a message goes to.

use std::collections::BTreeSet;

/// How an exchange compares a message's key with those of its bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Equal keys.
    Direct,
    /// All bindings, whatever their keys.
    Fanout,
    /// Words between dots; `*` is one word, `#` any number.
    Topic,
}

impl Kind {
    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        match name {
            "direct" => Some(Kind::Direct),
            "fanout" => Some(Kind::Fanout),
            "topic" => Some(Kind::Topic),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Fanout => "fanout",
            Kind::Topic => "topic",
        }
    }
}

/// An exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How it compares.
    pub kind: Kind,
    /// It outlives the program.
    pub durable: bool,
    /// It goes when its last binding goes.
    pub auto_delete: bool,
    /// Nobody publishes to it directly.
    pub internal: bool,
    /// Pairs of a queue and a key.
    pub bindings: BTreeSet<(String, String)>,
}

impl Exchange {
    /// An exchange as every broker has some.
    pub fn built_in(kind: Kind) -> Exchange {
        let bindings = BTreeSet::new();
        Exchange { kind, durable: true, auto_delete: false, internal: false, bindings }
    }

    /// The queues a message with this key goes to; each once.
    pub fn route(&self, key: &str) -> BTreeSet<String> {
        let fits = |pattern: &str| match self.kind {
            Kind::Direct => pattern == key,
            Kind::Fanout => true,
            Kind::Topic => topic(pattern, key),
        };
        self.bindings.iter().filter(|(_, k)| fits(k)).map(|(queue, _)| queue.clone()).collect()
    }
}

/// Whether a pattern of a topic exchange fits a key. Takes time in the product of their lengths,
/// whatever the pattern is.
fn topic(pattern: &str, key: &str) -> bool {
    let words: Vec<&str> = if key.is_empty() { Vec::new() } else { key.split('.').collect() };
    // `reached[n]`: the pattern so far fits the first n words.
    let mut reached = vec![false; words.len() + 1];
    reached[0] = true;
    let pattern = if pattern.is_empty() { None } else { Some(pattern) };
    for part in pattern.into_iter().flat_map(|p| p.split('.')) {
        let mut next = vec![false; words.len() + 1];
        for n in 0..=words.len() {
            next[n] = match part {
                "#" => reached[n] || n > 0 && next[n - 1],
                "*" => n > 0 && reached[n - 1],
                word => n > 0 && reached[n - 1] && words[n - 1] == word,
            };
        }
        reached = next;
    }
    reached[words.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics() {
        for (pattern, fits, misses) in [
            ("a.*.c", &["a.b.c"][..], &["a.c", "a.b.b.c", "a.b"][..]),
            ("a.#", &["a", "a.b", "a.b.c"], &["b", "ab"]),
            ("#", &["", "a", "a.b"], &[]),
            ("#.c", &["c", "a.c", "a.b.c"], &["a.c.d", ""]),
            ("*", &["a"], &["", "a.b"]),
            ("#.*.#", &["a", "a.b"], &[""]),
            ("", &[""], &["a"]),
            ("*.#.*", &["a.b", "a.x.y.b"], &["a"]),
        ] {
            assert!(fits.iter().all(|key| topic(pattern, key)), "{pattern}");
            assert!(!misses.iter().any(|key| topic(pattern, key)), "{pattern}");
        }
        // Patterns made to take for ever with a matcher that tries everything.
        let hard = ["#"; 120].join(".") + ".x";
        assert!(!topic(&hard, &["a"; 120].join(".")));
    }

    #[test]
    fn a_queue_gets_a_message_once() {
        let mut exchange = Exchange::built_in(Kind::Topic);
        for (queue, key) in [("q", "a.*"), ("q", "#"), ("r", "b")] {
            exchange.bindings.insert((queue.into(), key.into()));
        }
        assert_eq!(exchange.route("a.b").into_iter().collect::<Vec<_>>(), ["q"]);
        exchange.kind = Kind::Fanout;
        assert_eq!(exchange.route("").len(), 2);
        exchange.kind = Kind::Direct;
        assert_eq!(exchange.route("b").into_iter().collect::<Vec<_>>(), ["r"]);
    }
}
