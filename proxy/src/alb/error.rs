//! Why the load balancer itself answers a request, and with which status.
//!
//! ELB page "Troubleshoot your Application Load Balancers", HTTP status codes
//! made by the load balancer. This is the only place that turns a failure into
//! a status; nothing else builds an error response.

use http::StatusCode;

use crate::authenticate::refusal::Refusal;

/// A failure that ends a request, named by who caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Client: the request cannot be understood, or breaks a limit of its head.
    BadRequest,
    /// Client: TRACE is not allowed.
    MethodNotAllowed,
    /// Client: the request did not arrive whole before the idle timeout.
    RequestTimeout,
    /// Client: the request target is too long.
    UriTooLong,
    /// Client: it left while the load balancer waited for the target.
    ClientClosedRequest,
    /// Client: it left before it had sent the whole body.
    ClientClosedBody,
    /// Client: more than 30 addresses in X-Forwarded-For.
    TooManyForwardedFor,
    /// Client: the request's protocol does not go with the target group's protocol version.
    ProtocolMismatch,
    /// Client: a transfer coding other than chunked and identity.
    NotImplemented,
    /// Client: an HTTP version that is not served.
    VersionNotSupported,
    /// Target: connecting to it failed, for example by a RST.
    ConnectFailed,
    /// Target: the connection was not established within 10 seconds.
    ConnectTimeout,
    /// Target: TLS with it could not be agreed on.
    TlsFailed,
    /// Target: the TLS handshake took longer than 10 seconds.
    TlsTimeout,
    /// Target: it closed the connection while the request was outstanding.
    TargetClosed,
    /// Target: its response breaks HTTP, or a limit of the response head.
    BadResponse,
    /// Target: nothing came from it for the idle timeout.
    TargetTimeout,
    /// Target: its deregistration delay ended while the request ran.
    Deregistered,
    /// Configuration: the target group has no registered target.
    NoTargets,
    /// Configuration: the redirect's Location would be longer than 8 KB.
    RedirectTooLong,
    /// Configuration: what a transform made of the request cannot be sent.
    TransformFailed,
    /// The rule's authentication action does not let the request pass.
    Authentication(Refusal),
    /// Configuration: a fault on purpose answers with this status (`albeit.fault.abort`).
    Fault(StatusCode),
    /// The load balancer failed.
    Internal,
}

impl Cause {
    /// `elb_status_code`. 460 is only logged and counted: the client has gone.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::ClientClosedBody => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::ClientClosedRequest => elb_only(460),
            Self::TooManyForwardedFor => elb_only(463),
            Self::ProtocolMismatch => elb_only(464),
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::VersionNotSupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::ConnectFailed
            | Self::TlsFailed
            | Self::TargetClosed
            | Self::BadResponse
            | Self::Deregistered => StatusCode::BAD_GATEWAY,
            Self::ConnectTimeout | Self::TlsTimeout | Self::TargetTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::NoTargets => StatusCode::SERVICE_UNAVAILABLE,
            Self::RedirectTooLong => StatusCode::INSUFFICIENT_STORAGE,
            Self::Authentication(refusal) => refusal.status(),
            Self::Fault(status) => status,
            Self::TransformFailed | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Its name in metrics and traces, and on the dashboard.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::UriTooLong => "uri_too_long",
            Self::ClientClosedRequest => "client_closed_request",
            Self::ClientClosedBody => "client_closed_body",
            Self::TooManyForwardedFor => "too_many_forwarded_for",
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::NotImplemented => "not_implemented",
            Self::VersionNotSupported => "version_not_supported",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailed => "tls_failed",
            Self::TlsTimeout => "tls_timeout",
            Self::TargetClosed => "target_closed",
            Self::BadResponse => "bad_response",
            Self::TargetTimeout => "target_timeout",
            Self::Deregistered => "deregistered",
            Self::NoTargets => "no_targets",
            Self::RedirectTooLong => "redirect_too_long",
            Self::TransformFailed => "transform_failed",
            Self::Authentication(_) => "authentication",
            Self::Fault(_) => "fault",
            Self::Internal => "internal",
        }
    }

    /// Whether there is still a client to answer.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(self, Self::ClientClosedRequest | Self::ClientClosedBody)
    }

    /// Whether the target is to blame, which is what anomaly detection counts.
    ///
    /// ELB says "connection errors". Silence until the idle timeout is among them: a target that hangs fails
    /// unlike the others, and a path that is slow everywhere is slow at all of them.
    #[must_use]
    pub const fn is_targets(self) -> bool {
        match self {
            Self::ConnectFailed
            | Self::ConnectTimeout
            | Self::TlsFailed
            | Self::TlsTimeout
            | Self::TargetClosed
            | Self::BadResponse
            | Self::TargetTimeout => true,
            Self::BadRequest
            | Self::MethodNotAllowed
            | Self::RequestTimeout
            | Self::UriTooLong
            | Self::ClientClosedRequest
            | Self::ClientClosedBody
            | Self::TooManyForwardedFor
            | Self::ProtocolMismatch
            | Self::NotImplemented
            | Self::VersionNotSupported
            | Self::Deregistered
            | Self::NoTargets
            | Self::RedirectTooLong
            | Self::TransformFailed
            | Self::Authentication(_)
            | Self::Fault(_)
            | Self::Internal => false,
        }
    }

    /// Whether the connection to the client can carry another request afterwards.
    ///
    /// Not after a request whose end is unknown.
    #[must_use]
    pub const fn keeps_client_connection(self) -> bool {
        !matches!(
            self,
            Self::BadRequest
                | Self::UriTooLong
                | Self::RequestTimeout
                | Self::NotImplemented
                | Self::VersionNotSupported
                | Self::ClientClosedRequest
                | Self::ClientClosedBody
        )
    }
}

/// A status code that only ELB uses.
fn elb_only(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cause: Cause, status: u16) {
        assert_eq!(cause.status().as_u16(), status, "{cause:?}");
    }

    #[test]
    fn every_cause_has_its_documented_status() {
        check(Cause::BadRequest, 400);
        check(Cause::ClientClosedBody, 400);
        check(Cause::Authentication(Refusal::Denied), 401);
        check(Cause::Authentication(Refusal::IdpError), 561);
        check(Cause::Authentication(Refusal::JwksFailed), 562);
        check(Cause::MethodNotAllowed, 405);
        check(Cause::RequestTimeout, 408);
        check(Cause::UriTooLong, 414);
        check(Cause::ClientClosedRequest, 460);
        check(Cause::TooManyForwardedFor, 463);
        check(Cause::ProtocolMismatch, 464);
        check(Cause::TransformFailed, 500);
        check(Cause::Internal, 500);
        check(Cause::NotImplemented, 501);
        check(Cause::ConnectFailed, 502);
        check(Cause::TlsFailed, 502);
        check(Cause::TargetClosed, 502);
        check(Cause::BadResponse, 502);
        check(Cause::Deregistered, 502);
        check(Cause::NoTargets, 503);
        check(Cause::ConnectTimeout, 504);
        check(Cause::TlsTimeout, 504);
        check(Cause::TargetTimeout, 504);
        check(Cause::VersionNotSupported, 505);
        check(Cause::RedirectTooLong, 507);
        check(Cause::Fault(StatusCode::IM_A_TEAPOT), 418);
    }
}
