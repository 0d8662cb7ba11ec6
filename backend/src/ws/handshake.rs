//! The opening handshake (RFC 6455, section 4.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, StatusCode, Version};
use sha1_smol::Sha1;

/// RFC 6455, section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The version of RFC 6455.
const VERSION: &str = "13";

/// Why a request is no handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Any method but GET.
    #[error("a WebSocket handshake is a GET request")]
    Method,
    /// No upgrade to WebSocket is asked for, or not in HTTP/1.1.
    #[error("this address speaks WebSocket only")]
    NotUpgrade,
    /// Another protocol version.
    #[error("only WebSocket version 13 is supported")]
    Version,
    /// No Sec-WebSocket-Key, or not 16 bytes in base64.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64")]
    Key,
}

impl HandshakeError {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// The header that this status must have.
    #[must_use]
    pub fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET"))),
            Self::NotUpgrade => Some((UPGRADE, HeaderValue::from_static("websocket"))),
            Self::Version => Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION))),
            Self::Key => None,
        }
    }
}

/// Headers of the 101 response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted(pub HeaderMap);

/// Validates a handshake. Of the subprotocols that the client offers the first
/// in `served` is selected; none when there is no common one.
///
/// # Errors
///
/// The request is no handshake; the error tells the status.
pub fn accept<B>(request: &Request<B>, served: &[&'static str]) -> Result<Accepted, HandshakeError> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(HandshakeError::Method);
    }
    let upgrades = has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
        && request.version() == Version::HTTP_11;
    if !upgrades {
        return Err(HandshakeError::NotUpgrade);
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
        return Err(HandshakeError::Version);
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(HandshakeError::Key);
    };
    if STANDARD.decode(key.as_bytes()).map_or(0, |key| key.len()) != 16 {
        return Err(HandshakeError::Key);
    }
    let digest = STANDARD.encode(Sha1::from([key.as_bytes(), GUID].concat()).digest().bytes());
    let digest = HeaderValue::try_from(digest).map_err(|_| HandshakeError::Key)?;
    let mut accepted = HeaderMap::new();
    accepted.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    accepted.insert(UPGRADE, HeaderValue::from_static("websocket"));
    accepted.insert(SEC_WEBSOCKET_ACCEPT, digest);
    let offers = |protocol: &&&str| has_token(headers, &SEC_WEBSOCKET_PROTOCOL, protocol);
    if let Some(protocol) = served.iter().find(offers) {
        accepted.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    Ok(Accepted(accepted))
}

/// Whether a list header holds the token, in any case and on any of its lines.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .any(|entry| entry.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(changes: &[(&'static str, Option<&'static str>)]) -> Request<()> {
        let mut request = Request::get("/ws").body(()).unwrap();
        let headers = request.headers_mut();
        for (name, value) in [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, value) in changes {
            headers.remove(*name);
            if let Some(value) = value {
                headers.insert(*name, HeaderValue::from_static(value));
            }
        }
        request
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let Accepted(headers) = accept(&request(&[]), &[]).unwrap();
        assert_eq!(headers[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(!headers.contains_key(SEC_WEBSOCKET_PROTOCOL));
    }

    #[test]
    fn the_best_common_subprotocol_is_selected() {
        let served = ["v12.stomp", "v11.stomp"];
        let selected = |offered| {
            let request = request(&[("sec-websocket-protocol", Some(offered))]);
            accept(&request, &served).unwrap().0.get(SEC_WEBSOCKET_PROTOCOL).cloned()
        };
        assert_eq!(selected("v10.stomp, v11.stomp, v12.stomp").unwrap(), "v12.stomp");
        assert_eq!(selected("v11.stomp").unwrap(), "v11.stomp");
        assert_eq!(selected("mqtt"), None);
    }

    #[test]
    fn wrong_requests_are_refused_with_their_status() {
        let cases = [
            ("upgrade", None, HandshakeError::NotUpgrade, 426),
            ("connection", Some("close"), HandshakeError::NotUpgrade, 426),
            ("sec-websocket-version", Some("8"), HandshakeError::Version, 426),
            ("sec-websocket-version", None, HandshakeError::Version, 426),
            ("sec-websocket-key", None, HandshakeError::Key, 400),
            ("sec-websocket-key", Some("c2hvcnQ="), HandshakeError::Key, 400),
            ("sec-websocket-key", Some("not base64!"), HandshakeError::Key, 400),
        ];
        for (name, value, error, status) in cases {
            assert_eq!(accept(&request(&[(name, value)]), &[]), Err(error), "{name}: {value:?}");
            assert_eq!(error.status(), status);
        }
        let mut post = request(&[]);
        *post.method_mut() = Method::POST;
        assert_eq!(accept(&post, &[]), Err(HandshakeError::Method));
    }
}
