//! The target's side of a flow: the connection, the PROXY protocol header, TLS.
//!
//! ELB pages: "Edit target group attributes for your Network Load Balancer"
//! (client IP preservation, proxy protocol), "Target groups for your Network
//! Load Balancers" (TLS towards targets, certificates are not validated).

use std::{io, net::SocketAddr, time::Duration};

use rustix::io::Errno;
use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::client::TlsStream;

use super::state::GroupState;
use crate::{flow::CloseReason, proxy_protocol::v2, tls::target::TargetTls};

/// Whose connection it is, as targets are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: SocketAddr,
    /// What the client reached.
    pub(super) destination: SocketAddr,
}

/// Connects to the target at `addr` within `limit` and sends the PROXY protocol header, if the group has it.
///
/// # Errors
/// Why there is no flow; logged.
pub(super) async fn connect(
    group: &GroupState,
    addr: SocketAddr,
    ends: Ends,
    limit: Duration,
) -> Result<TcpStream, CloseReason> {
    let connecting = async {
        let mut tcp = if group.attributes.preserve_client_ip {
            connect_as(ends.client, addr).await?
        } else {
            TcpStream::connect(addr).await?
        };
        // Without it the target waits for bytes that Nagle holds back; a refusal costs only latency.
        drop(tcp.set_nodelay(true));
        if group.attributes.proxy_protocol_v2 {
            tcp.write_all(&v2::proxy(ends.client, ends.destination)).await?;
        }
        io::Result::Ok(tcp)
    };
    match tokio::time::timeout(limit, connecting).await {
        Ok(Ok(tcp)) => Ok(tcp),
        Ok(Err(error)) => {
            let reason = reason(&error);
            if matches!(reason, CloseReason::InternalError | CloseReason::PortAllocationError) {
                tracing::warn!(%error, target = %addr, "cannot connect to the target");
            } else {
                tracing::debug!(%error, target = %addr, "connecting to the target failed");
            }
            Err(reason)
        }
        Err(_) => Err(CloseReason::ConnectTimeout),
    }
}

fn reason(error: &io::Error) -> CloseReason {
    match Errno::from_io_error(error) {
        Some(Errno::TIMEDOUT) => CloseReason::ConnectTimeout,
        Some(Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::AGAIN) => CloseReason::PortAllocationError,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::PERM) => {
            CloseReason::InternalError
        }
        _ => CloseReason::ConnectFailed,
    }
}

/// Connects from the client's own address and port, so that the target sees the client.
///
/// The target's answers must come back through this host: that is for its routes.
async fn connect_as(client: SocketAddr, addr: SocketAddr) -> io::Result<TcpStream> {
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    if client.is_ipv4() != addr.is_ipv4() {
        // Between the two versions of IP a client's address is never preserved.
        return TcpStream::connect(addr).await;
    }
    let socket = transparent(addr)?;
    socket.set_reuseaddr(true)?;
    socket.bind(client)?;
    socket.connect(addr).await
}

/// A socket that may have any address.
fn transparent(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if addr.is_ipv4() {
        SockRef::from(&socket).set_ip_transparent_v4(true)?;
    } else {
        SockRef::from(&socket).set_ip_transparent_v6(true)?;
    }
    Ok(socket)
}

/// Whether this process may connect from addresses that are not its own (`CAP_NET_ADMIN` or `CAP_NET_RAW`).
///
/// # Errors
/// What the system says against it.
pub fn can_be_transparent() -> io::Result<()> {
    transparent(SocketAddr::from(([0, 0, 0, 0], 0))).map(drop)
}

/// Agrees on TLS with the target, offering the protocol that was agreed on with the client.
///
/// # Errors
/// When the target is too slow or agrees to nothing; logged.
pub(super) async fn secure(
    tls: &TargetTls,
    alpn: Option<&str>,
    addr: SocketAddr,
    tcp: TcpStream,
    limit: Duration,
) -> Result<Box<TlsStream<TcpStream>>, CloseReason> {
    tls.connect_offering(alpn, addr.ip(), tcp, limit).await.map_err(|error| {
        let error: &dyn std::error::Error = &error;
        tracing::debug!(error, target = %addr, "TLS handshake with the target failed");
        CloseReason::TargetTlsError
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_flow_from_its_target_is_told_apart() {
        for (errno, expected) in [
            (Errno::CONNREFUSED, CloseReason::ConnectFailed),
            (Errno::HOSTUNREACH, CloseReason::ConnectFailed),
            (Errno::TIMEDOUT, CloseReason::ConnectTimeout),
            (Errno::ADDRNOTAVAIL, CloseReason::PortAllocationError),
            (Errno::MFILE, CloseReason::InternalError),
        ] {
            assert_eq!(reason(&errno.into()), expected, "{errno}");
        }
    }
}
