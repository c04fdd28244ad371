//! UDP on the runtime.

use std::io;
use std::net::SocketAddr;

use crate::runtime::readiness;
use crate::sys;

/// A socket for datagrams.
pub struct UdpSocket(sys::Datagrams);

impl UdpSocket {
    /// A socket at `addr`; port 0 for any.
    ///
    /// # Errors
    /// As the system has it: address in use, not available.
    pub async fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
        sys::Datagrams::bind(addr).await.map(UdpSocket)
    }

    /// Where it is.
    ///
    /// # Errors
    /// As the system has it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next datagram, of at most 64 KiB, and who sent it.
    ///
    /// # Errors
    /// As the system has it: on a socket that has sent, that nobody listened there.
    pub async fn receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        loop {
            match self.0.try_receive() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.readable()).await;
                }
                other => return other,
            }
        }
    }

    /// Sends a datagram; whether it arrives nobody says.
    ///
    /// # Errors
    /// As the system has it: too large, no way there.
    pub async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        loop {
            match self.0.try_send(bytes, to) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    readiness(self.0.writable()).await;
                }
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;

    #[test]
    fn borders_of_datagrams_stay() {
        block_on(async {
            let any = "127.0.0.1:0".parse().unwrap();
            let (a, b) = (UdpSocket::bind(any).await.unwrap(), UdpSocket::bind(any).await.unwrap());
            let to = b.local_addr().unwrap();
            a.send(b"one", to).await.unwrap();
            a.send(b"two", to).await.unwrap();
            let from = a.local_addr().unwrap();
            assert_eq!(b.receive().await.unwrap(), (b"one".to_vec(), from));
            assert_eq!(b.receive().await.unwrap(), (b"two".to_vec(), from));
        });
    }
}
