//! The relay over Redis: connections come and go, the relay stays.

mod connector;
mod link;
mod pub_sub;
mod streams;

use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::RelayMode;

use super::backoff::Backoff;
use super::outbox::Outgoing;
use super::receiver::Outcome;
use super::resync::Notices;
use super::{Delivery, Received, Shared, envelope};

use self::link::LinkError;
use self::pub_sub::PubSub;
use self::streams::Streams;

pub(super) use connector::Connector;
pub use connector::RelayError;

/// Messages published in one round trip.
const BATCH: usize = 128;

/// Timeouts of Redis in which the rest is published at the end.
const FLUSH: u32 = 5;

/// Runs until `stop`, and a little longer.
pub(super) async fn carry(shared: &Shared, deliveries: &mpsc::Sender<Delivery>, stop: &CancellationToken) {
    let reconnect = &shared.config.redis.reconnect;
    let mut backoff = Backoff::new(reconnect.min, reconnect.max);
    let mut rng = StdRng::from_os_rng();
    let mut inward = Inward { shared, deliveries, notices: Notices::default() };
    let mut carrier = match shared.config.mode {
        RelayMode::Memory => return,
        RelayMode::Redis => Carrier::PubSub(Box::new(PubSub::new(shared))),
        RelayMode::Streams => Carrier::Streams(Box::new(Streams::new(shared))),
    };
    while let Err(error) = carrier.session(&mut inward, stop).await {
        if disconnected(shared, &error) {
            backoff.reset();
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.pause(&mut rng)) => {}
            () = stop.cancelled() => break,
        }
    }
    shared.interests.lock().disconnected();
    shared.metrics.connected.set(0);
    abandon(shared);
}

/// Takes note of the end of a connection, or of an attempt. Whether it was
/// connected.
fn disconnected(shared: &Shared, error: &LinkError) -> bool {
    shared.interests.lock().disconnected();
    shared.metrics.connected.set(0);
    let was_connected = shared.status.disconnected(Instant::now(), error.to_string());
    if was_connected {
        tracing::warn!(%error, "relay lost its connection, messages of other instances do not come");
    } else {
        tracing::debug!(%error, "relay is not connected");
    }
    was_connected
}

/// What was not published in time is lost.
fn abandon(shared: &Shared) {
    let left = shared.outbox.take(usize::MAX).len();
    if left > 0 {
        shared.dropped("unconfirmed", u64::try_from(left).unwrap_or(u64::MAX));
        tracing::warn!(messages = left, "relay stopped before everything was published");
    }
}

enum Carrier<'a> {
    PubSub(Box<PubSub<'a>>),
    Streams(Box<Streams<'a>>),
}

impl Carrier<'_> {
    /// One connection. After `stop` a session ends by itself, when it has
    /// published what waits or Redis does not answer; at last it is cut short.
    async fn session(&mut self, inward: &mut Inward<'_>, stop: &CancellationToken) -> Result<(), LinkError> {
        let timeout = inward.shared.config.redis.timeout * FLUSH;
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(timeout).await;
        };
        let session = async {
            match self {
                Self::PubSub(pub_sub) => pub_sub.session(inward, stop).await,
                Self::Streams(streams) => streams.session(inward, stop).await,
            }
        };
        tokio::select! {
            ended = session => ended,
            () = overdue => Ok(()),
        }
    }
}

/// The way from Redis to the clients of this instance.
struct Inward<'a> {
    shared: &'a Shared,
    deliveries: &'a mpsc::Sender<Delivery>,
    notices: Notices,
}

impl Inward<'_> {
    /// Messages come from here on. Returns for how long they did not, if they
    /// did before.
    fn connected(&mut self, server_version: Option<String>) -> Option<Duration> {
        let metrics = &self.shared.metrics;
        metrics.connected.set(1);
        metrics.connections.inc();
        let version = server_version.clone().unwrap_or_default();
        let cut_off = self.shared.status.connected(Instant::now(), server_version);
        tracing::info!(
            version,
            origin = %self.shared.origin,
            cut_off_ms = cut_off.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            "relay is connected"
        );
        cut_off
    }

    /// Counts, and delivers what is to be delivered.
    async fn take(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Deliver(received, missed) => {
                self.missed(missed);
                self.deliver(received).await;
            }
            Outcome::Repeated => self.shared.metrics.duplicates.inc(),
            Outcome::Malformed => {
                tracing::debug!("relay got something that is no message");
                self.shared.dropped("malformed", 1);
            }
            Outcome::TooLarge => self.shared.dropped("size", 1),
            Outcome::Nothing => {}
        }
    }

    /// So many messages did not come.
    fn missed(&mut self, count: u64) {
        if count > 0 {
            self.shared.metrics.gaps.inc();
            self.shared.metrics.missed.inc_by(count);
            self.notices.missed(count);
        }
    }

    async fn deliver(&self, received: Received) {
        self.shared.metrics.received.inc();
        self.send(Delivery::Message(received)).await;
    }

    /// Tells clients what is due to be told; in the log as well.
    async fn notify(&mut self) {
        if let Some(resync) = self.notices.poll_output(Instant::now()) {
            if resync.missed > 0 {
                tracing::warn!(missed = resync.missed, "relay missed messages of other instances");
            }
            self.send(Delivery::Resync(resync)).await;
        }
    }

    /// Waits until [`notify`](Self::notify) has something to tell.
    async fn notice_is_due(&self) {
        match self.notices.poll_timeout(Instant::now()) {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Nobody to deliver to is the end of the server.
    async fn send(&self, delivery: Delivery) {
        if self.deliveries.send(delivery).await.is_err() {
            tracing::debug!("relay has nobody to deliver to");
        }
    }
}

/// Messages on their way to Redis. What has no answer when this is dropped is
/// dealt with as `unanswered` says.
struct Batch<'a> {
    shared: &'a Shared,
    messages: Vec<Outgoing>,
    unanswered: Unanswered,
}

/// What becomes of messages that Redis may have taken or not.
#[derive(Debug, Clone, Copy)]
enum Unanswered {
    /// They are given up: a receiver would take a second one for another.
    GiveUp,
    /// They are sent again: receivers know what came before.
    SendAgain,
}

impl<'a> Batch<'a> {
    /// The next messages; waits for one. None when there are no more and the
    /// relay stops.
    async fn next(shared: &'a Shared, stop: &CancellationToken, unanswered: Unanswered) -> Option<Self> {
        tokio::select! {
            biased;
            () = shared.outbox.filled() => {}
            () = stop.cancelled() => {}
        }
        let messages = shared.outbox.take(BATCH);
        (!messages.is_empty()).then_some(Self { shared, messages, unanswered })
    }

    /// Channel and envelope of each message.
    fn encode(&self) -> Vec<(String, Vec<u8>)> {
        let shared = self.shared;
        let encode = |message: &Outgoing| envelope::encode(message, &shared.origin, shared.config.envelope);
        self.messages.iter().map(|message| (message.channel.clone(), encode(message))).collect()
    }

    /// Redis answered: it took so many, and refused the others.
    fn answered(mut self, taken: u64, refusal: Option<&str>) {
        let all = u64::try_from(std::mem::take(&mut self.messages).len()).unwrap_or(u64::MAX);
        self.shared.metrics.published.inc_by(taken);
        self.shared.dropped("refused", all.saturating_sub(taken));
        if let Some(error) = refusal {
            tracing::warn!(error, messages = all.saturating_sub(taken), "redis refused messages");
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let messages = std::mem::take(&mut self.messages);
        match self.unanswered {
            Unanswered::GiveUp => {
                self.shared.dropped("unconfirmed", u64::try_from(messages.len()).unwrap_or(u64::MAX));
            }
            Unanswered::SendAgain => {
                let dropped = self.shared.outbox.put_back(messages);
                self.shared.dropped("buffer", dropped);
            }
        }
    }
}
