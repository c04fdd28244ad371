//! WASI 0.2: sockets, streams and `wasi:io/poll`.
//!
//! Fields are dropped in order of declaration, and a pollable must go before what it came from.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::rc::Rc;
use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::runtime::readiness;

#[path = "wasi_udp.rs"]
mod udp;
pub(crate) use udp::Datagrams;

/// Something that can become ready.
pub(crate) type Source = Rc<Pollable>;

/// Waits for one of `sources`, at most `timeout`; which are ready.
pub(crate) fn poll(sources: &[Source], timeout: Option<Duration>) -> Vec<usize> {
    let nanos = |t: Duration| t.as_nanos().try_into().unwrap_or(u64::MAX);
    let timer = timeout.map(|t| monotonic_clock::subscribe_duration(nanos(t)));
    let all: Vec<&Pollable> = sources.iter().map(|s| &**s).chain(timer.as_ref()).collect();
    let ready = wasip2::io::poll::poll(&all);
    ready.into_iter().map(|i| i as usize).filter(|i| *i < sources.len()).collect()
}

fn error(code: ErrorCode) -> io::Error {
    use io::ErrorKind as K;
    let kind = match code {
        ErrorCode::WouldBlock => K::WouldBlock,
        ErrorCode::AccessDenied => K::PermissionDenied,
        ErrorCode::AddressInUse => K::AddrInUse,
        ErrorCode::AddressNotBindable => K::AddrNotAvailable,
        ErrorCode::ConnectionRefused => K::ConnectionRefused,
        ErrorCode::ConnectionReset => K::ConnectionReset,
        ErrorCode::ConnectionAborted => K::ConnectionAborted,
        ErrorCode::Timeout => K::TimedOut,
        ErrorCode::RemoteUnreachable => K::HostUnreachable,
        ErrorCode::InvalidArgument => K::InvalidInput,
        ErrorCode::NameUnresolvable => K::NotFound,
        _ => K::Other,
    };
    io::Error::new(kind, code.name())
}

fn to_wasi(addr: SocketAddr) -> IpSocketAddress {
    match addr {
        SocketAddr::V4(a) => {
            let [b0, b1, b2, b3] = a.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress { port: a.port(), address: (b0, b1, b2, b3) })
        }
        SocketAddr::V6(a) => {
            let [s0, s1, s2, s3, s4, s5, s6, s7] = a.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: a.port(),
                flow_info: a.flowinfo(),
                address: (s0, s1, s2, s3, s4, s5, s6, s7),
                scope_id: a.scope_id(),
            })
        }
    }
}

fn from_wasi(addr: IpSocketAddress) -> SocketAddr {
    match addr {
        IpSocketAddress::Ipv4(a) => {
            let (b0, b1, b2, b3) = a.address;
            SocketAddrV4::new(Ipv4Addr::new(b0, b1, b2, b3), a.port).into()
        }
        IpSocketAddress::Ipv6(a) => {
            let ip = v6(a.address);
            SocketAddrV6::new(ip, a.port, a.flow_info, a.scope_id).into()
        }
    }
}

fn v6(a: (u16, u16, u16, u16, u16, u16, u16, u16)) -> Ipv6Addr {
    Ipv6Addr::new(a.0, a.1, a.2, a.3, a.4, a.5, a.6, a.7)
}

fn family(addr: &SocketAddr) -> IpAddressFamily {
    if addr.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
}

pub(crate) struct Listener {
    acceptable: Source,
    socket: TcpSocket,
}

impl Listener {
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = create_tcp_socket(family(&addr)).map_err(error)?;
        let acceptable = Rc::new(socket.subscribe());
        socket.start_bind(&instance_network(), to_wasi(addr)).map_err(error)?;
        finish(&acceptable, || socket.finish_bind()).await?;
        socket.start_listen().map_err(error)?;
        finish(&acceptable, || socket.finish_listen()).await?;
        Ok(Listener { acceptable, socket })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_address().map(from_wasi).map_err(error)
    }

    /// `WouldBlock` if nobody has called.
    pub(crate) fn try_accept(&self) -> io::Result<Stream> {
        let (socket, input, output) = self.socket.accept().map_err(error)?;
        Ok(Stream::new(socket, input, output))
    }

    pub(crate) fn source(&self) -> Source {
        self.acceptable.clone()
    }
}

/// Repeats the second half of an operation until it is known.
async fn finish<T>(
    source: &Source,
    mut second: impl FnMut() -> Result<T, ErrorCode>,
) -> io::Result<T> {
    loop {
        match second() {
            Err(ErrorCode::WouldBlock) => readiness(source.clone()).await,
            other => return other.map_err(error),
        }
    }
}

pub(crate) struct Stream {
    readable: Source,
    writable: Source,
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

impl Stream {
    fn new(socket: TcpSocket, input: InputStream, output: OutputStream) -> Stream {
        let (readable, writable) = (Rc::new(input.subscribe()), Rc::new(output.subscribe()));
        Stream { readable, writable, input, output, socket }
    }

    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Stream> {
        let socket = create_tcp_socket(family(&addr)).map_err(error)?;
        let connected = Rc::new(socket.subscribe());
        socket.start_connect(&instance_network(), to_wasi(addr)).map_err(error)?;
        let (input, output) = finish(&connected, || socket.finish_connect()).await?;
        drop(connected);
        Ok(Stream::new(socket, input, output))
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.remote_address().map(from_wasi).map_err(error)
    }

    pub(crate) fn try_read(&self, max: usize) -> io::Result<Vec<u8>> {
        read(&self.input, max)
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.output.check_write().map_err(broken)?;
        if room == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = bytes.len().min(room.try_into().unwrap_or(usize::MAX));
        self.output.write(&bytes[..n]).map_err(broken)?;
        Ok(n)
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(ShutdownType::Send).map_err(error)
    }

    pub(crate) fn readable(&self) -> Source {
        self.readable.clone()
    }

    pub(crate) fn writable(&self) -> Source {
        self.writable.clone()
    }
}

/// What is there: `WouldBlock` if nothing is, empty at the end.
fn read(input: &InputStream, max: usize) -> io::Result<Vec<u8>> {
    match input.read(max as u64) {
        Ok(bytes) if bytes.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
        Ok(bytes) => Ok(bytes),
        Err(StreamError::Closed) => Ok(Vec::new()),
        Err(e @ StreamError::LastOperationFailed(_)) => Err(broken(e)),
    }
}

fn broken(e: StreamError) -> io::Error {
    match e {
        StreamError::Closed => io::ErrorKind::BrokenPipe.into(),
        StreamError::LastOperationFailed(e) => {
            io::Error::new(io::ErrorKind::ConnectionReset, e.to_debug_string())
        }
    }
}

/// The addresses of `host:port`.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = resolve_addresses(&instance_network(), host).map_err(error)?;
    let source = Rc::new(found.subscribe());
    let mut addresses = Vec::new();
    while let Some(ip) = finish(&source, || found.resolve_next_address()).await? {
        let ip = match ip {
            IpAddress::Ipv4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            IpAddress::Ipv6(a) => IpAddr::V6(v6(a)),
        };
        addresses.push(SocketAddr::new(ip, port));
    }
    drop(source);
    Ok(addresses)
}

/// `/dev/signals`.
pub(crate) struct Signals {
    source: Source,
    input: InputStream,
    _file: Descriptor,
}

impl Signals {
    pub(crate) fn open() -> Option<Signals> {
        let dirs = wasip2::filesystem::preopens::get_directories();
        let (root, _) = dirs.iter().find(|(_, path)| path == "/")?;
        let (follow, flags) = (PathFlags::SYMLINK_FOLLOW, DescriptorFlags::READ);
        let file = root.open_at(follow, "dev/signals", OpenFlags::empty(), flags).ok()?;
        let input = file.read_via_stream(0).ok()?;
        Some(Signals { source: Rc::new(input.subscribe()), input, _file: file })
    }

    pub(crate) fn try_read(&self) -> io::Result<Vec<u8>> {
        read(&self.input, 64)
    }

    pub(crate) fn source(&self) -> Source {
        self.source.clone()
    }
}

/// Standard input.
pub(crate) struct Stdin {
    source: Source,
    input: InputStream,
}

impl Stdin {
    pub(crate) fn open() -> Stdin {
        let input = wasip2::cli::stdin::get_stdin();
        Stdin { source: Rc::new(input.subscribe()), input }
    }

    pub(crate) fn try_read(&self, max: usize) -> io::Result<Vec<u8>> {
        read(&self.input, max)
    }

    pub(crate) fn source(&self) -> Source {
        self.source.clone()
    }
}

/// Ends with a status: the standard library knows success and failure only.
pub(crate) fn exit(status: u8) -> ! {
    wasip2::cli::exit::exit_with_code(status);
    unreachable!("the host has ended this program")
}

/// Makes a symbolic link: the standard library has no stable way to.
pub(crate) fn symlink(target: &str, at: &std::path::Path) -> io::Result<()> {
    use wasip2::filesystem::types::ErrorCode as Code;
    let at = std::env::current_dir()?.join(at);
    let path = at.to_str().ok_or(io::ErrorKind::InvalidInput)?.trim_start_matches('/');
    let dirs = wasip2::filesystem::preopens::get_directories();
    let root = dirs.iter().find(|(_, path)| path == "/").ok_or(io::ErrorKind::NotFound)?;
    root.0.symlink_at(target, path).map_err(|code| {
        io::Error::from(match code {
            Code::Exist => io::ErrorKind::AlreadyExists,
            Code::NoEntry => io::ErrorKind::NotFound,
            Code::ReadOnly => io::ErrorKind::ReadOnlyFilesystem,
            Code::InsufficientSpace => io::ErrorKind::StorageFull,
            Code::NotDirectory => io::ErrorKind::NotADirectory,
            Code::NameTooLong => io::ErrorKind::InvalidFilename,
            Code::Access | Code::NotPermitted => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        })
    })
}
