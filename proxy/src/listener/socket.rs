//! Listening sockets.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::TcpListener;

/// Connections that may wait to be accepted; the system caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 65_535;

/// Whether other sockets may share a listener's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortSharing {
    /// A port that is taken is an error.
    #[default]
    Exclusive,
    /// `SO_REUSEPORT`: for test harnesses that hold ports, and several processes on one port.
    Shared,
}

/// Opens a listening socket. Must be called within a Tokio runtime.
///
/// # Errors
///
/// When the address is taken, foreign or forbidden.
pub(super) fn listen(address: SocketAddr, sharing: PortSharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that ended a moment ago must not block the port.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == PortSharing::Shared)?;
    socket.bind(&address.into())?;
    serve(socket.into())
}

/// Makes a bound socket one that listens the way ours do, whoever opened it. Must be called within a Tokio
/// runtime.
///
/// # Errors
///
/// When the system refuses.
pub(super) fn serve(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    let socket = SockRef::from(&listener);
    socket.set_nonblocking(true)?;
    // What is accepted inherits it. Without it small frames wait for acknowledgements; a refusal costs only
    // latency.
    drop(socket.set_tcp_nodelay(true));
    // Of a socket that listens already it changes the backlog.
    socket.listen(BACKLOG)?;
    TcpListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error_unless_shared() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = listen(any, PortSharing::Exclusive).unwrap();
        let taken = listen(first.local_addr().unwrap(), PortSharing::Exclusive).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);

        let first = listen(any, PortSharing::Shared).unwrap();
        listen(first.local_addr().unwrap(), PortSharing::Shared).unwrap();
    }

    #[tokio::test]
    async fn a_socket_from_elsewhere_becomes_like_ours() {
        let other = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).unwrap();
        let listener = serve(other).unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        client.unwrap();
        assert!(accepted.unwrap().0.nodelay().unwrap());
    }

    #[tokio::test]
    async fn what_is_accepted_does_not_wait_for_acknowledgements() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), PortSharing::Exclusive).unwrap();
        let _client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
