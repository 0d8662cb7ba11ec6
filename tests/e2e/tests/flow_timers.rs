//! How long a flow may be silent, and how its end shows then: to both ends and on the wire.

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Config, Listener,
    access_log::{Log, Record},
    ca::ALL_VERSIONS,
    client::connect_tls,
    eventually,
    flow::{
        FlowTarget, connect, connect_from, expect, expect_reset, expect_silence, metric, only_flow, pass,
        records,
    },
    forward,
    ports::HeldPort,
    wait::{SOON, within},
    wire::Wire,
};
use anyhow::{Context as _, Result, ensure};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};

/// In front of `target`, with the shortest idle timeout there is, 60 s, and a minute as long as `minute`.
fn idle(target: &FlowTarget, minute: Duration) -> Result<Config> {
    let mut config = target.network()?;
    let listener = Listener::tcp(forward("flows"))?.with_attribute("tcp.idle_timeout.seconds", 60);
    config.listeners = vec![listener];
    Ok(patient(config).with_time_scale(u32::try_from(60_000 / minute.as_millis())?))
}

/// Checks health as patiently as can be, since the time scale hurries checks, too.
fn patient(config: Config) -> Config {
    config.map_group(|group| group.with_health("interval", "300s").with_health("timeout", "120s"))
}

/// That a flow which `albeit` ended after `timeout` shows so in its record.
fn ended_after(record: &Record, timeout: Duration) -> Result<()> {
    ensure!(record["close_reason"] == "idle_timeout", "{record:?}");
    let (time, timeout) = (record.number("connection_time")?, timeout.as_secs_f64() * 1000.0);
    ensure!((timeout..timeout + 1000.0).contains(&time), "{record:?}");
    Ok(())
}

/// Sends a late packet, which is answered with a RST.
async fn too_late(stream: &mut TcpStream) -> Result<()> {
    expect_silence(stream, Duration::from_millis(300)).await?;
    stream.write_all(b"late").await?;
    expect_reset(stream).await
}

/// A flow idles; then neither end has seen anything, and both are reset when they go on.
async fn expires_in_silence(albeit: &Albeit, target: &FlowTarget) -> Result<()> {
    let (mut client, mut upstream) = target.flow(albeit).await?;
    pass(&mut client, &mut upstream, b"hello").await?;
    ended_after(&only_flow(albeit).await?, Duration::from_secs(1))?;
    too_late(&mut client).await?;
    too_late(&mut upstream).await?;
    metric(albeit, "ActiveFlowCount", 0.0).await?;
    metric(albeit, "TCP_ELB_Reset_Count", 0.0).await?;
    let dropped = albeit.metrics().await?.sum("albeit_network_silently_dropped_flows_total", "");
    assert_eq!(dropped.to_bits(), 1.0_f64.to_bits());
    Ok(())
}

#[tokio::test]
async fn an_idle_flow_expires_in_silence_and_is_reset_when_it_goes_on() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(idle(&target, Duration::from_secs(1))?).await?;
    expires_in_silence(&albeit, &target).await
}

#[tokio::test]
async fn without_net_admin_an_idle_flow_expires_in_silence_all_the_same() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start_without_net_admin(idle(&target, Duration::from_secs(1))?).await?;
    expires_in_silence(&albeit, &target).await?;
    // What is waited with is given back.
    let (mut client, mut upstream) = target.flow(&albeit).await?;
    records(&albeit, Log::Flow, 2).await?;
    let waiting = albeit.process.open_files()?;
    too_late(&mut client).await?;
    too_late(&mut upstream).await?;
    eventually(SOON, "two descriptors closed", || async {
        let now = albeit.process.open_files()?;
        ensure!(now + 2 <= waiting, "{now} descriptors, {waiting} before");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn traffic_in_either_direction_keeps_a_flow_open() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(idle(&target, Duration::from_secs(2))?).await?;
    let (client, upstream) = target.flow(&albeit).await?;
    let (mut one, mut other) = (client, upstream);
    let (begun, mut last) = (Instant::now(), Instant::now());
    for _ in 0..2 {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(500)).await;
            last = Instant::now();
            pass(&mut one, &mut other, b"still here").await?;
        }
        std::mem::swap(&mut one, &mut other);
    }
    // And only that did.
    let silence = Duration::from_secs(2);
    ended_after(&only_flow(&albeit).await?, last - begun + silence)
}

/// Sends keepalive packets once a second.
fn keep_alive(stream: &TcpStream) -> Result<()> {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(1)).with_interval(Duration::from_secs(1));
    Ok(SockRef::from(stream).set_tcp_keepalive(&keepalive)?)
}

#[tokio::test]
async fn keepalive_packets_of_either_side_keep_a_flow_open() -> Result<()> {
    let target = FlowTarget::start()?;
    let albeit = Albeit::start(idle(&target, Duration::from_secs(3))?).await?;
    let mut by_client = target.flow(&albeit).await?;
    keep_alive(&by_client.0)?;
    let mut by_target = target.flow(&albeit).await?;
    keep_alive(&by_target.1)?;
    let mut by_nobody = target.flow(&albeit).await?;
    let port = by_nobody.0.local_addr()?.to_string();
    let record = only_flow(&albeit).await?;
    assert_eq!(record["client:port"], port);
    ended_after(&record, Duration::from_secs(3))?;
    // Two more timeouts of silence.
    tokio::time::sleep(Duration::from_secs(6)).await;
    for (client, upstream) in [&mut by_client, &mut by_target] {
        pass(client, upstream, b"up").await?;
        pass(upstream, client, b"down").await?;
    }
    too_late(&mut by_nobody.0).await?;
    records(&albeit, Log::Flow, 1).await?;
    Ok(())
}

#[tokio::test]
async fn flows_of_tls_listeners_expire_after_350_seconds_whatever_tcp_flows_do() -> Result<()> {
    let (ca, target) = (Ca::try_new()?, FlowTarget::start()?);
    let config = patient(target.network()?.with_tls(&ca)?).with_time_scale(175);
    let albeit = Albeit::start(config).await?;
    let tls = ca.client(&[], ALL_VERSIONS)?;
    let (mut client, _) = connect_tls(albeit.listener(1)?, "localhost", tls).await?;
    let mut upstream = target.accept().await?;
    client.write_all(b"up").await?;
    expect(&mut upstream, b"up").await?;
    upstream.write_all(b"down").await?;
    // Reads the session tickets, too.
    within(SOON, "bytes", client.read_exact(&mut [0; 4])).await??;
    ended_after(&only_flow(&albeit).await?, Duration::from_secs(2))?;
    too_late(&mut upstream).await?;
    expect_silence(client.get_mut().0, Duration::from_millis(300)).await?;
    client.write_all(b"late").await?;
    expect_reset(client.get_mut().0).await
}

#[tokio::test]
async fn a_target_that_does_not_answer_within_30_seconds_is_given_up() -> Result<()> {
    let (gone, target) = (HeldPort::try_new()?, FlowTarget::start()?);
    let config = target.network()?.map_group(|group| group.with_targets(&[gone.addr()]));
    let _queue = gone.listen_full().await?;
    let albeit = Albeit::start(patient(config).with_time_scale(30)).await?;
    let mut client = connect(albeit.listener(0)?).await?;
    expect_silence(&mut client, Duration::from_millis(700)).await?;
    expect_reset(&mut client).await?;
    let record = only_flow(&albeit).await?;
    assert_eq!(record["close_reason"], "connect_timeout");
    assert_eq!(
        (record["target:port"].as_str(), record["connect_time"].as_str()),
        (gone.addr().to_string().as_str(), "-")
    );
    ensure!((1000.0..2000.0).contains(&record.number("connection_time")?), "{record:?}");
    metric(&albeit, "TCP_ELB_Reset_Count", 1.0).await
}

/// What passes on the wire while a flow expires and then goes on at its two ends: `most` segments answer
/// each, of which the last is a RST.
async fn on_the_wire(albeit: &Albeit, target: &FlowTarget, most: usize) -> Result<()> {
    let (client_ip, listener) = ([127, 77, 0, 1], albeit.listener(0)?);
    let Some(mut client_wire) = Wire::between(client_ip, listener.ip())? else { return Ok(()) };
    let mut target_wire = Wire::between(target.addr().ip(), [127, 0, 0, 1])?.context("raw sockets")?;
    let mut client = connect_from(client_ip, listener).await?;
    let mut upstream = target.accept().await?;
    pass(&mut client, &mut upstream, b"hello").await?;
    pass(&mut upstream, &mut client, b"hello").await?;
    // The last of it is an acknowledgement that may come late.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for wire in [&mut client_wire, &mut target_wire] {
        let (there, back) = wire.segments()?;
        ensure!(
            there.iter().any(|s| s.payload == 5) && back.iter().any(|s| s.payload == 5),
            "{there:?} {back:?}"
        );
    }
    ended_after(&only_flow(albeit).await?, Duration::from_secs(1))?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for (wire, end) in [(&mut client_wire, &mut client), (&mut target_wire, &mut upstream)] {
        let (there, back) = wire.segments()?;
        ensure!(there.is_empty() && back.is_empty(), "at the expiry: {there:?} {back:?}");
        end.write_all(b"late").await?;
        expect_reset(end).await?;
        let (there, back) = wire.segments()?;
        let port = end.local_addr()?.port();
        ensure!(there.len() == 1 && there.iter().all(|s| s.source == port && s.payload == 4), "{there:?}");
        ensure!(
            back.len() <= most
                && back.last().is_some_and(|s| s.is_reset() && s.destination == port)
                && back.iter().all(|s| s.payload == 0 && !s.is_end()),
            "{back:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn at_the_expiry_nothing_passes_on_the_wire_and_a_reset_answers_the_next_packet() -> Result<()> {
    let target = FlowTarget::start_on([127, 77, 0, 2].into())?;
    let albeit = Albeit::start(idle(&target, Duration::from_secs(1))?).await?;
    on_the_wire(&albeit, &target, 1).await
}

#[tokio::test]
async fn without_net_admin_nothing_passes_at_the_expiry_either() -> Result<()> {
    let target = FlowTarget::start_on([127, 77, 0, 3].into())?;
    let albeit = Albeit::start_without_net_admin(idle(&target, Duration::from_secs(1))?).await?;
    // The system acknowledges the packet before this process hears of it.
    on_the_wire(&albeit, &target, 2).await
}
