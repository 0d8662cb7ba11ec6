//! Connections whose listener goes over to the other data plane, and flows that a
//! network load balancer has handed over to an application load balancer: who may
//! end them, and what is told of it.

use std::io;

use albeit_e2e::{
    Albeit, Client, Config, Group, Listener, LoadBalancer, Step, Target,
    access_log::{Log, Record},
    config::{LOAD_BALANCER, forward_weighted},
    eventually, forward,
    proxy_protocol::v2,
    target::{Gate, ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, time::timeout};

/// A network load balancer with one listener and a flow log.
fn network(listener: Listener, config: &Config) -> LoadBalancer {
    LoadBalancer::new("e2e-nlb", "network", vec![listener])
        .with_attribute("albeit.flow_logs.s3.enabled", true)
        .with_attribute("albeit.flow_logs.s3.bucket", json!(config.dir().join("logs")))
        .with_attribute("albeit.access_logs.files", "plain")
}

/// `behind`'s first listener as the target of the group `to-alb`, and `front` as a listener before it.
fn stacked(behind: Config, front: &Listener) -> Config {
    let port = behind.listeners[0].addr().port();
    let front = network(front.clone(), &behind);
    behind.with_group(Group::alb("to-alb", LOAD_BALANCER, port)).with_load_balancer(front)
}

/// `config` with only `listener` in service, in front of the group `flows` of `targets`.
fn only_flows(config: &Config, listener: &Listener, targets: &[std::net::SocketAddr]) -> Config {
    let listener =
        listener.clone().with("protocol", "TCP").with("default_actions", json!([forward("flows")]));
    let mut changed = config.clone();
    changed.listeners.clear();
    changed.groups = vec![Group::tcp("flows", targets)];
    changed.others = vec![network(listener, config)];
    changed
}

async fn answers(listener: &Listener, expected: &str) -> Result<()> {
    eventually(SOON, &format!("{expected:?}"), || async {
        let answer = Client::connect(listener.addr()).await?.get("/").await?;
        ensure!(answer.text() == expected, "{} {}", answer.status, answer.text());
        Ok(())
    })
    .await
}

async fn one_flow(albeit: &Albeit) -> Result<Record> {
    eventually(SOON, "a flow record", || async {
        let mut flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 1, "{flows:?}");
        Ok(flows.remove(0))
    })
    .await
}

/// What reading the connection of `client` ends with.
async fn end_of(client: Client) -> Result<Result<usize, io::ErrorKind>> {
    let mut stream = client.into_stream()?;
    let mut rest = Vec::new();
    Ok(timeout(SOON, stream.read_to_end(&mut rest)).await?.map_err(|error| error.kind()))
}

#[tokio::test]
async fn a_port_that_changes_its_plane_ends_its_http_connections_and_keeps_its_flows() -> Result<()> {
    let gate = Gate::default();
    let held = gate.clone();
    let web = Target::start(move |request| match request.path() {
        "/slow" => vec![Step::Await(held.clone()), Step::Send(ok("late"))],
        _ => vec![Step::Send(ok("a request"))],
    })?;
    let raw = Target::saying("a flow")?;
    let config = Config::forwarding_to(&[web.addr()])?;
    let listener = config.listeners[0].clone();
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut idle = Client::connect(listener.addr()).await?;
    assert_eq!(idle.get("/").await?.text(), "a request");
    let mut busy = Client::connect(listener.addr()).await?;
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    web.request(2).await?;

    albeit.reload(only_flows(&config, &listener, &[raw.addr()])).await?;
    idle.closed().await?;
    gate.open();
    let answer = busy.response().await?;
    assert_eq!((answer.text().as_str(), answer.header("connection")?), ("late", "close"));
    busy.closed().await?;
    answers(&listener, "a flow").await?;

    let mut flow = Client::connect(listener.addr()).await?;
    assert_eq!(flow.get("/").await?.text(), "a flow");
    albeit.reload(config).await?;
    answers(&listener, "a request").await?;
    assert_eq!(flow.get("/").await?.text(), "a flow", "what has begun goes on");
    let mut kept = Client::connect(listener.addr()).await?;
    for _ in 0..2 {
        assert_eq!(kept.get("/").await?.text(), "a request", "new connections live as long as any");
    }
    Ok(())
}

#[tokio::test]
async fn a_flow_whose_application_load_balancer_has_gone_is_reset_and_counted() -> Result<()> {
    let target = Target::saying("passed")?;
    let front = Listener::tcp(forward("to-alb"))?.believing("required", "127.0.0.1/32");
    let config = stacked(Config::forwarding_to(&[target.addr()])?, &front);
    let mut albeit = Albeit::start(config.clone()).await?;
    // Accepted under the old configuration, and held until the new one is in force.
    let mut client = Client::connect(front.addr()).await?;
    let mut waiting = Client::connect(front.addr()).await?;
    client.send(v2(client.local_addr(), front.addr())).await?;
    assert_eq!(client.get("/").await?.text(), "passed", "all connections made before are accepted by now");
    drop(client);
    one_flow(&albeit).await?;
    albeit.reload(only_flows(&config, &front, &[target.addr()])).await?;
    eventually(SOON, "the reload", || async {
        ensure!(albeit.process.stderr().contains("configuration reloaded"));
        Ok(())
    })
    .await?;
    waiting.send(v2(waiting.local_addr(), front.addr())).await?;
    assert_eq!(end_of(waiting).await?, Err(io::ErrorKind::ConnectionReset));
    let reasons = eventually(SOON, "two flow records", || async {
        let flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 2, "{flows:?}");
        Ok(flows.iter().map(|flow| flow["close_reason"].clone()).collect::<Vec<String>>())
    })
    .await?;
    assert_eq!(reasons, ["client_fin", "connect_failed"]);
    assert_eq!(albeit.metrics().await?.network_cloudwatch("TCP_ELB_Reset_Count")?, 1.0);
    Ok(())
}

#[tokio::test]
async fn the_record_of_a_flow_says_when_the_application_load_balancer_ended_it() -> Result<()> {
    let (target, front) = (Target::saying("passed")?, Listener::tcp(forward("to-alb"))?);
    let behind = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 50)
        .with_time_scale(50);
    let albeit = Albeit::start(stacked(behind, &front)).await?;
    let mut client = Client::connect(front.addr()).await?;
    assert_eq!(client.get("/").await?.status, 200);
    assert_eq!(end_of(client).await?, Ok(0), "FIN");
    assert_eq!(one_flow(&albeit).await?["close_reason"], "target_fin");
    Ok(())
}

#[tokio::test]
async fn a_group_without_weight_resets_the_flows_it_has_handed_over() -> Result<()> {
    let target = Target::start(|request| match request.path() {
        "/socket" => vec![Step::Send(switching_protocols()), Step::Relay],
        _ => vec![Step::Send(ok("passed"))],
    })?;
    let weighted = |to_alb: u16, flows: u16| -> Value {
        json!([forward_weighted(&[("to-alb", to_alb), ("flows", flows)], None)])
    };
    let front = Listener::tcp(forward("to-alb"))?.with("default_actions", weighted(1, 0));
    let behind = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 4000)
        .with_time_scale(50);
    let config = stacked(behind, &front).with_group(Group::tcp("flows", &[target.addr()]));
    let mut albeit = Albeit::start(config.clone()).await?;
    let mut idle = Client::connect(front.addr()).await?;
    assert_eq!(idle.get("/").await?.text(), "passed");
    let mut socket = Client::connect(front.addr()).await?;
    upgrade(&mut socket, "/socket").await?;
    let mut changed = config.clone();
    changed.others = vec![network(front.clone().with("default_actions", weighted(0, 1)), &config)];
    albeit.reload(changed).await?;
    for client in [idle, socket] {
        assert_eq!(end_of(client).await?, Err(io::ErrorKind::ConnectionReset));
    }
    eventually(SOON, "two records of removed flows", || async {
        let flows = albeit.log(Log::Flow)?;
        ensure!(flows.len() == 2 && flows.iter().all(|flow| flow["close_reason"] == "removed"), "{flows:?}");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.metrics().await?.network_cloudwatch("TCP_ELB_Reset_Count")?, 2.0);
    Ok(())
}
