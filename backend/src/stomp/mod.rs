//! STOMP 1.0, 1.1 and 1.2 (stomp.github.io), the server's side, without I/O.
//!
//! [`codec`] turns bytes into frames however they are split, [`session`] turns
//! frames into actions, [`heart_beat`] knows when something must be sent or was
//! missed. Time is passed in; nothing here reads a clock, a socket or a lock.
//!
//! Where the specification and Spring's simple broker differ, addresses and
//! headers are Spring's and behaviour is the specification's: every receipt is
//! answered, every fault is an ERROR frame followed by a close, and ACK, NACK
//! and transactions, which Spring ignores, do what the specification says.

pub mod codec;
pub mod frame;
pub mod heart_beat;
pub mod session;

pub use codec::{DecodeError, Decoder, Limits};
pub use frame::{Command, Frame, Headers, Version};
pub use heart_beat::HeartBeat;
pub use session::{AckMode, Output, Reference, Session, Settings, Verdict};
