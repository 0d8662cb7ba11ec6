//! What became of a request, in words for whoever looks at its access log entry. Pure.
//!
//! ELB pages: "Troubleshoot your Application Load Balancers", "Access log entries". The entry tells a status
//! and three times; what they stand for is read off the cause, which is known here and is not in the line.

mod causes;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, time::Duration};

use super::error::Cause;
use crate::{
    access_log::{
        meaning::{Meaning, Severity},
        record::Classification,
    },
    tunnel::{CloseReason, Side},
};

/// How a WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client ended its connection first.
    ByClient,
    /// The target did.
    ByTarget,
    /// No byte passed for the idle timeout.
    IdleTimeout,
    /// The target's deregistration delay was over.
    Deregistered,
    /// The load balancer went away.
    Shutdown,
    /// The client's connection broke.
    ClientBroke,
    /// The target's connection broke.
    TargetBroke,
}

impl Ending {
    /// What a tunnel's end was; `deregistered` says whether its target's time was over.
    #[must_use]
    pub const fn of(reason: &CloseReason, deregistered: bool) -> Self {
        match reason {
            CloseReason::Closed { first: Side::Client } => Self::ByClient,
            CloseReason::Closed { first: Side::Target } => Self::ByTarget,
            CloseReason::IdleTimeout => Self::IdleTimeout,
            CloseReason::Failed { side: Side::Client, .. } => Self::ClientBroke,
            CloseReason::Failed { side: Side::Target, .. } => Self::TargetBroke,
            CloseReason::Terminated if deregistered => Self::Deregistered,
            CloseReason::Terminated => Self::Shutdown,
        }
    }
}

impl Ending {
    /// Whether somebody stepped in who is none of the two ends, or the target failed.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        match self {
            Self::ByClient | Self::ByTarget | Self::ClientBroke => false,
            Self::IdleTimeout | Self::Deregistered | Self::Shutdown | Self::TargetBroke => true,
        }
    }
}

/// What is known of a request at its end.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the request")]
pub struct Facts {
    /// `elb_status_code`.
    pub elb_status: Option<u16>,
    /// `target_status_code`.
    pub target_status: Option<u16>,
    /// Why the load balancer ended the request by itself, if it did.
    pub cause: Option<Cause>,
    /// How the WebSocket ended that it became, if it did.
    pub ending: Option<Ending>,
    /// `classification`.
    pub classification: Option<Classification>,
    /// `error_reason`.
    pub error_reason: Option<&'static str>,
    /// Whether it went on a connection to the target that had carried others.
    pub reuses_connection: bool,
    /// Whether its target was chosen although too few were healthy.
    pub fails_open: bool,
    /// Whether its target group does something wrong on purpose.
    pub has_faults: bool,
    /// `idle_timeout.timeout_seconds`, scaled.
    pub idle_timeout: Duration,
    /// From its first byte to its end.
    pub took: Duration,
}

/// What became of the request.
#[must_use]
pub fn meaning(facts: &Facts) -> Meaning {
    let mut meaning = match (facts.ending, facts.cause) {
        (Some(ending), _) => web_socket(facts, ending),
        (None, Some(cause)) if facts.elb_status == Some(cause.status().as_u16()) => {
            causes::answered(facts, cause)
        }
        (None, Some(cause)) => causes::cut(cause),
        (None, None) => uneventful(facts),
    };
    if meaning.severity == Severity::Error {
        if facts.fails_open {
            add(
                &mut meaning,
                "Too few targets were healthy, so the target group failed open and all of them got requests.",
            );
        }
        if facts.has_faults && !matches!(facts.cause, Some(Cause::Fault(_))) {
            add(
                &mut meaning,
                "The target group injects faults on purpose (albeit.fault.*), which may be why.",
            );
        }
    }
    meaning
}

fn add(meaning: &mut Meaning, sentence: &str) {
    let text = meaning.text.to_mut();
    text.push(' ');
    text.push_str(sentence);
}

/// A meaning that is always the same.
fn fixed(severity: Severity, title: &'static str, text: &'static str, more: Option<&'static str>) -> Meaning {
    Meaning { title: Cow::Borrowed(title), text: Cow::Borrowed(text), severity, more }
}

/// Nothing made the load balancer step in.
fn uneventful(facts: &Facts) -> Meaning {
    match (facts.elb_status, facts.target_status) {
        (None, _) if facts.error_reason.is_some() => fixed(
            Severity::Error,
            "The client was reset on purpose",
            "The fault albeit.fault.reset of the target group is on: the client got a RST instead of an answer.",
            Some("docs/faults.md"),
        ),
        (None, _) => fixed(
            Severity::Warning,
            "Nothing was answered",
            "The client's connection ended before an answer could begin.",
            None,
        ),
        (Some(0), _) => fixed(
            Severity::Info,
            "Refused after GOAWAY",
            "The HTTP/2 connection had been told to go away (after 10,000 requests, or at the end of client_keep_alive); \
             the request was not processed, and the client may send it again.",
            Some("docs/findings/client-keep-alive.md"),
        ),
        (Some(_), Some(status @ 500..)) => Meaning {
            title: Cow::Owned(format!("The target answered {status}")),
            text: Cow::Borrowed(
                "The load balancer passed the target's own error on: look into the log of the application.",
            ),
            severity: Severity::Error,
            more: Some("docs/faq.md#502"),
        },
        (Some(_), Some(status @ 400..=499)) => Meaning {
            title: Cow::Owned(format!("The target answered {status}")),
            text: Cow::Borrowed("The target refused the request; the load balancer passed its answer on."),
            severity: Severity::Info,
            more: Some("docs/faq.md#4xx"),
        },
        (Some(_), Some(_)) => fixed(Severity::Ok, "Answered by the target", "", None),
        (Some(500..), None) => fixed(
            Severity::Error,
            "Answered with an error by a rule",
            "A fixed response of the rules: no target was asked.",
            None,
        ),
        (Some(_), None) => fixed(
            Severity::Ok,
            "Answered by a rule",
            "A redirect, a fixed response or a login: no target was asked.",
            None,
        ),
    }
}

/// A WebSocket that has ended: ELB writes its entry at the close.
fn web_socket(facts: &Facts, ending: Ending) -> Meaning {
    const BY_1006: Option<&str> = Some("docs/faq.md#1006");
    match ending {
        Ending::ByClient => fixed(Severity::Ok, "The client closed the WebSocket", "", None),
        Ending::ByTarget => fixed(
            Severity::Info,
            "The target closed the WebSocket",
            "The target ended the connection first. If clients see 1006 and not a close code, it ended it without a \
             close frame: look into the log of the application.",
            BY_1006,
        ),
        Ending::IdleTimeout => Meaning {
            title: Cow::Borrowed("The idle timeout cut the WebSocket"),
            text: Cow::Owned(format!(
                "No byte passed in either direction for {} after {} in all; the client sees close code 1006. Send \
                 heartbeats more often than idle_timeout.timeout_seconds, or raise it.",
                seconds(facts.idle_timeout),
                seconds(facts.took),
            )),
            severity: Severity::Error,
            more: Some("docs/findings/heartbeat-idle-timeout.md"),
        },
        Ending::Deregistered => fixed(
            Severity::Warning,
            "The end of the deregistration delay cut the WebSocket",
            "Its target was deregistered, and deregistration_delay.timeout_seconds is over; the client sees 1006 and \
             connects again, to another target.",
            Some("docs/findings/deregistration-delay-short.md"),
        ),
        Ending::Shutdown => fixed(
            Severity::Warning,
            "The load balancer's shutdown cut the WebSocket",
            "The drain time of the process was over; the client sees 1006.",
            BY_1006,
        ),
        Ending::ClientBroke => fixed(
            Severity::Info,
            "The client's connection broke",
            "A reset, or a network that went away: a closed laptop, a change of networks, a killed browser.",
            BY_1006,
        ),
        Ending::TargetBroke => fixed(
            Severity::Error,
            "The target's connection broke",
            "The target reset the connection of an open WebSocket: it was killed, or closed its socket with bytes \
             unread. The client sees 1006.",
            BY_1006,
        ),
    }
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{:.0} s", duration.as_secs_f64())
    }
}
