//! X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Port.
//!
//! ELB page: "X-Forwarded headers". X-Forwarded-Proto and -Port are always set
//! and overwrite what the client sent; X-Forwarded-For follows
//! `routing.http.xff_header_processing.mode`.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;

use crate::model::{ListenerProtocol, load_balancer::XffHeaderProcessing};

/// Most addresses that a client may send in X-Forwarded-For; more are answered with 463.
pub const MAX_ADDRESSES: usize = 30;

/// What an X-Forwarded-For entry made by the load balancer says about the client
/// (`routing.http.xff_client_port.enabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientEntry {
    /// The address alone, IPv6 without brackets. The default.
    #[default]
    Address,
    /// Address and port: `203.0.113.7:41520`, `[2001:db8::1]:41520`.
    AddressAndPort,
}

impl ClientEntry {
    fn text(self, client: SocketAddr) -> String {
        let address: IpAddr = client.ip().to_canonical();
        match self {
            Self::Address => address.to_string(),
            Self::AddressAndPort => SocketAddr::new(address, client.port()).to_string(),
        }
    }
}

/// What becomes of the request's X-Forwarded-For.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XffOutcome {
    /// Replace all lines of the header by this one.
    Set(HeaderValue),
    /// Send what the client sent, which may be nothing.
    Keep,
    /// Remove all lines.
    Remove,
    /// More than [`MAX_ADDRESSES`] addresses came in: answer 463.
    TooMany,
}

/// Decides X-Forwarded-For.
///
/// `existing` are the lines the client sent, in order; they count as one list. An IPv4 client of a
/// dual-stack socket is written as IPv4. The limit of addresses holds in every mode.
#[must_use]
pub fn x_forwarded_for<'a>(
    mode: XffHeaderProcessing,
    entry: ClientEntry,
    client: SocketAddr,
    existing: impl Iterator<Item = &'a HeaderValue>,
) -> XffOutcome {
    let mut addresses = 0;
    let mut list: Vec<u8> = Vec::new();
    for line in existing {
        let members =
            line.as_bytes().split(|&byte| byte == b',').filter(|member| !member.trim_ascii().is_empty());
        addresses += members.count();
        if addresses > MAX_ADDRESSES {
            return XffOutcome::TooMany;
        }
        let line = line.as_bytes().trim_ascii();
        if mode == XffHeaderProcessing::Append && !line.is_empty() {
            list.extend_from_slice(line);
            list.extend_from_slice(b", ");
        }
    }
    match mode {
        XffHeaderProcessing::Append => {
            list.extend_from_slice(entry.text(client).as_bytes());
            // Valid lines joined by commas are valid; were they not, they would not be passed on.
            HeaderValue::try_from(list).map_or(XffOutcome::Remove, XffOutcome::Set)
        }
        XffHeaderProcessing::Preserve => XffOutcome::Keep,
        XffHeaderProcessing::Remove => XffOutcome::Remove,
    }
}

/// X-Forwarded-Proto: `https` where the listener terminates TLS, else `http`.
#[must_use]
pub const fn x_forwarded_proto(listener: ListenerProtocol) -> HeaderValue {
    HeaderValue::from_static(if listener.is_tls() { "https" } else { "http" })
}

/// X-Forwarded-Port: the listener's port.
#[must_use]
pub fn x_forwarded_port(listener_port: u16) -> HeaderValue {
    HeaderValue::from(listener_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "203.0.113.7:41520";

    #[track_caller]
    fn outcome(mode: XffHeaderProcessing, entry: ClientEntry, client: &str, lines: &[&str]) -> XffOutcome {
        let lines: Vec<HeaderValue> = lines.iter().map(|line| HeaderValue::from_str(line).unwrap()).collect();
        x_forwarded_for(mode, entry, client.parse().unwrap(), lines.iter())
    }

    #[track_caller]
    fn check(entry: ClientEntry, client: &str, lines: &[&str], expected: &str) {
        let outcome = outcome(XffHeaderProcessing::Append, entry, client, lines);
        assert_eq!(outcome, XffOutcome::Set(HeaderValue::from_str(expected).unwrap()));
    }

    #[test]
    fn append_adds_the_client_at_the_end() {
        check(ClientEntry::Address, CLIENT, &[], "203.0.113.7");
        check(ClientEntry::Address, CLIENT, &["192.0.2.1, 192.0.2.2"], "192.0.2.1, 192.0.2.2, 203.0.113.7");
        check(ClientEntry::Address, CLIENT, &["192.0.2.1", "192.0.2.2"], "192.0.2.1, 192.0.2.2, 203.0.113.7");
        check(ClientEntry::Address, CLIENT, &["", "  "], "203.0.113.7");
    }

    #[test]
    fn addresses_take_elbs_form() {
        check(ClientEntry::AddressAndPort, CLIENT, &[], "203.0.113.7:41520");
        check(ClientEntry::Address, "[2001:db8::1]:41520", &[], "2001:db8::1");
        check(ClientEntry::AddressAndPort, "[2001:db8::1]:41520", &[], "[2001:db8::1]:41520");
        check(ClientEntry::Address, "[::ffff:203.0.113.7]:1", &[], "203.0.113.7");
        check(ClientEntry::AddressAndPort, "[::ffff:203.0.113.7]:1", &[], "203.0.113.7:1");
    }

    #[test]
    fn bytes_outside_ascii_pass_through() {
        let odd = HeaderValue::from_bytes(b"\xff").unwrap();
        let client = CLIENT.parse().unwrap();
        let outcome =
            x_forwarded_for(XffHeaderProcessing::Append, ClientEntry::Address, client, [&odd].into_iter());
        assert_eq!(outcome, XffOutcome::Set(HeaderValue::from_bytes(b"\xff, 203.0.113.7").unwrap()));
    }

    #[test]
    fn preserve_and_remove_do_not_look_at_the_client() {
        let client = ClientEntry::AddressAndPort;
        assert_eq!(outcome(XffHeaderProcessing::Preserve, client, CLIENT, &["a"]), XffOutcome::Keep);
        assert_eq!(outcome(XffHeaderProcessing::Preserve, client, CLIENT, &[]), XffOutcome::Keep);
        assert_eq!(outcome(XffHeaderProcessing::Remove, client, CLIENT, &["a"]), XffOutcome::Remove);
    }

    #[test]
    fn thirty_addresses_pass_and_thirty_one_do_not() {
        let line = |addresses: usize| vec!["192.0.2.1"; addresses].join(",");
        for mode in [XffHeaderProcessing::Append, XffHeaderProcessing::Preserve, XffHeaderProcessing::Remove]
        {
            let thirty = outcome(mode, ClientEntry::Address, CLIENT, &[&line(30)]);
            assert_ne!(thirty, XffOutcome::TooMany);
            let more = outcome(mode, ClientEntry::Address, CLIENT, &[&line(15), &line(16)]);
            assert_eq!(more, XffOutcome::TooMany);
        }
    }

    #[test]
    fn protocol_and_port_are_the_listeners() {
        assert_eq!(x_forwarded_proto(ListenerProtocol::Https), "https");
        assert_eq!(x_forwarded_proto(ListenerProtocol::Http), "http");
        assert_eq!(x_forwarded_port(8443), "8443");
    }
}
