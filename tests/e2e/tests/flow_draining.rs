//! How flows end with their target: weight 0, deregistration and health through the admin API, fail open.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, Listener, Target, TlsFront,
    access_log::Log,
    ca::ALL_VERSIONS,
    config::forward_weighted,
    eventually,
    tls_front::untrustworthy,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

/// A new flow whose target says `wanted`, after some that reached others if need be.
async fn flow_to(albeit: &Albeit, wanted: &str) -> Result<Client> {
    eventually(SOON, &format!("a flow to {wanted}"), || async {
        let mut flow = albeit.client().await?;
        let reached = flow.get("/").await?.text();
        ensure!(reached == wanted, "reached {reached}");
        Ok(flow)
    })
    .await
}

async fn is_reset(flow: Client) -> Result<()> {
    let mut stream = flow.into_stream()?;
    let read = within(SOON, "a reset", stream.read(&mut [0; 1])).await?;
    let error = read.err().context("bytes or an end of stream in the place of a reset")?;
    ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    Ok(())
}

/// Waits until so many flows were logged with this close reason.
async fn logged(albeit: &Albeit, reason: &str, count: usize) -> Result<()> {
    eventually(SOON, &format!("{count} records with {reason}"), || async {
        let records = albeit.log(Log::Flow)?;
        let found = records.iter().filter(|record| record["close_reason"] == *reason).count();
        ensure!(found == count, "{found} in {records:?}");
        Ok(())
    })
    .await
}

/// Waits until a metric of the load balancer has this value.
async fn counts(albeit: &Albeit, twin: &str, expected: f64) -> Result<()> {
    eventually(SOON, &format!("{twin} = {expected}"), || async {
        let value = albeit.metrics().await?.network_cloudwatch(twin)?;
        ensure!((value - expected).abs() < 0.1, "{value}");
        Ok(())
    })
    .await
}

fn targets(group: &str, targets: &[SocketAddr]) -> Value {
    let targets: Vec<_> = targets.iter().map(|it| json!({ "Id": it.ip(), "Port": it.port() })).collect();
    json!({ "TargetGroupName": group, "Targets": targets })
}

async fn force(albeit: &Albeit, target: &Target, state: &str) -> Result<()> {
    let mut body = targets("flows", &[target.addr()]);
    body["State"] = json!(state);
    albeit.act("POST", "/targets/health", &body).await.map(drop)
}

async fn set(albeit: &Albeit, key: &str, value: &str) -> Result<()> {
    let groups = albeit.list("/target-groups?Names=flows", "TargetGroups").await?;
    let arn = groups.first().and_then(|group| group.get("TargetGroupArn")).context("no ARN")?;
    let body = json!({ "TargetGroupArn": arn, "Attributes": [{ "Key": key, "Value": value }] });
    albeit.act("PUT", "/attributes", &body).await.map(drop)
}

/// A listener that shares flows among the groups `blue`, `green` and `red` by these weights.
fn weighted(config: &Config, weights: [u16; 3]) -> Config {
    let [blue, green, red] = weights;
    let action = forward_weighted(&[("blue", blue), ("green", green), ("red", red)], None);
    let mut config = config.clone();
    config.listeners =
        config.listeners.into_iter().map(|it| it.with("default_actions", json!([action]))).collect();
    config
}

#[tokio::test]
async fn a_weight_of_0_ends_flows_after_a_minute_unless_it_comes_back_in_time() -> Result<()> {
    let names = ["blue", "green", "red"];
    let servers = [Target::saying("blue")?, Target::saying("green")?, Target::saying("red")?];
    let mut config = Config::network(&[])?.with_time_scale(10);
    config.groups = names.iter().zip(&servers).map(|(name, it)| Group::tcp(name, &[it.addr()])).collect();
    let mut albeit = Albeit::start(weighted(&config, [1, 0, 1])).await?;
    let mut to_blue = flow_to(&albeit, "blue").await?;
    let mut to_red = flow_to(&albeit, "red").await?;

    albeit.reload(weighted(&config, [0, 1, 0])).await?;
    // A minute, divided by 10, begins no later than this flow.
    let mut to_green = flow_to(&albeit, "green").await?;
    assert_eq!(to_red.get("/").await?.text(), "red", "open flows go on for now");
    albeit.reload(weighted(&config, [1, 1, 0])).await?;
    let mut later = flow_to(&albeit, "blue").await?;

    is_reset(to_red).await?;
    logged(&albeit, "removed", 1).await?;
    counts(&albeit, "TCP_ELB_Reset_Count", 2.0).await?;
    // Their end would have come no later than that of the red one.
    for (flow, name) in [(&mut to_blue, "blue"), (&mut later, "blue"), (&mut to_green, "green")] {
        assert_eq!(flow.get("/").await?.text(), name);
    }

    albeit.reload(weighted(&config, [0, 1, 0])).await?;
    is_reset(to_blue).await?;
    is_reset(later).await?;
    logged(&albeit, "removed", 3).await
}

const TERMINATION: &str = "deregistration_delay.connection_termination.enabled";
const DELAY: &str = "deregistration_delay.timeout_seconds";

#[tokio::test]
async fn a_target_deregistered_by_hand_gets_no_flow_and_keeps_those_it_has_unless_told_otherwise()
-> Result<()> {
    let (a, b, c) = (Target::saying("a")?, Target::saying("b")?, Target::saying("c")?);
    let config = Config::network(&[a.addr(), b.addr(), c.addr()])?.with_time_scale(10);
    let mut albeit = Albeit::start(config.map_group(|group| group.with_attribute(DELAY, "10"))).await?;
    let (mut to_a, to_b) = (flow_to(&albeit, "a").await?, flow_to(&albeit, "b").await?);
    albeit.act("POST", "/targets/deregister", &targets("flows", &[a.addr()])).await?;
    albeit.wait_for_targets("a has gone", |all| all.len() == 2).await?;
    assert_eq!(to_a.get("/").await?.text(), "a", "the delay is over and the flow goes on");
    for _ in 0..20 {
        assert_ne!(albeit.get("/").await?.text(), "a", "a new flow");
    }
    counts(&albeit, "TCP_ELB_Reset_Count", 0.0).await?;

    // In force for the target that goes next.
    set(&albeit, TERMINATION, "true").await?;
    albeit.act("POST", "/targets/deregister", &targets("flows", &[b.addr()])).await?;
    is_reset(to_b).await?;
    logged(&albeit, "deregistered_target", 1).await?;
    counts(&albeit, "TCP_ELB_Reset_Count", 2.0).await?;
    albeit.wait_for_targets("b has gone", |all| all.len() == 1).await?;
    assert_eq!(to_a.get("/").await?.text(), "a");
    Ok(())
}

#[tokio::test]
async fn forced_health_acts_on_flows_as_a_check_would() -> Result<()> {
    let (a, b) = (Target::saying("a")?, Target::saying("b")?);
    let mut albeit = Albeit::start(Config::network(&[a.addr(), b.addr()])?.with_time_scale(10)).await?;
    let (to_a, mut to_b) = (flow_to(&albeit, "a").await?, flow_to(&albeit, "b").await?);
    force(&albeit, &a, "unhealthy").await?;
    is_reset(to_a).await?;
    logged(&albeit, "unhealthy_target", 1).await?;
    for _ in 0..20 {
        assert_eq!(albeit.get("/").await?.text(), "b", "a new flow");
    }
    // With the attributes as they are when it happens.
    force(&albeit, &a, "healthy").await?;
    let mut to_a = flow_to(&albeit, "a").await?;
    set(&albeit, "target_health_state.unhealthy.connection_termination.enabled", "false").await?;
    set(&albeit, "target_health_state.unhealthy.draining_interval_seconds", "20").await?;
    force(&albeit, &a, "unhealthy").await?;
    let is = |state: &'static str| {
        move |all: &[albeit_e2e::albeit::TargetHealth]| all.iter().any(|it| it.state == state)
    };
    albeit.wait_for_targets("draining", is("unhealthy.draining")).await?;
    assert_eq!(to_a.get("/").await?.text(), "a");
    is_reset(to_a).await?;
    albeit.wait_for_targets("unhealthy", is("unhealthy")).await?;
    assert_eq!(to_b.get("/").await?.text(), "b");
    Ok(())
}

#[tokio::test]
async fn a_group_without_a_healthy_target_fails_open_and_says_so_for_tcp_listeners() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, Target::saying("a")?);
    let albeit = Albeit::start(Config::network(&[target.addr()])?.with_tls(&ca)?).await?;
    let mut before = flow_to(&albeit, "a").await?;
    force(&albeit, &target, "unhealthy").await?;
    assert_eq!(before.get("/").await?.text(), "a", "its flows go on");
    counts(&albeit, "UnhealthyRoutingFlowCount", 0.0).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let mut secure = Client::connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    assert_eq!(secure.get("/").await?.text(), "a");
    assert_eq!(albeit.get("/").await?.text(), "a");
    counts(&albeit, "UnhealthyRoutingFlowCount", 1.0).await
}

#[tokio::test]
async fn a_group_of_protocol_tcp_is_checked_over_https() -> Result<()> {
    let target = Target::saying("a")?;
    let front = TlsFront::start(target.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let listener = Listener::tcp(albeit_e2e::forward("flows"))?;
    let mut config = Config::network(&[front.addr()])?.with_time_scale(10);
    config.listeners = vec![listener];
    let quick = |group: Group| {
        group
            .with_health("protocol", "HTTPS")
            .with_health("path", "/health")
            .with_health("interval", "5s")
            .with_health("timeout", "4s")
            .with_health("unhealthy_threshold", 2)
    };
    let mut albeit = Albeit::start(config.map_group(quick)).await?;
    ensure!(!target.health_checks().is_empty(), "no check has come through TLS");
    target.set_health(500);
    let unhealthy =
        albeit.wait_for_targets("unhealthy", |all| all.iter().all(|it| it.state == "unhealthy")).await?;
    assert_eq!(unhealthy[0].reason, "Target.ResponseCodeMismatch");
    Ok(())
}
