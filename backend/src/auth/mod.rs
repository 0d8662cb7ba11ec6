//! Who is asking: the client behind trusted proxies, the web page that opens a
//! WebSocket, and the user.

mod forwarded;
mod origin;
mod principal;

pub use forwarded::{Forwarded, Hop, Proto, resolve};
pub use origin::{is_allowed, is_origin};
pub use principal::{Client, Principal};
