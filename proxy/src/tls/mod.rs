//! TLS: security policies, certificates the handshakes with clients and targets.

pub mod accept;
pub mod certificates;
pub mod development;
pub mod policy;
pub mod target;
