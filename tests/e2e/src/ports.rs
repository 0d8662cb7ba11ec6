//! Held ports: a bound `SO_REUSEPORT` socket that does not listen keeps a port
//! for one test, so that no other process gets it before the server under
//! test binds it (with `--reuse-port`).

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::wait::{SOON, within};

/// A port of a loopback address that belongs to the test until this is dropped.
///
/// As long as nobody listens on it, connecting to it is refused.
#[derive(Debug)]
pub struct HeldPort {
    addr: SocketAddr,
    _socket: Socket,
}

impl HeldPort {
    /// Holds a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system has no free port.
    pub fn try_new() -> Result<Self> {
        Self::on(Ipv4Addr::LOCALHOST.into())
    }

    /// Holds a free port of `ip`.
    ///
    /// # Errors
    /// When the address is not there or has no free port.
    pub fn on(ip: IpAddr) -> Result<Self> {
        let socket = bound(SocketAddr::new(ip, 0)).with_context(|| format!("hold a port of {ip}"))?;
        let addr = socket.local_addr()?.as_socket().context("not an internet address")?;
        Ok(Self { addr, _socket: socket })
    }

    /// The address with the held port.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port alone.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Listens on the held port.
    ///
    /// # Errors
    /// When the system refuses to bind or listen.
    pub fn listen(&self) -> Result<TcpListener> {
        let socket = bound(self.addr).with_context(|| format!("listen on {}", self.addr))?;
        socket.listen(1024)?;
        socket.set_nonblocking(true)?;
        Ok(TcpListener::from_std(socket.into())?)
    }

    /// Listens with the shortest possible queue and never accepts: once a few
    /// connections wait in it, the system drops further SYNs, as a host that is gone does.
    ///
    /// # Errors
    /// When the system refuses to bind or listen.
    pub fn listen_without_accepting(&self) -> Result<Socket> {
        let socket = bound(self.addr)?;
        socket.listen(0)?;
        Ok(socket)
    }

    /// The same, with its queue filled already.
    ///
    /// # Errors
    /// When the system refuses to bind or listen.
    pub async fn listen_full(&self) -> Result<FullQueue> {
        let socket = self.listen_without_accepting()?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        let mut waiting = Vec::new();
        // On loopback whoever gets in does so at once.
        while let Ok(stream) = timeout(Duration::from_millis(300), TcpStream::connect(self.addr)).await {
            waiting.push(stream?);
        }
        Ok(FullQueue { listener, waiting })
    }
}

/// A listening socket whose queue is full: SYNs are dropped.
#[derive(Debug)]
pub struct FullQueue {
    listener: TcpListener,
    waiting: Vec<TcpStream>,
}

impl FullQueue {
    /// Accepts what filled the queue and the connection that comes after it, once its SYN is repeated.
    ///
    /// # Errors
    /// When none comes soon.
    pub async fn accept_last(self) -> Result<TcpStream> {
        for _ in &self.waiting {
            within(SOON, "a waiting connection", self.listener.accept()).await??;
        }
        Ok(within(SOON, "the connection behind the full queue", self.listener.accept()).await??.0)
    }
}

fn bound(addr: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}
