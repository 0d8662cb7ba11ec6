//! Faults between the balancer and its targets: connections, membership, cookies.

use albeit_e2e::{
    Albeit, Ca, Config, Group, H2Target, Target, ca::ALL_VERSIONS, eventually, h2_target::Call, http2::Http2,
    wait::SOON,
};
use anyhow::{Result, ensure};
use http::Response;
use serde_json::json;
use tokio::time::{Duration, Instant};

use super::{check_count, faulty, injected, set, with_faults};

#[tokio::test]
async fn a_connection_closed_before_reuse_is_the_keep_alive_race() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = faulty(&target, &[("close_reused_connection.percent", 100)]).await?;
    let mut client = albeit.client().await?;
    assert_eq!(client.get("/fresh").await?.status, 200, "there is nothing to reuse yet");
    let raced = client.get("/raced").await?;
    assert_eq!((raced.status, raced.header("server")?), (502, "awselb/2.0"));
    // The signature that the race has of itself.
    let record = albeit.record("/raced").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("502", "-"));
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!((&*record["response_processing_time"], &*record["error_reason"]), ("-1", "-"));
    assert!(record.number("request_processing_time")? >= 0.0);
    assert!(record.number("target_processing_time")? >= 0.0);
    assert_eq!(target.requests().len(), 1, "the target got the request all the same");
    assert_eq!(client.get("/after").await?.status, 200);
    check_count(injected(&albeit, "close_reused_connection").await?, 1);
    Ok(())
}

#[tokio::test]
async fn the_retry_cures_a_connection_closed_before_reuse() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?
        .map_group(|group| group.with_attribute("albeit.retry_closed_reused_connection", true));
    let albeit = Albeit::start(with_faults(config, &[("close_reused_connection.percent", 100)])).await?;
    let mut client = albeit.client().await?;
    for _ in 0..3 {
        assert_eq!(client.get("/").await?.status, 200);
    }
    let connections: Vec<_> = target.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 2]);
    check_count(injected(&albeit, "close_reused_connection").await?, 2);
    Ok(())
}

#[tokio::test]
async fn an_http2_connection_takes_no_more_requests_after_the_race() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call: Call| async move {
        Ok(call.respond.send_response(Response::new(()), true).map(drop)?)
    })?;
    let group = Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2");
    let config = Config::try_new()?.with_group(group).with_https(&ca)?;
    let albeit = Albeit::start(with_faults(config, &[("close_reused_connection.percent", 100)])).await?;
    let client = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.get("https://localhost/", &[]).await?.status().as_u16());
    }
    assert_eq!(statuses, [200, 502, 200, 502]);
    let connections: Vec<_> = target.requests().iter().map(|request| request.connection).collect();
    ensure!(connections.len() == 2 && connections[0] != connections[1], "{connections:?}");
    Ok(())
}

fn target_of(target: &Target) -> serde_json::Value {
    let addr = target.addr();
    json!({ "TargetGroupName": "web", "Targets": [{ "Id": addr.ip(), "Port": addr.port() }] })
}

/// Waits until `target` gets no more requests.
async fn gets_none(albeit: &Albeit, target: &Target) -> Result<()> {
    eventually(SOON, "no more requests", || async {
        let before = target.requests().len();
        for _ in 0..4 {
            ensure!(albeit.get("/later").await?.status == 200, "a request failed");
        }
        ensure!(target.requests().len() == before, "it still gets some");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deregistered_target_gets_requests_until_that_has_spread() -> Result<()> {
    let (stays, goes) = (Target::saying("stays")?, Target::saying("goes")?);
    let config = Config::forwarding_to(&[stays.addr(), goes.addr()])?.with_time_scale(10);
    let faults = [("deregistration_propagation.seconds", 15)];
    let albeit = Albeit::start(with_faults(config, &faults)).await?;
    albeit.act("POST", "/targets/deregister", &target_of(&goes)).await?;
    let asked = Instant::now();
    let before = goes.requests().len();
    for _ in 0..4 {
        albeit.get("/spreading").await?;
    }
    let state = albeit.targets().await?.into_iter().find(|it| it.addr == goes.addr().to_string());
    assert_eq!(state.map(|it| it.state).as_deref(), Some("draining"));
    ensure!(asked.elapsed() > Duration::from_millis(1400) || goes.requests().len() > before, "none came");
    gets_none(&albeit, &goes).await?;
    assert!(asked.elapsed() >= Duration::from_millis(1500), "{:?}", asked.elapsed());
    check_count(injected(&albeit, "deregistration_propagation").await?, 1);
    Ok(())
}

#[tokio::test]
async fn so_does_a_target_that_a_reloaded_file_leaves_out() -> Result<()> {
    let (stays, goes) = (Target::saying("stays")?, Target::saying("goes")?);
    let config = Config::forwarding_to(&[stays.addr(), goes.addr()])?;
    let config = with_faults(config, &[("deregistration_propagation.seconds", 3600)]);
    let mut albeit = Albeit::start(config.clone()).await?;
    albeit.reload(config.map_group(|group| group.with_targets(&[stays.addr()]))).await?;
    let addr = goes.addr().to_string();
    let drains = |all: &[albeit_e2e::albeit::TargetHealth]| {
        all.iter().any(|it| it.addr == addr && it.state == "draining")
    };
    albeit.wait_for_targets("the one that goes drains", drains).await?;
    let before = goes.requests().len();
    for _ in 0..4 {
        albeit.get("/spreading").await?;
    }
    assert!(goes.requests().len() > before);
    // Switched off, it is over at once.
    set(&albeit, &[("deregistration_propagation.seconds", "0")]).await?;
    let before = goes.requests().len();
    for _ in 0..4 {
        albeit.get("/over").await?;
    }
    assert_eq!(goes.requests().len(), before);
    Ok(())
}

#[tokio::test]
async fn cookies_of_a_clock_that_is_behind_have_expired_when_they_come() -> Result<()> {
    let (first, second) = (Target::saying("first")?, Target::saying("second")?);
    let config = Config::forwarding_to(&[first.addr(), second.addr()])?.map_group(|group| {
        group.with_lb_cookie().with_attribute("stickiness.lb_cookie.duration_seconds", 600)
    });
    let albeit = Albeit::start(config).await?;
    let answers = || async {
        let mut client = albeit.client().await?;
        let cookie = format!("Cookie: {}", client.get("/").await?.cookie("AWSALB")?);
        let mut said = Vec::new();
        for _ in 0..6 {
            said.push(client.get_with("/", &[&cookie]).await?.text());
        }
        said.sort();
        said.dedup();
        anyhow::Ok(said.len())
    };
    assert_eq!(answers().await?, 1, "sticky");
    set(&albeit, &[("cookie_clock_skew.seconds", "-3600")]).await?;
    assert_eq!(answers().await?, 2, "an hour old at birth");
    set(&albeit, &[("cookie_clock_skew.seconds", "3600")]).await?;
    assert_eq!(answers().await?, 1, "cookies from the future count as new");
    ensure!(injected(&albeit, "cookie_clock_skew").await? >= 14.0);
    Ok(())
}
