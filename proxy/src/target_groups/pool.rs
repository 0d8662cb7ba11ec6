//! Idle keep-alive connections to one target.
//!
//! Connections are shared by the requests of all clients, the one used last is
//! taken first, and none is opened ahead of need (ELB page "How Elastic Load
//! Balancing works", HTTP connections). A connection that the target has
//! closed is noticed when it is taken or swept. What cannot be noticed is a
//! close that is still on the wire when a request is sent: that request gets
//! 502, the keep-alive race.

use std::io;

use parking_lot::Mutex;
use tokio::{net::TcpStream, time::Instant};

use crate::metrics::OpenConnection;

/// Idle connections kept for one target at most; one more is closed.
pub const MAX_IDLE: usize = 512;

/// An established connection to a target.
#[derive(Debug)]
pub struct TargetConnection {
    /// The socket.
    pub tcp: TcpStream,
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
    #[must_use]
    pub fn take(&self, now: Instant) -> Option<TargetConnection> {
        loop {
            let Idle { connection, expires } = self.idle.lock().pop()?;
            if now < expires && is_open(&connection.tcp) {
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
        self.idle.lock().retain(|idle| now < idle.expires && is_open(&idle.connection.tcp));
    }

    /// Closes all connections.
    pub fn clear(&self) {
        self.idle.lock().clear();
    }
}

/// Whether the target has neither closed the connection nor sent anything unasked.
fn is_open(tcp: &TcpStream) -> bool {
    let mut probe = [0; 1];
    matches!(tcp.try_read(&mut probe), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;

    /// Both ends of a TCP connection.
    async fn pair(listener: &TcpListener) -> (TargetConnection, TcpStream) {
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let gauge = crate::metrics::Gauge::new("open", "open").unwrap();
        (TargetConnection { tcp, open: OpenConnection::new(gauge) }, far)
    }

    #[tokio::test]
    async fn the_connection_used_last_is_taken_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = ConnectionPool::default();
        let now = Instant::now();
        let (first, _far_first) = pair(&listener).await;
        let (second, _far_second) = pair(&listener).await;
        let second_port = second.tcp.local_addr().unwrap();
        pool.put(first, now + Duration::from_secs(60));
        pool.put(second, now + Duration::from_secs(60));
        assert_eq!(pool.take(now).unwrap().tcp.local_addr().unwrap(), second_port);
        assert!(pool.take(now).is_some());
        assert!(pool.take(now).is_none());
    }

    #[tokio::test]
    async fn expired_closed_and_talking_connections_are_not_handed_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = ConnectionPool::default();
        let now = Instant::now();
        let (expired, _far) = pair(&listener).await;
        pool.put(expired, now);
        assert!(pool.take(now).is_none());

        let (closed, far) = pair(&listener).await;
        drop(far);
        closed.tcp.readable().await.unwrap();
        pool.put(closed, now + Duration::from_secs(60));
        assert!(pool.take(now).is_none());

        let (talking, mut far) = pair(&listener).await;
        far.write_all(b"HTTP/1.1 408").await.unwrap();
        talking.tcp.readable().await.unwrap();
        pool.put(talking, now + Duration::from_secs(60));
        pool.sweep(now);
        assert!(pool.take(now).is_none());
    }
}
