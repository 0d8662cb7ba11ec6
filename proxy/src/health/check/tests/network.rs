//! Checks of network load balancers: TCP, and what begins with a PROXY protocol header.

use std::sync::Arc;

use rustls::{ServerConfig, crypto::aws_lc_rs, version};
use tokio::{net::TcpSocket, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::*;

/// As captured from a Network Load Balancer: LOCAL, TCP over IPv4 without addresses, CRC32C, 74 bytes of NOOP.
const LOCAL: &[u8; 26] = b"\r\n\r\n\0\r\nQUIT\n\x20\x11\x00\x54\x03\x00\x04\xbc\xe5\x95\x1f\x04\x00\x4a";
const LOCAL_LENGTH: usize = 100;

/// Checks that what arrived begins with the header; returns the rest.
#[track_caller]
fn after_local(arrived: &[u8]) -> &[u8] {
    let (header, rest) = arrived.split_at(LOCAL_LENGTH);
    assert_eq!(&header[..LOCAL.len()], LOCAL);
    assert!(header[LOCAL.len()..].iter().all(|byte| *byte == 0), "{header:?}");
    rest
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Takes one connection and returns all that arrives on it until the check ends it in order: a reset fails.
async fn recorder() -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let (listener, addr) = listen().await;
    let recording = TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut recorded = Vec::new();
        stream.read_to_end(&mut recorded).await.expect("FIN, not RST");
        recorded
    });
    (addr, recording)
}

/// Reads the head of a request.
async fn head(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut asked = Vec::new();
    while !asked.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
    }
    asked
}

fn tcp(proxy_protocol_v2: bool) -> HealthCheck {
    HealthCheck { protocol: HealthCheckProtocol::Tcp, proxy_protocol_v2, ..HealthCheck::default() }
}

fn requests(protocol: HealthCheckProtocol, proxy_protocol_v2: bool) -> HealthCheck {
    let host = Some("192.0.2.1:443".parse().unwrap());
    HealthCheck { protocol, proxy_protocol_v2, host, ..settings(&[(200, 399)]) }
}

#[tokio::test]
async fn a_tcp_check_passes_when_connected_and_closes_in_order() {
    let (addr, recording) = recorder().await;
    assert_eq!(HttpChecker::default().check(addr, &tcp(false), LONG).await, Outcome::Connected);
    assert_eq!(recording.await.unwrap(), b"");
}

#[tokio::test]
async fn a_tcp_check_says_local_where_targets_expect_a_header() {
    let (addr, recording) = recorder().await;
    assert_eq!(HttpChecker::default().check(addr, &tcp(true), LONG).await, Outcome::Connected);
    assert_eq!(after_local(&recording.await.unwrap()), b"");
}

#[tokio::test]
async fn a_tcp_check_of_a_closed_port_fails() {
    let (listener, addr) = listen().await;
    drop(listener);
    assert_eq!(HttpChecker::default().check(addr, &tcp(false), LONG).await, Outcome::ConnectionReset);
}

#[tokio::test]
async fn a_tcp_check_that_is_not_answered_times_out() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let addr = listener.local_addr().unwrap();
    // Nobody accepts: once the queue is full, the system ignores further connections.
    let mut queued = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(addr)).await {
        queued.push(stream.unwrap());
    }
    let limit = Duration::from_millis(100);
    assert_eq!(HttpChecker::default().check(addr, &tcp(false), limit).await, Outcome::Timeout);
}

#[tokio::test]
async fn an_http_check_names_the_listener_and_says_local_first() {
    for proxy_protocol_v2 in [false, true] {
        let (listener, addr) = listen().await;
        let serving = TaskTracker::new().spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 302 Found\r\n\r\n").await.unwrap();
            asked
        });
        let settings = requests(HealthCheckProtocol::Http, proxy_protocol_v2);
        let outcome = HttpChecker::default().check(addr, &settings, LONG).await;
        assert_eq!(outcome, Outcome::Passed(302));
        // The header ends no head: it has a single CRLF CRLF, at its beginning.
        let asked = serving.await.unwrap();
        let request = if proxy_protocol_v2 { after_local(&asked) } else { &asked };
        let request = str::from_utf8(request).unwrap();
        assert!(request.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{request}");
        for line in ["Host: 192.0.2.1:443", "User-Agent: ELB-HealthChecker/2.0"] {
            assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} in {request}");
        }
    }
}

#[tokio::test]
async fn a_target_that_knows_no_header_fails_its_checks() {
    let (listener, addr) = listen().await;
    let serving = TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; LOCAL_LENGTH]).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap_or_default();
    });
    let settings = requests(HealthCheckProtocol::Http, true);
    let outcome = HttpChecker::default().check(addr, &settings, LONG).await;
    assert_eq!(outcome, Outcome::ResponseCodeMismatch(400));
    serving.await.unwrap();
}

/// A target in TLS 1.2 that reads `header` bytes before it and answers one request; returns both.
async fn secure(header: usize) -> (SocketAddr, JoinHandle<(Vec<u8>, Vec<u8>)>) {
    let made = rcgen::generate_simple_self_signed(["target.test".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, addr) = listen().await;
    let serving = TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = vec![0; header];
        stream.read_exact(&mut first).await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let asked = head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        (first, asked)
    });
    (addr, serving)
}

#[tokio::test]
async fn an_https_check_says_local_before_tls() {
    for proxy_protocol_v2 in [false, true] {
        let (addr, serving) = secure(if proxy_protocol_v2 { LOCAL_LENGTH } else { 0 }).await;
        let settings = requests(HealthCheckProtocol::Https, proxy_protocol_v2);
        let outcome = HttpChecker::default().check(addr, &settings, LONG).await;
        assert_eq!(outcome, Outcome::Passed(200));
        let (first, asked) = serving.await.unwrap();
        if proxy_protocol_v2 {
            assert_eq!(after_local(&first), b"");
        }
        let asked = String::from_utf8(asked).unwrap();
        assert!(asked.contains("\r\nHost: 192.0.2.1:443\r\n"), "{asked}");
    }
}
