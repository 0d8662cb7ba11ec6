//! Shutdown on SIGTERM, and deregistration of targets by a reload.

use std::{sync::Arc, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Client, Config, Step, Target,
    albeit::TargetHealth,
    ca::ALL_VERSIONS,
    eventually,
    target::{Gate, ok, switching_protocols},
    wait::SOON,
    websocket::upgrade,
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::time::Instant;

/// A target that upgrades WebSockets, and answers anything else once the gate is open.
fn gated() -> Result<(Target, Gate)> {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::start(move |request| {
        if request.headers("upgrade").is_empty() {
            vec![Step::Await(held.clone()), Step::Send(ok("done"))]
        } else {
            vec![Step::Send(switching_protocols()), Step::Relay]
        }
    })?;
    Ok((target, gate))
}

async fn refused(albeit: &Albeit) -> Result<()> {
    eventually(SOON, "refusal of new connections", || async {
        match albeit.client().await {
            Ok(_) => bail!("still accepting"),
            Err(_) => Ok(()),
        }
    })
    .await
}

#[tokio::test]
async fn sigterm_lets_requests_finish_and_refuses_new_connections() -> Result<()> {
    let (target, gate) = gated()?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "30s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.send("GET /in-flight HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(1).await?;

    albeit.process.signal("TERM").await?;
    refused(&albeit).await?;
    albeit.process.still_running()?;
    gate.open();
    let answer = client.response().await?;
    assert_eq!((answer.status, answer.text()), (200, "done".to_owned()));
    assert_eq!(answer.header("connection")?, "close");
    client.closed().await?;
    // Nothing is left to wait for, so it does not take the 30 s.
    assert!(albeit.process.exited(SOON).await?.success());
    assert_eq!(albeit.record("/in-flight").await?["elb_status_code"], "200");
    Ok(())
}

#[tokio::test]
async fn a_second_sigterm_cuts_what_is_left_and_its_records_are_written() -> Result<()> {
    let (target, _gate) = gated()?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "60s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/open").await?;
    let mut client = albeit.client().await?;
    client.send("GET /in-flight HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(2).await?;

    albeit.process.signal("TERM").await?;
    refused(&albeit).await?;
    albeit.process.signal("TERM").await?;
    let status = albeit.process.exited(SOON).await?;
    assert_eq!(status.code(), Some(1));
    assert_eq!(albeit.record("/open").await?["elb_status_code"], "101");
    assert_eq!(albeit.record("/in-flight").await?["target_status_code"], "-");
    Ok(())
}

#[tokio::test]
async fn readiness_fails_while_draining() -> Result<()> {
    let (target, gate) = gated()?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "30s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    target.request(1).await?;
    albeit.process.signal("TERM").await?;
    eventually(SOON, "503 on /readyz", || async {
        let status = albeit.admin("/readyz").await?.status;
        ensure!(status == 503, "{status}");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.admin("/healthz").await?.status, 200);
    gate.open();
    client.response().await?;
    assert!(albeit.process.exited(SOON).await?.success());
    Ok(())
}

#[tokio::test]
async fn websockets_live_until_the_drain_time_and_are_logged() -> Result<()> {
    let (target, _gate) = gated()?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "2s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/drained").await?;
    let asked = Instant::now();
    albeit.process.signal("TERM").await?;
    refused(&albeit).await?;
    client.send("alive").await?;
    assert_eq!(client.read_exactly(5).await?, b"alive");
    client.closed().await?;
    let lived = asked.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(5)).contains(&lived), "{lived:?}");
    assert!(albeit.process.exited(SOON).await?.success());
    let record = albeit.record("/drained").await?;
    assert_eq!((record["type"].as_str(), record["elb_status_code"].as_str()), ("ws", "101"));
    Ok(())
}

#[tokio::test]
async fn idle_keep_alive_connections_do_not_delay_the_exit() -> Result<()> {
    let target = Target::saying("ok")?;
    let mut config = Config::forwarding_to(&[target.addr()])?;
    config.drain = "300s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    client.get("/").await?;
    assert!(albeit.stop().await?.success());
    client.closed().await?;
    Ok(())
}

#[tokio::test]
async fn who_has_just_connected_is_still_served_and_who_is_idle_is_not_waited_for() -> Result<()> {
    let (target, _gate) = gated()?;
    let ca = Ca::try_new()?;
    let fixed = json!({ "fixed_response": { "status_code": "200", "content_type": "text/plain", "message_body": "hi" } });
    let mut config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    config.listeners = config
        .listeners
        .into_iter()
        .map(|listener| listener.with_rule(1, json!({ "path_pattern": ["/hi"] }), fixed.clone()))
        .collect();
    config.drain = "300s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let secure = albeit.listener(1)?;
    let tls = ca.client(&["http/1.1"], ALL_VERSIONS)?;
    // Keeps the balancer draining.
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/socket").await?;
    let mut idle = albeit.client().await?;
    assert_eq!(idle.get("/hi").await?.status, 200);
    let fresh = Client::connect(secure).await?;
    let mut shaken = Client::connect_tls(secure, "localhost", Arc::clone(&tls)).await?;

    albeit.process.signal("TERM").await?;
    refused(&albeit).await?;
    let mut fresh = fresh.start_tls("localhost", tls).await?;
    for client in [&mut fresh, &mut shaken] {
        let answer = client.get("/hi").await?;
        assert_eq!((answer.status, answer.header("connection")?), (200, "close"));
        client.closed().await?;
    }
    assert!(idle.closed().await?.is_empty());
    albeit.process.still_running()?;
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive");
    Ok(())
}

/// A balancer in front of one target, and the address of another to replace it with.
async fn replaceable(old: &Target, delay: u64) -> Result<(Albeit, Target, Config)> {
    let new = Target::saying("new")?;
    let config = Config::forwarding_to(&[old.addr()])?
        .with_time_scale(10)
        .map_group(|g| g.with_attribute("deregistration_delay.timeout_seconds", delay));
    let replaced = config.clone().map_group(|g| g.with_targets(&[new.addr()]));
    Ok((Albeit::start(config).await?, new, replaced))
}

/// Waits until the old target drains and the new one is healthy; the old one's reason and work in flight.
async fn replaced_by(albeit: &mut Albeit, old: &Target) -> Result<(String, u64)> {
    let addr = old.addr().to_string();
    let both = |all: &[TargetHealth]| {
        all.iter().any(|t| t.addr == addr && t.state == "draining")
            && all.iter().any(|t| t.addr != addr && t.state == "healthy")
    };
    let targets = albeit.wait_for_targets("the old draining, the new healthy", both).await?;
    let draining = targets.into_iter().find(|t| t.addr == addr).context("the old target")?;
    Ok((draining.reason, draining.outstanding))
}

#[tokio::test]
async fn a_removed_target_finishes_what_it_has() -> Result<()> {
    let (old, gate) = gated()?;
    // 3000 s divided by 10: the delay does not end in this test.
    let (mut albeit, _new, replaced) = replaceable(&old, 3000).await?;
    let mut client = albeit.client().await?;
    client.send("GET /in-flight HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    old.request(1).await?;
    albeit.reload(replaced).await?;
    let draining = replaced_by(&mut albeit, &old).await?;
    assert_eq!(draining, ("Target.DeregistrationInProgress".to_owned(), 1));
    for _ in 0..3 {
        assert_eq!(albeit.get("/").await?.text(), "new");
    }
    assert_eq!(old.requests().len(), 1);
    gate.open();
    assert_eq!(client.response().await?.text(), "done");
    Ok(())
}

#[tokio::test]
async fn the_end_of_the_deregistration_delay_cuts_requests_and_websockets() -> Result<()> {
    let (old, _gate) = gated()?;
    // 20 s divided by 10.
    let (mut albeit, _new, replaced) = replaceable(&old, 20).await?;
    let mut socket = albeit.client().await?;
    upgrade(&mut socket, "/cut-socket").await?;
    let mut client = Client::connect(albeit.listener(0)?).await?;
    client.send("GET /cut-request HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    old.request(2).await?;

    let asked = Instant::now();
    albeit.reload(replaced).await?;
    replaced_by(&mut albeit, &old).await?;
    assert_eq!(albeit.get("/").await?.text(), "new");
    socket.send("alive").await?;
    assert_eq!(socket.read_exactly(5).await?, b"alive");
    assert_eq!(client.response().await?.status, 502);
    socket.closed().await?;
    let lived = asked.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(5)).contains(&lived), "{lived:?}");
    assert_eq!(albeit.record("/cut-request").await?["elb_status_code"], "502");
    assert_eq!(albeit.record("/cut-socket").await?["elb_status_code"], "101");
    let addr = old.addr().to_string();
    albeit.wait_for_targets("the old target gone", |all| all.iter().all(|t| t.addr != addr)).await?;
    Ok(())
}

#[tokio::test]
async fn a_removed_target_without_work_is_shown_as_draining_until_the_delay_ends() -> Result<()> {
    let old = Target::saying("old")?;
    // 20 s divided by 10.
    let (mut albeit, _new, replaced) = replaceable(&old, 20).await?;
    let asked = Instant::now();
    albeit.reload(replaced).await?;
    let draining = replaced_by(&mut albeit, &old).await?;
    assert_eq!(draining, ("Target.DeregistrationInProgress".to_owned(), 0));
    let addr = old.addr().to_string();
    albeit.wait_for_targets("the old target gone", |all| all.iter().all(|t| t.addr != addr)).await?;
    let shown = asked.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(5)).contains(&shown), "{shown:?}");
    Ok(())
}
