use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    health::{Checker, Outcome},
    model::{
        Admin, HealthCheck, Model, Target, TargetGroup, TargetGroupProtocol,
        arn::Scope,
        target_group::{TargetGroupAttributes, TargetId},
    },
    stickiness::seal::Keys,
    target_groups::Environment,
    time_scale::TimeScale,
};

const LIMIT: Duration = Duration::from_secs(20);

struct NeverAsked;

#[async_trait::async_trait]
impl Checker for NeverAsked {
    async fn check(&self, addr: SocketAddr, _settings: &HealthCheck, _limit: Duration) -> Outcome {
        panic!("{addr} is of a group no rule uses");
    }
}

/// A running admin API.
struct Server {
    addr: SocketAddr,
    state: AdminState,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

async fn serving() -> Server {
    let (tracker, shutdown, metrics) =
        (TaskTracker::new(), CancellationToken::new(), Metrics::try_new().unwrap());
    let mut environment =
        Environment::new(tracker.clone(), TimeScale::default(), Arc::clone(&metrics), shutdown.clone());
    environment.checker = Box::new(NeverAsked);
    let registry = Arc::new(Registry::with_environment(environment));
    let authenticator = Arc::new(Authenticator::new(&Keys::generate(&mut rand::rng()), TimeScale::default()));
    let state = AdminState { registry, metrics, readiness: Arc::new(Readiness::new()), authenticator };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    tracker.spawn(serve(listener, state.clone(), tracker.clone(), shutdown.clone()));
    Server { addr, state, tracker, shutdown }
}

impl Server {
    /// Sends `request` and returns everything until the server closes.
    async fn send(&self, request: &str) -> String {
        let exchange = async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        timeout(LIMIT, exchange).await.expect("an answer in time")
    }

    /// Status and body of a request.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
        let answer = self.send(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[tokio::test]
async fn liveness_is_the_process_and_readiness_its_phase() {
    let server = serving().await;
    assert_eq!(server.ask("GET", "/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(server.ask("GET", "/readyz").await, (503, "starting\n".to_owned()));
    server.state.readiness.enter(Phase::Ready);
    assert_eq!(server.ask("GET", "/readyz").await, (200, "ready\n".to_owned()));
    server.state.readiness.enter(Phase::Draining);
    assert_eq!(server.ask("GET", "/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!(server.ask("GET", "/healthz").await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let server = serving().await;
    server.state.metrics.process().config_reloads.inc();
    let (status, text) = server.ask("GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(text.contains("\nalbeit_config_reloads_total 1\n"), "{text}");
}

#[tokio::test]
async fn targets_are_described_in_the_words_of_the_api() {
    let server = serving().await;
    let id = TargetId::Ip(Ipv4Addr::new(10, 0, 0, 1).into());
    server.state.registry.apply(&Model {
        scope: Scope::default(),
        certificates: Vec::new(),
        trust_stores: Vec::new(),
        load_balancers: Vec::new(),
        target_groups: vec![TargetGroup {
            name: "web".to_owned(),
            arn: "arn:web".to_owned(),
            metric_name: "targetgroup/web/1".to_owned(),
            protocol: TargetGroupProtocol::Http,
            protocol_version: crate::model::target_group::ProtocolVersion::Http1,
            port: None,
            health_check: HealthCheck::default(),
            attributes: TargetGroupAttributes::default(),
            targets: vec![Target { id, port: 8080 }],
        }],
        admin: Admin::default(),
        stickiness_keys: Vec::new(),
    });
    let (status, text) = server.ask("GET", "/targets").await;
    assert_eq!(status, 200);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "TargetGroups": [{
            "TargetGroupName": "web",
            "TargetGroupArn": "arn:web",
            "TargetHealthDescriptions": [{
                "Target": { "Id": "10.0.0.1", "Port": 8080 },
                "TargetHealth": {
                    "State": "unused",
                    "Reason": "Target.NotInUse",
                    "Description":
                        "Target group is not configured to receive traffic from the load balancer",
                },
                "OutstandingRequests": 0,
                "AnomalyDetection": { "Result": "normal", "MitigationInEffect": "no" },
            }],
        }]})
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = serving().await;
    assert_eq!(server.ask("GET", "/").await.0, 404);
    assert_eq!(server.ask("POST", "/targets").await.0, 405);
    assert_eq!(server.ask("HEAD", "/healthz").await, (200, String::new()));
}

#[tokio::test]
async fn garbage_gets_400_and_the_next_client_is_served() {
    let server = serving().await;
    let long = format!("GET /healthz HTTP/1.1\r\nX-Long: {}\r\n\r\n", "a".repeat(64 * 1024));
    for garbage in ["\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET /\r\n\r\n"] {
        assert!(server.send(garbage).await.starts_with("HTTP/1.1 400 "), "{garbage:?}");
    }
    // The server may reset before the whole head is sent, so only what follows is looked at.
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(long.as_bytes()).await.unwrap_or_default();
    assert_eq!(server.ask("GET", "/healthz").await.0, 200);
}

#[tokio::test]
async fn shutdown_closes_idle_connections_and_ends_the_server() {
    let server = serving().await;
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: admin\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    server.shutdown.cancel();
    server.tracker.close();
    timeout(LIMIT, server.tracker.wait()).await.expect("nothing is left");
}
