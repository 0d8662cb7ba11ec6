//! TLS: what security policies mean to the TLS library, and development certificates.

pub mod development;
pub mod policy;
