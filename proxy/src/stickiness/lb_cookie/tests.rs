use std::{net::IpAddr, time::UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::stickiness::VALUE_LENGTH;

const DAY: Duration = Duration::from_secs(86_400);
const TARGET: &str = "10.0.0.7:9001";

fn keys() -> Keys {
    Keys::new(&[1; 32], &[])
}

fn group() -> GroupId {
    GroupId::new("websocket-tg")
}

/// 28 November 2023, 10:21:43.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_701_166_903)
}

fn cookie(target: &str, issued_at: SystemTime, nonce: u8) -> CookieValue {
    seal(&keys(), group(), target.parse().unwrap(), issued_at, [nonce; NONCE_LENGTH]).unwrap()
}

#[track_caller]
fn check(lines: &[String], expected: Decision) {
    let lines = lines.iter().map(String::as_bytes);
    assert_eq!(decide(lines, &keys(), group(), DAY, now()), expected);
}

fn sticky(target: &str) -> Decision {
    Decision::Sticky(target.parse().unwrap())
}

#[test]
fn a_value_names_its_target_for_every_kind_of_address() {
    for target in [TARGET, "[2001:db8::1]:443", "[::ffff:10.0.0.7]:9001", "[fe80::1%3]:80"] {
        let value = cookie(target, now(), 0);
        check(&[format!("AWSALB={}", value.as_str())], sticky(target));
    }
}

#[test]
fn a_value_looks_like_elbs_and_differs_in_each_response() {
    let (one, other) = (cookie(TARGET, now(), 1), cookie(TARGET, now(), 2));
    assert_ne!(one, other);
    for value in [one, other] {
        assert_eq!(value.as_str().len(), VALUE_LENGTH);
        assert!(value.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)));
    }
}

#[test]
fn cookies_are_found_among_others_and_over_several_lines() {
    let value = cookie(TARGET, now(), 0);
    let value = value.as_str();
    check(&[], Decision::New(NewReason::NoCookie));
    check(&["AWSALBTG=x; a=b; XAWSALB=y".to_owned()], Decision::New(NewReason::NoCookie));
    check(&[format!("a=b; AWSALB={value}; c=d")], sticky(TARGET));
    check(&[format!("a=b;AWSALB={value}")], sticky(TARGET));
    check(&["a=b".to_owned(), format!("AWSALB={value}")], sticky(TARGET));
}

#[test]
fn awsalbcors_decides_wherever_it_stands() {
    let (same_site, cross_origin) = (cookie("10.0.0.1:80", now(), 0), cookie("10.0.0.2:80", now(), 0));
    let (same_site, cross_origin) = (same_site.as_str(), cross_origin.as_str());
    check(&[format!("AWSALB={same_site}; AWSALBCORS={cross_origin}")], sticky("10.0.0.2:80"));
    check(&[format!("AWSALBCORS={cross_origin}; AWSALB={same_site}")], sticky("10.0.0.2:80"));
    check(
        &[format!("AWSALB={same_site}"), "AWSALBCORS=forged".to_owned()],
        Decision::New(NewReason::Undecodable),
    );
}

#[test]
fn the_duration_runs_from_the_issue_and_not_from_expires() {
    let issued = |age: Duration| vec![format!("AWSALB={}", cookie(TARGET, now() - age, 0).as_str())];
    check(&issued(DAY), sticky(TARGET));
    check(&issued(DAY + Duration::from_secs(1)), Decision::New(NewReason::Expired));
    let ahead = cookie(TARGET, now() + DAY, 0);
    check(&[format!("AWSALB={}", ahead.as_str())], sticky(TARGET));
}

#[test]
fn another_groups_cookie_and_another_keys_cookie_do_not_bind() {
    let target = TARGET.parse().unwrap();
    let other = seal(&keys(), GroupId::new("chat-tg"), target, now(), [0; 12]).unwrap();
    check(&[format!("AWSALB={}", other.as_str())], Decision::New(NewReason::OtherGroup));
    let foreign = seal(&Keys::new(&[2; 32], &[]), group(), target, now(), [0; 12]).unwrap();
    check(&[format!("AWSALB={}", foreign.as_str())], Decision::New(NewReason::Undecodable));
}

#[test]
fn a_value_counts_byte_for_byte() {
    let value = cookie(TARGET, now(), 0);
    let value = value.as_str();
    for changed in
        [format!("{value}="), format!("\"{value}\""), value.chars().skip(1).collect(), String::new()]
    {
        check(&[format!("AWSALB={changed}")], Decision::New(NewReason::Undecodable));
    }
}

#[test]
fn both_cookies_last_seven_days_and_only_awsalbcors_is_secure() {
    let value = cookie(TARGET, now(), 0);
    let v = value.as_str();
    let expires = "Expires=Tue, 05 Dec 2023 10:21:43 GMT; Path=/";
    let [same_site, cross_origin] = set_cookie_headers(&value, ListenerProtocol::Https, now());
    assert_eq!(same_site, format!("AWSALB={v}; {expires}"));
    assert_eq!(cross_origin, format!("AWSALBCORS={v}; {expires}; SameSite=None; Secure"));
    let [same_site, cross_origin] = set_cookie_headers(&value, ListenerProtocol::Http, now());
    assert_eq!(same_site, format!("AWSALB={v}; {expires}"));
    assert_eq!(cross_origin, format!("AWSALBCORS={v}; {expires}; SameSite=None"));
}

proptest! {
    #[test]
    fn sealed_targets_come_back(ip: IpAddr, port: u16, seconds in 0..1_u64 << 40, nonce: [u8; NONCE_LENGTH]) {
        let (target, issued_at) = (SocketAddr::new(ip, port), UNIX_EPOCH + Duration::from_secs(seconds));
        let value = seal(&keys(), group(), target, issued_at, nonce).unwrap();
        let line = format!("AWSALB={}", value.as_str());
        let decision = decide([line.as_bytes()].into_iter(), &keys(), group(), DAY, issued_at);
        prop_assert_eq!(decision, Decision::Sticky(target));
    }

    #[test]
    fn a_value_with_any_character_changed_is_undecodable(at in 0..VALUE_LENGTH, replacement in "[A-Za-z0-9+/]") {
        let value = cookie(TARGET, now(), 0);
        let mut forged = value.as_str().to_owned();
        forged.replace_range(at..=at, &replacement);
        prop_assume!(forged != value.as_str());
        check(&[format!("AWSALB={forged}")], Decision::New(NewReason::Undecodable));
    }

    #[test]
    fn arbitrary_cookie_lines_never_bind(line: Vec<u8>, value: Vec<u8>) {
        let cookie = [b"AWSALB=".as_slice(), &value].concat();
        for line in [line, cookie] {
            let decision = decide([line.as_slice()].into_iter(), &keys(), group(), DAY, now());
            prop_assert!(matches!(decision, Decision::New(_)));
        }
    }
}
