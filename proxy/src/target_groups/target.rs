//! One registered target at run time.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CutReason, FlowCut, flow_cut::Flows, http2_pool::Http2Pool, pool::ConnectionPool};
use crate::{
    balance::anomaly::Sample,
    health::{Forced, Health, Tracker},
};

/// A target with its health and the work it has in flight.
///
/// Lives as long as a request or tunnel holds it, past its deregistration if
/// need be.
#[derive(Debug)]
pub struct Target {
    addr: SocketAddr,
    load_balancer: Option<String>,
    tracker: Mutex<Tracker>,
    outstanding: AtomicU32,
    /// Requests and tunnels ever begun.
    requests: AtomicU64,
    /// Those of them that came back because of a cookie.
    sticky_requests: AtomicU64,
    open_websockets: AtomicU32,
    /// Those of them that failed, wrapping round.
    errors: AtomicU32,
    /// When the deregistration delay is over, once it runs.
    drained_at: OnceLock<Instant>,
    terminated: CancellationToken,
    flows: Flows,
    pool: ConnectionPool,
    http2_pool: Http2Pool,
}

impl Target {
    /// At `addr`, where the application load balancer of that name is if the target is one.
    pub(super) fn new(addr: SocketAddr, load_balancer: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            addr,
            load_balancer,
            tracker: Mutex::new(Tracker::new()),
            outstanding: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            sticky_requests: AtomicU64::new(0),
            open_websockets: AtomicU32::new(0),
            errors: AtomicU32::new(0),
            drained_at: OnceLock::new(),
            terminated: CancellationToken::new(),
            flows: Flows::default(),
            pool: ConnectionPool::default(),
            http2_pool: Http2Pool::default(),
        })
    }

    /// Where its traffic goes.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Name of the application load balancer that it is, if it is of type `alb`.
    #[must_use]
    pub fn load_balancer(&self) -> Option<&str> {
        self.load_balancer.as_deref()
    }

    /// State and reason now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.tracker.lock().health()
    }

    /// Whether it is unhealthy now, be it that it keeps its flows.
    pub(super) fn is_unhealthy(&self) -> bool {
        self.health().state.is_unhealthy()
    }

    /// What an operator said of its health.
    #[must_use]
    pub fn forced(&self) -> Option<Forced> {
        self.tracker.lock().forced()
    }

    /// Requests and tunnels in progress.
    #[must_use]
    pub fn outstanding(&self) -> u32 {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Counts a request or tunnel until the guard is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> OutstandingGuard {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        OutstandingGuard { target: Arc::clone(self) }
    }

    /// Requests, tunnels and flows since it was registered.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request that goes to it because of a stickiness cookie that names it.
    pub fn count_sticky(&self) {
        self.sticky_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that went to it because of a stickiness cookie, since it was registered.
    #[must_use]
    pub fn sticky_request_count(&self) -> u64 {
        self.sticky_requests.load(Ordering::Relaxed)
    }

    /// Counts an open WebSocket until the guard is dropped.
    #[must_use]
    pub fn open_websocket(self: &Arc<Self>) -> OpenWebSocket {
        self.open_websockets.fetch_add(1, Ordering::Relaxed);
        OpenWebSocket(Arc::clone(self))
    }

    /// WebSockets that are open now.
    #[must_use]
    pub fn open_websockets(&self) -> u32 {
        self.open_websockets.load(Ordering::Relaxed)
    }

    /// Notes when its deregistration delay will be over.
    pub(super) fn drain_until(&self, end: Instant) {
        self.drained_at.get_or_init(|| end);
    }

    /// When its deregistration delay is over; `None` if it is registered.
    #[must_use]
    pub fn drained_at(&self) -> Option<Instant> {
        self.drained_at.get().copied()
    }

    /// Counts a 5xx response or a connection that failed, for anomaly detection.
    pub fn count_error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests and errors since it was registered, wrapping round.
    pub(super) fn totals(&self) -> Sample {
        Sample {
            requests: (self.request_count() & u64::from(u32::MAX)).try_into().unwrap_or_default(),
            errors: self.errors.load(Ordering::Relaxed),
        }
    }

    /// Cancelled when the deregistration delay is over: whatever is still in flight must be cut. In groups of
    /// network load balancers only with `deregistration_delay.connection_termination.enabled`.
    #[must_use]
    pub const fn terminated(&self) -> &CancellationToken {
        &self.terminated
    }

    /// Tells a flow of a network load balancer that begins now when it is to be reset. To be asked for as soon
    /// as the target is chosen: a cut before that is not for this flow.
    #[must_use]
    pub fn flow_cut(&self) -> FlowCut {
        self.flows.now()
    }

    /// Its idle keep-alive connections.
    #[must_use]
    pub const fn pool(&self) -> &ConnectionPool {
        &self.pool
    }

    /// Its HTTP/2 connections.
    #[must_use]
    pub const fn http2_pool(&self) -> &Http2Pool {
        &self.http2_pool
    }

    /// Closes idle connections that have expired or that the target has closed.
    pub(super) fn sweep_idle_connections(&self, now: Instant) {
        self.pool.sweep(now);
        self.http2_pool.sweep(now);
    }

    /// Closes all idle connections; those in use take no more requests.
    pub(super) fn close_idle_connections(&self) {
        self.pool.clear();
        self.http2_pool.clear();
    }

    /// Cuts what is still in flight at the end of the deregistration delay.
    pub(super) fn terminate(&self) {
        self.terminated.cancel();
        self.flows.cut(CutReason::Deregistered);
    }

    /// Resets the flows there are: it is unhealthy.
    pub(super) fn cut_flows(&self) {
        self.flows.cut(CutReason::Unhealthy);
    }

    /// Lets `step` change the health; says whether it did.
    pub(super) fn track(&self, step: impl FnOnce(&mut Tracker)) -> bool {
        let mut tracker = self.tracker.lock();
        let before = tracker.health();
        step(&mut tracker);
        tracker.health() != before
    }
}

/// A WebSocket that is open to a target; dropping it ends the count.
#[derive(Debug)]
pub struct OpenWebSocket(Arc<Target>);

impl Drop for OpenWebSocket {
    fn drop(&mut self) {
        self.0.open_websockets.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work in progress on a target; dropping it ends the work.
#[derive(Debug)]
pub struct OutstandingGuard {
    target: Arc<Target>,
}

impl OutstandingGuard {
    /// The target that does the work.
    #[must_use]
    pub const fn target(&self) -> &Arc<Target> {
        &self.target
    }
}

impl Drop for OutstandingGuard {
    fn drop(&mut self) {
        self.target.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}
