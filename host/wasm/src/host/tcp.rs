//! `wasi:sockets/tcp` over the pod's network.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podlab_net::{Errno, TcpOptions, TcpSocket};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
};

use super::View;
use super::sockets::{Network, SocketResult, StreamErrno, family, from_wit, to_wit};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::tcp::{self, ShutdownType};
use crate::bindings::wasi::sockets::tcp_create_socket;

/// The backlog of a socket that asks for none (Rust's std asks for 128, as Linux' somaxconn was).
const BACKLOG: usize = 128;
/// The most one read gives, in bytes.
const MAX_READ: usize = 64 << 10;

/// A TCP socket of a program.
pub struct Socket {
    inner: Arc<TcpSocket>,
    backlog: usize,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Fresh,
    Binding,
    Bound,
    Connecting,
    Connected,
    StartedListening,
    Listening,
    Failed,
}

#[async_trait::async_trait]
impl Pollable for Socket {
    async fn ready(&mut self) {
        match self.step {
            Step::Connecting => poll_fn(|cx| self.inner.poll_connect(cx)).await,
            Step::Listening => poll_fn(|cx| self.inner.poll_accept(cx)).await,
            _ => {}
        }
    }
}

struct Reader(Arc<TcpSocket>);
struct Writer(Arc<TcpSocket>);

fn stream_error(errno: Errno) -> StreamError {
    match errno {
        Errno::Closed => StreamError::Closed,
        other => StreamError::LastOperationFailed(wasmtime::Error::new(StreamErrno(other))),
    }
}

#[async_trait::async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.poll_read(cx)).await;
    }
}

impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        match self.0.try_read(size.min(MAX_READ)) {
            Ok(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(bytes) => Ok(bytes),
            Err(Errno::WouldBlock) => Ok(Bytes::new()),
            Err(errno) => Err(stream_error(errno)),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.poll_write(cx)).await;
    }
}

impl OutputStream for Writer {
    fn write(&mut self, mut bytes: Bytes) -> StreamResult<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.0.write_some(&mut bytes) {
            Ok(_) if bytes.is_empty() => Ok(()),
            Ok(_) | Err(Errno::WouldBlock) => {
                Err(StreamError::trap("the program wrote more than check-write had permitted"))
            }
            Err(errno) => Err(stream_error(errno)),
        }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let room = self.0.writable();
        if room > 0 {
            return Ok(room);
        }
        // No room: is the buffer full, or is this direction over?
        match self.0.write_some(&mut Bytes::new()) {
            Ok(_) | Err(Errno::WouldBlock) => Ok(0),
            Err(errno) => Err(stream_error(errno)),
        }
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(&mut self, of: IpAddressFamily) -> SocketResult<Resource<Socket>> {
        let v6 = of == IpAddressFamily::Ipv6;
        let inner = Arc::new(self.stack.tcp(v6)?);
        if v6 {
            // wasi:sockets knows no dual-stack sockets: `[::]` takes IPv6 only.
            let options = TcpOptions { v6_only: true, ..inner.options() };
            inner.set_options(options)?;
        }
        Ok(self.table.push(Socket { inner, backlog: BACKLOG, step: Step::Fresh })?)
    }
}

impl tcp::Host for View<'_> {}

impl View<'_> {
    fn tcp(&mut self, socket: &Resource<Socket>) -> SocketResult<&mut Socket> {
        Ok(self.table.get_mut(socket)?)
    }

    fn tcp_options(
        &mut self,
        socket: &Resource<Socket>,
        change: impl FnOnce(&mut TcpOptions),
    ) -> SocketResult<()> {
        let socket = self.tcp(socket)?;
        let mut options = socket.inner.options();
        change(&mut options);
        Ok(socket.inner.set_options(options)?)
    }

    fn tcp_streams(
        &mut self,
        socket: &Resource<Socket>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let inner = self.tcp(socket)?.inner.clone();
        let input: DynInputStream = Box::new(Reader(inner.clone()));
        let output: DynOutputStream = Box::new(Writer(inner));
        Ok((self.table.push_child(input, socket)?, self.table.push_child(output, socket)?))
    }
}

impl tcp::HostTcpSocket for View<'_> {
    fn start_bind(
        &mut self,
        socket: Resource<Socket>,
        _: Resource<Network>,
        at: IpSocketAddress,
    ) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if socket.step != Step::Fresh {
            return Err(ErrorCode::InvalidState.into());
        }
        socket.inner.bind(from_wit(at))?;
        socket.step = Step::Binding;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<Socket>) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if socket.step != Step::Binding {
            return Err(ErrorCode::NotInProgress.into());
        }
        socket.step = Step::Bound;
        Ok(())
    }

    fn start_connect(
        &mut self,
        socket: Resource<Socket>,
        _: Resource<Network>,
        to: IpSocketAddress,
    ) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        match socket.step {
            Step::Fresh | Step::Bound => {}
            Step::Connecting => return Err(ErrorCode::ConcurrencyConflict.into()),
            _ => return Err(ErrorCode::InvalidState.into()),
        }
        let to = from_wit(to);
        if to.port() == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        match socket.inner.connect(to) {
            Ok(()) => {}
            Err(Errno::AddrNotAvailable) => return Err(ErrorCode::AddressInUse.into()),
            Err(errno) => return Err(errno.into()),
        }
        socket.step = Step::Connecting;
        Ok(())
    }

    fn finish_connect(
        &mut self,
        socket: Resource<Socket>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let s = self.tcp(&socket)?;
        if s.step != Step::Connecting {
            return Err(ErrorCode::NotInProgress.into());
        }
        match s.inner.finish_connect() {
            Ok(()) => s.step = Step::Connected,
            Err(Errno::WouldBlock) => return Err(ErrorCode::WouldBlock.into()),
            Err(errno) => {
                s.step = Step::Failed;
                return Err(errno.into());
            }
        }
        self.tcp_streams(&socket)
    }

    fn start_listen(&mut self, socket: Resource<Socket>) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if socket.step != Step::Bound {
            return Err(ErrorCode::InvalidState.into());
        }
        socket.inner.listen(socket.backlog)?;
        socket.step = Step::StartedListening;
        Ok(())
    }

    fn finish_listen(&mut self, socket: Resource<Socket>) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if socket.step != Step::StartedListening {
            return Err(ErrorCode::NotInProgress.into());
        }
        socket.step = Step::Listening;
        Ok(())
    }

    fn accept(
        &mut self,
        socket: Resource<Socket>,
    ) -> SocketResult<(Resource<Socket>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let listener = self.tcp(&socket)?;
        if listener.step != Step::Listening {
            return Err(ErrorCode::InvalidState.into());
        }
        let inner = Arc::new(listener.inner.accept()?);
        let accepted = Socket { inner, backlog: BACKLOG, step: Step::Connected };
        let accepted = self.table.push(accepted)?;
        let (input, output) = self.tcp_streams(&accepted)?;
        Ok((accepted, input, output))
    }

    fn local_address(&mut self, socket: Resource<Socket>) -> SocketResult<IpSocketAddress> {
        let addr = self.tcp(&socket)?.inner.local_addr();
        addr.map(to_wit).map_err(|_| ErrorCode::InvalidState.into())
    }

    fn remote_address(&mut self, socket: Resource<Socket>) -> SocketResult<IpSocketAddress> {
        let addr = self.tcp(&socket)?.inner.peer_addr();
        addr.map(to_wit).map_err(|_| ErrorCode::InvalidState.into())
    }

    fn is_listening(&mut self, socket: Resource<Socket>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&socket)?.step == Step::Listening)
    }

    fn address_family(&mut self, socket: Resource<Socket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(family(self.table.get(&socket)?.inner.is_ipv6()))
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<Socket>, size: u64) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if size == 0 {
            return Err(ErrorCode::InvalidArgument.into());
        }
        if matches!(socket.step, Step::Connecting | Step::Connected | Step::Failed) {
            return Err(ErrorCode::InvalidState.into());
        }
        socket.backlog = usize::try_from(size).unwrap_or(usize::MAX).min(4096);
        Ok(())
    }

    fn keep_alive_enabled(&mut self, socket: Resource<Socket>) -> SocketResult<bool> {
        Ok(self.tcp(&socket)?.inner.options().keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<Socket>, on: bool) -> SocketResult<()> {
        self.tcp_options(&socket, |o| o.keep_alive = on)
    }

    fn keep_alive_idle_time(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        Ok(nanos(self.tcp(&socket)?.inner.options().keep_idle))
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<Socket>, ns: u64) -> SocketResult<()> {
        positive(ns)?;
        self.tcp_options(&socket, |o| o.keep_idle = Duration::from_nanos(ns))
    }

    fn keep_alive_interval(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        Ok(nanos(self.tcp(&socket)?.inner.options().keep_interval))
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<Socket>, ns: u64) -> SocketResult<()> {
        positive(ns)?;
        self.tcp_options(&socket, |o| o.keep_interval = Duration::from_nanos(ns))
    }

    fn keep_alive_count(&mut self, socket: Resource<Socket>) -> SocketResult<u32> {
        Ok(self.tcp(&socket)?.inner.options().keep_count)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<Socket>, count: u32) -> SocketResult<()> {
        positive(count.into())?;
        self.tcp_options(&socket, |o| o.keep_count = count)
    }

    fn hop_limit(&mut self, socket: Resource<Socket>) -> SocketResult<u8> {
        Ok(self.tcp(&socket)?.inner.options().hop_limit)
    }

    fn set_hop_limit(&mut self, socket: Resource<Socket>, hops: u8) -> SocketResult<()> {
        positive(hops.into())?;
        self.tcp_options(&socket, |o| o.hop_limit = hops)
    }

    fn receive_buffer_size(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        Ok(self.tcp(&socket)?.inner.options().receive_buffer as u64)
    }

    fn set_receive_buffer_size(
        &mut self,
        socket: Resource<Socket>,
        bytes: u64,
    ) -> SocketResult<()> {
        positive(bytes)?;
        self.tcp_options(&socket, |o| o.receive_buffer = bytes.min(1 << 30) as usize)
    }

    fn send_buffer_size(&mut self, socket: Resource<Socket>) -> SocketResult<u64> {
        Ok(self.tcp(&socket)?.inner.options().send_buffer as u64)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<Socket>, bytes: u64) -> SocketResult<()> {
        positive(bytes)?;
        self.tcp_options(&socket, |o| o.send_buffer = bytes.min(1 << 30) as usize)
    }

    fn subscribe(&mut self, socket: Resource<Socket>) -> wasmtime::Result<Resource<DynPollable>> {
        wasmtime_wasi::p2::subscribe(self.table, socket)
    }

    fn shutdown(&mut self, socket: Resource<Socket>, how: ShutdownType) -> SocketResult<()> {
        let socket = self.tcp(&socket)?;
        if socket.step != Step::Connected {
            return Err(ErrorCode::InvalidState.into());
        }
        let (read, write) = match how {
            ShutdownType::Receive => (true, false),
            ShutdownType::Send => (false, true),
            ShutdownType::Both => (true, true),
        };
        Ok(socket.inner.shutdown(read, write)?)
    }

    fn drop(&mut self, socket: Resource<Socket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

fn positive(value: u64) -> SocketResult<()> {
    if value == 0 { Err(ErrorCode::InvalidArgument.into()) } else { Ok(()) }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
