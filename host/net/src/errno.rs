//! Why an operation on a socket failed.

use std::fmt;

/// The errors of the sockets' interface, under the names Linux has for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Errno {
    /// EADDRINUSE: the address is bound already.
    AddrInUse,
    /// EADDRNOTAVAIL: the address is not one of this namespace, or no ephemeral port is left.
    AddrNotAvailable,
    /// ECONNREFUSED: the host is there, nobody listens.
    ConnRefused,
    /// ECONNRESET: the other side ended the connection at once.
    ConnReset,
    /// ECONNABORTED: the connection or its namespace is gone.
    ConnAborted,
    /// ETIMEDOUT: nothing came back for too long.
    TimedOut,
    /// ENOTCONN: the socket has no peer.
    NotConnected,
    /// EISCONN: the socket has a peer already.
    IsConnected,
    /// EALREADY: a connection is being made already.
    Already,
    /// EWOULDBLOCK: not now; wait with one of the `poll_` functions.
    WouldBlock,
    /// EPIPE: this direction has been shut down.
    Closed,
    /// ENETUNREACH: no route to an address of this family.
    Unreachable,
    /// EACCES: a policy forbids it.
    Denied,
    /// EINVAL: the arguments or the socket's state do not allow it.
    Invalid,
    /// EAFNOSUPPORT: an IPv6 address on an IPv4 socket or the other way round.
    Family,
    /// EMSGSIZE: larger than a datagram can be.
    MessageTooLong,
    /// EMFILE: the namespace has as many sockets as it may have.
    TooManySockets,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Errno::AddrInUse => "address in use",
            Errno::AddrNotAvailable => "address not available",
            Errno::ConnRefused => "connection refused",
            Errno::ConnReset => "connection reset by peer",
            Errno::ConnAborted => "connection aborted",
            Errno::TimedOut => "connection timed out",
            Errno::NotConnected => "not connected",
            Errno::IsConnected => "already connected",
            Errno::Already => "connection already in progress",
            Errno::WouldBlock => "operation would block",
            Errno::Closed => "broken pipe",
            Errno::Unreachable => "network unreachable",
            Errno::Denied => "permission denied",
            Errno::Invalid => "invalid argument",
            Errno::Family => "address family not supported",
            Errno::MessageTooLong => "message too long",
            Errno::TooManySockets => "too many sockets",
        })
    }
}

impl std::error::Error for Errno {}
