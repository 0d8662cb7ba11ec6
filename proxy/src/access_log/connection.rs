//! The facts of one connection attempt, as the connection log tells them.
//!
//! ELB page: "Connection log entries". One record is written per connection,
//! when it was established or when that failed: for clear text at once, for TLS
//! after the handshake.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use super::{
    format::{Line, LogRecord},
    record::ConnTraceId,
};

/// One connection log entry. The numbers are the fields' positions in the line.
#[derive(Debug, Clone)]
pub struct ConnectionRecord<'a> {
    /// 1 `timestamp`: when the connection was established, or when that failed.
    pub timestamp: SystemTime,
    /// 2 `client_ip` and 3 `client_port`: the TCP peer.
    pub client: SocketAddr,
    /// 4 `listener_port`.
    pub listener_port: u16,
    /// 5 `tls_protocol`: `TLSv1.2`, `TLSv1.3`. `None` in clear text, or when the handshake did not get so far.
    pub tls_protocol: Option<&'a str>,
    /// 6 `tls_cipher`: OpenSSL's or TLS 1.3's name; `None` as for the protocol.
    pub tls_cipher: Option<&'a str>,
    /// 7 `tls_handshake_latency`. `None` in clear text and for a handshake that failed.
    pub tls_handshake_latency: Option<Duration>,
    /// 8 to 10 `leaf_client_cert_…`. `None` without mutual TLS, or when there is no readable certificate.
    pub client_certificate: Option<LeafClientCertificate<'a>>,
    /// 11 `tls_verify_status`: `Success`, or `Failed:` and an error reason code. `None` in clear text.
    pub tls_verify_status: Option<&'a str>,
    /// 12 `conn_trace_id`: as in the access log's entries of this connection.
    pub conn_trace_id: ConnTraceId,
    /// 13 `tls_keyexchange`: the name of the group, such as `X25519MLKEM768`; `None` as for the protocol.
    pub tls_keyexchange: Option<&'a str>,
    /// 14 `elb`: `app/NAME/ID`.
    pub elb: &'a str,
    /// 15 `ip_address`: of this load balancer node.
    pub ip_address: IpAddr,
}

/// The certificate a client showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafClientCertificate<'a> {
    /// `leaf_client_cert_subject`: RFC 2253.
    pub subject: &'a [u8],
    /// `leaf_client_cert_validity`: `NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z`.
    pub validity: &'a [u8],
    /// `leaf_client_cert_serial_number`: hexadecimal digits.
    pub serial_number: &'a [u8],
}

impl LogRecord for ConnectionRecord<'_> {
    fn write(&self, line: &mut Line<'_>) {
        let certificate = self.client_certificate;
        line.timestamp("timestamp", self.timestamp);
        line.display("client_ip", Some(self.client.ip()));
        line.number("client_port", Some(self.client.port().into()));
        line.number("listener_port", Some(self.listener_port.into()));
        line.word("tls_protocol", self.tls_protocol);
        line.word("tls_cipher", self.tls_cipher);
        line.latency::<3>("tls_handshake_latency", self.tls_handshake_latency);
        line.quoted("leaf_client_cert_subject", certificate.map(|leaf| leaf.subject));
        line.bare("leaf_client_cert_validity", certificate.map(|leaf| leaf.validity));
        line.bare("leaf_client_cert_serial_number", certificate.map(|leaf| leaf.serial_number));
        line.word("tls_verify_status", self.tls_verify_status);
        line.display("conn_trace_id", Some(self.conn_trace_id));
        line.word("tls_keyexchange", self.tls_keyexchange);
        line.word("elb", Some(self.elb));
        line.display("ip_address", Some(self.ip_address));
    }
}

#[cfg(test)]
mod tests;
