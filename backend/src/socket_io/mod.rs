//! Socket.IO protocol 5, the server's side, without I/O.
//!
//! [`packet`] is the wire format, [`decoder`] joins a packet with its binary
//! attachments, [`session`] knows which namespaces a client has connected to
//! and what it may send. It rides on the messages of Engine.IO, of which it
//! knows only that they are text or binary.
//!
//! Sources: the Socket.IO protocol document, revision 5; for what it leaves
//! open, `socket.io-parser` 4.2 and `socket.io` 4.8. Stricter than those: an
//! event must have its array.

pub mod decoder;
pub mod packet;
pub mod session;

pub use decoder::Decoder;
pub use packet::{Body, Malformed, Packet, Payload};
pub use session::{Fault, Received, Session};
