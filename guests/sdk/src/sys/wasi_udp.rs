//! WASI 0.2: UDP.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::udp::{
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use wasip2::sockets::udp_create_socket::create_udp_socket;

use super::{Source, error, family, finish, from_wasi, to_wasi};

/// Fields are dropped in order of declaration: pollables go before what they came from.
pub(crate) struct Datagrams {
    readable: Source,
    writable: Source,
    incoming: IncomingDatagramStream,
    outgoing: OutgoingDatagramStream,
    socket: UdpSocket,
    /// Taken from the host, and not yet asked for.
    received: RefCell<VecDeque<(Vec<u8>, SocketAddr)>>,
}

impl Datagrams {
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<Datagrams> {
        let socket = create_udp_socket(family(&addr)).map_err(error)?;
        let bound = Rc::new(socket.subscribe());
        socket.start_bind(&instance_network(), to_wasi(addr)).map_err(error)?;
        finish(&bound, || socket.finish_bind()).await?;
        drop(bound);
        let (incoming, outgoing) = socket.stream(None).map_err(error)?;
        let (readable, writable) = (Rc::new(incoming.subscribe()), Rc::new(outgoing.subscribe()));
        let received = RefCell::default();
        Ok(Datagrams { readable, writable, incoming, outgoing, socket, received })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_address().map(from_wasi).map_err(error)
    }

    pub(crate) fn try_receive(&self) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut received = self.received.borrow_mut();
        if received.is_empty() {
            let new = self.incoming.receive(16).map_err(error)?;
            received.extend(new.into_iter().map(|d| (d.data, from_wasi(d.remote_address))));
        }
        received.pop_front().ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }

    pub(crate) fn try_send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.outgoing.check_send().map_err(error)? == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let datagram = OutgoingDatagram { data: bytes.to_vec(), remote_address: Some(to_wasi(to)) };
        match self.outgoing.send(&[datagram]).map_err(error)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        }
    }

    pub(crate) fn readable(&self) -> Source {
        self.readable.clone()
    }

    pub(crate) fn writable(&self) -> Source {
        self.writable.clone()
    }
}
