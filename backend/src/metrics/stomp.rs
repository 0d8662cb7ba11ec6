//! STOMP frames and acknowledgements.

use prometheus::{IntCounterVec, Registry};

use super::{MetricsError, counter};

/// STOMP frames and acknowledgements.
#[derive(Debug)]
pub struct StompMetrics {
    /// Frames of clients by `command`, as they came.
    pub frames_received: IntCounterVec,
    /// Messages that had to be acknowledged, by `outcome`: `acknowledged`;
    /// `redelivered` after a NACK; `discarded` after a second one; `lost` with
    /// their subscription or session.
    pub acknowledgements: IntCounterVec,
}

impl StompMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            frames_received: counter(
                registry,
                "stomp_frames_received_total",
                "STOMP frames from clients",
                "command",
                &[
                    "CONNECT",
                    "STOMP",
                    "SEND",
                    "SUBSCRIBE",
                    "UNSUBSCRIBE",
                    "ACK",
                    "NACK",
                    "BEGIN",
                    "COMMIT",
                    "ABORT",
                    "DISCONNECT",
                ],
            )?,
            acknowledgements: counter(
                registry,
                "stomp_acknowledgements_total",
                "Messages that had to be acknowledged",
                "outcome",
                &["acknowledged", "redelivered", "discarded", "lost"],
            )?,
        })
    }

    /// Counts what an ACK or NACK came to.
    pub fn count_settled(&self, acknowledged: u64, redelivered: u64, discarded: u64) {
        for (outcome, copies) in
            [("acknowledged", acknowledged), ("redelivered", redelivered), ("discarded", discarded)]
        {
            self.acknowledgements.with_label_values(&[outcome]).inc_by(copies);
        }
    }

    /// Counts messages that nobody acknowledged.
    pub fn count_lost(&self, copies: u64) {
        self.acknowledgements.with_label_values(&["lost"]).inc_by(copies);
    }
}
