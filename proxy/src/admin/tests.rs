mod acting;
mod connections;
mod events;
mod features;
mod network;
mod network_target_groups;
mod reading;
mod requests;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{
    config::{Overrides, Source},
    health::{Checker, Outcome},
    model::{HealthCheck, Model},
    stickiness::seal::Keys,
    target_groups::Environment,
    tasks::Tasks,
    time_scale::TimeScale,
};

const LIMIT: Duration = Duration::from_secs(20);

const FILE: &str = "
load_balancers:
  - name: edge
    attributes: { idle_timeout.timeout_seconds: 30 }
    listeners:
      - protocol: HTTP
        port: 8080
        default_actions: [{ forward: { target_group: web } }]
        rules:
          - priority: 7
            conditions: [{ path_pattern: ['/old/*'] }, { host_header: [example.test] }]
            actions: [{ redirect: { path: /new, status_code: HTTP_301 } }]
      - protocol: HTTP
        address: '::1'
        port: 8081
        default_actions: [{ fixed_response: { status_code: 404, content_type: text/plain, message_body: no } }]
target_groups:
  - name: web
    protocol: HTTP
    port: 80
    targets: [{ id: 10.0.0.1, port: 8080 }, { id: 10.0.0.2 }]
  - { name: spare, protocol: HTTP, targets: [{ id: 10.0.0.3, port: 81 }] }
";

/// Checks never end, so that targets stay as they are.
struct Unanswered;

#[async_trait::async_trait]
impl Checker for Unanswered {
    async fn check(&self, _addr: SocketAddr, _settings: &HealthCheck, _limit: Duration) -> Outcome {
        std::future::pending().await
    }
}

/// A configuration without a balancer around it.
#[derive(Debug)]
struct Configured {
    registry: Arc<Registry>,
    in_force: Mutex<Arc<InForce>>,
}

fn in_force(source: Source, overrides: Overrides) -> Result<InForce, Refused> {
    let loaded = source
        .parse(&|_| None, &overrides)
        .map_err(|errors| Refused { message: errors.to_string(), mistakes: errors.mistakes().to_vec() })?;
    Ok(InForce {
        source,
        model: Arc::new(loaded.model),
        attributes: Arc::new(loaded.attributes),
        places: Arc::new(loaded.places),
        certificates: Vec::new(),
        token: None,
        overrides,
    })
}

impl Control for Configured {
    fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.lock())
    }

    fn reload(&self) -> Result<Vec<String>, Refused> {
        Err(Refused::because("the file is gone".to_owned()))
    }

    fn change_attributes(&self, change: &dyn Fn(&mut Overrides)) -> Result<(), Refused> {
        let now = self.in_force();
        let mut overrides = now.overrides.clone();
        change(&mut overrides);
        let next = in_force(now.source.clone(), overrides)?;
        self.registry.apply(&next.model);
        *self.in_force.lock() = Arc::new(next);
        Ok(())
    }

    fn change_targets(&self, target_group: &str, change: &mut TargetChange<'_>) -> Result<(), Refused> {
        let mut next = InForce::clone(&self.in_force());
        let mut model = Model::clone(&next.model);
        let group = model.target_groups.iter_mut().find(|group| group.name == target_group).unwrap();
        change(next.overrides.targets.entry(target_group.to_owned()).or_default(), &mut group.targets)?;
        self.registry.apply(&model);
        next.model = Arc::new(model);
        *self.in_force.lock() = Arc::new(next);
        Ok(())
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
    serving_file(Source::from_text(FILE, Path::new(""), "alb.yaml")).await
}

async fn serving_file(source: Source) -> Server {
    serving_in_force(in_force(source, Overrides::default()).unwrap()).await
}

async fn serving_in_force(in_force: InForce) -> Server {
    let (tracker, shutdown, metrics) =
        (TaskTracker::new(), CancellationToken::new(), Metrics::try_new().unwrap());
    let mut environment =
        Environment::new(tracker.clone(), TimeScale::default(), Arc::clone(&metrics), shutdown.clone());
    environment.checker = Box::new(Unanswered);
    let registry = Arc::new(Registry::with_environment(environment));
    let tasks = Tasks::new(tracker.clone(), shutdown.clone());
    let keys = Keys::generate(&mut rand::rng());
    let authenticator = Arc::new(Authenticator::new(&keys, TimeScale::default(), tasks));
    registry.apply(&in_force.model);
    let control = Configured { registry: Arc::clone(&registry), in_force: Mutex::new(Arc::new(in_force)) };
    let state = AdminState {
        registry,
        metrics,
        readiness: Arc::new(Readiness::new()),
        authenticator,
        connections: Arc::default(),
        flows: Arc::default(),
        control: Arc::new(control),
        dashboard: Arc::new(Dashboard::new(SystemTime::UNIX_EPOCH, TimeScale::default(), Arc::default())),
    };
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

    /// Status and JSON of a GET.
    async fn read(&self, path: &str) -> (u16, Value) {
        let (status, body) = self.ask("GET", path).await;
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
    }

    /// Status and JSON of an action.
    async fn act(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.send(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
    }

    /// Status and body of a request.
    async fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
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
async fn other_paths_and_methods_are_refused() {
    let server = serving().await;
    assert_eq!(server.ask("GET", "/nothing").await.0, 404);
    assert_eq!(server.ask("POST", "/targets").await.0, 405);
    assert_eq!(server.ask("GET", "/reload").await.0, 405);
    let allowed = server.send("PATCH /attributes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(allowed.to_lowercase().contains("\r\nallow: get, head, put\r\n"), "{allowed}");
    assert_eq!(server.ask("HEAD", "/healthz").await, (200, String::new()));
    assert_eq!(server.ask("GET", "/public-keys/none").await.0, 404);
    assert_eq!(server.ask("DELETE", "/public-keys/none").await.0, 405);
    assert_eq!(server.ask("GET", "/public-keys").await.0, 404);
}

#[tokio::test]
async fn a_web_page_under_another_name_reads_nothing_but_that_the_process_lives() {
    let server = serving().await;
    for (path, status) in [
        ("/", "403"),
        ("/events", "403"),
        ("/requests", "403"),
        ("/connections", "403"),
        ("/findings", "403"),
        ("/metrics", "403"),
        ("/dashboard/app.js", "403"),
        ("/healthz", "200"),
        ("/readyz", "503"),
    ] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let answer = server.send(&head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control-"), "{path}: {answer}");
    }
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

#[tokio::test]
async fn browsers_get_the_dashboard_and_programs_the_index() {
    let server = serving().await;
    let get = |path: &str, accept: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
    };
    let page = server.send(&get("/", "text/html,*/*;q=0.8")).await;
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    for header in [
        "content-type: text/html; charset=utf-8",
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-cache",
        "vary: accept",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{header}: {head}");
    }
    assert!(head.contains("\r\netag: \""), "{head}");
    assert!(body.starts_with("<!doctype html>"), "{body}");
    let style = server.send(&get("/dashboard/style.css", "*/*")).await;
    assert!(style.contains("\r\ncontent-type: text/css; charset=utf-8\r\n"), "{style}");
    assert!(server.send(&get("/", "*/*")).await.contains("\"Resources\": ["));
    assert_eq!(server.ask("GET", "/dashboard/../mod.rs").await.0, 404);
    assert_eq!(server.ask("POST", "/dashboard/style.css").await.0, 405);
}
