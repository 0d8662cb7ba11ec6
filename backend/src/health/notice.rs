//! What clients are told before the server closes them.

use std::time::Duration;

use serde::Serialize;

/// The notice of a server that leaves, for whatever protocol a client speaks.
///
/// The text is the same for every client, so that it is encoded once; what
/// keeps clients from returning all at once is that their closes are spread over
/// the jitter window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    message: &'static str,
    reconnect_in_seconds: u64,
}

impl Notice {
    /// Where STOMP clients hear it.
    pub const DESTINATION: &str = "/topic/server.events";

    /// The Socket.IO event of the same name.
    pub const EVENT: &str = "server.events";

    /// A notice that asks to come back after `reconnect_in`, in whole seconds.
    #[must_use]
    pub fn new(reconnect_in: Duration) -> Self {
        Self {
            message: "Server maintenance. Please reconnect in a few seconds.",
            reconnect_in_seconds: reconnect_in.as_secs(),
        }
    }

    /// The JSON object `{"message":…,"reconnectInSeconds":…}`.
    #[must_use]
    pub fn json(&self) -> String {
        // Two fields of plain types: there is nothing to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_has_its_keys() {
        assert_eq!(
            Notice::new(Duration::from_secs(30)).json(),
            r#"{"message":"Server maintenance. Please reconnect in a few seconds.","reconnectInSeconds":30}"#
        );
    }
}
