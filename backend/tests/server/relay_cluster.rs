//! Sharded channels of a Redis Cluster, and Redis behind TLS.

use std::process::Stdio;
use std::time::Duration;

use albeit_backend::config::{Config, RelayMode};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::harness::{Running, soon, start, until};
use crate::redis_server::connected;
use crate::relay::{body, publish, subscriber};
use crate::tls_client::Pair;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// A Redis on a port of its own, found by trial.
struct Node {
    port: u16,
    process: Child,
    _dir: TempDir,
}

impl Node {
    /// `arguments` knows the port. A cluster uses the port 10000 above, too.
    async fn start(arguments: impl Fn(u16) -> Vec<String>) -> Self {
        loop {
            let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = held.local_addr().unwrap().port();
            drop(held);
            let bus = port.checked_add(10_000);
            if bus.is_none() {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir.path());
            command.args(arguments(port)).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            let mut process = command.spawn().expect("redis-server: see scripts/install-peers");
            // Someone else may have taken the port meanwhile.
            while process.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Self { port, process, _dir: dir };
                }
                sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn run<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let mut connection = soon(client.get_multiplexed_async_connection()).await.unwrap();
        let mut built = redis::Cmd::new();
        for argument in command.split(' ') {
            built.arg(argument);
        }
        soon(built.query_async(&mut connection)).await.unwrap()
    }
}

/// Three primaries without replicas.
async fn cluster() -> Vec<Node> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let arguments = |port: u16| {
            let port = port.to_string();
            let more = ["--port", &port, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
            more.map(str::to_owned).into()
        };
        nodes.push(Node::start(arguments).await);
    }
    for (n, node) in (0..).zip(&nodes) {
        let (first, last) = (SLOTS / 3 * n, if n == 2 { SLOTS - 1 } else { SLOTS / 3 * (n + 1) - 1 });
        node.run::<String>(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).await;
        node.run::<String>("CONFIG SET cluster-announce-ip 127.0.0.1").await;
        node.run::<String>(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port)).await;
    }
    soon(async {
        for node in &nodes {
            loop {
                let info: String = node.run("CLUSTER INFO").await;
                let nodes: String = node.run("CLUSTER NODES").await;
                if info.contains("cluster_state:ok") && nodes.lines().count() == 3 {
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
    })
    .await;
    nodes
}

async fn instance(name: &str, change: impl FnOnce(&mut Config)) -> Running {
    let server = start(|config| {
        config.instance = name.to_owned();
        // Its announcements would be among the messages that are counted.
        config.presence.enabled = false;
        config.relay.mode = RelayMode::Redis;
        config.presence.enabled = false;
        config.relay.linger = Duration::from_millis(50);
        config.relay.redis.reconnect.min = Duration::from_millis(20);
        change(config);
    });
    connected(&server, true).await;
    server
}

#[tokio::test]
async fn sharded_channels_are_relayed_over_all_nodes_of_a_cluster() {
    let mut nodes = cluster().await;
    let join = |config: &mut Config| {
        config.relay.redis.cluster.nodes = vec![format!("127.0.0.1:{}", nodes[1].port)];
    };
    let (one, two) = (instance("b1", join).await, instance("b2", join).await);
    let mut clients = Vec::new();
    for room in 0..8 {
        clients.push(subscriber(&one, &format!("/topic/room.{room}")).await);
    }
    let mut on_nodes = Vec::new();
    for node in &nodes {
        let channels: Vec<String> = node.run("PUBSUB SHARDCHANNELS").await;
        on_nodes.push(channels.len());
    }
    assert_eq!(on_nodes.iter().sum::<usize>(), 8);
    assert!(on_nodes.iter().all(|&count| count > 0), "{on_nodes:?}");
    for n in 0..20 {
        for room in 0..8 {
            publish(&two, &format!("/topic/room.{room}"), &n.to_string()).await;
        }
        for client in &mut clients {
            assert_eq!(body(client).await, n.to_string());
        }
    }
    let relay = &one.services.metrics.relay;
    assert_eq!((relay.received.get(), relay.missed.get()), (160, 0));
    assert!(one.services.relay.status().unwrap().server_version.is_some());
    clients.truncate(1);
    until(|| relay.subscriptions.get() == 1).await;
    // One node is killed: the whole of it is noticed.
    soon(nodes.remove(2).process.kill()).await.unwrap();
    connected(&one, false).await;
    assert!(one.services.relay.status().unwrap().last_error.is_some());
}

#[tokio::test]
async fn redis_may_speak_tls_with_a_password() {
    let pair = Pair::new();
    let files = pair.paths();
    let node = Node::start(|port| {
        let [certificate, key] = files.clone().map(|path| path.to_str().unwrap().to_owned());
        let fixed = ["--port", "0", "--tls-auth-clients", "no", "--requirepass", "p1"].map(str::to_owned);
        let mut arguments = Vec::from(fixed);
        for (name, value) in [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", certificate.clone()),
            ("--tls-key-file", key),
            ("--tls-ca-cert-file", certificate),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        arguments
    })
    .await;
    let secured = |config: &mut Config| {
        let redis = &mut config.relay.redis;
        redis.url =
            Some(albeit_backend::config::Secret::new(format!("rediss://:p1@localhost:{}", node.port)));
        redis.ssl.ca_certificate = Some(files[0].clone());
    };
    let (one, two) = (instance("b1", secured).await, instance("b2", secured).await);
    let mut client = subscriber(&one, "/topic/a").await;
    publish(&two, "/topic/a", "x").await;
    assert_eq!(body(&mut client).await, "x");
    // Another authority is not trusted.
    let stranger = Pair::new();
    let server = start(|config| {
        config.relay.mode = RelayMode::Redis;
        secured(config);
        config.relay.redis.ssl.ca_certificate = Some(stranger.paths()[0].clone());
    });
    let error = || server.services.relay.status().unwrap().last_error.unwrap_or_default();
    until(|| error().contains("certificate")).await;
    assert!(!error().contains("p1"));
}
