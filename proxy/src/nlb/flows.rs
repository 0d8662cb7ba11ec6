//! The open flows of the process, so that they can be looked at and their bytes
//! counted while they run.
//!
//! A flow is entered when its connection was accepted and leaves with its end:
//! two short locks in its life, none for a byte. Numbers are given in the order
//! of entry and never used again, so that a reader can go through all flows page
//! by page. `ProcessedBytes` follows flows once per sweep; what passed since the
//! last is counted when a flow ends.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::state::{GroupState, ListenerState};
use crate::{client_socket::FlowWatch, target_groups::Target, tls::accept::TlsInfo, tunnel::Traffic};

/// Flows that are looked at under one lock.
const BATCH: usize = 1000;

/// The open flows by their numbers.
#[derive(Debug, Default)]
pub struct Flows(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    open: BTreeMap<u64, Weak<OpenFlow>>,
}

/// A flow's place in the list; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Listed {
    number: u64,
    flows: Arc<Flows>,
}

/// What is known of a flow while it runs.
#[derive(Debug)]
pub struct OpenFlow {
    /// The listener, as it was when the flow began.
    pub listener: Arc<ListenerState>,
    /// The client, as a PROXY protocol header names it, else the TCP peer.
    pub client: SocketAddr,
    /// The address the client reached, as a PROXY protocol header names it, else `local`.
    pub destination: SocketAddr,
    /// The address the connection was accepted on.
    pub local: SocketAddr,
    /// When the connection was accepted.
    pub begun: Instant,
    /// The same on the wall clock.
    pub begun_at: SystemTime,
    /// The target, with the group it was chosen in, once there is one.
    pub target: OnceLock<(Arc<GroupState>, Arc<Target>)>,
    /// What was agreed on with the client of a TLS listener, once it was.
    pub tls: OnceLock<Box<TlsInfo>>,
    pub(super) traffic: Traffic,
    /// Counts the bytes in the place of `traffic`, if an application load balancer of this process has the flow.
    pub(super) watch: OnceLock<Arc<FlowWatch>>,
    progress: Progress,
    listed: Listed,
}

/// How far the metrics have followed a flow.
#[derive(Debug, Default)]
struct Progress {
    /// Bytes, both ways, that are in the metrics.
    counted: AtomicU64,
    /// Milliseconds from the flow's begin to the last sweep that found new bytes.
    moved: AtomicU64,
}

/// Who a flow is from, and when it began.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) listener: Arc<ListenerState>,
    pub(super) client: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) begun: Instant,
    pub(super) begun_at: SystemTime,
}

impl Flows {
    /// Makes a flow that is in the list until it is dropped.
    pub(super) fn enter(self: &Arc<Self>, begin: Begin) -> Arc<OpenFlow> {
        let Begin { listener, client, destination, local, begun, begun_at } = begin;
        let mut entries = self.0.lock();
        let number = entries.next;
        entries.next += 1;
        let flow = Arc::new(OpenFlow {
            listener,
            client,
            destination,
            local,
            begun,
            begun_at,
            target: OnceLock::new(),
            tls: OnceLock::new(),
            traffic: Traffic::default(),
            watch: OnceLock::new(),
            progress: Progress::default(),
            listed: Listed { number, flows: Arc::clone(self) },
        });
        entries.open.insert(number, Arc::downgrade(&flow));
        flow
    }

    /// Up to `most` open flows with numbers of at least `from`, in their order.
    #[must_use]
    pub fn page(&self, from: u64, most: usize) -> Vec<Arc<OpenFlow>> {
        let entries = self.0.lock();
        entries.open.range(from..).filter_map(|(_, flow)| flow.upgrade()).take(most).collect()
    }

    /// Calls `visit` for each open flow from number `from` on, in their order, until it answers `false`.
    pub fn visit(&self, mut from: u64, mut visit: impl FnMut(&OpenFlow) -> bool) {
        loop {
            let batch = self.page(from, BATCH);
            for flow in &batch {
                if !visit(flow) {
                    return;
                }
            }
            match batch.last() {
                Some(last) if batch.len() == BATCH => from = last.number() + 1,
                _ => return,
            }
        }
    }

    /// Counts the bytes of open flows: to be called once a second, divided by the time scale.
    pub fn sweep(&self, now: Instant) {
        self.visit(0, |flow| {
            flow.settle(now);
            true
        });
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.flows.0.lock().open.remove(&self.number);
    }
}

impl OpenFlow {
    /// The flow's number, higher than that of every flow before it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.listed.number
    }

    /// Bytes passed on so far: those from the client and those to it.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        match self.watch.get() {
            Some(watch) => watch.bytes(),
            None => (self.traffic.from_client(), self.traffic.from_target()),
        }
    }

    /// How long no byte has passed, as exactly as sweeps come.
    #[must_use]
    pub fn idle(&self, now: Instant) -> Duration {
        let (received, sent) = self.bytes();
        if received + sent > self.progress.counted.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let moved = Duration::from_millis(self.progress.moved.load(Ordering::Relaxed));
        now.saturating_duration_since(self.begun).saturating_sub(moved)
    }

    /// Counts what has passed and is not counted yet.
    pub(super) fn settle(&self, now: Instant) {
        let (received, sent) = self.bytes();
        let total = received + sent;
        if total == self.progress.counted.load(Ordering::Relaxed) {
            return;
        }
        // Whoever moves the mark counts what lies between, so that two at once count nothing twice.
        let before = self.progress.counted.fetch_max(total, Ordering::Relaxed);
        if total > before {
            self.listener.load_balancer.metrics.count_bytes(self.listener.protocol, total - before);
            let since = now.saturating_duration_since(self.begun).as_millis();
            self.progress.moved.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}
