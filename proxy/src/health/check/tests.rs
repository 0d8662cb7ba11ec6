use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use super::*;
use crate::model::target_group::Matcher;

mod network;

const LONG: Duration = Duration::from_secs(20);

fn settings(matcher: &[(u16, u16)]) -> HealthCheck {
    HealthCheck {
        path: "/health?deep=1".to_owned(),
        matcher: Matcher(matcher.to_vec()),
        ..HealthCheck::default()
    }
}

/// Answers one connection with `script`, in pieces of `piece` bytes, and returns what it was asked.
async fn target(script: Vec<u8>, piece: usize) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    let serving = tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
        for piece in script.chunks(piece) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        String::from_utf8(asked).unwrap()
    });
    (addr, serving)
}

#[track_caller]
fn assert_outcome(outcome: Outcome, expected: Outcome, script: &str) {
    assert_eq!(outcome, expected, "{script:?}");
}

async fn check(script: &str, expected: Outcome) {
    for piece in [1, 7, 100_000] {
        let (addr, _serving) = target(script.as_bytes().to_vec(), piece).await;
        let outcome = HttpChecker::default().check(addr, &settings(&[(200, 200), (204, 299)]), LONG).await;
        assert_outcome(outcome, expected, script);
    }
}

#[tokio::test]
async fn the_matcher_decides_on_the_status() {
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Outcome::Passed(200)).await;
    check("HTTP/1.0 204 No Content\r\n\r\n", Outcome::Passed(204)).await;
    check("HTTP/1.1 201 Created\r\n\r\n", Outcome::ResponseCodeMismatch(201)).await;
    check("HTTP/1.1 503 Down\r\nContent-Length: 100\r\n\r\n", Outcome::ResponseCodeMismatch(503)).await;
}

#[tokio::test]
async fn interim_responses_are_passed_over() {
    let script =
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    check(script, Outcome::Passed(200)).await;
}

#[tokio::test]
async fn what_is_not_http_fails() {
    check("SSH-2.0-OpenSSH_9.6\r\n\r\n", Outcome::TargetError).await;
    check("HTTP/1.1 200 OK\r\nhalf: a head", Outcome::ConnectionReset).await;
    check("", Outcome::ConnectionReset).await;
}

#[tokio::test]
async fn an_endless_head_fails_within_its_bound() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Long: {}", "a".repeat(4 * MAX_HEAD));
    let (addr, _serving) = target(head.into_bytes(), 4096).await;
    assert_eq!(
        HttpChecker::default().check(addr, &settings(&[(200, 200)]), LONG).await,
        Outcome::TargetError
    );
}

#[tokio::test]
async fn a_refused_connection_fails() {
    // A listener that is bound but gone: its port refuses.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(
        HttpChecker::default().check(addr, &settings(&[(200, 200)]), LONG).await,
        Outcome::ConnectionReset
    );
}

#[tokio::test]
async fn a_silent_target_times_out() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let limit = Duration::from_millis(50);
    assert_eq!(HttpChecker::default().check(addr, &settings(&[(200, 200)]), limit).await, Outcome::Timeout);
}

#[tokio::test]
async fn the_request_is_elbs() {
    let (addr, serving) = target(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), 100).await;
    assert_eq!(
        HttpChecker::default().check(addr, &settings(&[(200, 200)]), LONG).await,
        Outcome::Passed(200)
    );
    let asked = serving.await.unwrap();
    assert!(asked.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{asked}");
    for line in
        [format!("Host: {addr}"), "User-Agent: ELB-HealthChecker/2.0".into(), "Connection: close".into()]
    {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{line} in {asked}");
    }
}

#[test]
fn host_names_the_port_unless_it_is_the_default() {
    use HealthCheckProtocol::{Http, Https};
    let own = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    for (addr, protocol, expected) in [
        ("10.0.0.1:80", Http, "10.0.0.1"),
        ("10.0.0.1:8080", Http, "10.0.0.1:8080"),
        ("10.0.0.1:80", Https, "10.0.0.1:80"),
        ("10.0.0.1:443", Https, "10.0.0.1"),
        ("[2001:db8::1]:80", Http, "[2001:db8::1]"),
        ("[2001:db8::1]:443", Http, "[2001:db8::1]:443"),
    ] {
        let settings = HealthCheck { protocol, ..HealthCheck::default() };
        assert_eq!(host(addr.parse().unwrap(), own, &settings), expected);
    }
}

#[test]
fn the_host_of_a_network_load_balancers_check_is_the_listener() {
    let own = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));
    for (listener, expected) in [
        ("192.0.2.1:80", "192.0.2.1:80"),
        ("192.0.2.1:443", "192.0.2.1:443"),
        ("0.0.0.0:443", "10.0.0.9:443"),
        ("[::]:443", "10.0.0.9:443"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
    ] {
        let settings = HealthCheck { host: Some(listener.parse().unwrap()), ..HealthCheck::default() };
        assert_eq!(host("10.0.0.1:80".parse().unwrap(), own, &settings), expected);
    }
}

#[test]
fn what_we_lack_is_not_the_targets_error() {
    let outcome = |errno: Errno| failure(&io::Error::from(errno));
    for ours in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM] {
        assert_eq!(outcome(ours), Outcome::InternalError, "{ours}");
    }
    assert_eq!(outcome(Errno::CONNREFUSED), Outcome::ConnectionReset);
    assert_eq!(outcome(Errno::TIMEDOUT), Outcome::Timeout);
    assert_eq!(outcome(Errno::HOSTUNREACH), Outcome::TargetError);
}
