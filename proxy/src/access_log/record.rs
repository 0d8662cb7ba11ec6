//! The facts of one request, as the access log tells them.
//!
//! ELB page: "Access log entries". One record is written per request, and one
//! per WebSocket when it closes. Everything is borrowed: a record lives only
//! until its line is made.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

/// One access log entry. The numbers are the fields' positions in the line.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    /// 1 `type`.
    pub kind: Kind,
    /// 2 `time`: when the response was generated; for a WebSocket when it closed.
    pub time: SystemTime,
    /// 3 `elb`: `app/NAME/ID`.
    pub elb: &'a str,
    /// 4 `client:port`: the TCP peer, never from a header.
    pub client: SocketAddr,
    /// 5 `target:port` and 10 `target_status_code` are of the last of these, 26 `target:port_list`
    /// and 27 `target_status_code_list` of all. Empty when the request was not sent to a target.
    pub targets: &'a [TargetAttempt],
    /// 6 `request_processing_time`: request received → sent to the target. `None` (`-1`): not sent.
    pub request_processing_time: Option<Duration>,
    /// 7 `target_processing_time`: sent → response headers begin. `None` (`-1`): not sent, or no answer.
    pub target_processing_time: Option<Duration>,
    /// 8 `response_processing_time`: headers received → sending to the client. `None` (`-1`): no answer.
    pub response_processing_time: Option<Duration>,
    /// 9 `elb_status_code`: sent to the client, or what stands for it (460; 0 is written as 000, a request caught by GOAWAY). `None`: nothing was.
    pub elb_status_code: Option<u16>,
    /// 11 `received_bytes`: from the client, headers and body; for a WebSocket the whole connection.
    pub received_bytes: u64,
    /// 12 `sent_bytes`: to the client, headers and body; for a WebSocket the whole connection.
    pub sent_bytes: u64,
    /// 13 `request`.
    pub request: RequestLine<'a>,
    /// 14 `user_agent`: the header's bytes; cut after 8 KB in the line.
    pub user_agent: Option<&'a [u8]>,
    /// 15 `ssl_cipher`: OpenSSL's or TLS 1.3's name. `None` in clear text.
    pub ssl_cipher: Option<&'a str>,
    /// 16 `ssl_protocol`: `TLSv1.2`, `TLSv1.3`. `None` in clear text.
    pub ssl_protocol: Option<&'a str>,
    /// 17 `target_group_arn`. `None` without a forward.
    pub target_group_arn: Option<&'a str>,
    /// 18 `trace_id`: content of `X-Amzn-Trace-Id`.
    pub trace_id: Option<&'a [u8]>,
    /// 19 `domain_name`: the SNI name.
    pub domain_name: Option<&'a str>,
    /// 20 `chosen_cert_arn`.
    pub chosen_cert: ChosenCertificate<'a>,
    /// 21 `matched_rule_priority`.
    pub matched_rule: MatchedRule,
    /// 22 `request_creation_time`: when the request was received.
    pub request_creation_time: SystemTime,
    /// 23 `actions_executed`, in their order.
    pub actions_executed: &'a [ActionExecuted],
    /// 24 `redirect_url`: the Location of a redirect action.
    pub redirect_url: Option<&'a str>,
    /// 25 `error_reason`. `None` for plain 502, 503 and 504, too.
    pub error_reason: Option<&'a str>,
    /// 28 `classification`. `None` for a compliant request.
    pub classification: Option<Classification>,
    /// 29 `classification_reason`.
    pub classification_reason: Option<&'a str>,
    /// 30 `conn_trace_id`: joins the requests of one connection.
    pub conn_trace_id: ConnTraceId,
    /// 31 `transformed_host`: after a host rewrite.
    pub transformed_host: Option<&'a [u8]>,
    /// 32 `transformed_uri`: after a URL rewrite.
    pub transformed_uri: Option<&'a [u8]>,
    /// 33 `request_transform_status`: `Success` or the mistake's name.
    pub request_transform_status: Option<&'a str>,
    /// 34 `ip_address`: of this load balancer node.
    pub ip_address: Option<IpAddr>,
}

/// `type`: the protocol the client spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.x in clear text.
    Http,
    /// HTTP/1.x over TLS.
    Https,
    /// HTTP/2 over TLS.
    H2,
    /// gRPC over TLS.
    Grpcs,
    /// WebSocket in clear text.
    Ws,
    /// WebSocket over TLS.
    Wss,
}

impl Kind {
    /// The field's value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2 => "h2",
            Self::Grpcs => "grpcs",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// A target that was given the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetAttempt {
    /// Its address.
    pub addr: SocketAddr,
    /// The code it answered with, if it did.
    pub status_code: Option<u16>,
}

/// `request`: what the client asked for.
#[derive(Debug, Clone, Copy)]
pub enum RequestLine<'a> {
    /// A request that could be read.
    Readable {
        /// Method.
        method: &'a str,
        /// Protocol of the listener.
        scheme: Scheme,
        /// Host as the client sent it, with or without a port.
        host: &'a [u8],
        /// Port written when `host` has none: the listener's.
        port: u16,
        /// Path and query as the client sent them.
        path_and_query: &'a [u8],
        /// HTTP version of the request.
        version: Version,
    },
    /// A request that could not be read: `"- http://HOST:PORT- -"`.
    Unreadable {
        /// Protocol of the listener.
        scheme: Scheme,
        /// The address the client connected to.
        local: SocketAddr,
    },
}

/// Scheme in `request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// HTTP version in `request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `HTTP/1.0`.
    Http10,
    /// `HTTP/1.1`.
    Http11,
    /// `HTTP/2.0`.
    Http20,
}

impl Version {
    /// The version as it is logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http20 => "HTTP/2.0",
        }
    }
}

/// `chosen_cert_arn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChosenCertificate<'a> {
    /// Clear text.
    None,
    /// The certificate shown to the client.
    Arn(&'a str),
    /// No certificate was shown: the TLS session was resumed.
    SessionReused,
}

/// `matched_rule_priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchedRule {
    /// The request did not get as far as the rules: `-`.
    NotReached,
    /// The rules could not be evaluated: `-1`.
    EvaluationError,
    /// The default rule: `0`.
    Default,
    /// A rule by its priority, 1–50000.
    Priority(u16),
}

/// One of `actions_executed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionExecuted {
    /// `waf`.
    Waf,
    /// `waf-failed`.
    WafFailed,
    /// `authenticate`.
    Authenticate,
    /// `rewrite`.
    Rewrite,
    /// `redirect`.
    Redirect,
    /// `fixed-response`.
    FixedResponse,
    /// `forward`.
    Forward,
}

impl ActionExecuted {
    /// The action's name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waf => "waf",
            Self::WafFailed => "waf-failed",
            Self::Authenticate => "authenticate",
            Self::Rewrite => "rewrite",
            Self::Redirect => "redirect",
            Self::FixedResponse => "fixed-response",
            Self::Forward => "forward",
        }
    }
}

/// `actions_executed` of one request, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionsExecuted {
    list: [ActionExecuted; MOST_ACTIONS],
    len: usize,
}

/// Authentication, rewrite, and the action that ends a rule, each with room for a web application firewall.
const MOST_ACTIONS: usize = 4;

impl Default for ActionsExecuted {
    fn default() -> Self {
        Self { list: [ActionExecuted::Forward; MOST_ACTIONS], len: 0 }
    }
}

impl ActionsExecuted {
    /// Notes that `action` was carried out. More than four are not remembered.
    pub fn push(&mut self, action: ActionExecuted) {
        if let Some(place) = self.list.get_mut(self.len) {
            *place = action;
            self.len += 1;
        }
    }

    /// The actions so far.
    #[must_use]
    pub fn as_slice(&self) -> &[ActionExecuted] {
        self.list.get(..self.len).unwrap_or_default()
    }
}

/// `classification` of a request that does not follow RFC 7230.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classification {
    /// Does not comply, but is no known threat.
    Acceptable,
    /// Servers may read it differently.
    Ambiguous,
    /// High risk of request smuggling.
    Severe,
}

impl Classification {
    /// The class's name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

/// `conn_trace_id`: `TID_` and 32 hex digits, drawn once per client connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConnTraceId(pub u128);

impl fmt::Display for ConnTraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TID_{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_keeps_its_leading_zeros() {
        assert_eq!(ConnTraceId(0xdc24).to_string(), format!("TID_{}dc24", "0".repeat(28)));
    }
}
