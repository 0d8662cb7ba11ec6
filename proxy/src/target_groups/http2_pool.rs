//! HTTP/2 connections to one target, each shared by many requests.
//!
//! ELB page: "Target groups for your Application Load Balancers", protocol
//! version. A request joins the connection that was opened first of those with
//! room; a new one is opened when all are full. A connection that was told to
//! go away, or from which nothing came for the idle timeout while a request
//! waited, takes no more requests and ends with those it has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use h2::client::SendRequest;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

/// Requests on one connection at a time, if the target allows as many.
pub const MAX_STREAMS: usize = 128;

/// What timers that count in milliseconds may be early by.
const ROUNDING: Duration = Duration::from_millis(2);

/// The HTTP/2 connections to one target.
#[derive(Debug, Default)]
pub struct Http2Pool {
    connections: Mutex<Vec<Http2Connection>>,
    /// Held while a connection is opened, so that requests that come together share it.
    pub opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Http2Connection {
    sender: SendRequest<Bytes>,
    is_tls: bool,
    usage: Arc<Usage>,
}

#[derive(Debug)]
struct Usage {
    streams: AtomicUsize,
    /// Takes no more requests.
    retired: AtomicBool,
    began: Instant,
    /// When something of a response last came, in milliseconds after `began`.
    received: AtomicU64,
    /// Until when the connection is kept without a request.
    expires: Mutex<Instant>,
}

/// A place on a connection for one request; dropping it makes room.
#[derive(Debug)]
pub struct Http2Stream {
    /// Sends the request.
    pub sender: SendRequest<Bytes>,
    usage: Arc<Usage>,
    idle: Duration,
}

impl Http2Pool {
    /// A place on an open connection, in TLS or not; `idle` is how long it is kept after its last request.
    #[must_use]
    pub fn take(&self, is_tls: bool, idle: Duration) -> Option<Http2Stream> {
        loop {
            let stream = {
                let connections = self.connections.lock();
                connections.iter().find(|it| it.is_tls == is_tls && it.has_room())?.enter(idle)
            };
            if let Some(stream) = stream.if_open() {
                return Some(stream);
            }
        }
    }

    /// Takes over an open connection, and the first place on it.
    #[must_use]
    pub fn put(&self, sender: SendRequest<Bytes>, is_tls: bool, idle: Duration) -> Http2Stream {
        let connection = Http2Connection { sender, is_tls, usage: Arc::new(Usage::new(Instant::now())) };
        let stream = connection.enter(idle);
        self.connections.lock().push(connection);
        stream
    }

    /// Lets go of connections that had no request for too long or that the target has closed.
    pub fn sweep(&self, now: Instant) {
        let mut connections = self.connections.lock();
        connections.retain(|it| it.is_usable() && !it.usage.is_expired(now));
    }

    /// Lets go of all connections: each closes after the last request on it.
    pub fn clear(&self) {
        self.connections.lock().clear();
    }
}

impl Http2Connection {
    /// Whether neither side has closed it or announced that it will, and it is not given up.
    fn is_usable(&self) -> bool {
        !self.usage.retired.load(Ordering::Relaxed)
            && !matches!(self.sender.clone().ready().now_or_never(), Some(Err(_)))
    }

    fn has_room(&self) -> bool {
        !self.usage.retired.load(Ordering::Relaxed)
            && self.usage.streams.load(Ordering::Relaxed)
                < self.sender.current_max_send_streams().min(MAX_STREAMS)
    }

    fn enter(&self, idle: Duration) -> Http2Stream {
        self.usage.streams.fetch_add(1, Ordering::Relaxed);
        Http2Stream { sender: self.sender.clone(), usage: Arc::clone(&self.usage), idle }
    }
}

impl Http2Stream {
    /// Itself, unless the connection was closed or told to go away: then no request is given it any more, and
    /// the next sweep lets go of it.
    fn if_open(mut self) -> Option<Self> {
        let ready = self.sender.poll_ready(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, Poll::Ready(Err(_))) {
            self.retire();
            return None;
        }
        Some(self)
    }

    /// Notes that something of the response has come.
    pub fn note_received(&self, now: Instant) {
        self.usage.received.store(self.usage.millis(now), Ordering::Relaxed);
    }

    /// Gives the connection up for requests to come.
    pub fn retire(&self) {
        self.usage.retired.store(true, Ordering::Relaxed);
    }

    /// Gives the connection up, for requests to come, if nothing has come on it for `limit`: when the
    /// target's host is gone, TCP finds out only after many minutes.
    pub fn retire_if_silent(&self, limit: Duration, now: Instant) {
        let silence = self.usage.millis(now).saturating_sub(self.usage.received.load(Ordering::Relaxed));
        if Duration::from_millis(silence) + ROUNDING >= limit {
            self.retire();
        }
    }
}

impl Usage {
    fn new(now: Instant) -> Self {
        Self {
            streams: AtomicUsize::new(0),
            retired: AtomicBool::new(false),
            began: now,
            received: AtomicU64::new(0),
            expires: Mutex::new(now),
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.began).as_millis()).unwrap_or(u64::MAX)
    }

    fn is_expired(&self, now: Instant) -> bool {
        self.streams.load(Ordering::Relaxed) == 0 && now >= *self.expires.lock()
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        *self.usage.expires.lock() = Instant::now() + self.idle;
        self.usage.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::AbortOnDropHandle;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// A sender whose connection is served in memory until the second value goes.
    async fn connection(streams: u32) -> (SendRequest<Bytes>, Vec<AbortOnDropHandle<()>>) {
        let (near, far) = tokio::io::duplex(1 << 16);
        let tasks = tokio_util::task::TaskTracker::new();
        let far = tasks.spawn(async move {
            let mut builder = h2::server::Builder::new();
            let mut server =
                builder.max_concurrent_streams(streams).handshake::<_, Bytes>(far).await.unwrap();
            while server.accept().await.is_some() {}
        });
        let mut builder = h2::client::Builder::new();
        let (sender, connection) =
            builder.initial_max_send_streams(0).handshake::<_, Bytes>(near).await.unwrap();
        let near = tasks.spawn(async move { drop(connection.await) });
        while sender.current_max_send_streams() == 0 {
            tokio::task::yield_now().await;
        }
        (sender, vec![AbortOnDropHandle::new(near), AbortOnDropHandle::new(far)])
    }

    #[tokio::test]
    async fn a_connection_is_shared_until_it_is_full() {
        let pool = Http2Pool::default();
        assert!(pool.take(false, IDLE).is_none());
        let (sender, _tasks) = connection(2).await;
        let first = pool.put(sender, false, IDLE);
        assert!(pool.take(true, IDLE).is_none(), "of another protocol");
        let second = pool.take(false, IDLE);
        assert!(second.is_some());
        assert!(pool.take(false, IDLE).is_none(), "the target allows two");
        drop(first);
        assert!(pool.take(false, IDLE).is_some());
    }

    #[tokio::test]
    async fn an_idle_connection_goes_and_a_busy_one_stays() {
        let pool = Http2Pool::default();
        let (sender, _tasks) = connection(100).await;
        let stream = pool.put(sender, false, IDLE);
        pool.sweep(Instant::now() + 2 * IDLE);
        drop(stream);
        pool.sweep(Instant::now() + IDLE / 2);
        assert!(pool.take(false, IDLE).is_some());
        pool.sweep(Instant::now() + 2 * IDLE);
        assert!(pool.take(false, IDLE).is_none());
    }

    #[tokio::test]
    async fn a_silent_connection_is_given_up() {
        let pool = Http2Pool::default();
        let (sender, _tasks) = connection(100).await;
        let stream = pool.put(sender, false, IDLE);
        let now = Instant::now();
        stream.note_received(now + IDLE);
        stream.retire_if_silent(IDLE, now + IDLE + IDLE / 2);
        assert!(pool.take(false, IDLE).is_some(), "another request was answered meanwhile");
        stream.retire_if_silent(IDLE, now + 2 * IDLE + Duration::from_millis(1));
        assert!(pool.take(false, IDLE).is_none());
    }

    #[tokio::test]
    async fn a_closed_connection_is_not_handed_out() {
        let pool = Http2Pool::default();
        let (sender, tasks) = connection(100).await;
        let watch = sender.clone();
        drop(pool.put(sender, false, IDLE));
        drop(tasks);
        while watch.clone().ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(pool.take(false, IDLE).is_none());
    }
}
