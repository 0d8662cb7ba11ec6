//! The registry as the balancer runs it: real checks, real lookups, real time, scaled.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{super::SystemResolver, *};

/// Answers every connection with `status`, which may change.
async fn serve(listener: TcpListener, status: Arc<Mutex<&'static str>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.unwrap_or(0) > 0 {}
        let answer = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", *status.lock());
        stream.write_all(answer.as_bytes()).await.unwrap_or_default();
    }
}

#[tokio::test]
async fn a_target_is_checked_over_http_in_scaled_time() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let status = Arc::new(Mutex::new("200 OK"));
    let (tracker, shutdown, metrics) =
        (TaskTracker::new(), CancellationToken::new(), Metrics::try_new().unwrap());
    tracker.spawn(serve(listener, Arc::clone(&status)));
    let scale = TimeScale::try_new(100.0).unwrap();
    let registry = Registry::new(tracker, scale, metrics, shutdown);
    let mut settings = group("web", &[&target]);
    settings.health_check.timeout = Duration::from_secs(29);
    let group = registry.apply(&model(vec![settings])).remove(0);
    let reach = async |expected| {
        let mut changes = registry.changes();
        while group.describe()[0].health.state != expected {
            changes.changed().await.unwrap();
        }
    };
    // Two checks 30 s apart take 0.6 s.
    let limit = Duration::from_secs(20);
    timeout(limit, reach(State::Healthy)).await.expect("healthy");
    *status.lock() = "503 Service Unavailable";
    timeout(limit, reach(State::Unhealthy)).await.expect("unhealthy");
    let reason = group.describe()[0].health.reason.unwrap().to_string();
    assert_eq!(reason, "Health checks failed with these codes: [503]");
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let addresses = SystemResolver.resolve("localhost", 8080).await.unwrap();
    assert!(!addresses.is_empty());
    assert!(addresses.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 8080), "{addresses:?}");
}
