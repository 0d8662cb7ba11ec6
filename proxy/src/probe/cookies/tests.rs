use time::macros::datetime;

use super::*;
use crate::probe::answer::{Reading, Stream, read};

const NOW: OffsetDateTime = datetime!(2026-11-21 10:00 UTC);

fn set_by(fields: &[&str]) -> Vec<Cookie> {
    let lines: String = fields.iter().map(|field| format!("Set-Cookie: {field}\r\n")).collect();
    let bytes = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
    let Reading::Whole(answer, _) = read(bytes.as_bytes(), Stream::Open) else { panic!("{bytes}") };
    set_cookies(&answer, NOW)
}

#[track_caller]
fn check(field: &str, expected: &str) {
    let cookies: Vec<String> = set_by(&[field]).iter().map(ToString::to_string).collect();
    assert_eq!(cookies, [expected]);
}

#[test]
fn a_cookie_is_told_with_what_it_allows_and_costs() {
    check(
        "AWSALB=abcd; Expires=Sat, 28 Nov 2026 10:00:00 GMT; Path=/",
        "AWSALB (604800 s, not Secure, 13 bytes)",
    );
    check(
        "AWSALBCORS=abcd; Expires=Sat, 28 Nov 2026 10:00:00 GMT; Path=/; SameSite=None; Secure",
        "AWSALBCORS (604800 s, Secure, SameSite=None, 17 bytes)",
    );
    check(
        "JSESSIONID=1; Path=/; HttpOnly",
        "JSESSIONID (until the browser is closed, not Secure, HttpOnly, 14 bytes)",
    );
    check("a=b; Max-Age=60; Expires=Sat, 28-Nov-2026 10:00:00 GMT", "a (60 s, not Secure, 5 bytes)");
    check("a=; Max-Age=-1", "a (0 s, not Secure, 4 bytes)");
}

#[test]
fn a_date_of_expiry_is_compared_with_the_answers_own() {
    let head = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:59 GMT\r\nContent-Length: 0\r\n\
                Set-Cookie: a=b; Expires=Sat, 21 Nov 2026 10:01:59 GMT\r\n\r\n";
    let Reading::Whole(answer, _) = read(head.as_bytes(), Stream::Open) else { panic!("{head}") };
    assert_eq!(set_cookies(&answer, NOW)[0].lifetime, Some(Duration::from_secs(60)));
}

#[test]
fn names_tell_what_cookies_are_for() {
    for (name, expected) in [
        ("AWSALBAPP-0", Purpose::LoadBalancer),
        ("AWSALBTGCORS", Purpose::LoadBalancer),
        ("JSESSIONID", Purpose::Session),
        ("theme", Purpose::Other),
    ] {
        assert_eq!(purpose(name), expected, "{name}");
    }
}

#[test]
fn of_the_same_name_the_last_one_counts() {
    let cookies = set_by(&["a=1", "b=2", "a=3", "broken"]);
    assert_eq!(cookie_header(&cookies), "Cookie: b=2; a=3\r\n");
    assert_eq!(cookie_header(&[]), "");
}

#[test]
fn holding_is_judged_by_who_answered() {
    let judge = |targets, elsewhere| judge("a".to_owned(), targets, elsewhere).to_string();
    assert_eq!(judge(1, 0), "unknown: only a answers, with and without");
    assert_eq!(judge(3, 0), "yes: always the same of 3 targets");
    assert_eq!(judge(2, 5), "no: 5 of 8 requests reached another target");
}
