//! Authentication and limits.

use prometheus::{IntCounter, IntCounterVec, Registry};

use super::{MetricsError, add, counter};

/// Authentication and limits. No label is a user, an address or a destination.
#[derive(Debug, Clone)]
pub struct AuthMetrics {
    /// Users that were told by a token, at handshake, CONNECT or later.
    pub successes: IntCounter,
    /// Attempts that failed, by `reason`: `missing`, `malformed`, `algorithm`,
    /// `unknown_key`, `signature`, `expired`, `not_yet_valid`, `issuer`,
    /// `audience`, `claim`, `other_user`, `refused`, `unavailable`.
    pub failures: IntCounterVec,
    /// Sessions that ended because their token did.
    pub expired_sessions: IntCounter,
    /// Frames that their sender has no authority for, by `action`: `send`,
    /// `subscribe`.
    pub denied: IntCounterVec,
    /// Sessions refused because of the page that opened them, by `reason`:
    /// `foreign`, `null`, `missing`.
    pub refused_origins: IntCounterVec,
    /// Keys of tokens read again, by `result`: `ok`, or `failed` while the old
    /// ones stay in force.
    pub key_reloads: IntCounterVec,
    /// Clients that met a limit, by `limit`: `messages` and `bytes` of a
    /// connection (each time that it has to wait, or is closed),
    /// `connections_per_user`, `connections_per_address`, `handshakes`.
    pub limits_exceeded: IntCounterVec,
}

impl AuthMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        Ok(Self {
            successes: add(registry, IntCounter::new("auth_successes_total", "Tokens that named a user")?)?,
            failures: counter(
                registry,
                "auth_failures_total",
                "Attempts to authenticate that failed",
                "reason",
                &[
                    "algorithm",
                    "audience",
                    "claim",
                    "expired",
                    "issuer",
                    "malformed",
                    "missing",
                    "not_yet_valid",
                    "other_user",
                    "refused",
                    "signature",
                    "unavailable",
                    "unknown_key",
                ],
            )?,
            expired_sessions: add(
                registry,
                IntCounter::new("auth_sessions_expired_total", "Sessions that ended with their token")?,
            )?,
            denied: counter(
                registry,
                "auth_denied_total",
                "Frames without the authority for them",
                "action",
                &["send", "subscribe"],
            )?,
            refused_origins: counter(
                registry,
                "auth_origins_refused_total",
                "Sessions of pages that may not open one",
                "reason",
                &["foreign", "missing", "null"],
            )?,
            key_reloads: counter(
                registry,
                "auth_key_reloads_total",
                "Keys of tokens read again",
                "result",
                &["failed", "ok"],
            )?,
            limits_exceeded: counter(
                registry,
                "limits_exceeded_total",
                "Clients that met a limit",
                "limit",
                &["bytes", "connections_per_address", "connections_per_user", "handshakes", "messages"],
            )?,
        })
    }
}
