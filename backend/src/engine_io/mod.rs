//! Engine.IO protocol 4, the server's side, without I/O.
//!
//! [`packet`] and [`payload`] are the wire formats of the two transports,
//! [`handshake`] judges requests, [`session`] keeps the timers and the upgrade
//! from polling to WebSocket. Time is passed in; nothing here reads a clock, a
//! socket or a lock.
//!
//! Sources: the Engine.IO protocol document, revision 4, and for what it leaves
//! open (error codes, texts, limits) the server `engine.io` 6.6. Not here:
//! protocol 3, JSONP, WebTransport and compression of polling responses.

pub mod handshake;
pub mod packet;
pub mod payload;
pub mod session;

pub use handshake::{Query, Refusal, TransportName};
pub use packet::{Malformed, Message, Packet};
pub use session::{CloseReason, Output, Session, Settings};
