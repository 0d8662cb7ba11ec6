//! What an Application Load Balancer does to request and response headers.
//!
//! ELB pages: "HTTP headers and Application Load Balancers", "Request tracing
//! for your Application Load Balancer". Pure builders: each function reads
//! header values and returns what is to be set or removed; the caller owns the
//! message. No clock and no randomness are drawn here.

pub mod forwarded;
pub mod hop_by_hop;
pub mod host;
pub mod raw_head;
pub mod reserved;
pub mod tls;
pub mod trace_id;
pub mod validity;
pub mod websocket;

use http::{HeaderMap, header::AsHeaderName};

/// The members of a comma-separated header over all its lines, trimmed; empty ones are skipped.
fn list_members(headers: &HeaderMap, name: impl AsHeaderName) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}
