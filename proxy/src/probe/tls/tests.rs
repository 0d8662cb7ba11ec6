use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use time::macros::datetime;

use super::*;

#[track_caller]
fn check(names: &[&str], now: OffsetDateTime, expected: &str) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a.example");
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 12, 1);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    assert_eq!(read_certificate(certificate.der(), now).unwrap().to_string(), expected);
}

#[test]
fn a_certificate_says_whom_it_is_for_and_when_it_ends() {
    let names = &["a.example", "127.0.0.1"];
    check(names, datetime!(2026-11-21 0:00 UTC), "for a.example, 127.0.0.1, until 2026-12-01 (10 days)");
    check(names, datetime!(2026-12-01 0:00:01 UTC), "for a.example, 127.0.0.1, expired on 2026-12-01");
}

#[test]
fn what_is_no_certificate_is_none() {
    assert_eq!(read_certificate(b"hello", OffsetDateTime::UNIX_EPOCH), None);
}

#[test]
fn an_alert_is_named() {
    assert_eq!(judge(Reply::Refused(70)), Support::Refused("alert protocol_version".to_owned()));
    assert_eq!(judge(Reply::Refused(80)), Support::Refused("alert 80".to_owned()));
    assert_eq!(judge(Reply::Accepted), Support::Accepted);
}
