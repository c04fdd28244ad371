//! TCP on the runtime. Names are resolved; a read of nothing is the end.

use std::io;
use std::net::SocketAddr;

use crate::runtime::readiness;
use crate::sys;

/// A listening socket.
pub struct TcpListener(sys::Listener);

impl TcpListener {
    /// Listens on `addr`.
    ///
    /// # Errors
    /// As the system has it: address in use, not available.
    pub async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        sys::Listener::bind(addr).await.map(TcpListener)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system has it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection.
    ///
    /// # Errors
    /// As the system has it: too many sockets, connection aborted.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        loop {
            match self.0.try_accept() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.source()).await;
                }
                other => return other.map(TcpStream),
            }
        }
    }
}

/// A connection.
pub struct TcpStream(sys::Stream);

impl TcpStream {
    /// Connects to `host:port`, trying each address of the host in turn.
    ///
    /// # Errors
    /// The last address' error, or that the name has none.
    pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
        let none = || io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
        let mut last = None;
        for addr in sys::resolve(host, port).await? {
            match sys::Stream::connect(addr).await {
                Ok(stream) => return Ok(TcpStream(stream)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(none))
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// As the system has it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// Reads at most `max` bytes; none at the end.
    ///
    /// # Errors
    /// As the system has it: connection reset.
    pub async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        loop {
            match self.0.try_read(max) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.readable()).await;
                }
                other => return other,
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// As the system has it: connection reset, broken pipe.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => bytes = &bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.writable()).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// As the system has it.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

/// The addresses of a name.
///
/// # Errors
/// If there is no such name, or no server to ask.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    sys::resolve(host, port).await
}

/// Standard input on the runtime.
pub struct Stdin(sys::Stdin);

impl Default for Stdin {
    fn default() -> Stdin {
        Stdin(sys::Stdin::open())
    }
}

impl Stdin {
    /// Reads at most `max` bytes; none at the end.
    ///
    /// # Errors
    /// As the system has it.
    pub async fn read(&self, max: usize) -> io::Result<Vec<u8>> {
        loop {
            match self.0.try_read(max) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.source()).await;
                }
                other => return other,
            }
        }
    }
}
