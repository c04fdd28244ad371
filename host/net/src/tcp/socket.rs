//! What programs hold.

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use crate::errno::Errno;
use crate::namespace::{Stack, shown};
use crate::net::Net;
use crate::socket::{Role, open};
use crate::table::Key;
use crate::tcp::conn::Fin;

/// The most connections that may wait to be accepted (Linux `somaxconn`).
pub const BACKLOG_MAX: usize = 4096;
/// The smallest and largest buffers a program may ask for, in bytes.
const BUFFER: std::ops::RangeInclusive<usize> = 2304..=4 << 20;

/// The options of a TCP socket. Accepted sockets inherit those of their listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// SO_SNDBUF: bytes kept beyond the peer's window.
    pub send_buffer: usize,
    /// SO_RCVBUF: the window.
    pub receive_buffer: usize,
    /// SO_KEEPALIVE. Kept for the program; no probe is sent.
    pub keep_alive: bool,
    /// TCP_KEEPIDLE.
    pub keep_idle: Duration,
    /// TCP_KEEPINTVL.
    pub keep_interval: Duration,
    /// TCP_KEEPCNT.
    pub keep_count: u32,
    /// IP_TTL, IPV6_UNICAST_HOPS.
    pub hop_limit: u8,
    /// TCP_NODELAY. Nothing is ever delayed.
    pub no_delay: bool,
    /// IPV6_V6ONLY: a socket bound to `[::]` takes no IPv4. Must be set before binding.
    pub v6_only: bool,
}

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            send_buffer: 256 << 10,
            receive_buffer: 256 << 10,
            keep_alive: false,
            keep_idle: Duration::from_secs(7200),
            keep_interval: Duration::from_secs(75),
            keep_count: 9,
            hop_limit: 64,
            no_delay: false,
            v6_only: false,
        }
    }
}

/// A TCP socket. Dropping it closes it. Operations never block: they return
/// [`Errno::WouldBlock`], and the `poll_` functions tell when to try again.
pub struct TcpSocket {
    net: Net,
    key: Key,
    v6: bool,
}

impl TcpSocket {
    pub(crate) fn open(stack: &Stack, v6: bool) -> Result<TcpSocket, Errno> {
        let role = Role::Idle;
        let key = open(stack, v6, role)?;
        Ok(TcpSocket { net: stack.net.clone(), key, v6 })
    }

    /// Whether it is an IPv6 socket.
    pub fn is_ipv6(&self) -> bool {
        self.v6
    }

    /// Gives the socket a local address; port 0 asks for an ephemeral one.
    ///
    /// # Errors
    /// [`Errno::AddrInUse`]; [`Errno::AddrNotAvailable`] for an address that is not of the
    /// namespace; [`Errno::Family`]; [`Errno::Invalid`] if it has one already.
    pub fn bind(&self, addr: SocketAddr) -> Result<(), Errno> {
        self.net.with(|s| s.bind(self.key, addr))
    }

    /// Lets others connect. At most `backlog` + 1 connections (bounded by [`BACKLOG_MAX`]) wait
    /// to be accepted; a SYN beyond that is dropped, and its sender tries again. Binds to an
    /// ephemeral port first if need be; on a socket that listens it changes the backlog.
    ///
    /// # Errors
    /// [`Errno::Invalid`] if the socket is connected; those of [`bind`](TcpSocket::bind).
    pub fn listen(&self, backlog: usize) -> Result<(), Errno> {
        self.net.with(|s| s.listen(self.key, backlog))
    }

    /// Begins to connect; [`finish_connect`](TcpSocket::finish_connect) tells how it went.
    ///
    /// # Errors
    /// [`Errno::IsConnected`], [`Errno::Already`], [`Errno::Invalid`] (listening, or port 0),
    /// [`Errno::Family`], [`Errno::Unreachable`], [`Errno::AddrNotAvailable`] (no port left).
    pub fn connect(&self, to: SocketAddr) -> Result<(), Errno> {
        self.net.with(|s| s.start_connect(self.key, to))
    }

    /// How the connect went.
    ///
    /// # Errors
    /// [`Errno::WouldBlock`] while it is not known; [`Errno::ConnRefused`],
    /// [`Errno::TimedOut`]; [`Errno::NotConnected`] if none was begun.
    pub fn finish_connect(&self) -> Result<(), Errno> {
        self.net.with(|s| {
            let (conn, side) = s.connection(self.key)?;
            let end = &mut s.conns[conn].ends[side];
            match end.error.take() {
                Some(error) => Err(error),
                None if end.connected => Ok(()),
                None if end.dead => Err(Errno::ConnAborted),
                None => Err(Errno::WouldBlock),
            }
        })
    }

    /// Takes a connection that waits.
    ///
    /// # Errors
    /// [`Errno::WouldBlock`] if none does; [`Errno::Invalid`] if the socket does not listen;
    /// [`Errno::TooManySockets`].
    pub fn accept(&self) -> Result<TcpSocket, Errno> {
        let key = self.net.with(|s| s.take_waiting(self.key))?;
        Ok(TcpSocket { net: self.net.clone(), key, v6: self.v6 })
    }

    /// Up to `max` bytes that have arrived; none at all means that the peer sends no more (or
    /// that `max` is 0).
    ///
    /// # Errors
    /// [`Errno::WouldBlock`]; [`Errno::ConnReset`], [`Errno::TimedOut`] (once);
    /// [`Errno::NotConnected`]; [`Errno::ConnAborted`] if the namespace or stack was closed.
    pub fn try_read(&self, max: usize) -> Result<Bytes, Errno> {
        self.net.with(|s| {
            let (conn, side) = s.connection(self.key)?;
            s.read(conn, side, max)
        })
    }

    /// Writes as much of `data` as there is room for, and says how much that was. Nothing is
    /// copied.
    ///
    /// # Errors
    /// [`Errno::WouldBlock`] if there is no room; [`Errno::Closed`] after a shutdown or a
    /// reset; [`Errno::ConnReset`], [`Errno::TimedOut`] (once); [`Errno::NotConnected`];
    /// [`Errno::ConnAborted`].
    pub fn try_write(&self, mut data: Bytes) -> Result<usize, Errno> {
        self.write_some(&mut data)
    }

    /// Like [`try_write`](TcpSocket::try_write), and takes from `data` what was written.
    ///
    /// # Errors
    /// As [`try_write`](TcpSocket::try_write).
    pub fn write_some(&self, data: &mut Bytes) -> Result<usize, Errno> {
        self.net.with(|s| {
            let (conn, side) = s.connection(self.key)?;
            s.write(conn, side, data)
        })
    }

    /// How many bytes could be written now.
    pub fn writable(&self) -> usize {
        let state = self.net.lock();
        let Ok((conn, side)) = state.connection(self.key) else { return 0 };
        let c = &state.conns[conn];
        let (end, pipe) = (&c.ends[side], &c.pipes[side]);
        if end.connected && !end.dead && pipe.fin == Fin::Open { pipe.space() } else { 0 }
    }

    /// How many bytes could be read now.
    pub fn readable(&self) -> usize {
        let state = self.net.lock();
        state
            .connection(self.key)
            .map_or(0, |(conn, side)| state.conns[conn].pipes[1 - side].queued)
    }

    /// Ends one direction or both: `write` sends the end of data after what was written,
    /// `read` lets reads that would block end instead.
    ///
    /// # Errors
    /// [`Errno::NotConnected`]; [`Errno::ConnAborted`].
    pub fn shutdown(&self, read: bool, write: bool) -> Result<(), Errno> {
        self.net.with(|s| {
            let (conn, side) = s.connection(self.key)?;
            let c = &mut s.conns[conn];
            let end = &mut c.ends[side];
            if !end.connected || end.dead {
                return Err(Errno::NotConnected);
            }
            if read {
                end.shut_read = true;
                end.readers.wake(&mut s.wakes);
            }
            if write {
                end.writers.wake(&mut s.wakes);
                s.finish_sending(conn, side);
            }
            Ok(())
        })
    }

    /// The near end.
    ///
    /// # Errors
    /// [`Errno::Invalid`] before it has one.
    pub fn local_addr(&self) -> Result<SocketAddr, Errno> {
        let state = self.net.lock();
        let socket = state.sockets.get(self.key).ok_or(Errno::ConnAborted)?;
        let addr = match state.connection(self.key) {
            Ok((conn, side)) => Some(state.conns[conn].ends[side].local),
            Err(_) => socket.bound,
        };
        addr.map(|a| shown(a, self.v6)).ok_or(Errno::Invalid)
    }

    /// The far end, as it was given to `connect`.
    ///
    /// # Errors
    /// [`Errno::NotConnected`].
    pub fn peer_addr(&self) -> Result<SocketAddr, Errno> {
        let state = self.net.lock();
        let (conn, side) = state.connection(self.key)?;
        let end = &state.conns[conn].ends[side];
        if end.connected { Ok(shown(end.peer, self.v6)) } else { Err(Errno::NotConnected) }
    }

    /// Whether it listens.
    pub fn is_listening(&self) -> bool {
        let state = self.net.lock();
        state.sockets.get(self.key).is_some_and(|s| matches!(s.role, Role::Listening(_)))
    }

    /// The options.
    pub fn options(&self) -> TcpOptions {
        let state = self.net.lock();
        state.sockets.get(self.key).map_or_else(TcpOptions::default, |s| s.options)
    }

    /// Changes the options. Buffers are kept within 2304 bytes and 4 MiB.
    ///
    /// # Errors
    /// [`Errno::ConnAborted`] if the socket is gone.
    pub fn set_options(&self, mut options: TcpOptions) -> Result<(), Errno> {
        options.send_buffer = options.send_buffer.clamp(*BUFFER.start(), *BUFFER.end());
        options.receive_buffer = options.receive_buffer.clamp(*BUFFER.start(), *BUFFER.end());
        self.net.with(|s| {
            s.sockets.get_mut(self.key).ok_or(Errno::ConnAborted)?.options = options;
            if let Ok((conn, side)) = s.connection(self.key) {
                let c = &mut s.conns[conn];
                c.pipes[side].send_buffer = options.send_buffer;
                c.pipes[1 - side].receive_buffer = options.receive_buffer;
                // A larger window is told like any other.
                c.ends[side].writers.wake(&mut s.wakes);
                s.pump(conn, 1 - side);
            }
            Ok(())
        })
    }

    /// Ready once [`finish_connect`](TcpSocket::finish_connect) has an answer.
    pub fn poll_connect(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.net.with(|s| {
            let Ok((conn, side)) = s.connection(self.key) else { return Poll::Ready(()) };
            let end = &mut s.conns[conn].ends[side];
            if end.connected || end.dead {
                return Poll::Ready(());
            }
            end.writers.add(cx, &mut s.wakes);
            Poll::Pending
        })
    }

    /// Ready once [`accept`](TcpSocket::accept) would not block.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.net.with(|s| match s.sockets.get_mut(self.key).map(|k| &mut k.role) {
            Some(Role::Listening(l)) if l.queue.is_empty() => {
                l.waiting.add(cx, &mut s.wakes);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
    }

    /// Ready once [`try_read`](TcpSocket::try_read) would not block.
    pub fn poll_read(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.net.with(|s| {
            let Ok((conn, side)) = s.connection(self.key) else { return Poll::Ready(()) };
            let c = &mut s.conns[conn];
            let (end, pipe) = (&mut c.ends[side], &c.pipes[1 - side]);
            let ready = !pipe.queue.is_empty()
                || end.dead
                || end.shut_read
                || end.error.is_some()
                || pipe.fin == Fin::Arrived;
            if ready {
                return Poll::Ready(());
            }
            end.readers.add(cx, &mut s.wakes);
            Poll::Pending
        })
    }

    /// Ready once [`try_write`](TcpSocket::try_write) would not block.
    pub fn poll_write(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.net.with(|s| {
            let Ok((conn, side)) = s.connection(self.key) else { return Poll::Ready(()) };
            let c = &mut s.conns[conn];
            let (end, pipe) = (&mut c.ends[side], &c.pipes[side]);
            let over = end.dead || end.error.is_some() || pipe.fin > Fin::Open;
            if over || (end.connected && pipe.space() > 0) {
                return Poll::Ready(());
            }
            end.writers.add(cx, &mut s.wakes);
            Poll::Pending
        })
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        // During a panic the state may be lost; a second panic would abort the process.
        if std::thread::panicking() {
            return;
        }
        self.net.with(|s| s.close_socket(self.key));
    }
}
