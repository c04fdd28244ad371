//! Linux: nonblocking sockets and `poll(2)`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

#[path = "unix_udp.rs"]
mod udp;
pub(crate) use udp::Datagrams;

/// Something that can become ready.
#[derive(Clone)]
pub(crate) enum Source {
    Acceptable(Rc<TcpListener>),
    Readable(Rc<TcpStream>),
    Writable(Rc<TcpStream>),
    /// The flag: room to send is waited for, not something to receive.
    Datagrams(Rc<UdpSocket>, bool),
    Stdin,
}

/// Waits for one of `sources`, at most `timeout`; which are ready.
pub(crate) fn poll(sources: &[Source], timeout: Option<Duration>) -> Vec<usize> {
    let stdin = io::stdin();
    let mut fds: Vec<PollFd<'_>> = sources
        .iter()
        .map(|source| match source {
            Source::Acceptable(socket) => PollFd::new(&**socket, PollFlags::IN),
            Source::Readable(socket) => PollFd::new(&**socket, PollFlags::IN),
            Source::Writable(socket) => PollFd::new(&**socket, PollFlags::OUT),
            Source::Datagrams(socket, false) => PollFd::new(&**socket, PollFlags::IN),
            Source::Datagrams(socket, true) => PollFd::new(&**socket, PollFlags::OUT),
            Source::Stdin => PollFd::new(&stdin, PollFlags::IN),
        })
        .collect();
    let timeout = timeout.map(|t| Timespec {
        tv_sec: t.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => panic!("poll failed: {error}"),
    }
    let ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
    fds.iter().enumerate().filter(|(_, fd)| ready(fd)).map(|(index, _)| index).collect()
}

pub(crate) struct Listener(Rc<TcpListener>);

impl Listener {
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<Listener> {
        let socket = TcpListener::bind(addr)?;
        socket.set_nonblocking(true)?;
        Ok(Listener(Rc::new(socket)))
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// `WouldBlock` if nobody has called.
    pub(crate) fn try_accept(&self) -> io::Result<Stream> {
        let (socket, _) = self.0.accept()?;
        Stream::new(socket)
    }

    pub(crate) fn source(&self) -> Source {
        Source::Acceptable(self.0.clone())
    }
}

pub(crate) struct Stream(Rc<TcpStream>);

impl Stream {
    fn new(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Stream(Rc::new(socket)))
    }

    /// Natively this blocks: good enough for tests on loopback.
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Stream> {
        Stream::new(TcpStream::connect(addr)?)
    }

    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    pub(crate) fn try_read(&self, max: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; max];
        let n = (&*self.0).read(&mut buffer)?;
        buffer.truncate(n);
        Ok(buffer)
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(std::net::Shutdown::Write)
    }

    pub(crate) fn readable(&self) -> Source {
        Source::Readable(self.0.clone())
    }

    pub(crate) fn writable(&self) -> Source {
        Source::Writable(self.0.clone())
    }
}

/// The addresses of `host:port`.
pub(crate) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

/// Where signals come from: natively nowhere, they act as the system has it.
pub(crate) struct Signals;

impl Signals {
    pub(crate) fn open() -> Option<Signals> {
        None
    }

    pub(crate) fn try_read(&self) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(crate) fn source(&self) -> Source {
        Source::Stdin
    }
}

/// Standard input, read when it is ready.
pub(crate) struct Stdin;

impl Stdin {
    pub(crate) fn open() -> Stdin {
        Stdin
    }

    /// May block: call it when the source is ready.
    pub(crate) fn try_read(&self, max: usize) -> io::Result<Vec<u8>> {
        let ready = poll(&[Source::Stdin], Some(Duration::ZERO));
        if ready.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut buffer = vec![0; max];
        let n = io::stdin().lock().read(&mut buffer)?;
        buffer.truncate(n);
        Ok(buffer)
    }

    pub(crate) fn source(&self) -> Source {
        Source::Stdin
    }
}

/// Ends with a status.
pub(crate) fn exit(status: u8) -> ! {
    std::process::exit(status.into())
}

/// Makes a symbolic link.
pub(crate) fn symlink(target: &str, at: &std::path::Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}
