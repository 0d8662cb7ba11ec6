//! What is written about hostile requests and client hellos.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use albeit_proxy::{
    access_log::{
        TlsConnectionRecord, format,
        record::{
            ActionExecuted, ChosenCertificate, ConnTraceId, Kind, MatchedRule, Record, RequestLine, Scheme,
            TargetAttempt, Version,
        },
    },
    model::load_balancer::LogFormat,
};

use crate::{line, text};

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 41520);
/// Fields of an access log line.
const FIELDS: usize = 34;
/// Fields of a line about a TLS connection.
const TLS_CONNECTION_FIELDS: usize = 22;

/// A line of the access log, read back as log readers do.
pub(crate) fn access_log(data: &[u8]) {
    let (name, location) = (text(data, 2), text(data, 3));
    let record = Record {
        kind: Kind::Https,
        time: SystemTime::UNIX_EPOCH,
        elb: "app/web/50dc6c495c0c9188",
        client: PEER,
        targets: &[TargetAttempt { addr: PEER, status_code: Some(200) }],
        request_processing_time: Some(Duration::ZERO),
        target_processing_time: None,
        response_processing_time: None,
        elb_status_code: Some(200),
        received_bytes: 1,
        sent_bytes: 2,
        request: RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Https,
            host: line(data, 0),
            port: 443,
            path_and_query: line(data, 1),
            version: Version::Http11,
        },
        user_agent: Some(data),
        ssl_cipher: None,
        ssl_protocol: None,
        target_group_arn: None,
        trace_id: Some(data),
        domain_name: Some(&name),
        chosen_cert: ChosenCertificate::SessionReused,
        matched_rule: MatchedRule::Default,
        request_creation_time: SystemTime::UNIX_EPOCH,
        actions_executed: &[ActionExecuted::Rewrite, ActionExecuted::Forward],
        redirect_url: Some(&location),
        error_reason: None,
        classification: None,
        classification_reason: None,
        conn_trace_id: ConnTraceId(7),
        transformed_host: Some(line(data, 4)),
        transformed_uri: Some(line(data, 5)),
        request_transform_status: Some("Success"),
        ip_address: None,
    };
    let mut written = Vec::new();
    format::alb(&record, &mut written);
    check(&written, FIELDS);
}

/// A line of a Network Load Balancer's access log about a client hello that asks for anything.
pub(crate) fn tls_connection_log(data: &[u8]) {
    let offered: Vec<Vec<u8>> = line(data, 2).split(|&byte| byte == b',').map(<[u8]>::to_vec).collect();
    let record = TlsConnectionRecord {
        time: SystemTime::UNIX_EPOCH,
        elb: "net/edge/50dc6c495c0c9188",
        listener: "f2f7dc8efc522ab2",
        client: PEER,
        destination: PEER,
        connection_time: Duration::ZERO,
        tls_handshake_time: None,
        received_bytes: 1,
        sent_bytes: 2,
        incoming_tls_alert: data.first().copied(),
        chosen_cert_arn: None,
        tls_cipher: None,
        tls_protocol: None,
        tls_keyexchange: None,
        domain_name: Some(line(data, 0)),
        alpn_fe_protocol: Some(line(data, 1)),
        alpn_be_protocol: Some(data),
        alpn_client_preference_list: &offered,
        tls_connection_creation_time: SystemTime::UNIX_EPOCH,
    };
    let mut written = Vec::new();
    format::line(&record, LogFormat::Elb, &mut written);
    check(&written, TLS_CONNECTION_FIELDS);
}

/// Log readers find one printable line with so many fields.
fn check(written: &[u8], expected: usize) {
    let read = written.strip_suffix(b"\n").unwrap_or(written);
    assert!(read.iter().all(|byte| (0x20..0x7f).contains(byte)), "unprintable bytes in {read:?}");
    assert_eq!(fields(read), expected, "{:?}", String::from_utf8_lossy(read));
}

/// Fields between spaces; a quoted field ends with the next quotation mark.
fn fields(line: &[u8]) -> usize {
    let mut quoted = false;
    let spaces = line.iter().filter(|&&byte| {
        quoted ^= byte == b'"';
        byte == b' ' && !quoted
    });
    spaces.count() + 1
}
