//! Linux: nonblocking UDP sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;

use super::Source;

pub(crate) struct Datagrams(Rc<UdpSocket>);

impl Datagrams {
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<Datagrams> {
        let socket = UdpSocket::bind(addr)?;
        socket.set_nonblocking(true)?;
        Ok(Datagrams(Rc::new(socket)))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(crate) fn try_receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut bytes = vec![0; 1 << 16];
        let (length, from) = self.0.recv_from(&mut bytes)?;
        bytes.truncate(length);
        Ok((bytes, from))
    }

    pub(crate) fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(bytes, to).map(drop)
    }

    pub(crate) fn readable(&self) -> Source {
        Source::Datagrams(self.0.clone(), false)
    }

    pub(crate) fn writable(&self) -> Source {
        Source::Datagrams(self.0.clone(), true)
    }
}
