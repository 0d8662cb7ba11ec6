//! What each cause of an error means.

use std::borrow::Cow;

use super::{Facts, fixed, seconds};
use crate::{
    access_log::meaning::{Meaning, Severity},
    alb::{error::Cause, state::CONNECT_TIMEOUT},
};

const PAGE_502: Option<&str> = Some("docs/faq.md#502");
const PAGE_504: Option<&str> = Some("docs/faq.md#504");
const PAGE_4XX: Option<&str> = Some("docs/faq.md#4xx");

/// The load balancer answered with the status of `cause`, or has noted it for want of a client.
pub(super) fn answered(facts: &Facts, cause: Cause) -> Meaning {
    match cause {
        Cause::ConnectFailed
        | Cause::TlsFailed
        | Cause::TargetClosed
        | Cause::BadResponse
        | Cause::Deregistered => bad_gateway(facts, cause),
        Cause::ConnectTimeout | Cause::TlsTimeout | Cause::TargetTimeout => gateway_timeout(facts, cause),
        Cause::NoTargets => fixed(
            Severity::Error,
            "The target group has no targets",
            "No target is registered, so there is nobody to ask (503). Unhealthy targets alone would not do that: a \
             target group without a healthy target fails open.",
            Some("docs/faq.md#503"),
        ),
        Cause::Authentication(_) => Meaning {
            title: Cow::Borrowed("Authentication did not let it pass"),
            text: match facts.error_reason {
                Some(reason) => Cow::Owned(format!(
                    "The rule's authenticate-oidc or jwt-validation action ended the request: {reason}."
                )),
                None => Cow::Borrowed("Nobody is logged in, and on_unauthenticated_request is deny."),
            },
            severity: if facts.elb_status == Some(401) { Severity::Warning } else { Severity::Error },
            more: PAGE_4XX,
        },
        Cause::Fault(status) => Meaning {
            title: Cow::Owned(format!("Answered {} on purpose", status.as_u16())),
            text: Cow::Borrowed(
                "The fault albeit.fault.abort of the target group is on: no target was asked.",
            ),
            severity: Severity::Error,
            more: Some("docs/faults.md"),
        },
        Cause::RedirectTooLong => fixed(
            Severity::Error,
            "The redirect is too long",
            "The Location that the rule makes of this request would be longer than 8 KB.",
            None,
        ),
        Cause::TransformFailed => fixed(
            Severity::Error,
            "The rewrite cannot be sent",
            "What the rule's transforms made of Host or URL is not valid in a request.",
            None,
        ),
        Cause::Internal => fixed(
            Severity::Error,
            "The load balancer failed",
            "This is a bug of the load balancer: look into its log.",
            None,
        ),
        Cause::BadRequest
        | Cause::MethodNotAllowed
        | Cause::RequestTimeout
        | Cause::UriTooLong
        | Cause::ClientClosedRequest
        | Cause::ClientClosedBody
        | Cause::TooManyForwardedFor
        | Cause::ProtocolMismatch
        | Cause::NotImplemented
        | Cause::VersionNotSupported => by_client(facts, cause),
    }
}

fn bad_gateway(facts: &Facts, cause: Cause) -> Meaning {
    let (title, text, more) = match cause {
        Cause::TargetClosed if facts.reuses_connection => (
            "The target closed an idle connection as the request came",
            "The keep-alive race: the request went on a connection that had carried others, and the target closed it \
             at that moment. The target's keep-alive timeout must be longer than the idle timeout of the load balancer.",
            Some("docs/findings/keep-alive-race.md"),
        ),
        Cause::TargetClosed => (
            "The target closed the connection without an answer",
            "It took a new connection and the request, and ended the connection: it crashed, was stopped, or speaks \
             another protocol on this port.",
            PAGE_502,
        ),
        Cause::ConnectFailed => (
            "The target refused the connection",
            "Nothing listens at the target's address and port, or it cannot be reached: is the process running, and is \
             the port the right one?",
            PAGE_502,
        ),
        Cause::TlsFailed => (
            "TLS with the target failed",
            "The group's protocol is HTTPS, and the handshake did not end in a session: does the target speak TLS on \
             this port, and a version and cipher in common?",
            Some("docs/findings/target-tls.md"),
        ),
        Cause::BadResponse => (
            "The target's response is not HTTP",
            "It breaks HTTP, or its head is longer than 32 KB: malformed headers, a wrong Content-Length, or a 101 that \
             nobody asked for.",
            PAGE_502,
        ),
        _ => (
            "The deregistration delay ended while the request ran",
            "Its target was deregistered, and deregistration_delay.timeout_seconds was shorter than the request.",
            Some("docs/findings/deregistration-delay-short.md"),
        ),
    };
    fixed(Severity::Error, title, text, more)
}

fn gateway_timeout(facts: &Facts, cause: Cause) -> Meaning {
    let (title, text, more) = match cause {
        Cause::ConnectTimeout => (
            "The target could not be connected to in time",
            format!(
                "No connection within {}: packets get lost on the way (a firewall, a security group, an address that \
                 is nobody's), or the target does not accept any more.",
                seconds(CONNECT_TIMEOUT)
            ),
            PAGE_504,
        ),
        Cause::TlsTimeout => (
            "TLS with the target took too long",
            "The connection stands, but the handshake did not end within 10 s: does the target speak TLS on this \
             port?"
                .to_owned(),
            Some("docs/findings/target-tls.md"),
        ),
        _ => (
            "The target did not answer in time",
            format!(
                "It has the request, and sent nothing for the idle timeout of {}. Requests that take longer need a \
                 higher idle_timeout.timeout_seconds, or an answer that begins earlier.",
                seconds(facts.idle_timeout)
            ),
            Some("docs/findings/request-longer-than-idle-timeout.md"),
        ),
    };
    Meaning { title: Cow::Borrowed(title), text: Cow::Owned(text), severity: Severity::Error, more }
}

fn by_client(facts: &Facts, cause: Cause) -> Meaning {
    let (title, text, more) = match cause {
        Cause::BadRequest if facts.classification.is_some() => (
            "Blocked by desync mitigation",
            "Client, load balancer and target could read this request differently, which smuggling lives on; see \
             classification_reason, and routing.http.desync_mitigation_mode.",
            PAGE_4XX,
        ),
        Cause::BadRequest => (
            "The request is malformed",
            "It breaks HTTP or a limit of the head: 16 KB for the request line or a header, 64 KB for all.",
            Some("docs/findings/header-limit.md"),
        ),
        Cause::ClientClosedBody => (
            "The client left before its body was sent",
            "It announced more than it sent: a cancelled upload, or a wrong Content-Length.",
            PAGE_4XX,
        ),
        Cause::ClientClosedRequest => (
            "The client left before the answer",
            "It closed its connection while the target worked (460, for the log only): a timeout of the client that is \
             shorter than the request takes, or a user who went on.",
            Some("docs/faq.md#460"),
        ),
        Cause::RequestTimeout => (
            "The request did not come whole",
            "Nothing came from the client for the idle timeout while its request was not complete.",
            PAGE_4XX,
        ),
        Cause::TooManyForwardedFor => (
            "Too many addresses in X-Forwarded-For",
            "More than 30: do proxies forward to each other in a circle?",
            PAGE_4XX,
        ),
        Cause::ProtocolMismatch => (
            "The protocol does not fit the target group",
            "The group's protocol version is HTTP2 or GRPC and the client spoke another, or the other way round (464).",
            PAGE_4XX,
        ),
        Cause::UriTooLong => ("The URL is too long", "A request line has at most 16 KB.", PAGE_4XX),
        Cause::MethodNotAllowed => ("TRACE is not allowed", "The load balancer answers it itself.", PAGE_4XX),
        Cause::NotImplemented => (
            "The transfer coding is not supported",
            "Transfer-Encoding may be chunked or identity.",
            PAGE_4XX,
        ),
        _ => (
            "The HTTP version is not supported",
            "The request line names another than 1.0 and 1.1.",
            PAGE_4XX,
        ),
    };
    fixed(Severity::Warning, title, text, more)
}

/// The response had begun when `cause` came: the client got a part of it, with the status of the log.
pub(super) fn cut(cause: Cause) -> Meaning {
    match cause {
        Cause::ClientClosedRequest | Cause::ClientClosedBody => fixed(
            Severity::Warning,
            "The client left in the middle of the answer",
            "It got the status and a part of the body, and closed its connection: a user who went on, or a client that \
             does not want the rest.",
            None,
        ),
        Cause::TargetTimeout | Cause::RequestTimeout => fixed(
            Severity::Error,
            "The answer stopped in the middle",
            "The target began to answer and then sent nothing for the idle timeout; the client got a part of the body. \
             Streams need heartbeats.",
            Some("docs/findings/no-heartbeat.md"),
        ),
        Cause::Deregistered => fixed(
            Severity::Error,
            "The deregistration delay ended in the middle of the answer",
            "The client got a part of the body: deregistration_delay.timeout_seconds is shorter than the answer takes.",
            Some("docs/findings/deregistration-delay-short.md"),
        ),
        _ => fixed(
            Severity::Error,
            "The target broke off its answer",
            "The client got a part of the body, whose end is missing: the target closed the connection, or sent what \
             is not HTTP.",
            PAGE_502,
        ),
    }
}
