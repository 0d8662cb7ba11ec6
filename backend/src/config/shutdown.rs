//! `shutdown.*`: how clients are told to leave. The whole takes `drain` at
//! most.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// The steps of leaving, all within the drain time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShutdownConfig {
    /// How long the notice may take to reach the clients, at most a tenth of
    /// the drain. Default `2s`.
    #[serde(deserialize_with = "units::duration")]
    pub notice: Duration,
    /// How long clients that heard the notice may leave by themselves before
    /// the first of them is closed, at most a fifth of the drain. New
    /// connections are still served. Default `5s`.
    #[serde(deserialize_with = "units::duration")]
    pub grace: Duration,
    /// When clients are asked to come back: `reconnectInSeconds` of the notice,
    /// in whole seconds. Not divided by `--time-scale`. Default `30s`.
    #[serde(deserialize_with = "units::duration")]
    pub reconnect_in: Duration,
    /// The code that WebSockets are closed with. Default `going-away`.
    pub close_code: ShutdownCloseCode,
}

/// How a WebSocket learns that the server leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownCloseCode {
    /// 1001, as Tomcat does.
    #[default]
    GoingAway,
    /// 1012, which asks clients to come back after a random delay.
    ServiceRestart,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            notice: Duration::from_secs(2),
            grace: Duration::from_secs(5),
            reconnect_in: Duration::from_secs(30),
            close_code: ShutdownCloseCode::GoingAway,
        }
    }
}

impl ShutdownConfig {
    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.notice, &mut self.grace]
    }
}
