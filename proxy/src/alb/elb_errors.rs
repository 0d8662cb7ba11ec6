//! How often each cause made the load balancer answer with an error.

use http::StatusCode;

use super::error::Cause;
use crate::{
    authenticate::refusal::Refusal,
    metrics::{Counter, Metrics},
};

/// Every cause with every status it can have; of refusals of authentication one for each status.
pub(super) const CAUSES: [Cause; 26] = [
    Cause::BadRequest,
    Cause::MethodNotAllowed,
    Cause::RequestTimeout,
    Cause::UriTooLong,
    Cause::ClientClosedRequest,
    Cause::ClientClosedBody,
    Cause::TooManyForwardedFor,
    Cause::ProtocolMismatch,
    Cause::NotImplemented,
    Cause::VersionNotSupported,
    Cause::ConnectFailed,
    Cause::ConnectTimeout,
    Cause::TlsFailed,
    Cause::TlsTimeout,
    Cause::TargetClosed,
    Cause::BadResponse,
    Cause::TargetTimeout,
    Cause::Deregistered,
    Cause::NoTargets,
    Cause::RedirectTooLong,
    Cause::TransformFailed,
    Cause::Internal,
    Cause::Authentication(Refusal::Denied),
    Cause::Authentication(Refusal::Unhandled),
    Cause::Authentication(Refusal::IdpError),
    Cause::Authentication(Refusal::JwksFailed),
];

/// Counters of a load balancer's errors, resolved at load.
#[derive(Debug)]
pub struct ElbErrors {
    counters: Box<[(&'static str, u16, Counter)]>,
}

impl ElbErrors {
    /// The counters of the load balancer with this log name, of whose target groups some abort requests on purpose
    /// with these statuses.
    #[must_use]
    pub fn new(metrics: &Metrics, log_name: &str, aborts: impl Iterator<Item = StatusCode>) -> Self {
        let counters = CAUSES.into_iter().chain(aborts.map(Cause::Fault)).map(|cause| {
            let (name, status) = (cause.name(), cause.status().as_u16());
            (name, status, metrics.elb_errors(log_name, name, status).errors)
        });
        Self { counters: counters.collect() }
    }

    /// Counts an error.
    pub fn count(&self, cause: Cause) {
        let (name, status) = (cause.name(), cause.status().as_u16());
        if let Some((.., counter)) = self.counters.iter().find(|it| it.1 == status && it.0 == name) {
            counter.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_series_from_the_start_and_counts_in_its_own() {
        let metrics = Metrics::try_new().unwrap();
        let errors = ElbErrors::new(&metrics, "app/edge/1", [StatusCode::IM_A_TEAPOT].into_iter());
        let series =
            metrics.render().unwrap().lines().filter(|it| it.starts_with("albeit_elb_errors_total{")).count();
        assert_eq!(series, CAUSES.len() + 1);
        let teapot = Cause::Fault(StatusCode::IM_A_TEAPOT);
        let counted =
            [Cause::TargetClosed, Cause::TargetClosed, Cause::Authentication(Refusal::JwtMissing), teapot];
        counted.into_iter().for_each(|cause| errors.count(cause));
        let counts = metrics.elb_error_counts("app/edge/1");
        let counts: Vec<_> = counts.iter().map(|it| (it.cause.as_str(), it.status, it.count)).collect();
        assert_eq!(counts, [("authentication", 401, 1), ("fault", 418, 1), ("target_closed", 502, 2)]);
    }
}
