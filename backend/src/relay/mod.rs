//! Messages from instance to instance.
//!
//! A message is delivered to the clients of this instance first, and handed to
//! the relay after that; what other instances publish comes back as
//! [`Delivery`] and is never published again. Nothing that a client waits for
//! waits for Redis, but for the first subscription to a channel.
//!
//! Pub/Sub delivers at most once: what is published while an instance is cut
//! off does not reach it. It sees from the numbers in the envelope what it
//! missed; see `sequence`. With streams it reads on where it stopped.

mod address;
mod backoff;
mod envelope;
mod glob;
mod inbox;
mod interests;
mod outbox;
mod peers;
mod receiver;
mod recent;
mod redis;
mod resync;
mod sequence;
mod shared;
mod status;

use std::future::Future;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{RelayConfig, RelayMode};
use crate::metrics::RelayMetrics;

use self::interests::Subscription;
use self::outbox::Outgoing;
use self::redis::carry;
use self::shared::Shared;

pub use self::redis::RelayError;
pub use address::Address;
pub use resync::Resync;
pub use status::RelayStatus;

/// Deliveries between the relay's task and who delivers.
const DELIVERIES: usize = 64;

/// A message of another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Who gets it.
    pub address: Address,
    /// The `content-type`, where it was told.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// What the relay has for the clients of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message of another instance.
    Message(Received),
    /// Messages may have been missed.
    Resync(Resync),
}

/// The way to the other instances. The default one has none.
#[derive(Debug, Default)]
pub struct Relay {
    shared: Option<Arc<Shared>>,
}

/// As long as this lives, messages for its address come from other instances.
#[derive(Debug, Default)]
pub struct Interest(Option<(Arc<Shared>, Subscription)>);

impl Relay {
    /// A relay as configured, which does nothing until [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// The URL is malformed, or a certificate cannot be used.
    pub fn try_new(config: &RelayConfig, instance: &str, metrics: &RelayMetrics) -> Result<Self, RelayError> {
        if config.mode == RelayMode::Memory {
            return Ok(Self::default());
        }
        metrics.configured.set(1);
        Ok(Self { shared: Some(Arc::new(Shared::try_new(config, instance, metrics)?)) })
    }

    /// Whether there may be other instances, for whom it is worth to prepare a
    /// message.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Hands a message to the other instances. Never waits: what cannot be kept
    /// until it is published is dropped and counted.
    pub fn publish(&self, address: &Address, content_type: Option<&str>, body: &Bytes) {
        let Some(shared) = &self.shared else { return };
        if body.len() > shared.config.message_size_limit {
            shared.dropped("size", 1);
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let dropped = shared.outbox.push(Outgoing {
            channel: shared.channel(address),
            address: address.clone(),
            content_type: content_type.map(str::to_owned),
            body: body.clone(),
            timestamp: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            sequence: 0,
        });
        shared.dropped("buffer", dropped);
    }

    /// Asks for the messages of an address. Ready when they come, or when the
    /// relay is cut off, which is no reason to refuse a subscription.
    ///
    /// # Cancel safety
    ///
    /// The interest is given up.
    pub async fn interest(&self, address: Address) -> Interest {
        let Some(shared) = &self.shared else { return Interest::default() };
        let Some(subscription) = shared.subscription(&address) else { return Interest::default() };
        shared.interests.lock().acquire(&subscription);
        shared.interests_changed.notify_one();
        let interest = Interest(Some((Arc::clone(shared), subscription.clone())));
        loop {
            let unsettled = shared.interests.lock().unsettled(&subscription);
            let Some(settled) = unsettled else { return interest };
            let mut settled = std::pin::pin!(settled.notified());
            settled.as_mut().enable();
            if shared.interests.lock().unsettled(&subscription).is_some() {
                settled.await;
            }
        }
    }

    /// The state for health; none without other instances. Not older than the
    /// interval of PINGs and their timeout.
    #[must_use]
    pub fn status(&self) -> Option<RelayStatus> {
        let shared = self.shared.as_ref()?;
        Some(shared.status.read(Instant::now(), &shared.metrics))
    }

    /// The work of the relay, to be awaited by whoever delivers, and what is to
    /// be delivered. The work ends soon after `stop`: when what waits is
    /// published, when Redis does not answer, at most after five times its
    /// timeout. Deliveries end with it.
    /// To be called once.
    pub fn run(
        &self,
        stop: CancellationToken,
    ) -> (impl Future<Output = ()> + Send + use<>, mpsc::Receiver<Delivery>) {
        let (deliveries, receiver) = mpsc::channel(DELIVERIES);
        let shared = self.shared.clone();
        let work = async move {
            if let Some(shared) = shared {
                carry(&shared, &deliveries, &stop).await;
            }
        };
        (work, receiver)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some((shared, subscription)) = &self.0 {
            shared.interests.lock().release(subscription, Instant::now());
            shared.interests_changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    fn relay(change: impl FnOnce(&mut RelayConfig)) -> Relay {
        let mut config = RelayConfig { mode: RelayMode::Redis, ..RelayConfig::default() };
        change(&mut config);
        Relay::try_new(&config, "b1", &Metrics::try_new().unwrap().relay).unwrap()
    }

    #[tokio::test]
    async fn without_a_connection_nobody_waits() {
        let relay = relay(|_| {});
        let interest = relay.interest(Address::Destination("/topic/a".to_owned())).await;
        let shared = relay.shared.as_ref().unwrap();
        assert_eq!(shared.interests.lock().len(), 1);
        drop(interest);
        assert!(shared.interests.lock().poll_timeout().is_some());
        let status = relay.status().unwrap();
        assert!(!status.is_connected);
    }

    #[tokio::test]
    async fn without_other_instances_nothing_happens() {
        let relay = Relay::default();
        let address = Address::Destination("/topic/a".to_owned());
        relay.publish(&address, None, &Bytes::new());
        let _interest = relay.interest(address).await;
        assert_eq!(relay.status(), None);
        let (work, mut deliveries) = relay.run(CancellationToken::new());
        work.await;
        assert_eq!(deliveries.recv().await, None);
    }

    #[test]
    fn what_is_too_large_is_not_published() {
        let relay = relay(|config| config.message_size_limit = 4);
        let address = Address::Destination("/topic/a".to_owned());
        relay.publish(&address, None, &Bytes::from_static(b"1234"));
        relay.publish(&address, None, &Bytes::from_static(b"12345"));
        assert_eq!(relay.status().unwrap().dropped, 1);
        assert_eq!(relay.shared.unwrap().outbox.take(9).len(), 1);
    }

    #[test]
    fn the_metrics_tell_an_instance_without_a_relay_from_one_that_is_cut_off() {
        let configured = |mode: RelayMode| {
            let metrics = Metrics::try_new().unwrap();
            let config = RelayConfig { mode, ..RelayConfig::default() };
            drop(Relay::try_new(&config, "b1", &metrics.relay).unwrap());
            (metrics.relay.configured.get(), metrics.relay.connected.get())
        };
        assert_eq!(configured(RelayMode::Memory), (0, 0));
        assert_eq!(configured(RelayMode::Redis), (1, 0));
    }
}
