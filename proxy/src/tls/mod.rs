//! TLS: security policies, certificates and the handshake with clients.

pub mod accept;
pub mod certificates;
pub mod development;
pub mod policy;
