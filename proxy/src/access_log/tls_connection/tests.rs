use proptest::prelude::*;

use super::{
    super::format::tests::{at, fields, line_in},
    *,
};
use crate::model::load_balancer::LogFormat as Format;

const CERTIFICATE: &str =
    "arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99";
const DOMAIN: &[u8] = b"my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com";

/// The documented example of a listener without an ALPN policy.
fn record() -> TlsConnectionRecord<'static> {
    TlsConnectionRecord {
        time: at(1_545_274_780_999_999),
        elb: "net/my-network-loadbalancer/c6e77e28c25b2234",
        listener: "g3d4b5e8bb8464cd",
        client: "72.21.218.154:51341".parse().unwrap(),
        destination: "172.100.100.185:443".parse().unwrap(),
        connection_time: Duration::from_micros(5_999),
        tls_handshake_time: Some(Duration::from_millis(2)),
        received_bytes: 98,
        sent_bytes: 246,
        incoming_tls_alert: None,
        chosen_cert_arn: Some(CERTIFICATE),
        tls_cipher: Some("ECDHE-RSA-AES128-SHA"),
        tls_protocol: Some("TLSv1.2"),
        tls_keyexchange: None,
        domain_name: Some(DOMAIN),
        alpn_fe_protocol: None,
        alpn_be_protocol: None,
        alpn_client_preference_list: &[],
        tls_connection_creation_time: at(1_545_274_770_000_000),
    }
}

fn offered(protocols: &[&[u8]]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.to_vec()).collect()
}

#[track_caller]
fn check(record: &TlsConnectionRecord<'_>, expected: &str) {
    let line = line_in(Format::Elb, record);
    assert_eq!(line, format!("{expected}\n"));
    assert_eq!(fields(&line).len(), 22);
}

/// The field of the line of a record, counted from 1.
#[track_caller]
fn check_field(number: usize, record: &TlsConnectionRecord<'_>, expected: &str) {
    let line = line_in(Format::Elb, record);
    let fields = fields(&line);
    assert_eq!(fields.len(), 22, "{line}");
    assert_eq!(fields[number - 1], expected);
}

#[test]
fn a_connection_without_alpn_policy_reads_like_the_documented_example() {
    check(
        &record(),
        "tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd \
         72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - \
         arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - \
         ECDHE-RSA-AES128-SHA tlsv12 - \
         my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com \
         - - - 2018-12-20T02:59:30",
    );
}

#[test]
fn a_connection_with_alpn_policy_reads_like_the_documented_example() {
    let offered = offered(&[b"h2", b"http/1.1"]);
    let record = TlsConnectionRecord {
        time: at(1_585_731_102_000_000),
        alpn_fe_protocol: Some(b"h2"),
        alpn_be_protocol: Some(b"h2"),
        alpn_client_preference_list: &offered,
        tls_connection_creation_time: at(1_585_731_080_000_000),
        ..record()
    };
    check(
        &record,
        "tls 2.0 2020-04-01T08:51:42 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd \
         72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - \
         arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - \
         ECDHE-RSA-AES128-SHA tlsv12 - \
         my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com \
         h2 h2 \"h2\",\"http/1.1\" 2020-04-01T08:51:20",
    );
}

#[test]
fn each_fact_that_is_missing_is_a_dash_in_its_field() {
    for (number, lacking) in [
        (9, TlsConnectionRecord { tls_handshake_time: None, ..record() }),
        (13, TlsConnectionRecord { chosen_cert_arn: None, ..record() }),
        (15, TlsConnectionRecord { tls_cipher: None, ..record() }),
        (16, TlsConnectionRecord { tls_protocol: None, ..record() }),
        (18, TlsConnectionRecord { domain_name: None, ..record() }),
        (18, TlsConnectionRecord { domain_name: Some(b""), ..record() }),
    ] {
        check_field(number, &lacking, "-");
        let (line, full) = (line_in(Format::Elb, &lacking), line_in(Format::Elb, &record()));
        let differing = fields(&line).iter().zip(fields(&full)).filter(|(one, other)| *one != other).count();
        assert_eq!(differing, 1, "{line}");
    }
}

#[test]
fn what_the_example_lacks_has_its_place_too() {
    check_field(12, &TlsConnectionRecord { incoming_tls_alert: Some(48), ..record() }, "48");
    check_field(14, &record(), "-");
    let keyexchange = TlsConnectionRecord { tls_keyexchange: Some("X25519MLKEM768"), ..record() };
    check_field(17, &keyexchange, "X25519MLKEM768");
    check_field(19, &TlsConnectionRecord { alpn_fe_protocol: Some(b"http/1.1"), ..record() }, "http/1.1");
    check_field(20, &TlsConnectionRecord { alpn_be_protocol: Some(b"http/1.0"), ..record() }, "http/1.0");
    let v6 = TlsConnectionRecord { client: "[2001:db8::1]:5".parse().unwrap(), ..record() };
    check_field(6, &v6, "[2001:db8::1]:5");
}

#[test]
fn protocol_versions_have_this_logs_names() {
    for (name, expected) in
        [("TLSv1", "tlsv10"), ("TLSv1.1", "tlsv11"), ("TLSv1.2", "tlsv12"), ("TLSv1.3", "tlsv13")]
    {
        check_field(16, &TlsConnectionRecord { tls_protocol: Some(name), ..record() }, expected);
    }
}

#[test]
fn a_domain_name_is_url_encoded() {
    let odd = TlsConnectionRecord { domain_name: Some(b"a b\"c%\n\xff_~.example"), ..record() };
    check_field(18, &odd, "a%20b%22c%25%0A%FF_~.example");
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &odd)).unwrap();
    assert_eq!(json["domain_name"], "a%20b%22c%25%0A%FF_~.example");
}

#[test]
fn a_preference_list_is_url_encoded_and_cut_after_256_bytes() {
    let check = |protocols: &[&[u8]], expected: &str| {
        let offered = offered(protocols);
        check_field(21, &TlsConnectionRecord { alpn_client_preference_list: &offered, ..record() }, expected);
        assert!(expected.len() <= 256);
    };
    check(&[b"a\"b", b"\x0a\x0a", b""], r#""a%22b","%0A%0A","""#);
    let (a, b) = ([b'a'; 254], [b'b'; 255]);
    check(&[&a, b"h2"], &format!("\"{}\"", "a".repeat(254)));
    check(&[&b], &format!("\"{}\"", "b".repeat(254)));
    check(&[b"h2", &b, b"h2"], &format!("\"h2\",\"{}\"", "b".repeat(249)));
    // An escape is never split.
    check(&[b"ab", &[0; 100]], &format!("\"ab\",\"{}\"", "%00".repeat(83)));
}

#[test]
fn json_has_numbers_as_numbers_and_null_for_what_is_missing() {
    let offered = offered(&[b"h2", b"http/1.1"]);
    let record = TlsConnectionRecord {
        tls_handshake_time: None,
        incoming_tls_alert: Some(42),
        alpn_client_preference_list: &offered,
        ..record()
    };
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &record)).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 22);
    assert_eq!((&json["connection_time"], &json["incoming_tls_alert"]), (&5.into(), &42.into()));
    assert!(json["tls_handshake_time"].is_null() && json["chosen_cert_serial"].is_null(), "{json}");
    assert_eq!(json["time"], "2018-12-20T02:59:40");
    assert_eq!(json["alpn_client_preference_list"], "\"h2\",\"http/1.1\"");
}

proptest! {
    #[test]
    fn a_line_has_22_fields_whatever_a_client_hello_says(
        domain_name in any::<Vec<u8>>(),
        protocol in any::<Vec<u8>>(),
        offered in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..256), 0..9),
    ) {
        let record = TlsConnectionRecord {
            domain_name: Some(&domain_name),
            alpn_fe_protocol: Some(&protocol),
            alpn_be_protocol: Some(&protocol),
            alpn_client_preference_list: &offered,
            ..record()
        };
        let line = line_in(Format::Elb, &record);
        prop_assert_eq!(fields(&line).len(), 22);
        prop_assert!(fields(&line).iter().all(|field| !field.is_empty()));
        prop_assert!(fields(&line)[20].len() <= 256);
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&line_in(Format::Json, &record)).unwrap();
        prop_assert_eq!(object.len(), 22);
    }
}
