//! The facts of one TLS connection through a Network Load Balancer, as its
//! access log tells them.
//!
//! ELB page: "Access logs for your Network Load Balancer", version 2.0 of the
//! entries. One record is written per connection to a TLS listener, when it has
//! ended; also for a handshake that failed. Connections to TCP listeners have no
//! line here, as with ELB; see [`super::flow`].

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use super::format::{Line, LogRecord, Text};

/// Version of the entries.
const VERSION: &str = "2.0";

/// `alpn_client_preference_list` is cut after this many bytes, quotes and commas included.
const MAX_PREFERENCE_LIST: usize = 256;

/// One entry of a Network Load Balancer's access log. The numbers are the fields' positions in the line.
#[derive(Debug, Clone)]
pub struct TlsConnectionRecord<'a> {
    /// 3 `time`: when the connection ended. Written in whole seconds, cut.
    pub time: SystemTime,
    /// 4 `elb`: `net/NAME/ID`.
    pub elb: &'a str,
    /// 5 `listener`: the last part of the listener's ARN, without the slashes before it.
    pub listener: &'a str,
    /// 6 `client:port`: of the client.
    pub client: SocketAddr,
    /// 7 `destination:port`: the load balancer's end of the client's connection.
    pub destination: SocketAddr,
    /// 8 `connection_time`: from start to closure. Written in whole milliseconds, cut.
    pub connection_time: Duration,
    /// 9 `tls_handshake_time`: from the established TCP connection to the end of the handshake, in
    /// milliseconds. `None` for a handshake that failed or that there was not.
    pub tls_handshake_time: Option<Duration>,
    /// 10 `received_bytes`: from the client, after decryption.
    pub received_bytes: u64,
    /// 11 `sent_bytes`: to the client, before encryption.
    pub sent_bytes: u64,
    /// 12 `incoming_tls_alert`: RFC 8446, 6, the alert that the client sent. `None` without one.
    pub incoming_tls_alert: Option<u8>,
    /// 13 `chosen_cert_arn`: the certificate that was served. `None` without a valid client hello.
    pub chosen_cert_arn: Option<&'a str>,
    /// 15 `tls_cipher`: OpenSSL's or TLS 1.3's name; `None` when the negotiation was not completed.
    pub tls_cipher: Option<&'a str>,
    /// 16 `tls_protocol_version`: `TLSv1.2`, `TLSv1.3`, as in the other logs; written `tlsv12`, `tlsv13`.
    /// `None` when the negotiation was not completed.
    pub tls_protocol: Option<&'a str>,
    /// 17 `tls_keyexchange`: the name of the group, such as `X25519MLKEM768`; `None` as for the cipher.
    pub tls_keyexchange: Option<&'a str>,
    /// 18 `domain_name`: `server_name` of the client hello, written URL-encoded. `None` without one.
    pub domain_name: Option<&'a [u8]>,
    /// 19 `alpn_fe_protocol`: negotiated with the client: `h2`, `http/1.1`, `http/1.0`. `None` without an
    /// ALPN policy, and when no protocol matched or none was offered.
    pub alpn_fe_protocol: Option<&'a [u8]>,
    /// 20 `alpn_be_protocol`: negotiated with the target, like 19.
    pub alpn_be_protocol: Option<&'a [u8]>,
    /// 21 `alpn_client_preference_list`: what the client hello offers, written URL-encoded, in quotes and
    /// with commas. Empty without an ALPN policy and when nothing was offered.
    pub alpn_client_preference_list: &'a [Vec<u8>],
    /// 22 `tls_connection_creation_time`: when the connection began. Written in whole seconds, cut.
    pub tls_connection_creation_time: SystemTime,
}

impl LogRecord for TlsConnectionRecord<'_> {
    fn write(&self, line: &mut Line<'_>) {
        line.word("type", Some("tls"));
        line.word("version", Some(VERSION));
        line.seconds("time", self.time);
        line.word("elb", Some(self.elb));
        line.word("listener", Some(self.listener));
        line.display("client:port", Some(self.client));
        line.display("destination:port", Some(self.destination));
        line.milliseconds("connection_time", Some(self.connection_time));
        line.milliseconds("tls_handshake_time", self.tls_handshake_time);
        line.number("received_bytes", Some(self.received_bytes));
        line.number("sent_bytes", Some(self.sent_bytes));
        line.number("incoming_tls_alert", self.incoming_tls_alert.map(u64::from));
        line.bare("chosen_cert_arn", self.chosen_cert_arn.map(str::as_bytes));
        // Reserved by ELB.
        line.word("chosen_cert_serial", None);
        line.word("tls_cipher", self.tls_cipher);
        line.word("tls_protocol_version", self.tls_protocol.map(version));
        line.word("tls_keyexchange", self.tls_keyexchange);
        line.url_encoded("domain_name", self.domain_name);
        line.bare("alpn_fe_protocol", self.alpn_fe_protocol);
        line.bare("alpn_be_protocol", self.alpn_be_protocol);
        let offered = self.alpn_client_preference_list;
        let offered = (!offered.is_empty()).then_some(offered);
        line.bare_composed("alpn_client_preference_list", offered, preference_list);
        line.seconds("tls_connection_creation_time", self.tls_connection_creation_time);
    }
}

/// This log's name of a protocol version.
fn version(name: &str) -> &str {
    match name {
        "TLSv1" => "tlsv10",
        "TLSv1.1" => "tlsv11",
        "TLSv1.2" => "tlsv12",
        "TLSv1.3" => "tlsv13",
        other => other,
    }
}

/// `"h2","http/1.1"`. What is too long ends with a whole character and a quote of its own, so that readers
/// who mind quotes find the end of the field.
fn preference_list(text: &mut Text<'_>, offered: &[Vec<u8>]) {
    let mut left = MAX_PREFERENCE_LIST;
    for (index, protocol) in offered.iter().enumerate() {
        let (comma, around) = if index == 0 { (b"".as_slice(), 2) } else { (b",".as_slice(), 3) };
        let Some(room) = left.checked_sub(around) else { break };
        text.plain(comma);
        text.quote();
        let written = text.url_encoded(protocol, room);
        text.quote();
        left = room - written.bytes;
        if written.cut {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
