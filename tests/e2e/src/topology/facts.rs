//! What the client finds out about a way, and what it should find.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Way;

/// A row of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Whose address the target's socket has.
    Peer,
    /// `X-Forwarded-For` at the target, of a request that came with a forged one.
    ForwardedFor,
    /// `X-Forwarded-Proto` at the target.
    ForwardedProto,
    /// `X-Forwarded-Port` at the target.
    ForwardedPort,
    /// `Host` at the target.
    Host,
    /// `X-Amzn-Trace-Id` at the target.
    TraceId,
    /// Cookie that the client gets.
    Cookie,
    /// Where the client's further connections lead, with the cookie if there is one.
    Stickiness,
    /// Who answers `/api/items`.
    PathRule,
    /// WebSocket echo.
    WebSocket,
    /// Where TLS ends, as the target knows.
    TlsEnds,
    /// Whose certificate the client is shown.
    Certificate,
    /// Application protocol for a client that offers `h2` and `http/1.1`.
    Alpn,
    /// HTTP version at the target for the same client.
    TargetHttp,
    /// What the client of a silent WebSocket sees.
    Silence,
    /// Which logs have lines.
    Logs,
    /// Whose address those lines have.
    LogClient,
}

impl Row {
    /// Heading of the row.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Peer => "target's TCP peer",
            Self::ForwardedFor => "X-Forwarded-For at the target",
            Self::ForwardedProto => "X-Forwarded-Proto",
            Self::ForwardedPort => "X-Forwarded-Port",
            Self::Host => "Host",
            Self::TraceId => "X-Amzn-Trace-Id",
            Self::Cookie => "cookie for the client",
            Self::Stickiness => "24 further connections",
            Self::PathRule => "rule for /api/*",
            Self::WebSocket => "WebSocket",
            Self::TlsEnds => "TLS ends at the",
            Self::Certificate => "certificate is the",
            Self::Alpn => "ALPN of h2, http/1.1",
            Self::TargetHttp => "HTTP at the target",
            Self::Silence => "silent WebSocket",
            Self::Logs => "logs",
            Self::LogClient => "client:port in the logs",
        }
    }

    /// Key in JSON.
    #[must_use]
    pub fn key(self) -> String {
        let mut key = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !key.is_empty() {
                key.push('_');
            }
            key.push(letter.to_ascii_lowercase());
        }
        key
    }
}

const FIN: &str = "FIN after 60 s";
const RST: &str = "none; RST after 350 s";
const ADDED: &str = "203.0.113.7, client";
const FORGED: &str = "203.0.113.7";
const NOTHING: &str = "–";

/// What each way does, in the order of [`Way::ALL`]. The forged address is 203.0.113.7.
pub const EXPECTED: &[(Row, [&str; 5])] = &[
    (Row::Peer, ["balancer"; 5]),
    (Row::ForwardedFor, [ADDED, FORGED, FORGED, ADDED, ADDED]),
    (Row::ForwardedProto, ["https", NOTHING, NOTHING, "https", "https"]),
    (Row::ForwardedPort, ["58080", NOTHING, NOTHING, "58080", "58080"]),
    (Row::Host, ["as sent"; 5]),
    (Row::TraceId, ["added", NOTHING, NOTHING, "added", "added"]),
    (Row::Cookie, ["AWSALB", NOTHING, NOTHING, "AWSALB", "AWSALB"]),
    (Row::Stickiness, ["same target", "both targets", "same target", "same target", "same target"]),
    (Row::PathRule, ["acts", NOTHING, NOTHING, "acts", "acts"]),
    (Row::WebSocket, ["yes"; 5]),
    (Row::TlsEnds, ["balancer", "balancer", "target", "balancer", "balancer"]),
    (Row::Certificate, ["balancer's", "balancer's", "target's", "balancer's", "balancer's"]),
    (Row::Alpn, ["h2", "http/1.1", "http/1.1", "h2", "h2"]),
    (Row::TargetHttp, ["HTTP/1.1"; 5]),
    (Row::Silence, [FIN, RST, RST, FIN, FIN]),
    (Row::Logs, ["access", "TLS, flow", "flow", "access, flow", "access, flow"]),
    (Row::LogClient, ["client"; 5]),
];

/// What one way is known to do.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    values: BTreeMap<Row, String>,
    /// `/whoami` as the target answered it.
    pub whoami: Value,
    /// Milliseconds that half of the requests on an open connection took at most.
    pub request_ms: f64,
    /// The same of TCP, TLS and one request together.
    pub connection_ms: f64,
}

impl Facts {
    /// Notes a fact.
    pub fn note(&mut self, row: Row, value: impl Into<String>) {
        self.values.insert(row, value.into());
    }

    /// A fact; empty if it is not known.
    #[must_use]
    pub fn value(&self, row: Row) -> &str {
        self.values.get(&row).map_or("", String::as_str)
    }

    /// What is not as [`EXPECTED`] has it for `way`, a sentence each; what is not known is empty.
    #[must_use]
    pub fn surprises(&self, way: Way) -> Vec<String> {
        let mut surprises = Vec::new();
        for (row, ways) in EXPECTED {
            let expected = ways.get(way.column()).copied().unwrap_or_default();
            let value = self.value(*row);
            if value != expected {
                surprises.push(format!("{}: {} is {value:?}, not {expected:?}", way.title(), row.title()));
            }
        }
        surprises
    }

    /// The facts and what they were read from.
    #[must_use]
    pub fn to_json(&self, way: Way) -> Value {
        let values: serde_json::Map<String, Value> =
            self.values.iter().map(|(row, value)| (row.key(), json!(value))).collect();
        json!({
            "way": way.title(),
            "files": way.files(),
            "facts": values,
            "p50_ms": { "request": self.request_ms, "connection": self.connection_ms },
            "whoami": self.whoami,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_is_not_as_documented_is_a_surprise() {
        let mut facts = Facts::default();
        for (row, values) in EXPECTED {
            facts.note(*row, values[Way::NlbTcp.column()]);
        }
        assert_eq!(facts.surprises(Way::NlbTcp), Vec::<String>::new());
        facts.note(Row::Cookie, "AWSALB");
        let expected = "NLB, TCP: cookie for the client is \"AWSALB\", not \"–\"";
        assert_eq!(facts.surprises(Way::NlbTcp), [expected]);
        assert_eq!(Row::ForwardedFor.key(), "forwarded_for");
    }
}
