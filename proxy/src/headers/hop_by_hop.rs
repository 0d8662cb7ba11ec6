//! Header fields that belong to one connection and are not forwarded.
//!
//! RFC 9110 section 7.6.1. Transfer-Encoding is not handled here: the HTTP
//! engine frames each side's message anew.

use http::{HeaderMap, HeaderName, header};

use super::{list_members, websocket::RequestKind};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Fields that the Connection header cannot name away: framing, routing, identity and what a load
/// balancer says about the client. Without this a client could strip the headers targets trust.
const END_TO_END: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
    header::COOKIE,
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::FORWARDED,
    header::ORIGIN,
];

/// Fields with these beginnings are end to end too.
const END_TO_END_PREFIXES: [&str; 3] = ["x-forwarded-", "x-amzn-", "sec-websocket-"];

/// The fields to remove before a request goes to a target, or a response to a client.
///
/// `kind` is the request's; give [`RequestKind::WebSocketUpgrade`] for a response only if it is the
/// 101. Then Connection and Upgrade are not in the list, because they carry the upgrade; every other
/// field that Connection names is. `TE` stays where it is just `trailers`. A name is listed only if
/// the message has it, once, so that an ordinary message costs no allocation.
#[must_use]
pub fn to_remove(headers: &HeaderMap, kind: RequestKind) -> Vec<HeaderName> {
    let mut names = Vec::new();
    let fixed = match kind {
        RequestKind::Ordinary => {
            [Some(header::CONNECTION), Some(header::UPGRADE), Some(KEEP_ALIVE), Some(PROXY_CONNECTION)]
        }
        RequestKind::WebSocketUpgrade => [None, None, Some(KEEP_ALIVE), Some(PROXY_CONNECTION)],
    };
    names.extend(fixed.into_iter().flatten().filter(|name| headers.contains_key(name)));
    let only_trailers =
        list_members(headers, header::TE).all(|member| member.eq_ignore_ascii_case(b"trailers"));
    if headers.contains_key(header::TE) && !only_trailers {
        names.push(header::TE);
    }
    for member in list_members(headers, header::CONNECTION) {
        let Ok(name) = HeaderName::from_bytes(member) else { continue };
        let is_hop_by_hop = !matches!(name, header::CONNECTION | header::UPGRADE | header::TE)
            && !is_end_to_end(&name)
            && headers.contains_key(&name);
        if is_hop_by_hop && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name) || END_TO_END_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(kind: RequestKind, lines: &[(&'static str, &'static str)], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for &(name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut names: Vec<String> =
            to_remove(&headers, kind).into_iter().map(|name| name.as_str().to_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
    }

    #[test]
    fn an_end_to_end_message_loses_nothing() {
        check(RequestKind::Ordinary, &[("host", "h"), ("accept", "*/*"), ("te", "trailers")], &[]);
    }

    #[test]
    fn the_known_hop_by_hop_fields_go() {
        let lines = [
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers, deflate"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
        ];
        check(
            RequestKind::Ordinary,
            &lines,
            &["connection", "keep-alive", "proxy-connection", "te", "upgrade"],
        );
    }

    #[test]
    fn fields_that_connection_names_go_with_it() {
        let lines =
            [("connection", "close, X-Private, x-absent"), ("connection", "x-private"), ("x-private", "1")];
        check(RequestKind::Ordinary, &lines, &["connection", "x-private"]);
    }

    #[test]
    fn connection_cannot_strip_what_targets_trust() {
        let headers = [
            (
                "connection",
                "Host, Cookie, X-Forwarded-For, X-Amzn-Trace-Id, Authorization, Content-Length, (",
            ),
            ("host", "h"),
            ("cookie", "a=b"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-amzn-trace-id", "Root=1-0-0"),
            ("authorization", "Basic x"),
            ("content-length", "0"),
        ];
        check(RequestKind::Ordinary, &headers, &["connection"]);
    }

    #[test]
    fn an_upgrade_keeps_the_fields_that_carry_it() {
        let lines = [
            ("connection", "keep-alive, Upgrade, x-private"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("sec-websocket-key", "k"),
        ];
        check(RequestKind::WebSocketUpgrade, &lines, &["keep-alive", "x-private"]);
    }
}
