//! TLS: security policies, certificates, the handshakes with clients and targets.

pub mod accept;
pub mod accept_flow;
pub mod certificate_choice;
pub mod certificates;
pub mod client_certificate;
pub mod client_verifier;
pub mod details;
pub mod development;
mod negotiation;
pub mod policy;
pub mod target;
pub mod trust_store;
pub mod verify_status;
