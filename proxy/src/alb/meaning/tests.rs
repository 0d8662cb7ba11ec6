use std::{fs, path::Path};

use http::StatusCode;

use super::*;
use crate::authenticate::refusal::Refusal;

const PLAIN: Facts = Facts {
    elb_status: Some(200),
    target_status: Some(200),
    cause: None,
    ending: None,
    classification: None,
    error_reason: None,
    reuses_connection: false,
    fails_open: false,
    has_faults: false,
    idle_timeout: Duration::from_secs(60),
    took: Duration::from_secs(600),
};

/// Answered by the load balancer because of `cause`.
fn because(cause: Cause) -> Facts {
    Facts { elb_status: Some(cause.status().as_u16()), target_status: None, cause: Some(cause), ..PLAIN }
}

/// Broken off because of `cause` after the target's 200.
fn cut_by(cause: Cause) -> Facts {
    Facts { cause: Some(cause), ..PLAIN }
}

fn web_socket(ending: Ending) -> Facts {
    Facts { elb_status: Some(101), target_status: Some(101), ending: Some(ending), ..PLAIN }
}

#[track_caller]
fn check(facts: Facts, severity: Severity, title: &str, more: Option<&str>) -> Meaning {
    let meaning = meaning(&facts);
    assert_eq!((meaning.severity, &*meaning.title, meaning.more), (severity, title, more));
    meaning
}

#[test]
fn successes_and_the_targets_own_answers() {
    check(PLAIN, Severity::Ok, "Answered by the target", None);
    let answered = |status| Facts { elb_status: Some(status), target_status: Some(status), ..PLAIN };
    check(answered(404), Severity::Info, "The target answered 404", Some("docs/faq.md#4xx"));
    check(answered(502), Severity::Error, "The target answered 502", Some("docs/faq.md#502"));
    let by_rule = |status| Facts { elb_status: Some(status), target_status: None, ..PLAIN };
    check(by_rule(301), Severity::Ok, "Answered by a rule", None);
    check(by_rule(503), Severity::Error, "Answered with an error by a rule", None);
    check(by_rule(0), Severity::Info, "Refused after GOAWAY", Some("docs/findings/client-keep-alive.md"));
    let silent = Facts { elb_status: None, target_status: None, ..PLAIN };
    check(silent, Severity::Warning, "Nothing was answered", None);
}

#[test]
fn the_502s_are_told_apart() {
    const FAQ: Option<&str> = Some("docs/faq.md#502");
    let race = Facts { reuses_connection: true, ..because(Cause::TargetClosed) };
    let title = "The target closed an idle connection as the request came";
    check(race, Severity::Error, title, Some("docs/findings/keep-alive-race.md"));
    let title = "The target closed the connection without an answer";
    check(because(Cause::TargetClosed), Severity::Error, title, FAQ);
    check(because(Cause::ConnectFailed), Severity::Error, "The target refused the connection", FAQ);
    let tls = Some("docs/findings/target-tls.md");
    check(because(Cause::TlsFailed), Severity::Error, "TLS with the target failed", tls);
    check(because(Cause::BadResponse), Severity::Error, "The target's response is not HTTP", FAQ);
    let title = "The deregistration delay ended while the request ran";
    let delay = Some("docs/findings/deregistration-delay-short.md");
    check(because(Cause::Deregistered), Severity::Error, title, delay);
}

#[test]
fn the_503_and_the_504s_are_told_apart() {
    let title = "The target group has no targets";
    check(because(Cause::NoTargets), Severity::Error, title, Some("docs/faq.md#503"));
    let title = "The target could not be connected to in time";
    check(because(Cause::ConnectTimeout), Severity::Error, title, Some("docs/faq.md#504"));
    let tls = Some("docs/findings/target-tls.md");
    check(because(Cause::TlsTimeout), Severity::Error, "TLS with the target took too long", tls);
    let page = Some("docs/findings/request-longer-than-idle-timeout.md");
    let silent =
        check(because(Cause::TargetTimeout), Severity::Error, "The target did not answer in time", page);
    assert!(silent.text.contains("the idle timeout of 60 s"), "{}", silent.text);
}

#[test]
fn what_clients_do_wrong_is_told_apart() {
    const PAGE: Option<&str> = Some("docs/faq.md#4xx");
    let client = |cause, title, more| check(because(cause), Severity::Warning, title, more);
    client(Cause::ClientClosedRequest, "The client left before the answer", Some("docs/faq.md#460"));
    client(Cause::ClientClosedBody, "The client left before its body was sent", PAGE);
    client(Cause::TooManyForwardedFor, "Too many addresses in X-Forwarded-For", PAGE);
    client(Cause::ProtocolMismatch, "The protocol does not fit the target group", PAGE);
    client(Cause::RequestTimeout, "The request did not come whole", PAGE);
    client(Cause::BadRequest, "The request is malformed", Some("docs/findings/header-limit.md"));
    client(Cause::UriTooLong, "The URL is too long", PAGE);
    client(Cause::MethodNotAllowed, "TRACE is not allowed", PAGE);
    client(Cause::NotImplemented, "The transfer coding is not supported", PAGE);
    client(Cause::VersionNotSupported, "The HTTP version is not supported", PAGE);
    let desync = Facts { classification: Some(Classification::Severe), ..because(Cause::BadRequest) };
    check(desync, Severity::Warning, "Blocked by desync mitigation", PAGE);
    let title = "Authentication did not let it pass";
    check(because(Cause::Authentication(Refusal::Denied)), Severity::Warning, title, PAGE);
    let refusal = Refusal::IdpError;
    let failed = Facts { error_reason: refusal.reason(), ..because(Cause::Authentication(refusal)) };
    let failed = check(failed, Severity::Error, title, PAGE);
    assert!(failed.text.ends_with("ended the request: AuthMissingCodeParam."), "{}", failed.text);
}

#[test]
fn what_ends_in_the_middle_is_told() {
    let title = "The client left in the middle of the answer";
    check(cut_by(Cause::ClientClosedRequest), Severity::Warning, title, None);
    let page = Some("docs/findings/no-heartbeat.md");
    check(cut_by(Cause::TargetTimeout), Severity::Error, "The answer stopped in the middle", page);
    let title = "The target broke off its answer";
    check(cut_by(Cause::TargetClosed), Severity::Error, title, Some("docs/faq.md#502"));
    let title = "The deregistration delay ended in the middle of the answer";
    let page = Some("docs/findings/deregistration-delay-short.md");
    check(cut_by(Cause::Deregistered), Severity::Error, title, page);
}

#[test]
fn ends_of_web_sockets_are_told_apart() {
    const FAQ: Option<&str> = Some("docs/faq.md#1006");
    check(web_socket(Ending::ByClient), Severity::Ok, "The client closed the WebSocket", None);
    check(web_socket(Ending::ByTarget), Severity::Info, "The target closed the WebSocket", FAQ);
    check(web_socket(Ending::ClientBroke), Severity::Info, "The client's connection broke", FAQ);
    check(web_socket(Ending::TargetBroke), Severity::Error, "The target's connection broke", FAQ);
    let page = Some("docs/findings/heartbeat-idle-timeout.md");
    let idle = web_socket(Ending::IdleTimeout);
    let idle = check(idle, Severity::Error, "The idle timeout cut the WebSocket", page);
    assert!(
        idle.text.starts_with("No byte passed in either direction for 60 s after 600 s in all"),
        "{}",
        idle.text
    );
    let title = "The end of the deregistration delay cut the WebSocket";
    let page = Some("docs/findings/deregistration-delay-short.md");
    check(web_socket(Ending::Deregistered), Severity::Warning, title, page);
    let title = "The load balancer's shutdown cut the WebSocket";
    check(web_socket(Ending::Shutdown), Severity::Warning, title, FAQ);
}

#[test]
fn what_is_done_on_purpose_and_fail_open_are_said() {
    const PAGE: Option<&str> = Some("docs/faults.md");
    let aborted = because(Cause::Fault(StatusCode::IM_A_TEAPOT));
    let aborted = Facts { has_faults: true, ..aborted };
    let aborted = check(aborted, Severity::Error, "Answered 418 on purpose", PAGE);
    assert!(!aborted.text.contains("may be why"), "{}", aborted.text);
    let reset =
        Facts { elb_status: None, target_status: None, error_reason: Some("AlbeitFaultReset"), ..PLAIN };
    check(reset, Severity::Error, "The client was reset on purpose", PAGE);
    let failed = Facts { has_faults: true, fails_open: true, ..because(Cause::ConnectFailed) };
    let failed = meaning(&failed);
    assert!(failed.text.contains(" failed open ") && failed.text.contains("on purpose"), "{}", failed.text);
    let good = Facts { has_faults: true, fails_open: true, ..PLAIN };
    assert_eq!(meaning(&good), meaning(&PLAIN));
}

#[test]
fn the_pages_that_meanings_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let faq = fs::read_to_string(root.join("docs/faq.md")).unwrap();
    let headings: Vec<&str> = faq.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let causes = crate::alb::elb_errors::CAUSES.into_iter().chain([Cause::Fault(StatusCode::BAD_GATEWAY)]);
    let endings = [
        Ending::ByClient,
        Ending::ByTarget,
        Ending::IdleTimeout,
        Ending::Deregistered,
        Ending::Shutdown,
        Ending::ClientBroke,
        Ending::TargetBroke,
    ];
    let causes = causes.flat_map(|cause| {
        [because(cause), Facts { reuses_connection: true, ..because(cause) }, cut_by(cause)]
    });
    let statuses = [None, Some(0), Some(200), Some(404), Some(500)];
    let plain = statuses.map(|elb_status| Facts { elb_status, target_status: elb_status, ..PLAIN });
    for facts in causes.chain(endings.map(web_socket)).chain(plain) {
        let Some(page) = meaning(&facts).more else { continue };
        match page.strip_prefix("docs/faq.md#") {
            Some(anchor) => assert!(headings.contains(&anchor), "{page}"),
            None => assert!(fs::exists(root.join(page)).unwrap(), "{page}"),
        }
    }
}
