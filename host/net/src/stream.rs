//! Connections and listeners with `async` operations, for the host's own clients and servers:
//! probes, gateways, tests. Sockets of programs are [`TcpSocket`]s.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;

use bytes::Bytes;

use crate::errno::Errno;
use crate::namespace::Stack;
use crate::tcp::TcpSocket;

/// A connection. Dropping it closes it.
pub struct TcpStream(TcpSocket);

/// A socket that accepts connections. Dropping it closes it.
pub struct TcpListener(TcpSocket);

impl Stack {
    /// Connects, and waits until that is done or has failed.
    ///
    /// # Errors
    /// As [`TcpSocket::connect`] and [`TcpSocket::finish_connect`].
    pub async fn connect(&self, to: SocketAddr) -> Result<TcpStream, Errno> {
        let socket = self.tcp(to.is_ipv6())?;
        socket.connect(to)?;
        poll_fn(|cx| socket.poll_connect(cx)).await;
        socket.finish_connect()?;
        Ok(TcpStream(socket))
    }

    /// Binds and listens, with a backlog of 128 as std's.
    ///
    /// # Errors
    /// As [`TcpSocket::bind`].
    pub fn listen(&self, addr: SocketAddr) -> Result<TcpListener, Errno> {
        let socket = self.tcp(addr.is_ipv6())?;
        socket.bind(addr)?;
        socket.listen(128)?;
        Ok(TcpListener(socket))
    }
}

impl TcpListener {
    /// Waits for a connection and takes it.
    ///
    /// # Errors
    /// As [`TcpSocket::accept`], without `WouldBlock`.
    pub async fn accept(&self) -> Result<TcpStream, Errno> {
        poll_fn(|cx| match self.0.accept() {
            Err(Errno::WouldBlock) => {
                let ready = self.0.poll_accept(cx);
                debug_assert!(ready.is_pending(), "nothing runs in between");
                Poll::Pending
            }
            done => Poll::Ready(done.map(TcpStream)),
        })
        .await
    }

    /// The socket.
    pub fn socket(&self) -> &TcpSocket {
        &self.0
    }
}

impl TcpStream {
    /// The socket.
    pub fn socket(&self) -> &TcpSocket {
        &self.0
    }

    /// Waits for bytes and gives up to `max` of them; none at all is the end.
    ///
    /// # Errors
    /// As [`TcpSocket::try_read`], without `WouldBlock`.
    pub async fn read(&self, max: usize) -> Result<Bytes, Errno> {
        poll_fn(|cx| match self.0.try_read(max) {
            Err(Errno::WouldBlock) => {
                let ready = self.0.poll_read(cx);
                debug_assert!(ready.is_pending(), "nothing runs in between");
                Poll::Pending
            }
            done => Poll::Ready(done),
        })
        .await
    }

    /// Writes all of `data`, waiting for room as often as need be.
    ///
    /// # Errors
    /// As [`TcpSocket::try_write`], without `WouldBlock`.
    pub async fn write_all(&self, mut data: Bytes) -> Result<(), Errno> {
        while !data.is_empty() {
            match self.0.write_some(&mut data) {
                Ok(_) => {}
                Err(Errno::WouldBlock) => poll_fn(|cx| self.0.poll_write(cx)).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends this direction; the other side reads the end after all that was written.
    ///
    /// # Errors
    /// As [`TcpSocket::shutdown`].
    pub fn shutdown_write(&self) -> Result<(), Errno> {
        self.0.shutdown(false, true)
    }

    /// Closes the connection, as dropping it does.
    pub fn close(self) {}
}
