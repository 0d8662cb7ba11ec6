//! SockJS: sessions that STOMP rides on, over a WebSocket or over HTTP
//! requests.

mod http;
mod receiver;
mod session;
mod tally;
mod web_socket;

pub use receiver::Receiver;
pub use session::{OpenError, Session, Sessions, open};
pub use web_socket::FramedSocket;
