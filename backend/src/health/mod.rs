//! Health as Spring Boot's actuator reports it, and the life of the process
//! behind it.
//!
//! Readiness turns `OUT_OF_SERVICE` when draining starts; liveness stays UP until
//! the end, so that nobody restarts a process that is leaving in good order, and
//! depends on no component: one Redis that is gone must not restart every
//! instance.

mod lifecycle;
mod notice;
mod registry;
mod report;
mod status;
mod web_socket;

pub use lifecycle::Lifecycle;
pub use notice::Notice;
pub use registry::{Details, HealthIndicator, Registry, Settings};
pub use report::{Check, Report};
pub use status::{Health, Status};
pub use web_socket::{Connections, WebSocketHealth};

#[cfg(test)]
mod tests;
