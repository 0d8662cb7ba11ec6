//! Health as Spring Boot's actuator reports it, and the life of the process
//! behind it.
//!
//! Readiness turns `OUT_OF_SERVICE` when draining starts; liveness stays UP until
//! the end, so that nobody restarts a process that is leaving in good order.

use http::StatusCode;
use tokio_util::sync::CancellationToken;

/// The steps of leaving. Each one follows the one before and stays.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    closing: CancellationToken,
    ending: CancellationToken,
    aborting: CancellationToken,
}

impl Lifecycle {
    /// Readiness is off and responses say `Connection: close`.
    #[must_use]
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// No connection is accepted; WebSockets close, each after its jitter.
    #[must_use]
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Idle HTTP connections close.
    #[must_use]
    pub fn ending(&self) -> &CancellationToken {
        &self.ending
    }

    /// Whatever is left is dropped.
    #[must_use]
    pub fn aborting(&self) -> &CancellationToken {
        &self.aborting
    }
}

/// The checks that have an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// `/health` and `/actuator/health`: what a balancer asks.
    Overall,
    /// `/actuator/health/readiness`.
    Readiness,
    /// `/actuator/health/liveness`.
    Liveness,
}

/// The answer to a check: status, JSON body.
#[must_use]
pub fn report(check: Check, lifecycle: &Lifecycle) -> (StatusCode, &'static str) {
    match check {
        Check::Overall | Check::Readiness if lifecycle.draining.is_cancelled() => {
            (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"OUT_OF_SERVICE"}"#)
        }
        Check::Overall | Check::Readiness | Check::Liveness => (StatusCode::OK, r#"{"status":"UP"}"#),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_takes_readiness_away_and_leaves_liveness() {
        let lifecycle = Lifecycle::default();
        let statuses = |lifecycle: &Lifecycle| {
            [Check::Overall, Check::Readiness, Check::Liveness]
                .map(|check| report(check, lifecycle).0.as_u16())
        };
        assert_eq!(statuses(&lifecycle), [200, 200, 200]);
        lifecycle.draining().cancel();
        assert_eq!(statuses(&lifecycle), [503, 503, 200]);
        assert_eq!(report(Check::Overall, &lifecycle).1, r#"{"status":"OUT_OF_SERVICE"}"#);
    }
}
