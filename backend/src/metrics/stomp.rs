//! STOMP frames and acknowledgements.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{MetricsError, counter};

/// The commands that clients send, the most frequent ones first.
const COMMANDS: [&str; 11] = [
    "SEND",
    "ACK",
    "NACK",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "CONNECT",
    "STOMP",
    "BEGIN",
    "COMMIT",
    "ABORT",
    "DISCONNECT",
];

/// STOMP frames and acknowledgements.
#[derive(Debug)]
pub struct StompMetrics {
    /// Frames of clients by `command`, as they came.
    pub frames_received: IntCounterVec,
    /// Those of [`COMMANDS`], looked up once: one of them counts every frame.
    by_command: [IntCounter; COMMANDS.len()],
    /// Messages that had to be acknowledged, by `outcome`: `acknowledged`;
    /// `redelivered` after a NACK; `discarded` after a second one; `lost` with
    /// their subscription or session.
    pub acknowledgements: IntCounterVec,
}

impl StompMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let frames_received = counter(
            registry,
            "stomp_frames_received_total",
            "STOMP frames from clients",
            "command",
            &COMMANDS,
        )?;
        Ok(Self {
            by_command: COMMANDS.map(|command| frames_received.with_label_values(&[command])),
            frames_received,
            acknowledgements: counter(
                registry,
                "stomp_acknowledgements_total",
                "Messages that had to be acknowledged",
                "outcome",
                &["acknowledged", "redelivered", "discarded", "lost"],
            )?,
        })
    }

    /// Counts a frame of a client.
    pub fn count_frame(&self, command: &str) {
        match COMMANDS.iter().zip(&self.by_command).find(|(known, _)| **known == command) {
            Some((_, counter)) => counter.inc(),
            None => self.frames_received.with_label_values(&[command]).inc(),
        }
    }

    /// Counts what an ACK or NACK came to.
    pub fn count_settled(&self, acknowledged: u64, redelivered: u64, discarded: u64) {
        for (outcome, copies) in
            [("acknowledged", acknowledged), ("redelivered", redelivered), ("discarded", discarded)]
        {
            if copies > 0 {
                self.acknowledgements.with_label_values(&[outcome]).inc_by(copies);
            }
        }
    }

    /// Counts messages that nobody acknowledged.
    pub fn count_lost(&self, copies: u64) {
        self.acknowledgements.with_label_values(&["lost"]).inc_by(copies);
    }
}
