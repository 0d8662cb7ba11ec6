//! Who is asking: the client behind trusted proxies, and the web page that
//! opens a WebSocket.

mod forwarded;
mod origin;

pub use forwarded::{Forwarded, Hop, Proto, resolve};
pub use origin::{is_allowed, is_origin};
