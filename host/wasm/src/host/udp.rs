//! `wasi:sockets/udp` over the pod's network.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use podlab_net::{Errno, UdpSocket};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, Pollable};

use super::View;
use super::sockets::{Network, SocketResult, family, from_wit, to_wit};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::udp::{self, IncomingDatagram, OutgoingDatagram};
use crate::bindings::wasi::sockets::udp_create_socket;

/// How many datagrams one call takes at most.
const MAX_BATCH: u64 = 16;
/// A datagram cannot be longer, in bytes.
const MAX_DATAGRAM: usize = 65_535;

/// A UDP socket of a program.
pub struct Socket {
    inner: Arc<UdpSocket>,
    binding: bool,
    bound: bool,
}

/// The receiving half.
pub struct Incoming(Arc<UdpSocket>);

/// The sending half.
pub struct Outgoing {
    inner: Arc<UdpSocket>,
    peer: Option<SocketAddr>,
}

#[async_trait::async_trait]
impl Pollable for Socket {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl Pollable for Incoming {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.poll_recv(cx)).await;
    }
}

#[async_trait::async_trait]
impl Pollable for Outgoing {
    async fn ready(&mut self) {}
}

impl udp_create_socket::Host for View<'_> {
    fn create_udp_socket(&mut self, of: IpAddressFamily) -> SocketResult<Resource<Socket>> {
        let v6 = of == IpAddressFamily::Ipv6;
        let inner = Arc::new(self.stack.udp(v6)?);
        if v6 {
            inner.set_v6_only(true)?;
        }
        Ok(self.table.push(Socket { inner, binding: false, bound: false })?)
    }
}

impl udp::Host for View<'_> {}

impl View<'_> {
    fn udp(&mut self, socket: &Resource<Socket>) -> SocketResult<&mut Socket> {
        Ok(self.table.get_mut(socket)?)
    }
}

impl udp::HostUdpSocket for View<'_> {
    fn start_bind(
        &mut self,
        socket: Resource<Socket>,
        _: Resource<Network>,
        at: IpSocketAddress,
    ) -> SocketResult<()> {
        let socket = self.udp(&socket)?;
        if socket.binding || socket.bound {
            return Err(ErrorCode::InvalidState.into());
        }
        socket.inner.bind(from_wit(at))?;
        socket.binding = true;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Socket>) -> SocketResult<()> {
        let socket = self.udp(&socket)?;
        if !std::mem::take(&mut socket.binding) {
            return Err(ErrorCode::NotInProgress.into());
        }
        socket.bound = true;
        Ok(())
    }

    fn stream(
        &mut self,
        socket: Resource<Socket>,
        peer: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<Incoming>, Resource<Outgoing>)> {
        let s = self.udp(&socket)?;
        if !s.bound {
            return Err(ErrorCode::InvalidState.into());
        }
        let peer = peer.map(from_wit);
        if peer.is_some_and(|p| p.port() == 0 || p.ip().is_unspecified()) {
            return Err(ErrorCode::InvalidArgument.into());
        }
        s.inner.connect(peer)?;
        let inner = s.inner.clone();
        let incoming = self.table.push_child(Incoming(inner.clone()), &socket)?;
        let outgoing = self.table.push_child(Outgoing { inner, peer }, &socket)?;
        Ok((incoming, outgoing))
    }

    fn local_address(&mut self, socket: Resource<Socket>) -> SocketResult<IpSocketAddress> {
        let addr = self.udp(&socket)?.inner.local_addr();
        addr.map(to_wit).map_err(|_| ErrorCode::InvalidState.into())
    }

    fn remote_address(&mut self, socket: Resource<Socket>) -> SocketResult<IpSocketAddress> {
        let addr = self.udp(&socket)?.inner.peer_addr();
        addr.map(to_wit).map_err(|_| ErrorCode::InvalidState.into())
    }

    fn address_family(&mut self, socket: Resource<Socket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(family(self.table.get(&socket)?.inner.is_ipv6()))
    }

    fn unicast_hop_limit(&mut self, socket: Resource<Socket>) -> SocketResult<u8> {
        Ok(self.udp(&socket)?.inner.hop_limit())
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<Socket>, hops: u8) -> SocketResult<()> {
        Ok(self.udp(&socket)?.inner.set_hop_limit(hops)?)
    }

    fn receive_buffer_size(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        Ok(self.udp(&socket)?.inner.receive_buffer() as u64)
    }

    fn set_receive_buffer_size(
        &mut self,
        socket: Resource<Socket>,
        bytes: u64,
    ) -> SocketResult<()> {
        if bytes == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(self.udp(&socket)?.inner.set_receive_buffer(bytes)?)
    }

    fn send_buffer_size(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        // Datagrams leave at once: what one socket can have under way is what the peer takes.
        Ok(self.udp(&socket)?.inner.receive_buffer() as u64)
    }

    fn set_send_buffer_size(&mut self, _: Resource<Socket>, bytes: u64) -> SocketResult<()> {
        if bytes == 0 { Err(ErrorCode::InvalidArgument.into()) } else { Ok(()) }
    }

    fn subscribe(&mut self, socket: Resource<Socket>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi::p2::subscribe(self.table, socket)
    }

    fn drop(&mut self, socket: Resource<Socket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

impl udp::HostIncomingDatagramStream for View<'_> {
    fn receive(
        &mut self,
        stream: Resource<Incoming>,
        max: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let stream = self.table.get_mut(&stream)?;
        let mut out = Vec::new();
        for _ in 0..max.min(MAX_BATCH) {
            match stream.0.try_recv(MAX_DATAGRAM) {
                Ok((data, from)) => {
                    out.push(IncomingDatagram {
                        data: data.to_vec(),
                        remote_address: to_wit(from),
                    });
                }
                Err(Errno::WouldBlock) => break,
                Err(_) if !out.is_empty() => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(out)
    }

    fn subscribe(&mut self, stream: Resource<Incoming>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi::p2::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<Incoming>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for View<'_> {
    fn check_send(&mut self, _: Resource<Outgoing>) -> SocketResult<u64> {
        Ok(MAX_BATCH)
    }

    fn send(
        &mut self,
        stream: Resource<Outgoing>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let stream = self.table.get_mut(&stream)?;
        let mut sent = 0;
        for datagram in datagrams {
            let to = datagram.remote_address.map(from_wit);
            let to = match (stream.peer, to) {
                (Some(peer), Some(to)) if peer != to => Err(ErrorCode::InvalidArgument),
                (Some(_), _) => Ok(None),
                (None, Some(to)) if to.port() != 0 && !to.ip().is_unspecified() => Ok(Some(to)),
                (None, _) => Err(ErrorCode::InvalidArgument),
            };
            let result = to
                .map_err(Into::into)
                .and_then(|to| Ok(stream.inner.send(Bytes::from(datagram.data), to)?));
            match result {
                Ok(()) => sent += 1,
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn subscribe(&mut self, stream: Resource<Outgoing>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi::p2::subscribe(self.table, stream)
    }

    fn drop(&mut self, stream: Resource<Outgoing>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
