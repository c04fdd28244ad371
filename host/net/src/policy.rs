//! Who may send to whom.
//!
//! Every connection and datagram asks [`allowed`] once, at its first packet. What is denied is
//! dropped, as a NetworkPolicy does it: the sender is not told, a connect runs into its
//! time-out.

use std::net::SocketAddr;
use std::sync::Arc;

use podlab_trace::PlaceId;

/// A connection or a datagram about to be let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The place of the sending namespace.
    pub from: PlaceId,
    /// The sender's address.
    pub from_addr: SocketAddr,
    /// The place of the receiving namespace.
    pub to: PlaceId,
    /// The receiver's address, after Services were resolved.
    pub to_addr: SocketAddr,
    /// Whether it is UDP.
    pub udp: bool,
}

/// Why something was not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The rule that says so, for people.
    pub by: String,
}

/// Decides about one [`Flow`].
pub type Policy = Arc<dyn Fn(&Flow) -> Result<(), Denied> + Send + Sync>;

/// Whether `flow` may go through. Without a policy everything may, as in Kubernetes.
///
/// # Errors
/// [`Denied`] says by what it is forbidden.
pub fn allowed(policy: Option<&Policy>, flow: &Flow) -> Result<(), Denied> {
    match policy {
        // A namespace always reaches itself (Kubernetes: a pod cannot block access to itself).
        Some(policy) if flow.from != flow.to => policy(flow),
        _ => Ok(()),
    }
}
