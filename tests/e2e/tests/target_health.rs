//! What the health and the end of a target mean for the flows of a network load balancer, and its checks.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Config, Group, Target,
    access_log::Log,
    client::Client,
    wait::{SOON, eventually, within},
};
use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncReadExt as _;

const UNHEALTHY_TERMINATION: &str = "target_health_state.unhealthy.connection_termination.enabled";
const DRAINING_INTERVAL: &str = "target_health_state.unhealthy.draining_interval_seconds";
const DEREGISTRATION_TERMINATION: &str = "deregistration_delay.connection_termination.enabled";
const DELAY: &str = "deregistration_delay.timeout_seconds";

/// Targets checked by requests each 0.5 s, two failures or successes decide: ELB's minima divided by 10.
fn network(targets: &[SocketAddr], change: impl FnOnce(Group) -> Group) -> Result<Config> {
    let quick = |group: Group| {
        group
            .with_health("protocol", "HTTP")
            .with_health("path", "/health")
            .with_health("interval", "5s")
            .with_health("timeout", "4s")
            .with_health("healthy_threshold", 2)
            .with_health("unhealthy_threshold", 2)
    };
    Ok(Config::network(targets)?.with_time_scale(10).map_group(|group| change(quick(group))))
}

/// Flows to targets that say `a` and `b`, one to each.
async fn flows(albeit: &Albeit) -> Result<[Client; 2]> {
    let (mut to_a, mut to_b) = (None, None);
    while to_a.is_none() || to_b.is_none() {
        let mut flow = albeit.client().await?;
        match flow.get("/").await?.text().as_str() {
            "a" => to_a = Some(flow),
            _ => to_b = Some(flow),
        }
    }
    Ok([to_a.context("a")?, to_b.context("b")?])
}

async fn is_in_state(albeit: &mut Albeit, target: &Target, state: &str) -> Result<()> {
    let addr = target.addr().to_string();
    let is = |all: &[_]| {
        all.iter().any(|it: &albeit_e2e::albeit::TargetHealth| it.addr == addr && it.state == state)
    };
    albeit.wait_for_targets(state, is).await.map(drop)
}

/// Waits for a RST.
async fn is_reset(flow: Client) -> Result<()> {
    let mut stream = flow.into_stream()?;
    let read = within(SOON, "a reset", stream.read(&mut [0; 1])).await?;
    ensure!(
        read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset),
        "{read:?}"
    );
    Ok(())
}

async fn is_logged(albeit: &Albeit, reason: &str) -> Result<()> {
    eventually(SOON, "a record", || async {
        let records = albeit.log(Log::Flow)?;
        ensure!(records.iter().any(|record| record["close_reason"] == *reason), "{records:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn flows_of_a_target_that_turns_unhealthy_are_reset() -> Result<()> {
    let (a, b) = (Target::saying("a")?, Target::saying("b")?);
    let mut albeit = Albeit::start(network(&[a.addr(), b.addr()], |group| group)?).await?;
    let [to_a, mut to_b] = flows(&albeit).await?;
    a.set_health(503);
    is_reset(to_a).await?;
    is_logged(&albeit, "unhealthy_target").await?;
    // The last healthy one keeps its flows: without it the group fails open.
    b.set_health(503);
    is_in_state(&mut albeit, &b, "unhealthy").await?;
    assert_eq!(to_b.get("/").await?.text(), "b");
    Ok(())
}

#[tokio::test]
async fn flows_of_an_unhealthy_target_go_on_for_the_draining_interval() -> Result<()> {
    let (a, b) = (Target::saying("a")?, Target::saying("b")?);
    let kept = |group: Group| {
        group.with_attribute(UNHEALTHY_TERMINATION, "false").with_attribute(DRAINING_INTERVAL, "30")
    };
    let mut albeit = Albeit::start(network(&[a.addr(), b.addr()], kept)?).await?;
    let [mut to_a, _to_b] = flows(&albeit).await?;
    a.set_health(503);
    is_in_state(&mut albeit, &a, "unhealthy.draining").await?;
    assert_eq!(to_a.get("/").await?.text(), "a");
    assert_eq!(albeit.get("/").await?.text(), "b", "new flows go elsewhere");
    is_reset(to_a).await?;
    is_in_state(&mut albeit, &a, "unhealthy").await
}

#[tokio::test]
async fn flows_of_a_deregistered_target_are_reset_only_if_so_configured() -> Result<()> {
    for termination in ["false", "true"] {
        let (a, b) = (Target::saying("a")?, Target::saying("b")?);
        let settings = |group: Group| {
            group.with_attribute(DEREGISTRATION_TERMINATION, termination).with_attribute(DELAY, "10")
        };
        let config = network(&[a.addr(), b.addr()], settings)?;
        let mut albeit = Albeit::start(config.clone()).await?;
        let [mut to_a, _to_b] = flows(&albeit).await?;
        albeit.reload(config.map_group(|group| group.with_targets(&[b.addr()]))).await?;
        is_in_state(&mut albeit, &a, "draining").await?;
        assert_eq!(to_a.get("/").await?.text(), "a");
        albeit.wait_for_targets("one target", |all| all.len() == 1).await?;
        if termination == "true" {
            is_reset(to_a).await?;
            is_logged(&albeit, "deregistered_target").await?;
        } else {
            assert_eq!(to_a.get("/").await?.text(), "a");
        }
    }
    Ok(())
}

#[tokio::test]
async fn checks_by_request_name_the_listener() -> Result<()> {
    let target = Target::saying("a")?;
    let albeit = Albeit::start(network(&[target.addr()], |group| group)?).await?;
    let check = target.health_checks().into_iter().next().context("a check")?.to_ascii_lowercase();
    let host = format!("host: {}", albeit.listener(0)?);
    for expected in [host.as_str(), "user-agent: elb-healthchecker/2.0"] {
        ensure!(check.lines().any(|line| line == expected), "{expected} in {check}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tcp_check_needs_a_port_that_listens() -> Result<()> {
    let (mut a, b) = (Target::saying("a")?, Target::saying("b")?);
    let quick = |group: Group| {
        group.with_health("interval", "5s").with_health("timeout", "4s").with_health("unhealthy_threshold", 2)
    };
    let config = Config::network(&[a.addr(), b.addr()])?.with_time_scale(10).map_group(quick);
    let mut albeit = Albeit::start(config).await?;
    assert_eq!(a.health_checks().len(), 0, "nothing is asked");
    a.stop().await;
    is_in_state(&mut albeit, &a, "unhealthy").await
}
