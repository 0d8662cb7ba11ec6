//! What open flows live to see: SIGTERM, a reload, the end of their listener or of their group's weight.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use albeit_e2e::{
    Albeit, Ca, Listener,
    access_log::Log,
    ca::ALL_VERSIONS,
    client::connect_tls,
    config::forward_weighted,
    eventually,
    flow::{FlowTarget, connect, expect_reset, metric, only_flow, pass, records, reset, to_end},
    forward,
    wait::{SOON, within},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::Instant};

/// Waits until nobody listens at `listener` any more.
async fn refused(listener: SocketAddr) -> Result<()> {
    eventually(SOON, "refusal of new connections", || async {
        let Ok(stream) = TcpStream::connect(listener).await else { return Ok(()) };
        // So that the flow which this may have begun is over.
        reset(stream)?;
        bail!("still accepting")
    })
    .await
}

#[tokio::test]
async fn sigterm_takes_no_new_flows_and_resets_open_ones_after_the_drain_time() -> Result<()> {
    let target = FlowTarget::start()?;
    let mut config = target.network()?;
    config.drain = "3s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    let (mut short, mut short_upstream) = target.flow(&albeit).await?;
    let begun = Instant::now();
    albeit.process.signal("TERM").await?;
    refused(albeit.listener(0)?).await?;
    pass(&mut client, &mut upstream, b"up").await?;
    pass(&mut upstream, &mut client, b"down").await?;
    // One that ends by itself meanwhile does so as ever.
    pass(&mut short, &mut short_upstream, b"bye").await?;
    drop(short);
    assert_eq!(to_end(&mut short_upstream).await?, b"");
    drop(short_upstream);
    expect_reset(&mut client).await?;
    expect_reset(&mut upstream).await?;
    ensure!(begun.elapsed() >= Duration::from_millis(2900), "{:?}", begun.elapsed());
    ensure!(albeit.process.exited(SOON).await?.success());
    let reasons: Vec<String> = albeit.log(Log::Flow)?.iter().map(|r| r["close_reason"].clone()).collect();
    // Looking whether it still accepts may have made flows, too.
    ensure!(reasons.last().is_some_and(|last| last == "shutdown"), "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| *reason == "shutdown").count(), 1, "{reasons:?}");
    ensure!(reasons.iter().any(|reason| reason == "client_fin"), "{reasons:?}");
    Ok(())
}

#[tokio::test]
async fn without_open_flows_the_drain_time_is_not_waited_for() -> Result<()> {
    let target = FlowTarget::start()?;
    let mut config = target.network()?;
    config.drain = "60s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    pass(&mut client, &mut upstream, b"up").await?;
    albeit.process.signal("TERM").await?;
    refused(albeit.listener(0)?).await?;
    albeit.process.still_running()?;
    drop((client, upstream));
    ensure!(albeit.process.exited(SOON).await?.success());
    Ok(())
}

#[tokio::test]
async fn a_flow_whose_target_is_slow_in_its_handshake_ends_with_the_drain_time() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let mut config = target.network()?.with_tls(&ca)?.map_group(|group| group.with("protocol", "TLS"));
    config.listeners.remove(0);
    config.drain = "1s".to_owned();
    let mut albeit = Albeit::start(config).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let (mut client, _) = connect_tls(albeit.listener(0)?, "localhost", tls).await?;
    let _silent = target.accept().await?;
    // And one whose client is.
    let _mute = connect(albeit.listener(0)?).await?;
    metric(&albeit, "NewFlowCount_TLS", 2.0).await?;
    albeit.process.signal("TERM").await?;
    let ended = within(SOON, "a reset", client.read(&mut [0])).await?;
    assert_eq!(ended.map_err(|error| error.kind()), Err(ErrorKind::ConnectionReset));
    ensure!(albeit.process.exited(SOON).await?.success());
    let records = albeit.log(Log::Flow)?;
    let reasons: Vec<&str> = records.iter().map(|record| record["close_reason"].as_str()).collect();
    assert_eq!(reasons, ["shutdown", "shutdown"]);
    Ok(())
}

#[tokio::test]
async fn flows_that_were_forgotten_do_not_hold_up_the_end() -> Result<()> {
    let target = FlowTarget::start()?;
    let mut config = target.network()?.with_time_scale(60);
    let listener = Listener::tcp(forward("flows"))?.with_attribute("tcp.idle_timeout.seconds", 60);
    config.listeners = vec![listener];
    // A minute, as scaled.
    config.drain = "3600s".to_owned();
    let mut albeit = Albeit::start_without_net_admin(config).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    assert_eq!(only_flow(&albeit).await?["close_reason"], "idle_timeout");
    albeit.process.signal("TERM").await?;
    ensure!(albeit.process.exited(SOON).await?.success());
    expect_reset(&mut client).await?;
    expect_reset(&mut upstream).await
}

#[tokio::test]
async fn a_group_that_loses_its_weight_loses_its_flows_after_a_while() -> Result<()> {
    let (old, new) = (FlowTarget::start()?, FlowTarget::start()?);
    let mut config = old.network()?.with_group(new.group("others")).with_time_scale(60);
    let listener = config.listeners.remove(0);
    let weighing = |flows, others| {
        let action = forward_weighted(&[("flows", flows), ("others", others)], None);
        listener.clone().with("default_actions", json!([action]))
    };
    config.listeners = vec![weighing(1, 0)];
    config.drain = "3600s".to_owned();
    let mut albeit = Albeit::start(config.clone()).await?;
    let (mut client, mut upstream) = old.flow(&albeit).await?;
    config.listeners = vec![weighing(0, 1)];
    albeit.reload(config).await?;
    expect_reset(&mut client).await?;
    expect_reset(&mut upstream).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!(record["close_reason"], "removed");
    ensure!(record.number("connection_time")? >= 1000.0, "{record:?}");
    drop(new.flow(&albeit).await?);
    metric(&albeit, "TCP_ELB_Reset_Count", 2.0).await
}

#[tokio::test]
async fn a_reload_does_not_touch_open_flows() -> Result<()> {
    let (target, other) = (FlowTarget::start()?, FlowTarget::start()?);
    let mut albeit = Albeit::start(target.network()?).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    // The listener forwards elsewhere, and idles differently.
    let mut config = albeit
        .config
        .clone()
        .with_group(other.group("others"))
        .with_listener(Listener::tcp(forward("others"))?);
    let listener = config.listeners.remove(0);
    config.listeners.insert(
        0,
        listener
            .with("default_actions", json!([forward("others")]))
            .with_attribute("tcp.idle_timeout.seconds", 6000),
    );
    albeit.reload(config).await?;
    eventually(SOON, "the new listener", || async {
        TcpStream::connect(albeit.listener(1)?).await?;
        Ok(())
    })
    .await?;
    drop(other.accept().await?);
    let (mut new_client, mut new_upstream) = other.flow(&albeit).await?;
    pass(&mut new_client, &mut new_upstream, b"elsewhere").await?;
    for _ in 0..3 {
        pass(&mut client, &mut upstream, b"up").await?;
        pass(&mut upstream, &mut client, b"down").await?;
    }
    drop(client);
    assert_eq!(to_end(&mut upstream).await?, b"");
    drop(upstream);
    let records = records(&albeit, Log::Flow, 2).await?;
    let old = records.iter().find(|r| r["target:port"] == target.addr().to_string()).context("no record")?;
    assert_eq!((old["close_reason"].as_str(), old["sent_bytes"].as_str()), ("client_fin", "12"));
    Ok(())
}

#[tokio::test]
async fn a_removed_listener_leaves_its_open_flows() -> Result<()> {
    let target = FlowTarget::start()?;
    let config = target.network()?.with_listener(Listener::tcp(forward("flows"))?);
    let mut albeit = Albeit::start(config).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    let mut config = albeit.config.clone();
    let removed = config.listeners.remove(0).addr();
    albeit.reload(config).await?;
    refused(removed).await?;
    for _ in 0..3 {
        pass(&mut client, &mut upstream, b"up").await?;
        pass(&mut upstream, &mut client, b"down").await?;
    }
    let port = client.local_addr()?.to_string();
    drop(upstream);
    assert_eq!(to_end(&mut client).await?, b"");
    drop(client);
    let find = || async {
        let records = albeit.log(Log::Flow)?;
        records.into_iter().find(|record| record["client:port"] == port).context("no record")
    };
    assert_eq!(eventually(SOON, "a record", find).await?["close_reason"], "target_fin");
    Ok(())
}
