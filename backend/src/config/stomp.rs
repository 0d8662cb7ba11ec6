//! `stomp.*`.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// STOMP limits, under the names of Spring's WebSocket transport.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StompConfig {
    /// Largest STOMP frame in bytes, also when it comes in several WebSocket
    /// messages. Default `64KiB`.
    #[serde(deserialize_with = "units::size")]
    pub message_size_limit: usize,
    /// Headers that a frame may have. Default 128.
    pub header_count_limit: usize,
    /// Longest header line of a frame in bytes; a token of a CONNECT frame must
    /// fit. Default `16KiB`.
    #[serde(deserialize_with = "units::size")]
    pub header_size_limit: usize,
    /// Subscriptions that a session may have at one time. Default 1000.
    pub subscription_limit: usize,
    /// Messages that a subscription with `ack:client` or `ack:client-individual`
    /// may have in flight; more are held back until some are acknowledged.
    /// Default 1000.
    pub ack_window: usize,
    /// Whether acknowledgements are asked for. Default `served`.
    pub acknowledgements: Acknowledgements,
    /// Bytes that the frames of a session's open transactions may have together.
    /// Default `512KiB`.
    #[serde(deserialize_with = "units::size")]
    pub transaction_size_limit: usize,
    /// Bytes that may wait for a slow client before it is closed with 4500.
    /// Default `512KiB`.
    #[serde(deserialize_with = "units::size")]
    pub send_buffer_size_limit: usize,
    /// Longest time that a write may block before the client is closed with
    /// 4500. Default `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub send_time_limit: Duration,
    /// Longest time from the handshake to the CONNECT frame. Default `60s`.
    #[serde(deserialize_with = "units::duration")]
    pub time_to_first_message: Duration,
    /// What the server offers to send and wants to receive: `[send, receive]`,
    /// `0s` for none. Default `[10s, 10s]`.
    #[serde(deserialize_with = "units::heart_beat")]
    pub heart_beat: HeartBeatConfig,
    /// Whether a client may SEND to `/topic/…`, `/queue/…` and `/user/…`. Default `deny`
    /// (Spring allows it).
    pub client_publish_to_topic: ClientPublish,
}

/// The two heart-beat intervals of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartBeatConfig {
    /// At least this often something is sent; zero for never.
    pub send: Duration,
    /// At least this often something is expected; zero for never.
    pub receive: Duration,
}

/// What `ack:client` and `ack:client-individual` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledgements {
    /// What the specification says.
    Served,
    /// Nothing, as in Spring's simple broker: every subscription is one with
    /// `ack:auto`, and ACK and NACK have no effect. For a front end that asks
    /// for them and sends none.
    Ignored,
}

/// Policy for a SEND to `/topic/…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientPublish {
    /// Answer ERROR.
    Deny,
    /// Publish the message as it is.
    Allow,
}

impl Default for StompConfig {
    fn default() -> Self {
        Self {
            message_size_limit: 64 * 1024,
            header_count_limit: 128,
            header_size_limit: 16 * 1024,
            subscription_limit: 1000,
            ack_window: 1000,
            acknowledgements: Acknowledgements::Served,
            transaction_size_limit: 512 * 1024,
            send_buffer_size_limit: 512 * 1024,
            send_time_limit: Duration::from_secs(10),
            time_to_first_message: Duration::from_secs(60),
            heart_beat: HeartBeatConfig { send: Duration::from_secs(10), receive: Duration::from_secs(10) },
            client_publish_to_topic: ClientPublish::Deny,
        }
    }
}

impl StompConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut require = |holds: bool, problem: &str| {
            if !holds {
                problems.push(problem.to_owned());
            }
        };
        require(!self.send_time_limit.is_zero(), "stomp.send-time-limit: must be above zero");
        require(!self.time_to_first_message.is_zero(), "stomp.time-to-first-message: must be above zero");
        require(
            (1024..=64 << 20).contains(&self.message_size_limit),
            "stomp.message-size-limit: must be from 1KiB to 64MiB",
        );
        require(
            (8..=10_000).contains(&self.header_count_limit),
            "stomp.header-count-limit: must be from 8 to 10000",
        );
        require(
            (256..=64 << 20).contains(&self.header_size_limit),
            "stomp.header-size-limit: must be from 256 bytes to 64MiB",
        );
        require(
            (1..=100_000).contains(&self.subscription_limit),
            "stomp.subscription-limit: must be from 1 to 100000",
        );
        require((1..=10_000).contains(&self.ack_window), "stomp.ack-window: must be from 1 to 10000");
        require(
            self.transaction_size_limit <= 64 << 20,
            "stomp.transaction-size-limit: must not be above 64MiB",
        );
        require(
            self.send_buffer_size_limit >= self.message_size_limit,
            "stomp.send-buffer-size-limit: must not be below stomp.message-size-limit",
        );
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![
            &mut self.send_time_limit,
            &mut self.time_to_first_message,
            &mut self.heart_beat.send,
            &mut self.heart_beat.receive,
        ]
    }
}
