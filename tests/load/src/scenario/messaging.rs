//! What scenarios that exchange messages are told.

use crate::client::heart_beat::HeartBeat;
use crate::client::messenger::Options;
use crate::target::Protocol;

/// Heart-beats and destinations.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Messaging {
    /// Heart-beats of clients: `none`, `negotiated` (STOMP offers 10 s), `negotiated:4s`, or an interval of
    /// their own as `25s`, with ping frames where there is no STOMP
    #[arg(long, default_value = "negotiated")]
    pub(crate) heart_beat: HeartBeat,
    /// Where messages for everybody go in STOMP
    #[arg(long, default_value = "/topic/load")]
    pub(crate) destination: String,
    /// The namespace of Socket.IO, where `message` events go to everybody
    #[arg(long, default_value = "/chat")]
    pub(crate) namespace: String,
}

impl Messaging {
    /// As clients take it.
    pub(crate) fn options(&self, protocol: Protocol) -> Options {
        Options {
            protocol,
            heart_beat: self.heart_beat,
            destination: self.destination.clone(),
            namespace: self.namespace.clone(),
        }
    }
}
