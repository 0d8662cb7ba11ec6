//! `history`: kept messages before live ones.
//!
//! The subscription is registered first and its live messages wait until the
//! kept ones are delivered. So there is no gap between what the store has when
//! it is read and what is published from then on, and a message that comes both
//! ways is delivered once. It is known by its content: of messages with equal
//! content that are published while the store is read, one may be left out.

use crate::app::Rejection;
use crate::broker::{Encode, Receiver, Subscription};
use crate::endpoint::clock::timestamp;
use crate::endpoint::{Content, Services};
use crate::stomp::Headers;
use crate::store::Stored;

/// How many messages may be asked for. More are not an error: as many come.
const HISTORY_LIMIT: usize = 1000;

/// The kept messages of a subscription may take up the outbox by this part of
/// its limit, so that live ones find room; the oldest are left out.
const OUTBOX_SHARE: usize = 2;

/// A kept message that is older than this, in milliseconds, when its subscription
/// is registered is not looked for among the live ones.
const OVERLAP: u64 = 10_000;

/// How many kept messages a SUBSCRIBE asks for; none without a `history` header.
pub(super) fn requested(headers: &Headers) -> Result<Option<usize>, Rejection> {
    let Some(text) = headers.value("history") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(number) => Ok(Some(HISTORY_LIMIT.min(number))),
        Err(_) => Err(Rejection::new("malformed history header", "it is a number of messages")),
    }
}

/// The answer to a `history` header where there can be none.
pub(super) fn refused() -> Rejection {
    Rejection::new("no history here", "only one destination in /topic/… or /queue/… has one")
}

/// Subscribes, and delivers kept messages first.
pub(super) async fn subscribe(
    services: &Services,
    destination: &str,
    receiver: Receiver,
    limit: usize,
) -> Result<Subscription, Rejection> {
    let buffer = services.config.stomp.send_buffer_size_limit;
    let registered = timestamp();
    let (subscription, held) = services.broker.subscribe_held(destination, receiver, buffer);
    let stored = services.store.history(destination, limit).await.map_err(|error| {
        tracing::warn!(%error, "history cannot be read");
        Rejection::new("history is not available", "subscribe without the history header, or later")
    })?;
    let stored = newest(stored, buffer / OUTBOX_SHARE);
    let overlapping = |message: &&Stored| message.timestamp.saturating_add(OVERLAP) >= registered;
    let published: Vec<_> = stored.iter().filter(overlapping).map(|message| content(message, &[])).collect();
    let older: Vec<_> = stored
        .iter()
        .map(|message| {
            let time = message.timestamp.to_string();
            content(message, &[("history", "true"), ("timestamp", &time)])
        })
        .collect();
    let released = held.release(&encoded(&older), &encoded(&published)).map_err(|error| {
        services.metrics.outbox_dropped.inc_by(error.dropped);
        Rejection::new("history is not available", error.to_string())
    })?;
    services.count(released);
    Ok(subscription)
}

/// The newest messages whose bodies together are within `bytes`.
fn newest(mut messages: Vec<Stored>, bytes: usize) -> Vec<Stored> {
    let mut left = bytes;
    let fits = |message: &&Stored| {
        let room = left.checked_sub(message.body.len());
        left = room.unwrap_or(left);
        room.is_some()
    };
    let kept = messages.iter().rev().take_while(fits).count();
    messages.split_off(messages.len() - kept)
}

/// The message as it was published, and with further headers.
fn content(message: &Stored, further: &[(&str, &str)]) -> Content {
    let own = [("content-type", message.content_type.as_str())];
    let all = own.iter().chain(further);
    let headers = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Content::new(message.destination.clone(), headers, message.body.clone())
}

fn encoded(messages: &[Content]) -> Vec<&dyn Encode> {
    messages.iter().map(|message| message as &dyn Encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(body: &'static str) -> Stored {
        Stored {
            destination: "/topic/a".to_owned(),
            content_type: "text/plain".to_owned(),
            body: body.into(),
            timestamp: 0,
        }
    }

    #[test]
    fn the_header_is_a_bounded_number() {
        let requested = |value: &str| {
            let mut headers = Headers::default();
            headers.push("history", value);
            requested(&headers).ok()
        };
        assert_eq!(requested("0"), Some(None));
        assert_eq!(requested("20"), Some(Some(20)));
        assert_eq!(requested("99999"), Some(Some(HISTORY_LIMIT)));
        for value in ["", "-1", "all", "1.5"] {
            assert_eq!(requested(value), None, "{value}");
        }
    }

    #[test]
    fn the_oldest_are_left_out_when_all_is_too_much() {
        let bodies = |bytes| {
            let kept = newest(vec![stored("1"), stored("22"), stored("333"), stored("4")], bytes);
            kept.into_iter().map(|message| message.body).collect::<Vec<_>>()
        };
        assert_eq!(bodies(7), ["1", "22", "333", "4"]);
        assert_eq!(bodies(6), ["22", "333", "4"]);
        assert_eq!(bodies(3), ["4"]);
        assert!(bodies(0).is_empty());
    }
}
