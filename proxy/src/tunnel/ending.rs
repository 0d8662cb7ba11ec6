//! The two ways in which an NLB ends a flow that has not ended by itself.
//!
//! Flows of an unhealthy target are reset: both sides get a RST ([`reset`]). A
//! flow that was idle too long is forgotten: nothing is sent, and the next
//! packet of either side is answered with a RST ([`Forgotten::forget`]; ELB page
//! "Listeners for your Network Load Balancers", connection idle timeout).
//!
//! Linux forgets a connection without a word when it is closed in repair mode,
//! which takes the capability `CAP_NET_ADMIN`. Without it the socket is kept
//! until the peer's next data or FIN makes it readable, and is then closed with
//! a RST: the peer sees the same, except that a keepalive probe is still answered
//! and that a peer which had sent its FIN before is reset at once: no more is
//! to come from it that a program could notice.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::sys::socket::{setsockopt, sockopt::TcpRepair};
use parking_lot::Mutex;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::oneshot,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Forgotten connections that may wait for their peer's next packet at the same time, where the
/// kernel does not do it: each costs a descriptor and a task without buffers.
const WAITING_MAX: usize = 4096;

/// Closes a connection with a RST; bytes that were not sent yet are lost.
pub fn reset(tcp: TcpStream) {
    // Fails only on a connection that has gone: then there is nothing to reset.
    drop(tcp.set_zero_linger());
    drop(tcp);
}

/// Whether this process may close a connection so that its peer is told nothing: tried once.
#[must_use]
pub fn can_forget_silently() -> bool {
    static CAN: LazyLock<bool> =
        LazyLock::new(|| TcpSocket::new_v4().is_ok_and(|probe| setsockopt(&probe, TcpRepair, &1).is_ok()));
    *CAN
}

/// Connections that were forgotten and wait for their peer's next packet, which is answered with a RST.
///
/// At most 4,096 wait; one more takes the place of the oldest, which is reset. All are reset at shutdown.
#[derive(Debug, Clone)]
pub struct Forgotten {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    waiting_max: usize,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// By age. Dropping the sender ends the waiting.
    connections: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
    begun: AtomicU64,
    displaced: AtomicU64,
}

impl Forgotten {
    /// Waiting runs in `tracker` and ends with `shutdown`.
    #[must_use]
    pub fn new(tracker: TaskTracker, shutdown: CancellationToken) -> Self {
        Self { tracker, shutdown, waiting_max: WAITING_MAX, waiting: Arc::default() }
    }

    /// Drops a connection without a FIN or RST; the peer's next packet is answered with a RST.
    pub fn forget(&self, tcp: TcpStream) {
        if setsockopt(&tcp, TcpRepair, &1).is_ok() {
            drop(tcp);
        } else {
            self.wait(tcp);
        }
    }

    /// Connections that were reset before their peer sent anything, to make room for others, since the start.
    #[must_use]
    pub fn displaced(&self) -> u64 {
        self.waiting.displaced.load(Ordering::Relaxed)
    }

    /// Connections that wait at present.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.waiting.connections.lock().len()
    }

    /// Does without the capability: keeps the connection until its peer sends something.
    fn wait(&self, tcp: TcpStream) {
        if tcp.set_zero_linger().is_err() {
            return;
        }
        let number = self.waiting.begun.fetch_add(1, Ordering::Relaxed);
        let (place, displaced) = oneshot::channel();
        let oldest = {
            let mut connections = self.waiting.connections.lock();
            let full = connections.len() >= self.waiting_max;
            let oldest = if full { connections.pop_first() } else { None };
            connections.insert(number, place);
            oldest
        };
        if oldest.is_some() {
            self.waiting.displaced.fetch_add(1, Ordering::Relaxed);
        }
        let waiting = Arc::clone(&self.waiting);
        let shutdown = self.shutdown.clone();
        self.tracker.spawn(async move {
            let mut first_byte = [0];
            tokio::select! {
                // Ready at data, FIN and RST, whatever it says.
                _ = tcp.peek(&mut first_byte) => {}
                _ = displaced => {}
                () = shutdown.cancelled() => {}
            }
            drop(tcp);
            waiting.connections.lock().remove(&number);
        });
    }
}

#[cfg(test)]
#[path = "tests/ending.rs"]
mod tests;
