use proptest::prelude::*;

use super::{
    super::format::tests::{at, fields, line_in},
    *,
};
use crate::model::load_balancer::LogFormat as Format;

const LEAF: LeafClientCertificate<'_> = LeafClientCertificate {
    subject: b"CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US",
    validity: b"NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z",
    serial_number: b"FEF257372D5C14D4",
};

fn record() -> ConnectionRecord<'static> {
    ConnectionRecord {
        timestamp: at(1_696_439_115_514_108),
        client: "203.0.113.1:36280".parse().unwrap(),
        listener_port: 443,
        tls_protocol: Some("TLSv1.2"),
        tls_cipher: Some("ECDHE-RSA-AES128-GCM-SHA256"),
        tls_handshake_latency: Some(Duration::from_micros(4_036_999)),
        client_certificate: Some(LEAF),
        tls_verify_status: Some("Success"),
        conn_trace_id: ConnTraceId(0x3180_a730_13c8_ca4b_ac2f_7311_59d4_b0fe),
        tls_keyexchange: Some("secp256r1"),
        elb: "app/my-loadbalancer/50dc6c495c0c9188",
        ip_address: IpAddr::from([10, 0, 0, 5]),
    }
}

#[track_caller]
fn check(record: &ConnectionRecord<'_>, expected: &str) {
    let line = line_in(Format::Elb, record);
    assert_eq!(line, format!("{expected}\n"));
    assert_eq!(fields(&line).len(), 15);
}

#[test]
fn a_connection_with_a_client_certificate_reads_like_the_documented_example() {
    check(
        &record(),
        "2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 4.036 \
         \"CN=amazondomains.com,O=endEntity,L=Seattle,ST=Washington,C=US\" \
         NotBefore=2023-09-21T22:43:21Z;NotAfter=2026-06-17T22:43:21Z FEF257372D5C14D4 Success \
         TID_3180a73013c8ca4bac2f731159d4b0fe secp256r1 app/my-loadbalancer/50dc6c495c0c9188 10.0.0.5",
    );
}

#[test]
fn a_failed_connection_has_a_reason_and_no_latency() {
    let failed = ConnectionRecord {
        tls_handshake_latency: None,
        tls_verify_status: Some("Failed:ClientCertUntrusted"),
        ..record()
    };
    let line = line_in(Format::Elb, &failed);
    assert_eq!(fields(&line)[6], "-");
    assert_eq!(fields(&line)[10], "Failed:ClientCertUntrusted");
}

#[test]
fn a_connection_in_clear_text_has_no_tls_fields() {
    let clear = ConnectionRecord {
        client: "[2001:db8::1]:36280".parse().unwrap(),
        listener_port: 80,
        tls_protocol: None,
        tls_cipher: None,
        tls_handshake_latency: None,
        client_certificate: None,
        tls_verify_status: None,
        tls_keyexchange: None,
        ..record()
    };
    check(
        &clear,
        "2023-10-04T17:05:15.514108Z 2001:db8::1 36280 80 - - - \"-\" - - - \
         TID_3180a73013c8ca4bac2f731159d4b0fe - app/my-loadbalancer/50dc6c495c0c9188 10.0.0.5",
    );
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &clear)).unwrap();
    assert_eq!(json["client_port"], 36280);
    assert_eq!(json["client_ip"], "2001:db8::1");
    assert!(json["tls_handshake_latency"].is_null() && json["tls_verify_status"].is_null(), "{json}");
    assert_eq!(json.as_object().unwrap().len(), 15);
}

proptest! {
    #[test]
    fn a_line_has_15_fields_whatever_a_certificate_says(
        subject in any::<Vec<u8>>(),
        validity in any::<Vec<u8>>(),
        serial_number in any::<Vec<u8>>(),
    ) {
        let leaf = LeafClientCertificate {
            subject: &subject,
            validity: &validity,
            serial_number: &serial_number,
        };
        let record = ConnectionRecord { client_certificate: Some(leaf), ..record() };
        let line = line_in(Format::Elb, &record);
        prop_assert_eq!(fields(&line).len(), 15);
        prop_assert!(fields(&line).iter().all(|field| !field.is_empty()));
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line_in(Format::Json, &record)).unwrap();
        prop_assert_eq!(object.len(), 15);
    }
}
