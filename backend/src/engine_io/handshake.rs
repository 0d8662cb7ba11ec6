//! Requests: their query, and the errors that a client is told.

use http::{Method, StatusCode};
use serde_json::json;

/// The one protocol revision served.
const PROTOCOL: &str = "4";

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportName {
    /// HTTP long polling.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl TransportName {
    /// As in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Why a request is refused: the error codes of `engine.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 0: no `transport` in the query, or one that is not served.
    #[error("Transport unknown")]
    UnknownTransport,
    /// 1: no session has this `sid`. What a client meets when a balancer
    /// without stickiness takes its second request to another instance.
    #[error("Session ID unknown")]
    UnknownSession,
    /// 2: a session begins with GET.
    #[error("Bad handshake method")]
    Method,
    /// 3: the request does not fit the session.
    #[error("Bad request")]
    BadRequest,
    /// 4: the origin is not allowed.
    #[error("Forbidden")]
    Forbidden,
    /// 5: `EIO` is not 4.
    #[error("Unsupported protocol version")]
    Protocol,
}

impl Refusal {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::UnknownTransport,
        Self::UnknownSession,
        Self::Method,
        Self::BadRequest,
        Self::Forbidden,
        Self::Protocol,
    ];

    /// The `code` in the body.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::UnknownTransport => 0,
            Self::UnknownSession => 1,
            Self::Method => 2,
            Self::BadRequest => 3,
            Self::Forbidden => 4,
            Self::Protocol => 5,
        }
    }

    /// Its name in metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownTransport => "unknown_transport",
            Self::UnknownSession => "unknown_session",
            Self::Method => "method",
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden",
            Self::Protocol => "protocol",
        }
    }

    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::UnknownTransport
            | Self::UnknownSession
            | Self::Method
            | Self::BadRequest
            | Self::Protocol => StatusCode::BAD_REQUEST,
        }
    }

    /// The JSON body: `{"code":1,"message":"Session ID unknown"}`.
    #[must_use]
    pub fn body(self) -> String {
        json!({ "code": self.code(), "message": self.to_string() }).to_string()
    }
}

/// The query of a request. Of a repeated key the last value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query<'a> {
    protocol: Option<&'a str>,
    transport: Option<&'a str>,
    sid: Option<&'a str>,
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// A new session.
    Open(TransportName),
    /// To continue one.
    Continue {
        /// Its id.
        sid: &'a str,
        /// The transport of this request.
        transport: TransportName,
    },
}

impl<'a> Query<'a> {
    /// Splits a query. The keys and values that matter need no percent
    /// encoding.
    #[must_use]
    pub fn parse(query: &'a str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "EIO" => parsed.protocol = Some(value),
                "transport" => parsed.transport = Some(value),
                "sid" => parsed.sid = Some(value),
                _ => {}
            }
        }
        parsed
    }

    /// What the request wants, with the checks and in the order of the
    /// reference server. `of_session` tells the transport of the session with
    /// this id.
    ///
    /// # Errors
    ///
    /// The request is to be refused.
    pub fn intent(
        &self,
        method: &Method,
        upgrade: bool,
        of_session: impl FnOnce(&str) -> Option<TransportName>,
    ) -> Result<Intent<'a>, Refusal> {
        let transport = match self.transport {
            Some("polling") => TransportName::Polling,
            Some("websocket") => TransportName::WebSocket,
            Some(_) | None => return Err(Refusal::UnknownTransport),
        };
        if let Some(sid) = self.sid.filter(|sid| !sid.is_empty()) {
            let current = of_session(sid).ok_or(Refusal::UnknownSession)?;
            let mismatch = !upgrade && current != transport;
            if mismatch
                || self.protocol != Some(PROTOCOL)
                || upgrade != (transport == TransportName::WebSocket)
            {
                return Err(Refusal::BadRequest);
            }
            return Ok(Intent::Continue { sid, transport });
        }
        if method != Method::GET {
            return Err(Refusal::Method);
        }
        if upgrade != (transport == TransportName::WebSocket) {
            return Err(Refusal::BadRequest);
        }
        if self.protocol != Some(PROTOCOL) {
            return Err(Refusal::Protocol);
        }
        Ok(Intent::Open(transport))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "lv_VI97HAXpY6yYWAAAC";

    #[track_caller]
    fn check(query: &str, method: &Method, upgrade: bool, expected: Result<Intent<'_>, Refusal>) {
        let of_session = |sid: &str| (sid == SID).then_some(TransportName::Polling);
        assert_eq!(Query::parse(query).intent(method, upgrade, of_session), expected, "{query}");
    }

    #[test]
    fn a_session_is_opened_and_continued() {
        let get = &Method::GET;
        check("EIO=4&transport=polling&t=abc", get, false, Ok(Intent::Open(TransportName::Polling)));
        check("transport=websocket&EIO=4", get, true, Ok(Intent::Open(TransportName::WebSocket)));
        let query = format!("EIO=4&transport=polling&sid={SID}");
        let polling = Intent::Continue { sid: SID, transport: TransportName::Polling };
        check(&query, get, false, Ok(polling));
        check(&query, &Method::POST, false, Ok(polling));
        let query = format!("EIO=4&transport=websocket&sid={SID}");
        check(&query, get, true, Ok(Intent::Continue { sid: SID, transport: TransportName::WebSocket }));
    }

    #[test]
    fn requests_are_refused_with_the_codes_of_the_reference_server() {
        let get = &Method::GET;
        check("", get, false, Err(Refusal::UnknownTransport));
        check("EIO=4&transport=abc", get, false, Err(Refusal::UnknownTransport));
        check("EIO=4&transport=polling&sid=abc", get, false, Err(Refusal::UnknownSession));
        check("EIO=4&transport=polling", &Method::POST, false, Err(Refusal::Method));
        check("EIO=4&transport=websocket", get, false, Err(Refusal::BadRequest));
        check(&format!("EIO=4&transport=websocket&sid={SID}"), get, false, Err(Refusal::BadRequest));
        check(&format!("EIO=3&transport=polling&sid={SID}"), get, false, Err(Refusal::BadRequest));
        check("transport=polling", get, false, Err(Refusal::Protocol));
        check("EIO=3&transport=polling", get, false, Err(Refusal::Protocol));
    }

    #[test]
    fn bodies_are_those_of_the_reference_server() {
        assert_eq!(Refusal::UnknownSession.body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        for (code, refusal) in (0..).zip(Refusal::ALL) {
            assert_eq!(refusal.code(), code);
        }
    }
}
