//! Faults on purpose: what a client and a log reader see of each, and that they come and go at run time.

mod flows;
mod show;
mod targets;

use std::time::Duration;

use albeit_e2e::{
    Albeit, Ca, Client, Config, Group, H2Target, Step, Target,
    access_log::Record,
    ca::ALL_VERSIONS,
    h2_target::Call,
    http2::Http2,
    target::{ok, switching_protocols},
    wait::{SOON, within},
    websocket::{upgrade, upgrade_request},
};
use anyhow::{Context as _, Result, ensure};
use http::Response;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, time::Instant};

/// A group that has these faults, by the ends of their attributes' keys.
fn with_faults(config: Config, faults: &[(&str, u32)]) -> Config {
    config.map_group(|group| {
        faults
            .iter()
            .fold(group, |group, (key, value)| group.with_attribute(&format!("albeit.fault.{key}"), *value))
    })
}

/// A balancer with these faults in front of `target`.
async fn faulty(target: &Target, faults: &[(&str, u32)]) -> Result<Albeit> {
    Albeit::start(with_faults(Config::forwarding_to(&[target.addr()])?, faults)).await
}

/// Sets faults of the first target group through the admin API, by the ends of their keys.
async fn set(albeit: &Albeit, faults: &[(&str, &str)]) -> Result<Value> {
    let groups = albeit.list("/target-groups", "TargetGroups").await?;
    let arn = groups.first().and_then(|group| group.get("TargetGroupArn")).context("no group")?;
    let pairs: Vec<Value> = faults
        .iter()
        .map(|(key, value)| json!({ "Key": format!("albeit.fault.{key}"), "Value": value }))
        .collect();
    albeit.act("PUT", "/attributes", &json!({ "TargetGroupArn": arn, "Attributes": pairs })).await
}

/// How often a fault was injected.
async fn injected(albeit: &Albeit, fault: &str) -> Result<f64> {
    Ok(albeit.metrics().await?.sum("albeit_fault_injected_total", &format!("fault=\"{fault}\"")))
}

#[track_caller]
fn check_count(count: f64, expected: u32) {
    assert!((count - f64::from(expected)).abs() < 0.5, "{count}, not {expected}");
}

/// Waits for the RST of a connection.
async fn reset(client: Client) -> Result<()> {
    let mut stream = client.into_stream()?;
    let mut bytes = Vec::new();
    let ended = within(SOON, "a reset", stream.read_to_end(&mut bytes)).await?;
    let error = ended.err().context("closed with a FIN")?;
    ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    ensure!(bytes.is_empty(), "{bytes:?}");
    Ok(())
}

/// The three times of a record.
fn times(record: &Record) -> Result<[f64; 3]> {
    Ok([
        record.number("request_processing_time")?,
        record.number("target_processing_time")?,
        record.number("response_processing_time")?,
    ])
}

#[tokio::test]
async fn a_delayed_request_looks_like_one_to_a_slow_target() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = faulty(&target, &[("delay.percent", 100), ("delay.milliseconds", 400)]).await?;
    let began = Instant::now();
    assert_eq!(albeit.get("/delayed").await?.text(), "ok");
    assert!(began.elapsed() >= Duration::from_millis(400));
    let [request, at_target, _] = times(&albeit.record("/delayed").await?)?;
    assert!(at_target >= 0.4 && request < at_target, "{request} {at_target}");
    check_count(injected(&albeit, "delay").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_delay_longer_than_the_idle_timeout_is_a_504_and_scaled_like_it() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 10)
        .with_time_scale(20);
    let faults = [("delay.percent", 100), ("delay.milliseconds", 60_000)];
    let albeit = Albeit::start(with_faults(config, &faults)).await?;
    assert_eq!(albeit.get("/late").await?.status, 504);
    let record = albeit.record("/late").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("504", "-"));
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!((&*record["target_processing_time"], &*record["response_processing_time"]), ("-1", "-1"));
    assert!(target.requests().is_empty(), "the target was asked");
    Ok(())
}

#[tokio::test]
async fn an_aborted_request_is_answered_here_and_no_target_is_asked() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = faulty(&target, &[("abort.percent", 100), ("abort.status_code", 529)]).await?;
    let mut client = albeit.client().await?;
    for _ in 0..2 {
        let answer = client.get("/aborted").await?;
        assert_eq!((answer.status, answer.header("server")?), (529, "awselb/2.0"));
    }
    for record in albeit.records("/aborted", 2).await? {
        assert_eq!((&*record["elb_status_code"], &*record["target:port"]), ("529", "-"));
        assert_eq!(record["error_reason"], "AlbeitFaultAbort");
        assert!(record["target_group_arn"].contains("targetgroup/web/"));
    }
    client.send(upgrade_request("a", "/socket", &[])).await?;
    assert_eq!(client.response().await?.status, 529, "an upgrade is a request");
    assert!(target.requests().is_empty());
    check_count(injected(&albeit, "abort").await?, 3);
    Ok(())
}

#[tokio::test]
async fn a_reset_request_takes_its_connection_with_it() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = faulty(&target, &[("reset.percent", 100)]).await?;
    let mut client = albeit.client().await?;
    client.send("GET /reset HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    reset(client).await?;
    let record = albeit.record("/reset").await?;
    assert_eq!((&*record["elb_status_code"], &*record["error_reason"]), ("-", "AlbeitFaultReset"));
    assert_eq!(record["sent_bytes"], "0");
    let mut client = albeit.client().await?;
    client.send(upgrade_request("a", "/socket", &[])).await?;
    reset(client).await?;
    assert!(target.requests().is_empty());
    check_count(injected(&albeit, "reset").await?, 2);
    Ok(())
}

#[tokio::test]
async fn over_tls_and_http2_the_connection_is_reset_too() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?.with_https(&ca)?;
    let albeit = Albeit::start(with_faults(config, &[("reset.percent", 100)])).await?;
    let trusting = |alpn: &str| ca.client(&[alpn], ALL_VERSIONS);
    let mut client = Client::connect_tls(albeit.listener(1)?, "localhost", trusting("http/1.1")?).await?;
    client.send("GET /tls HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    reset(client).await?;
    let http2 = Http2::connect(albeit.listener(1)?, "localhost", trusting("h2")?).await?;
    for path in ["h2", "gone"] {
        ensure!(http2.get(&format!("https://localhost/{path}"), &[]).await.is_err(), "answered");
    }
    let record = albeit.record("/h2").await?;
    assert_eq!((&*record["elb_status_code"], &*record["error_reason"]), ("-", "AlbeitFaultReset"));
    assert_eq!(albeit.records("/gone", 0).await?.len(), 0, "the connection was there for another request");
    Ok(())
}

#[tokio::test]
async fn a_black_hole_swallows_the_request_until_the_idle_timeout() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?
        .with_attribute("idle_timeout.timeout_seconds", 10)
        .with_time_scale(10);
    let albeit = Albeit::start(with_faults(config, &[("black_hole.percent", 100)])).await?;
    let mut client = albeit.client().await?;
    client.send("POST /hole HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await?;
    client.send(vec![b'x'; 100_000]).await?;
    let sent = Instant::now();
    assert_eq!(client.response().await?.status, 504);
    let lasted = sent.elapsed();
    assert!(lasted >= Duration::from_millis(900), "{lasted:?}");
    let record = albeit.record("/hole").await?;
    assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("504", "-"));
    assert_eq!(record["target:port"], target.addr().to_string());
    assert_eq!(record["target_processing_time"], "-1");
    assert!(record.number("received_bytes")? > 100_000.0);
    assert_eq!(record["error_reason"], "-");
    assert!(target.requests().is_empty());
    check_count(injected(&albeit, "black_hole").await?, 1);
    // A client that leaves is missed.
    let mut client = albeit.client().await?;
    client.send("GET /left HTTP/1.1\r\nHost: a\r\n\r\n").await?;
    drop(client);
    assert_eq!(albeit.record("/left").await?["elb_status_code"], "460");
    Ok(())
}

#[tokio::test]
async fn a_slow_target_sends_its_body_at_the_rate() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(ok(&"x".repeat(3000)))])?;
    let albeit = faulty(&target, &[("slow_target.bytes_per_second", 4000)]).await?;
    let began = Instant::now();
    assert_eq!(albeit.get("/slow").await?.body.len(), 3000);
    let took = began.elapsed();
    // The last tenth of a second's bytes need not wait for those after them.
    assert!(took >= Duration::from_millis(600), "{took:?}");
    check_count(injected(&albeit, "slow_target").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_slow_targets_websocket_is_slow_towards_the_client_only() -> Result<()> {
    let target = Target::start(|_| vec![Step::Send(switching_protocols()), Step::Relay])?;
    let albeit = faulty(&target, &[("slow_target.bytes_per_second", 2000)]).await?;
    let mut client = albeit.client().await?;
    upgrade(&mut client, "/socket").await?;
    let began = Instant::now();
    client.send(vec![b'x'; 2000]).await?;
    target.tunnelled(|tunnelled| tunnelled.bytes.len() == 2000).await?;
    assert_eq!(client.read_exactly(2000).await?, vec![b'x'; 2000]);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(800), "{took:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_target_of_http2_is_slow() -> Result<()> {
    let ca = Ca::try_new()?;
    let target = H2Target::start(100, |mut call: Call| async move {
        let mut body = call.respond.send_response(Response::new(()), false)?;
        Ok(body.send_data(vec![b'x'; 3000].into(), true)?)
    })?;
    let group = Group::new("web", &[target.addr()]).speaking("HTTP", "HTTP2");
    let config = Config::try_new()?.with_group(group).with_https(&ca)?;
    let albeit = Albeit::start(with_faults(config, &[("slow_target.bytes_per_second", 4000)])).await?;
    let http2 = Http2::connect(albeit.listener(0)?, "localhost", ca.client(&["h2"], ALL_VERSIONS)?).await?;
    let began = Instant::now();
    assert_eq!(http2.get("https://localhost/slow", &[]).await?.body().len(), 3000);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(600), "{took:?}");
    Ok(())
}
