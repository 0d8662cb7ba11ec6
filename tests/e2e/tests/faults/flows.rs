//! The same for the flows of network load balancers.

use albeit_e2e::{
    Albeit, Ca, Config,
    access_log::Log,
    ca::ALL_VERSIONS,
    client::connect_tls,
    flow::{FlowTarget, connect, expect, expect_refusal, expect_silence, metric, only_flow, pass, records},
};
use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Duration, Instant},
};

use super::{check_count, injected, set, with_faults};

/// In front of `target`, with these faults.
async fn faulty(target: &FlowTarget, faults: &[(&str, u32)]) -> Result<Albeit> {
    Albeit::start(with_faults(target.network()?, faults)).await
}

#[tokio::test]
async fn a_delayed_flow_takes_long_to_connect_and_loses_nothing() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = faulty(&target, &[("delay.percent", 100), ("delay.milliseconds", 400)]).await?;
    let mut client = connect(albeit.listener(0)?).await?;
    client.write_all(b"early").await?;
    let mut upstream = target.accept().await?;
    expect(&mut upstream, b"early").await?;
    pass(&mut upstream, &mut client, b"answer").await?;
    drop((client, upstream));
    let record = only_flow(&albeit).await?;
    ensure!(record.number("connect_time")? >= 400.0, "{record:?}");
    check_count(injected(&albeit, "delay").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_delay_longer_than_the_time_to_connect_refuses_the_flow() -> Result<()> {
    let target = FlowTarget::start()?;
    // 30 s to connect, divided by 60.
    let config = patient(target.network()?).with_time_scale(60);
    let faults = [("delay.percent", 100), ("delay.milliseconds", 60_000)];
    let albeit = Albeit::start(with_faults(config, &faults)).await?;
    expect_refusal(albeit.listener(0)?).await?;
    assert_eq!(only_flow(&albeit).await?["close_reason"], "connect_timeout");
    Ok(())
}

#[tokio::test]
async fn a_reset_flow_has_a_reason_of_its_own() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = faulty(&target, &[("reset.percent", 100)]).await?;
    expect_refusal(albeit.listener(0)?).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!((&*record["close_reason"], &*record["connect_time"]), ("fault", "-"));
    assert_eq!(record["target:port"], target.addr().to_string());
    metric(&albeit, "TCP_ELB_Reset_Count", 1.0).await?;
    check_count(injected(&albeit, "reset").await?, 1);
    // Off again, at run time: flows are as they were.
    set(&albeit, &[("reset.percent", "0")]).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    pass(&mut client, &mut upstream, b"hello").await
}

#[tokio::test]
async fn a_black_holed_flow_is_dropped_in_silence_at_the_idle_timeout() -> Result<()> {
    let target = FlowTarget::start()?;
    // 350 s divided by 350.
    let config = patient(target.network()?).with_time_scale(350);
    let albeit = Albeit::start(with_faults(config, &[("black_hole.percent", 100)])).await?;
    let mut client = connect(albeit.listener(0)?).await?;
    client.write_all(&vec![b'x'; 300_000]).await?;
    expect_silence(&mut client, Duration::from_millis(700)).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!((&*record["close_reason"], &*record["connect_time"]), ("idle_timeout", "-"));
    assert_eq!((&*record["received_bytes"], &*record["sent_bytes"]), ("300000", "0"));
    // The next packet is answered with a RST.
    client.write_all(b"late").await?;
    ensure!(client.read(&mut [0]).await.is_err(), "not reset");
    check_count(injected(&albeit, "black_hole").await?, 1);
    Ok(())
}

#[tokio::test]
async fn flows_of_tls_listeners_meet_faults_after_the_handshake() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let config = target.network()?.with_tls(&ca)?;
    let albeit = Albeit::start(with_faults(config, &[("reset.percent", 100)])).await?;
    let (mut client, _) =
        connect_tls(albeit.listener(1)?, "localhost", ca.client(&[], ALL_VERSIONS)?).await?;
    let error = client.read(&mut [0]).await.expect_err("not reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let logged = records(&albeit, Log::TlsConnection, 1).await?;
    assert_ne!(logged[0]["tls_handshake_time"], "-");
    Ok(())
}

#[tokio::test]
async fn a_slow_target_slows_its_flows_one_way() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = faulty(&target, &[("slow_target.bytes_per_second", 2000)]).await?;
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    let bytes = vec![b'x'; 100_000];
    let began = Instant::now();
    pass(&mut client, &mut upstream, &bytes).await?;
    let up = began.elapsed();
    pass(&mut upstream, &mut client, &bytes[..2000]).await?;
    let down = began.elapsed() - up;
    ensure!(down >= Duration::from_millis(800), "{down:?}");
    check_count(injected(&albeit, "slow_target").await?, 1);
    Ok(())
}

/// Checks health as patiently as can be, since the time scale hurries checks, too.
fn patient(config: Config) -> Config {
    config.map_group(|group| group.with_health("interval", "300s").with_health("timeout", "120s"))
}
