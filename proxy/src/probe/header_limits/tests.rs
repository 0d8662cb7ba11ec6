use std::net::SocketAddr;

use tokio::time::Instant;

use super::*;
use crate::probe::{
    Limits,
    answer::{Reading, Stream, read},
    budget::Budget,
};

/// What `make` makes of a dialer that never dials.
fn with_dialer<T>(address: &str, make: impl FnOnce(&Dialer<'_>) -> T) -> T {
    let endpoint = address.parse().unwrap();
    let budget = Budget::new(Limits::default(), Instant::now());
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    make(&Dialer { endpoint: &endpoint, budget: &budget, addr, tls: None })
}

fn line(head: &[u8], needle: &str) -> String {
    let head = String::from_utf8(head.to_vec()).unwrap();
    head.split("\r\n").find(|line| line.contains(needle)).unwrap().to_owned()
}

#[test]
fn request_lines_have_the_size_that_is_asked_for() {
    for address in ["http://a.example/", "http://a.example/x?y=1"] {
        with_dialer(address, |dialer| {
            for size in [256, 4096, MOST] {
                let head = long_request_line(dialer, size);
                assert_eq!(line(&head, "GET ").len(), size, "{address}");
                assert!(head.ends_with(b"Connection: close\r\n\r\n"));
            }
        });
    }
}

#[test]
fn header_lines_have_the_size_that_is_asked_for() {
    with_dialer("http://a.example/", |dialer| {
        for size in [256, 4096, MOST] {
            assert_eq!(line(&long_header_line(dialer, size), "X-Albeit-Probe").len(), size);
        }
    });
}

#[test]
fn heads_have_the_size_that_is_asked_for_in_lines_that_are_not_too_long() {
    with_dialer("http://a.example/", |dialer| {
        for size in (300..20_000).step_by(7).chain([MOST]) {
            let head = whole_head(dialer, size, FILLING);
            let slack = size - head.len();
            assert!(slack < HEADER_NAME.len() + 3, "{size}: {} bytes", head.len());
            let head = String::from_utf8(head).unwrap();
            assert!(head.lines().all(|line| line.len() + 2 <= FILLING), "{size}");
        }
    });
}

fn answered(status: u16) -> Result<Answer, Unmeasured> {
    let bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
    let Reading::Whole(answer, _) = read(bytes.as_bytes(), Stream::Open) else { panic!("{bytes}") };
    Ok(answer)
}

#[track_caller]
fn check(answer: Result<Answer, Unmeasured>, usual_status: Option<u16>, expected: Verdict) {
    assert_eq!(refusal(answer, usual_status), Ok(expected));
}

#[test]
fn what_small_heads_do_not_get_is_a_refusal() {
    check(answered(431), Some(200), Verdict::Refused(Refusal::Status(431)));
    check(answered(502), Some(404), Verdict::Refused(Refusal::Status(502)));
    check(answered(404), Some(200), Verdict::Accepted(404));
    check(answered(400), Some(400), Verdict::Accepted(400));
    let reset = Unmeasured::ClosedEarly(Ending::Reset);
    check(Err(reset), Some(200), Verdict::Refused(Refusal::Ended(Ending::Reset)));
    let silence = Unmeasured::NoAnswer(std::time::Duration::from_secs(1));
    check(Err(silence.clone()), Some(200), Verdict::Refused(Refusal::Silent));
    assert_eq!(refusal(Err(silence.clone()), None), Err(silence));
}
