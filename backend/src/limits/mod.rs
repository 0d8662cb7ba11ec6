//! What one client may have of the server: rates of its connection, connections
//! of its user and of its address, handshakes of its address.
//!
//! Everything is bounded by what is open or was busy a moment ago, and counts
//! are held by guards, so that a connection gives its places back however it
//! ends.

mod admission;
mod connections;
mod handshakes;
mod network;
mod rate;
mod throttle;

pub use admission::{Admission, Bounds, LimitError, Places};
pub use connections::{Connections, Held};
pub use handshakes::Handshakes;
pub use network::Network;
pub use rate::{Gcra, Rate};
pub use throttle::Throttle;
