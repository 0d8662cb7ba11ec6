//! ACK and NACK: from a client's names of messages to the windows of its outbox.
//!
//! A MESSAGE that must be acknowledged has an `ack` header in STOMP 1.2, made of
//! its subscription's id and its number; before 1.2 its `message-id` names it,
//! which ends with that number, too.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::app::Rejection;
use crate::broker::{AckHead, Acknowledging, Outbox, Settled, Settling, WindowId};
use crate::config::{Acknowledgements, StompConfig};
use crate::stomp::frame::put_header_start;
use crate::stomp::{AckMode, Reference, Verdict, Version};

use crate::endpoint::Encoding;
use crate::endpoint::destinations::Registered;

/// A subscription of a client.
#[derive(Debug)]
pub(super) struct Subscribed {
    /// In the broker and the relay.
    pub(super) registered: Registered,
    /// Of a subscription that acknowledges.
    pub(super) window: Option<WindowId>,
}

/// Opens the window of a subscription in its outbox; none is needed without
/// acknowledgements.
pub(super) fn open_window(
    outbox: &Outbox,
    ack: AckMode,
    config: &StompConfig,
    encoding: Encoding,
) -> Option<WindowId> {
    let settling = match (ack, config.acknowledgements) {
        (AckMode::Auto, _) | (_, Acknowledgements::Ignored) => return None,
        (AckMode::Client, Acknowledgements::Served) => Settling::Cumulative,
        (AckMode::ClientIndividual, Acknowledgements::Served) => Settling::Individual,
    };
    let redelivered = encoding.encode(Bytes::from_static(b"\nredelivered:true"));
    Some(outbox.open_window(Acknowledging { settling, window: config.ack_window, redelivered }))
}

/// How the messages of a window are written, for the subscription of this id.
pub(super) fn head(window: WindowId, version: Version, encoding: Encoding, id: Option<&str>) -> AckHead {
    let prefix = match (version, id) {
        (Version::V1_2, Some(id)) => {
            let mut out = BytesMut::from("\n");
            put_header_start(&mut out, version, "ack", id);
            out.extend_from_slice(b"-");
            encoding.encode(out.freeze())
        }
        _ => Bytes::new(),
    };
    AckHead { window, prefix }
}

/// Settles the message that a client of `session` names.
pub(super) fn settle(
    outbox: &Outbox,
    subscriptions: &HashMap<String, Subscribed>,
    session: &str,
    verdict: Verdict,
    reference: &Reference,
) -> Result<Settled, Rejection> {
    let settle = |window, number| match verdict {
        Verdict::Ack => outbox.acknowledge(window, number).ok(),
        Verdict::Nack => outbox.refuse(window, number).ok(),
    };
    let settled = match reference {
        Reference::Ack(id) => id
            .rsplit_once('-')
            .and_then(|(key, number)| settle(subscriptions.get(key)?.window?, parse_number(number)?)),
        Reference::OfSubscription { subscription, message_id } => {
            let number = number_of(message_id, session);
            subscriptions.get(subscription).and_then(|subscribed| settle(subscribed.window?, number?))
        }
        // Two subscriptions may have got the message under the same id.
        Reference::Message(message_id) => number_of(message_id, session).and_then(|number| {
            let windows = subscriptions.values().filter_map(|subscribed| subscribed.window);
            windows.filter_map(|window| settle(window, number)).reduce(Settled::and)
        }),
    };
    settled.ok_or_else(|| {
        Rejection::new(
            "unknown message",
            "no message of this id waits to be acknowledged: it was before, its subscription has ended or \
             has ack:auto",
        )
    })
}

/// The number in a `message-id`.
fn number_of(message_id: &str, session: &str) -> Option<u64> {
    parse_number(message_id.strip_prefix(session)?.strip_prefix('-')?)
}

/// Digits alone.
fn parse_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
