//! The Host header that a target sees.
//!
//! ELB page: "Edit attributes for your Application Load Balancer", Host header
//! preservation (`routing.http.preserve_host_header.enabled`).

use http::{HeaderMap, HeaderValue, header};

use crate::model::ListenerProtocol;

/// How a listener treats Host; fixed when the configuration is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRule {
    /// Sent as it came (`routing.http.preserve_host_header.enabled` is true).
    Preserve,
    /// The listener has its protocol's default port: any port is cut off, the name lower-cased.
    StripPort,
    /// Another port: it is appended where Host names none, the name lower-cased.
    AppendPort(u16),
}

impl HostRule {
    /// The rule of a listener. Default ports are 80 for HTTP and 443 for HTTPS.
    #[must_use]
    pub const fn for_listener(preserve_host_header: bool, protocol: ListenerProtocol, port: u16) -> Self {
        match (preserve_host_header, protocol, port) {
            (true, ..) => Self::Preserve,
            (false, ListenerProtocol::Http, 80) | (false, ListenerProtocol::Https, 443) => Self::StripPort,
            (false, _, port) => Self::AppendPort(port),
        }
    }

    /// The value to send instead of `host`; `None` if it stays as it is.
    #[must_use]
    pub fn host_for_target(self, host: &HeaderValue) -> Option<HeaderValue> {
        let listener_port = match self {
            Self::Preserve => return None,
            Self::StripPort => None,
            Self::AppendPort(port) => Some(port),
        };
        let bytes = host.as_bytes();
        let (name, port) = split_port(bytes);
        let keeps_port = listener_port.is_some() && !port.is_empty();
        let is_done = (keeps_port || (listener_port.is_none() && name.len() == bytes.len()))
            && !name.iter().any(u8::is_ascii_uppercase);
        if is_done {
            return None;
        }
        let mut value = name.to_ascii_lowercase();
        if keeps_port {
            value.push(b':');
            value.extend_from_slice(port);
        } else if let Some(listener_port) = listener_port {
            value.extend_from_slice(format!(":{listener_port}").as_bytes());
        }
        HeaderValue::try_from(value).ok()
    }
}

/// The host a request is for: the authority of its target, else Host, else the load balancer's DNS name.
///
/// An absolute-form target and HTTP/2's `:authority` win over Host; only HTTP/1.0 may have neither.
#[must_use]
pub fn of_request<'a>(authority: Option<&'a str>, headers: &'a HeaderMap, dns_name: &'a str) -> &'a str {
    authority.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok())).unwrap_or(dns_name)
}

/// Authority and origin form of `http://authority/path?query`; the scheme's case does not matter.
#[must_use]
pub fn absolute_form(target: &[u8]) -> Option<(&str, &[u8])> {
    let scheme = |scheme: &str| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    };
    let rest = scheme("http://").or_else(|| scheme("https://"))?;
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, origin_form) = rest.split_at_checked(end)?;
    let authority = std::str::from_utf8(authority).ok()?;
    // `http://host?query` has an empty path, which no target would understand.
    match origin_form {
        [] => Some((authority, b"/")),
        [b'/', ..] => Some((authority, origin_form)),
        _ => None,
    }
}

/// Name (IPv6 literals with brackets) and port, which is empty if there is none.
fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    let end_of_literal = memchr::memrchr(b']', host).map_or(0, |bracket| bracket + 1);
    let colon = host
        .get(end_of_literal..)
        .and_then(|rest| memchr::memchr(b':', rest))
        .map_or(host.len(), |colon| end_of_literal + colon);
    let (name, rest) = host.split_at(colon);
    (name, rest.strip_prefix(b":").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: HostRule, host: &str, expected: &str) {
        let host = HeaderValue::from_str(host).unwrap();
        let sent = rule.host_for_target(&host).unwrap_or(host);
        assert_eq!(sent, expected);
    }

    #[test]
    fn the_rule_follows_from_attribute_protocol_and_port() {
        let rule = HostRule::for_listener;
        assert_eq!(rule(true, ListenerProtocol::Http, 8080), HostRule::Preserve);
        assert_eq!(rule(false, ListenerProtocol::Http, 80), HostRule::StripPort);
        assert_eq!(rule(false, ListenerProtocol::Https, 443), HostRule::StripPort);
        assert_eq!(rule(false, ListenerProtocol::Https, 80), HostRule::AppendPort(80));
        assert_eq!(rule(false, ListenerProtocol::Http, 443), HostRule::AppendPort(443));
        assert_eq!(rule(false, ListenerProtocol::Https, 8443), HostRule::AppendPort(8443));
    }

    #[test]
    fn a_default_port_listener_cuts_any_port_off() {
        check(HostRule::StripPort, "example.com", "example.com");
        check(HostRule::StripPort, "Example.COM:8443", "example.com");
        check(HostRule::StripPort, "example.com:", "example.com");
        check(HostRule::StripPort, "[::1]:443", "[::1]");
        check(HostRule::StripPort, "[2001:DB8::1]", "[2001:db8::1]");
    }

    #[test]
    fn another_listener_appends_its_port_if_none_is_named() {
        let rule = HostRule::AppendPort(8080);
        check(rule, "Example.com", "example.com:8080");
        check(rule, "example.com:9000", "example.com:9000");
        check(rule, "Example.com:9000", "example.com:9000");
        check(rule, "example.com:", "example.com:8080");
        check(rule, "[::1]", "[::1]:8080");
        check(rule, "[::1]:9000", "[::1]:9000");
    }

    #[test]
    fn the_targets_authority_wins_over_host_and_the_dns_name_stands_in() {
        let mut headers = HeaderMap::new();
        assert_eq!(of_request(None, &headers, "alb.example.com"), "alb.example.com");
        headers.insert(header::HOST, HeaderValue::from_static("a.example.com"));
        assert_eq!(of_request(None, &headers, "alb.example.com"), "a.example.com");
        assert_eq!(of_request(Some("b.example.com"), &headers, "alb.example.com"), "b.example.com");
    }

    #[test]
    fn preserve_changes_nothing_and_nothing_is_allocated_for_a_host_that_fits() {
        let host = HeaderValue::from_static("Example.com:1");
        assert_eq!(HostRule::Preserve.host_for_target(&host), None);
        let fits = HeaderValue::from_static("example.com:8443");
        assert_eq!(HostRule::AppendPort(8443).host_for_target(&fits), None);
        assert_eq!(HostRule::StripPort.host_for_target(&HeaderValue::from_static("example.com")), None);
    }
}
