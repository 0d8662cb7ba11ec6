//! Which requests are WebSocket upgrades.
//!
//! RFC 6455 section 4.1, ELB page "Listeners for your Application Load
//! Balancers" (WebSockets). As on ELB, only HTTP/1.1 upgrades, and only to
//! `websocket`; `Sec-WebSocket-Key` and `-Version` are the target's business,
//! so a request that lacks them still travels as an upgrade and the target
//! refuses it.

use http::{HeaderMap, Method, Version, header};

use super::list_members;

/// Whether a request only carries HTTP or asks to leave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Plain HTTP; an `Upgrade` to anything but WebSocket is stripped.
    Ordinary,
    /// Asks for a WebSocket.
    WebSocketUpgrade,
}

impl RequestKind {
    /// The kind of a request.
    #[must_use]
    pub fn of(method: &Method, version: Version, headers: &HeaderMap) -> Self {
        if is_websocket_upgrade(method, version, headers) { Self::WebSocketUpgrade } else { Self::Ordinary }
    }
}

/// Whether the request is a GET over HTTP/1.1 with `upgrade` in Connection and `websocket` in Upgrade.
#[must_use]
pub fn is_websocket_upgrade(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    let has =
        |name, token: &[u8]| list_members(headers, name).any(|member| member.eq_ignore_ascii_case(token));
    method == Method::GET
        && version == Version::HTTP_11
        && has(header::UPGRADE, b"websocket")
        && has(header::CONNECTION, b"upgrade")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[track_caller]
    fn check(lines: &[(HeaderName, &'static str)], expected: RequestKind) {
        assert_eq!(RequestKind::of(&Method::GET, Version::HTTP_11, &headers(lines)), expected);
    }

    #[test]
    fn connection_and_upgrade_decide_whatever_their_case_and_company() {
        use header::{CONNECTION, UPGRADE};
        let upgrade = RequestKind::WebSocketUpgrade;
        check(&[(CONNECTION, "Upgrade"), (UPGRADE, "websocket")], upgrade);
        check(&[(CONNECTION, "keep-alive, UPGRADE"), (UPGRADE, "WebSocket")], upgrade);
        check(&[(CONNECTION, "Upgrade"), (UPGRADE, "h2c, websocket")], upgrade);
        check(&[(CONNECTION, "keep-alive"), (UPGRADE, "websocket")], RequestKind::Ordinary);
        check(&[(CONNECTION, "Upgrade")], RequestKind::Ordinary);
        check(&[(UPGRADE, "websocket")], RequestKind::Ordinary);
        check(&[(CONNECTION, "Upgrade"), (UPGRADE, "h2c")], RequestKind::Ordinary);
    }

    #[test]
    fn the_tokens_may_stand_in_a_later_line() {
        let mut lines = headers(&[(header::UPGRADE, "websocket"), (header::CONNECTION, "keep-alive")]);
        lines.append(header::CONNECTION, HeaderValue::from_static("upgrade"));
        assert!(is_websocket_upgrade(&Method::GET, Version::HTTP_11, &lines));
    }

    #[test]
    fn other_methods_and_versions_do_not_upgrade() {
        let lines = headers(&[(header::CONNECTION, "Upgrade"), (header::UPGRADE, "websocket")]);
        assert!(!is_websocket_upgrade(&Method::POST, Version::HTTP_11, &lines));
        assert!(!is_websocket_upgrade(&Method::GET, Version::HTTP_10, &lines));
        assert!(!is_websocket_upgrade(&Method::GET, Version::HTTP_2, &lines));
    }
}
