//! A thing of a world, in words that hold in every world that does the same: for links.

use podlab_trace::event::{ConnId, PlaceId, Seq};
use podlab_trace::state::State;

/// A thing that can be selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// An event, by its number.
    Event(Seq),
    /// A container: namespace, pod, name.
    Container(String, String, String),
    /// A volume of a pod: "namespace/pod" and its name.
    Volume(String, String),
    /// A pod: "namespace/name".
    Pod(String),
    /// A node.
    Node(String),
    /// A Service: "namespace/name".
    Service(String),
    /// All that went over a connection.
    Stream(ConnId),
}

impl What {
    /// Reads "container:default/web/log-saver", "event:99" and their kin.
    pub fn parse(text: &str) -> Option<What> {
        let (kind, name) = text.split_once(':')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let parts: Vec<&str> = name.split('/').collect();
        if parts.iter().any(|p| p.is_empty() || p.len() > 253 || !p.chars().all(plain)) {
            return None;
        }
        Some(match (kind, parts.as_slice()) {
            ("event", [n]) => What::Event(n.parse().ok()?),
            ("stream", [n]) => What::Stream(n.parse().ok()?),
            ("node", [n]) => What::Node((*n).into()),
            ("pod", [_, _]) => What::Pod(name.into()),
            ("service", [_, _]) => What::Service(name.into()),
            ("volume", [ns, pod, n]) => What::Volume(format!("{ns}/{pod}"), (*n).into()),
            ("container", [ns, pod, n]) => {
                What::Container((*ns).into(), (*pod).into(), (*n).into())
            }
            _ => return None,
        })
    }

    /// Where a container runs in the world of this state.
    pub fn place(&self, state: &State) -> Option<PlaceId> {
        let What::Container(namespace, pod, container) = self else { return None };
        // A pod that was made again has the last word.
        let mut found = state
            .places
            .iter()
            .filter(|(_, p)| (&p.namespace, &p.pod, &p.container) == (namespace, pod, container));
        found.next_back().map(|(id, _)| *id)
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            What::Event(n) => write!(f, "event:{n}"),
            What::Container(ns, pod, name) => write!(f, "container:{ns}/{pod}/{name}"),
            What::Volume(pod, name) => write!(f, "volume:{pod}/{name}"),
            What::Pod(name) => write!(f, "pod:{name}"),
            What::Node(name) => write!(f, "node:{name}"),
            What::Service(name) => write!(f, "service:{name}"),
            What::Stream(n) => write!(f, "stream:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn a_thing_is_read_as_it_was_written() {
        for text in [
            "event:99",
            "container:default/web/log-saver",
            "volume:default/web/logs",
            "pod:default/web",
            "node:node-1",
            "service:default/web",
            "stream:12",
        ] {
            assert_eq!(What::parse(text).expect(text).to_string(), text);
        }
        for odd in [
            "",
            "event",
            "event:x",
            "event:-1",
            "pod:web",
            "node:a b",
            "volume:a//b",
            "pod:../x/y",
            "moon:a",
        ] {
            assert_eq!(What::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_container_is_found_where_it_runs() {
        let state = sample::world(40).state();
        let (id, place) = state
            .places
            .iter()
            .rfind(|(_, p)| !p.container.is_empty())
            .expect("the sample has containers");
        let text = format!("container:{}/{}/{}", place.namespace, place.pod, place.container);
        let what = What::parse(&text).expect("it is one");
        assert_eq!(what.place(&state), Some(*id));
        assert_eq!(What::parse("container:a/b/c").and_then(|w| w.place(&state)), None);
    }
}
