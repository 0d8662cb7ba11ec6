//! Idle keep-alive connections to one target.
//!
//! Connections are shared by the requests of all clients, the one used last is
//! taken first, and none is opened ahead of need (ELB page "How Elastic Load
//! Balancing works", HTTP connections). A connection that the target has
//! closed is noticed when it is taken or swept. What cannot be noticed is a
//! close that is still on the wire when a request is sent: that request gets
//! 502, the keep-alive race.

use parking_lot::Mutex;
use tokio::time::Instant;

pub use super::target_io::TargetIo;
use crate::metrics::OpenConnection;

/// Idle connections kept for one target at most; one more is closed.
pub const MAX_IDLE: usize = 512;

/// An established connection to a target.
#[derive(Debug)]
pub struct TargetConnection {
    /// The stream, in clear text or TLS.
    pub io: TargetIo,
    /// Counts it as open until it is dropped.
    pub open: OpenConnection,
}

/// The idle connections to one target.
#[derive(Debug, Default)]
pub struct ConnectionPool {
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: TargetConnection,
    expires: Instant,
}

impl ConnectionPool {
    /// Takes the connection that was used last and still looks open.
    ///
    /// One in clear text is of no use to a group that speaks TLS since a reload, nor the other way round.
    #[must_use]
    pub fn take(&self, is_tls: bool, now: Instant) -> Option<TargetConnection> {
        loop {
            let Idle { mut connection, expires } = self.idle.lock().pop()?;
            if now < expires && connection.io.is_tls() == is_tls && connection.io.is_open() {
                return Some(connection);
            }
        }
    }

    /// Gives a connection back, to be kept until `expires` at the latest.
    pub fn put(&self, connection: TargetConnection, expires: Instant) {
        let mut idle = self.idle.lock();
        if idle.len() < MAX_IDLE {
            idle.push(Idle { connection, expires });
        }
    }

    /// Closes connections that have expired or that the target has closed.
    pub fn sweep(&self, now: Instant) {
        self.idle.lock().retain_mut(|idle| now < idle.expires && idle.connection.io.is_open());
    }

    /// Closes all connections.
    pub fn clear(&self) {
        self.idle.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use std::{io, os::fd::AsRawFd, time::Duration};

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// Both ends of a TCP connection.
    async fn pair(listener: &TcpListener) -> (TargetConnection, TcpStream) {
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let gauge = crate::metrics::Gauge::new("open", "open").unwrap();
        (TargetConnection { io: TargetIo::Plain(tcp), open: OpenConnection::new(gauge) }, far)
    }

    async fn readable(connection: &TargetConnection) -> io::Result<()> {
        match &connection.io {
            TargetIo::Plain(tcp) => tcp.readable().await,
            TargetIo::Tls(tls) => tls.get_ref().0.readable().await,
        }
    }

    #[tokio::test]
    async fn the_connection_used_last_is_taken_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = ConnectionPool::default();
        let now = Instant::now();
        let (first, _far_first) = pair(&listener).await;
        let (second, _far_second) = pair(&listener).await;
        let second_socket = second.io.as_raw_fd();
        pool.put(first, now + Duration::from_secs(60));
        pool.put(second, now + Duration::from_secs(60));
        assert_eq!(pool.take(false, now).unwrap().io.as_raw_fd(), second_socket);
        assert!(pool.take(false, now).is_some());
        assert!(pool.take(false, now).is_none());
    }

    #[tokio::test]
    async fn a_connection_of_the_other_protocol_is_of_no_use() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = ConnectionPool::default();
        let now = Instant::now();
        let (plain, _far) = pair(&listener).await;
        pool.put(plain, now + Duration::from_secs(60));
        assert!(pool.take(true, now).is_none());
        assert!(pool.take(false, now).is_none(), "closed, and not put back");
    }

    #[tokio::test]
    async fn expired_closed_and_talking_connections_are_not_handed_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = ConnectionPool::default();
        let now = Instant::now();
        let (expired, _far) = pair(&listener).await;
        pool.put(expired, now);
        assert!(pool.take(false, now).is_none());

        let (closed, far) = pair(&listener).await;
        drop(far);
        readable(&closed).await.unwrap();
        pool.put(closed, now + Duration::from_secs(60));
        assert!(pool.take(false, now).is_none());

        let (talking, mut far) = pair(&listener).await;
        far.write_all(b"HTTP/1.1 408").await.unwrap();
        readable(&talking).await.unwrap();
        pool.put(talking, now + Duration::from_secs(60));
        pool.sweep(now);
        assert!(pool.take(false, now).is_none());
    }
}
