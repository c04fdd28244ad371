//! Links: how long a packet takes, and whether it gets there.
//!
//! Which link a packet takes follows from where its ends are (same namespace, same node, two
//! nodes, outside). Rules lie over that, in the order in which they were set: each changes
//! what it names and leaves the rest.

use std::collections::BTreeMap;
use std::time::Duration;

use podlab_sim::{Rng, Time};
use podlab_trace::PlaceId;

/// What one direction of a link is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// How long the first bit travels.
    pub latency: Duration,
    /// A packet takes up to this much longer (uniformly distributed).
    pub jitter: Duration,
    /// Bits a second; 0 is without limit.
    pub bandwidth: u64,
    /// The probability that a packet is lost.
    pub loss: f64,
    /// The probability that a datagram arrives twice.
    pub duplicate: f64,
    /// Whether nothing gets through.
    pub partitioned: bool,
}

impl Link {
    /// A link that only takes time.
    pub const fn with_latency(latency: Duration) -> Link {
        Link {
            latency,
            jitter: Duration::ZERO,
            bandwidth: 0,
            loss: 0.0,
            duplicate: 0.0,
            partitioned: false,
        }
    }
}

/// The links as they are before any rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkDefaults {
    /// Within one namespace.
    pub loopback: Link,
    /// Between two pods of one node.
    pub node: Link,
    /// Between two nodes.
    pub nodes: Link,
    /// Between the cluster and what is outside.
    pub outside: Link,
}

impl Default for LinkDefaults {
    fn default() -> LinkDefaults {
        LinkDefaults {
            loopback: Link::with_latency(Duration::from_micros(10)),
            node: Link::with_latency(Duration::from_micros(50)),
            nodes: Link {
                bandwidth: 10_000_000_000,
                ..Link::with_latency(Duration::from_micros(250))
            },
            outside: Link {
                bandwidth: 1_000_000_000,
                ..Link::with_latency(Duration::from_millis(1))
            },
        }
    }
}

/// What a rule changes about the links it applies to; `None` leaves what was there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkProps {
    /// See [`Link::latency`].
    pub latency: Option<Duration>,
    /// See [`Link::jitter`].
    pub jitter: Option<Duration>,
    /// See [`Link::bandwidth`]. All packets that a rule with a bandwidth applies to share it.
    pub bandwidth: Option<u64>,
    /// See [`Link::loss`].
    pub loss: Option<f64>,
    /// See [`Link::duplicate`].
    pub duplicate: Option<f64>,
    /// Whether nothing gets through, whatever other rules say.
    pub partitioned: bool,
}

/// One end of the links that a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkEnd {
    /// Every namespace.
    Any,
    /// The namespaces on this node.
    Node(String),
    /// One namespace, by name.
    Namespace(String),
    /// The namespace of this place: a pod's place, or that of one of its containers.
    Place(PlaceId),
    /// Everything outside of the cluster.
    Outside,
}

/// The links a rule applies to: one direction. The loopback of a namespace is meant only where
/// both ends name that very namespace or a place in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkEnds {
    /// Who sends.
    pub from: LinkEnd,
    /// Who receives.
    pub to: LinkEnd,
}

impl LinkEnds {
    /// The same link in the other direction.
    pub fn reversed(&self) -> LinkEnds {
        LinkEnds { from: self.to.clone(), to: self.from.clone() }
    }
}

/// What a rule needs to know of a namespace.
pub(crate) struct Site<'a> {
    pub(crate) name: &'a str,
    pub(crate) node: &'a str,
    pub(crate) external: bool,
    pub(crate) places: &'a [PlaceId],
}

impl LinkEnd {
    fn names(&self, site: &Site<'_>) -> bool {
        match self {
            LinkEnd::Any => true,
            LinkEnd::Node(node) => !site.external && site.node == node,
            LinkEnd::Namespace(name) => site.name == name,
            LinkEnd::Place(place) => site.places.contains(place),
            LinkEnd::Outside => site.external,
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self, LinkEnd::Namespace(_) | LinkEnd::Place(_))
    }
}

/// A link with everything applied, and which shaper its bandwidth comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    pub(crate) link: Link,
    shaper: Shaper,
}

/// Who shares a bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shaper {
    /// Everything a rule applies to.
    Rule(u64),
    /// Everything between two namespaces.
    Pair(u64, u64),
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there at that instant.
    Arrives(Time),
    /// It is not.
    Lost,
}

pub(crate) struct Links {
    defaults: LinkDefaults,
    rules: Vec<(u64, LinkEnds, LinkProps)>,
    next_rule: u64,
    /// Changes with every rule, so that what was looked up before can be told to be old.
    pub(crate) epoch: u64,
    busy: BTreeMap<Shaper, Time>,
    loss: Rng,
    jitter: Rng,
}

/// Bytes that Ethernet, IP and TCP add to a segment.
const HEADERS: u64 = 66;

impl Links {
    pub(crate) fn new(defaults: LinkDefaults, sim: &podlab_sim::Handle) -> Links {
        Links {
            defaults,
            rules: Vec::new(),
            next_rule: 0,
            epoch: 1,
            busy: BTreeMap::new(),
            loss: sim.rng("net/loss"),
            jitter: sim.rng("net/jitter"),
        }
    }

    pub(crate) fn defaults(&self) -> &LinkDefaults {
        &self.defaults
    }

    pub(crate) fn set(&mut self, ends: LinkEnds, props: LinkProps) {
        self.clear(&ends);
        self.rules.push((self.next_rule, ends, props));
        self.next_rule += 1;
    }

    pub(crate) fn clear(&mut self, ends: &LinkEnds) -> bool {
        self.epoch += 1;
        let before = self.rules.len();
        let busy = &mut self.busy;
        self.rules.retain(|(id, e, _)| {
            let keep = e != ends;
            if !keep {
                busy.remove(&Shaper::Rule(*id));
            }
            keep
        });
        before != self.rules.len()
    }

    pub(crate) fn rules(&self) -> Vec<(LinkEnds, LinkProps)> {
        self.rules.iter().map(|(_, ends, props)| (ends.clone(), *props)).collect()
    }

    /// Forgets the shapers of a namespace that is gone.
    pub(crate) fn forget(&mut self, namespace: u64) {
        self.busy
            .retain(|s, _| !matches!(s, Shaper::Pair(a, b) if *a == namespace || *b == namespace));
    }

    /// The link from `from` to `to`; the numbers tell namespaces apart for ever.
    pub(crate) fn path(&self, from: (u64, Site<'_>), to: (u64, Site<'_>)) -> Path {
        let loopback = from.0 == to.0;
        let base = if loopback {
            self.defaults.loopback
        } else if from.1.external || to.1.external {
            self.defaults.outside
        } else if from.1.node == to.1.node {
            self.defaults.node
        } else {
            self.defaults.nodes
        };
        let mut path = Path { link: base, shaper: Shaper::Pair(from.0, to.0) };
        for (id, ends, props) in &self.rules {
            let exact = ends.from.is_exact() && ends.to.is_exact();
            if (loopback && !exact) || !ends.from.names(&from.1) || !ends.to.names(&to.1) {
                continue;
            }
            let link = &mut path.link;
            link.latency = props.latency.unwrap_or(link.latency);
            link.jitter = props.jitter.unwrap_or(link.jitter);
            link.loss = props.loss.unwrap_or(link.loss);
            link.duplicate = props.duplicate.unwrap_or(link.duplicate);
            link.partitioned |= props.partitioned;
            if let Some(bandwidth) = props.bandwidth {
                link.bandwidth = bandwidth;
                path.shaper = Shaper::Rule(*id);
            }
        }
        path
    }

    /// When a packet of `len` bytes that leaves now is there, if nothing happens to it.
    pub(crate) fn arrival(&mut self, path: &Path, now: Time, len: usize) -> Time {
        let link = &path.link;
        let mut at = now;
        if link.bandwidth > 0 {
            let bits = (len as u64 + HEADERS) * 8;
            let ns = u128::from(bits) * 1_000_000_000 / u128::from(link.bandwidth);
            let free = self.busy.entry(path.shaper).or_insert(now);
            at = (*free).max(now) + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX));
            *free = at;
        }
        if !link.jitter.is_zero() {
            let most = u64::try_from(link.jitter.as_nanos()).unwrap_or(u64::MAX - 1);
            at += Duration::from_nanos(self.jitter.below(most.saturating_add(1)));
        }
        at + link.latency
    }

    /// Whether the link swallows a packet now.
    pub(crate) fn loses(&mut self, path: &Path) -> bool {
        path.link.partitioned || self.loss.chance(path.link.loss)
    }

    /// Whether a datagram is doubled.
    pub(crate) fn doubles(&mut self, path: &Path) -> bool {
        self.loss.chance(path.link.duplicate)
    }

    /// Sends a packet that nobody will send again.
    pub(crate) fn fate(&mut self, path: &Path, now: Time, len: usize) -> Fate {
        // A lost packet took its turn on the wire all the same.
        let at = self.arrival(path, now, len);
        if self.loses(path) { Fate::Lost } else { Fate::Arrives(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use podlab_sim::Sim;

    fn site<'a>(name: &'a str, node: &'a str) -> Site<'a> {
        Site { name, node, external: false, places: &[] }
    }

    fn any() -> LinkEnds {
        LinkEnds { from: LinkEnd::Any, to: LinkEnd::Any }
    }

    #[test]
    fn rules_lie_over_one_another_and_loopback_must_be_named() {
        let sim = Sim::new(1, 0);
        let mut links = Links::new(LinkDefaults::default(), &sim.handle());
        let ms = Duration::from_millis(7);
        links.set(any(), LinkProps { partitioned: true, ..LinkProps::default() });
        let to_b = LinkEnds { from: LinkEnd::Any, to: LinkEnd::Namespace("b".into()) };
        links.set(to_b.clone(), LinkProps { latency: Some(ms), ..LinkProps::default() });
        let path = links.path((1, site("a", "n1")), (2, site("b", "n2")));
        assert!(path.link.partitioned && path.link.latency == ms);
        let own = links.path((2, site("b", "n2")), (2, site("b", "n2")));
        assert_eq!(own.link, LinkDefaults::default().loopback);
        assert!(links.clear(&any()) && !links.clear(&any()));
        let path = links.path((1, site("a", "n1")), (2, site("b", "n2")));
        assert!(!path.link.partitioned);
        let named = LinkEnd::Namespace("b".into());
        let ends = LinkEnds { from: named.clone(), to: named };
        links.set(ends, LinkProps { loss: Some(0.5), ..LinkProps::default() });
        assert_eq!(links.path((2, site("b", "n2")), (2, site("b", "n2"))).link.loss, 0.5);
    }

    #[test]
    fn bandwidth_is_shared_by_what_a_rule_applies_to() {
        let sim = Sim::new(1, 0);
        let mut links = Links::new(LinkDefaults::default(), &sim.handle());
        let slow = LinkProps { bandwidth: Some(8_000_000), ..LinkProps::default() };
        links.set(any(), slow);
        let one = links.path((1, site("a", "n")), (2, site("b", "n")));
        let two = links.path((3, site("c", "n")), (2, site("b", "n")));
        let len = 1_000_000 - HEADERS as usize;
        let latency = LinkDefaults::default().node.latency;
        assert_eq!(links.arrival(&one, Time::ZERO, len), Time::from_secs(1) + latency);
        assert_eq!(links.arrival(&two, Time::ZERO, len), Time::from_secs(2) + latency);
    }
}
