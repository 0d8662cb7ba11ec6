//! What a client says of the messages that it got, version by version.

use crate::stomp::frame::{Headers, Version};

/// How the messages of a subscription are acknowledged: the `ack` header of
/// SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckMode {
    /// Not at all: a message is done with when it is sent.
    Auto,
    /// Each ACK and NACK also covers all earlier messages of the subscription.
    Client,
    /// Each message on its own.
    ClientIndividual,
}

impl AckMode {
    /// The mode that the header names; no header means `auto`.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Option<Self> {
        match header {
            None | Some("auto") => Some(Self::Auto),
            Some("client") => Some(Self::Client),
            Some("client-individual") => Some(Self::ClientIndividual),
            Some(_) => None,
        }
    }
}

/// Which of the two frames it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// ACK: consumed.
    Ack,
    /// NACK: not consumed.
    Nack,
}

/// How an ACK or NACK names a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// By the `ack` header of the MESSAGE (1.2).
    Ack(String),
    /// By its subscription and its `message-id` (1.1).
    OfSubscription {
        /// The subscription's id.
        subscription: String,
        /// The message's id.
        message_id: String,
    },
    /// By its `message-id` alone (1.0).
    Message(String),
}

impl Reference {
    /// Reads the headers that the version prescribes; on failure the name of the
    /// one that is missing.
    pub(super) fn parse(version: Version, headers: &Headers) -> Result<Self, &'static str> {
        let required = |name: &'static str| headers.value(name).map(str::to_owned).ok_or(name);
        match version {
            Version::V1_0 => required("message-id").map(Self::Message),
            Version::V1_1 => Ok(Self::OfSubscription {
                subscription: required("subscription")?,
                message_id: required("message-id")?,
            }),
            Version::V1_2 => required("id").map(Self::Ack),
        }
    }

    /// Its size in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ack(id) | Self::Message(id) => id.len(),
            Self::OfSubscription { subscription, message_id } => subscription.len() + message_id.len(),
        }
    }
}
