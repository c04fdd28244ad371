//! `wasi:sockets`: what TCP and UDP share, and name lookup.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;

use podlab_net::{DnsError, Errno};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynPollable, IoError, Pollable};

use super::{Fail, View};
use crate::bindings::wasi::sockets::network::{
    self, ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
    Ipv6SocketAddress,
};
use crate::bindings::wasi::sockets::{instance_network, ip_name_lookup};

/// The network of the pod; there is only one.
pub struct Network;

pub(crate) type SocketResult<T> = Result<T, Fail<ErrorCode>>;

impl From<Errno> for Fail<ErrorCode> {
    fn from(e: Errno) -> Self {
        Fail::Code(code(e))
    }
}

impl From<ErrorCode> for Fail<ErrorCode> {
    fn from(code: ErrorCode) -> Self {
        Fail::Code(code)
    }
}

pub(crate) fn code(e: Errno) -> ErrorCode {
    match e {
        Errno::AddrInUse => ErrorCode::AddressInUse,
        Errno::AddrNotAvailable => ErrorCode::AddressNotBindable,
        Errno::ConnRefused => ErrorCode::ConnectionRefused,
        Errno::ConnReset => ErrorCode::ConnectionReset,
        Errno::ConnAborted => ErrorCode::ConnectionAborted,
        Errno::TimedOut => ErrorCode::Timeout,
        Errno::NotConnected | Errno::IsConnected => ErrorCode::InvalidState,
        Errno::Already => ErrorCode::ConcurrencyConflict,
        Errno::WouldBlock => ErrorCode::WouldBlock,
        Errno::Unreachable => ErrorCode::RemoteUnreachable,
        Errno::Denied => ErrorCode::AccessDenied,
        Errno::Invalid | Errno::Family => ErrorCode::InvalidArgument,
        Errno::MessageTooLong => ErrorCode::DatagramTooLarge,
        Errno::Closed => ErrorCode::InvalidState,
        _ => ErrorCode::NewSocketLimit,
    }
}

pub(crate) fn family(v6: bool) -> IpAddressFamily {
    if v6 { IpAddressFamily::Ipv6 } else { IpAddressFamily::Ipv4 }
}

pub(crate) fn from_wit(addr: IpSocketAddress) -> SocketAddr {
    match addr {
        IpSocketAddress::Ipv4(a) => {
            let (b0, b1, b2, b3) = a.address;
            SocketAddrV4::new(Ipv4Addr::new(b0, b1, b2, b3), a.port).into()
        }
        IpSocketAddress::Ipv6(a) => {
            let w = a.address;
            let ip = Ipv6Addr::new(w.0, w.1, w.2, w.3, w.4, w.5, w.6, w.7);
            SocketAddrV6::new(ip, a.port, a.flow_info, a.scope_id).into()
        }
    }
}

pub(crate) fn to_wit(addr: SocketAddr) -> IpSocketAddress {
    match addr {
        SocketAddr::V4(a) => {
            let [b0, b1, b2, b3] = a.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: a.port(), address: (b0, b1, b2, b3) })
        }
        SocketAddr::V6(a) => {
            let s = a.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: a.port(),
                flow_info: a.flowinfo(),
                address: (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]),
                scope_id: a.scope_id(),
            })
        }
    }
}

fn ip_to_wit(ip: IpAddr) -> IpAddress {
    match to_wit(SocketAddr::new(ip, 0)) {
        IpSocketAddress::Ipv4(a) => IpAddress::Ipv4(a.address),
        IpSocketAddress::Ipv6(a) => IpAddress::Ipv6(a.address),
    }
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, fail: Fail<ErrorCode>) -> wasmtime::Result<ErrorCode> {
        fail.code()
    }

    fn network_error_code(
        &mut self,
        error: Resource<IoError>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<StreamErrno>().map(|e| code(e.0)))
    }
}

/// An [`Errno`] on its way through a stream's error.
#[derive(Debug)]
pub(crate) struct StreamErrno(pub(crate) Errno);

impl std::fmt::Display for StreamErrno {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StreamErrno {}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for View<'_> {
    fn instance_network(&mut self) -> wasmtime::Result<Resource<Network>> {
        self.table.push(Network).map_err(super::handles)
    }
}

type Pending = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, DnsError>> + Send>>;
type Answer = Result<VecDeque<IpAddr>, DnsError>;

/// A name being looked up.
pub struct Lookup {
    pending: Option<Pending>,
    answer: Answer,
}

#[async_trait::async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let Some(pending) = &mut self.pending {
            self.answer = pending.as_mut().await.map(VecDeque::from);
            self.pending = None;
        }
    }
}

impl ip_name_lookup::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        _: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<Lookup>> {
        if name.is_empty() {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let pending = self.stack.resolve(&name);
        let lookup = Lookup { pending: Some(Box::pin(pending)), answer: Ok(VecDeque::new()) };
        Ok(self.table.push(lookup)?)
    }
}

impl ip_name_lookup::HostResolveAddressStream for View<'_> {
    fn resolve_next_address(
        &mut self,
        lookup: Resource<Lookup>,
    ) -> SocketResult<Option<IpAddress>> {
        let lookup = self.table.get_mut(&lookup)?;
        if let Some(pending) = &mut lookup.pending {
            // Literal addresses and localhost are known at once.
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match pending.as_mut().poll(&mut cx) {
                std::task::Poll::Ready(answer) => {
                    lookup.answer = answer.map(VecDeque::from);
                    lookup.pending = None;
                }
                std::task::Poll::Pending => return Err(ErrorCode::WouldBlock.into()),
            }
        }
        match &mut lookup.answer {
            Ok(found) => Ok(found.pop_front().map(ip_to_wit)),
            Err(DnsError::NoSuchName) => Err(ErrorCode::NameUnresolvable.into()),
            Err(DnsError::Invalid) => Err(ErrorCode::InvalidArgument.into()),
            Err(_) => Err(ErrorCode::TemporaryResolverFailure.into()),
        }
    }

    fn subscribe(&mut self, lookup: Resource<Lookup>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi::p2::subscribe(self.table, lookup)
    }

    fn drop(&mut self, lookup: Resource<Lookup>) -> wasmtime::Result<()> {
        self.table.delete(lookup)?;
        Ok(())
    }
}
