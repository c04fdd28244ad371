//! The virtual network of a world: one namespace a pod, TCP, UDP, DNS, Services, links and
//! their faults, and the messages found in what travels.
//!
//! # Layout
//! - [`net`][]: the network of a world and what can be changed about it
//! - [`namespace`][]: what a pod has (addresses, ports) and what a container sees of it (a stack)
//! - [`tcp`][]: connections as state machines, and sockets over them
//! - [`udp`][]: datagrams
//! - [`stream`][]: `async` connections and listeners for the host's own clients and servers
//! - [`dns`][]: names
//! - [`service`][]: virtual addresses in front of endpoints
//! - [`link`][]: what the way between two ends does to packets
//! - [`policy`][]: who may send to whom
//! - [`dissect`][]: protocols recognised in the bytes of a connection
//! - `fabric`: packets under way, in order of arrival; the only place that waits for time
//! - `socket`: sockets of any kind, as the network keeps them
//! - `ports`, `table`: who is bound to what; keys that never mean another
//!
//! # How it works
//! Everything is one state under one lock that is never contended: a world is single-threaded.
//! An operation changes the state, perhaps sends packets to the fabric, and wakes tasks after
//! the lock is released. When a packet will arrive is known when it is sent, so the common
//! case needs one timer a packet; retransmission timers exist only for packets that are known
//! to be lost.
//!
//! # What this crate must never know
//! WebAssembly, Kubernetes objects, real sockets, real time.
#![warn(missing_docs)]

pub mod dissect;
pub mod dns;
mod errno;
mod fabric;
pub mod link;
pub mod namespace;
pub mod net;
pub mod policy;
mod ports;
pub mod service;
mod socket;
pub mod stream;
mod table;
pub mod tcp;
pub mod udp;

pub use dns::{DnsError, DnsFault};
pub use errno::Errno;
pub use link::{Link, LinkDefaults, LinkEnd, LinkEnds, LinkProps};
pub use namespace::{Namespace, NamespaceSpec, Stack};
pub use net::{Net, NetOptions};
pub use policy::{Denied, Flow, Policy};
pub use service::{Service, ServicePort};
pub use stream::{TcpListener, TcpStream};
pub use tcp::{TcpOptions, TcpSocket};
pub use udp::UdpSocket;
