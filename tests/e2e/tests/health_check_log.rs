//! The health check log: one line for each check, with the reason of a failed one.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Ca, Config, Group, H2Target, Listener, Target, TlsFront, access_log::Log, ca::ALL_VERSIONS,
    eventually, forward, grpc::GrpcTarget, ports::HeldPort, tls_front::untrustworthy, wait::SOON,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

/// Checks every 5 s with a timeout of 2 s, all divided by 10.
fn config(targets: &[SocketAddr]) -> Result<Config> {
    let group = Group::new("web", targets).with_health("interval", "5s").with_health("timeout", "2s");
    let config = Config::try_new()?.with_group(group).with_listener(Listener::http(forward("web"))?);
    let bucket = json!(config.dir().join("logs"));
    Ok(config
        .with_time_scale(10)
        .with_attribute("health_check_logs.s3.enabled", true)
        .with_attribute("health_check_logs.s3.bucket", bucket))
}

/// Waits for the line of a check of `target` with these values.
async fn check(albeit: &Albeit, target: SocketAddr, expected: &[(&str, &str)]) -> Result<()> {
    let addr = target.to_string();
    let line = eventually(SOON, &format!("{expected:?} of {addr}"), || async {
        let mut lines = albeit.log(Log::HealthCheck)?;
        lines.retain(|line| line["target_addr"] == addr);
        let wanted = lines.iter().find(|line| expected.iter().all(|(field, value)| line[*field] == *value));
        wanted.cloned().with_context(|| format!("{lines:?}"))
    })
    .await?;
    assert!(line["elb"].starts_with("app/e2e-alb/"), "{line:?}");
    if !expected.iter().any(|(field, _)| *field == "type") {
        assert_eq!((&*line["type"], &*line["target_group_id"]), ("http", "web"), "{line:?}");
    }
    assert_eq!(line["ip_address"], "127.0.0.1", "{line:?}");
    // Nine decimals; the timeout is 0.2 s here.
    let (_, decimals) = line["latency"].split_once('.').context("no decimals")?;
    assert!(decimals.len() == 9 && line.number("latency")? < 10.0, "{line:?}");
    if line["reason_code"] == "TimedOut" {
        assert!(line.number("latency")? >= 0.19, "{line:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_check_has_its_line() -> Result<()> {
    let (target, refusing) = (Target::saying("ok")?, HeldPort::try_new()?);
    let albeit = Albeit::start_unsettled(config(&[target.addr(), refusing.addr()])?).await?;
    let addr = target.addr();
    check(&albeit, addr, &[("status", "PASS"), ("status_code", "200"), ("reason_code", "-")]).await?;
    let reset = [("status", "FAIL"), ("status_code", "-"), ("reason_code", "ConnectionReset")];
    check(&albeit, refusing.addr(), &reset).await?;
    target.set_health(404);
    let mismatch = [("status", "FAIL"), ("status_code", "404"), ("reason_code", "ResponseCodeMismatch")];
    check(&albeit, addr, &mismatch).await?;
    target.set_health(503);
    let error = [("status", "FAIL"), ("status_code", "503"), ("reason_code", "TargetError")];
    check(&albeit, addr, &error).await?;
    target.silence_health();
    let late = [("status", "FAIL"), ("status_code", "-"), ("reason_code", "TimedOut")];
    check(&albeit, addr, &late).await?;
    // A line for each check that the target saw, but perhaps the last.
    let lines = albeit.log(Log::HealthCheck)?;
    let lines = lines.iter().filter(|line| line["target_addr"] == addr.to_string()).count();
    let seen = target.health_checks().len();
    ensure!(lines <= seen && lines + 2 >= seen, "{lines} lines of {seen} checks");
    Ok(())
}

#[tokio::test]
async fn a_reload_begins_and_ends_it() -> Result<()> {
    let target = Target::saying("ok")?;
    let logged = config(&[target.addr()])?;
    let off = logged.clone().with_attribute("health_check_logs.s3.enabled", false);
    let mut albeit = Albeit::start(off.clone()).await?;
    assert_eq!(albeit.log(Log::HealthCheck)?, []);
    albeit.reload(logged).await?;
    check(&albeit, target.addr(), &[("status", "PASS")]).await?;
    albeit.reload(off).await?;
    eventually(SOON, "two checks in a row without a line", || async {
        let (before, checks) = (albeit.log(Log::HealthCheck)?.len(), target.health_checks().len());
        eventually(SOON, "two more checks", || async {
            ensure!(target.health_checks().len() >= checks + 3, "not yet");
            Ok(())
        })
        .await?;
        let after = albeit.log(Log::HealthCheck)?.len();
        ensure!(before == after, "{before} {after}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn lines_tell_the_protocol_of_the_check() -> Result<()> {
    let (ca, behind, grpc) = (Ca::try_new()?, Target::saying("ok")?, GrpcTarget::start()?);
    let tls = TlsFront::start(behind.addr(), untrustworthy(ALL_VERSIONS, &[])?)?;
    let h2 = H2Target::start(100, |_| async { Ok(()) })?;
    let logged = config(&[behind.addr()])?.with_https(&ca)?;
    let groups = [
        Group::new("tls", &[tls.addr()]).speaking("HTTPS", "HTTP1"),
        Group::new("h2", &[h2.addr()]).speaking("HTTP", "HTTP2"),
        Group::new("grpc", &[grpc.addr()]).speaking("HTTP", "GRPC").without_health("path"),
    ];
    let mut logged = groups.into_iter().fold(logged, |config, group| {
        config.with_group(group.with_health("interval", "5s").with_health("timeout", "2s"))
    });
    // Groups of HTTP2 and GRPC are for HTTPS listeners.
    let mut secure = logged.listeners.remove(1);
    for (group, priority) in ["tls", "h2", "grpc"].into_iter().zip(1..) {
        let path = json!({ "path_pattern": [format!("/{group}")] });
        secure = secure.with_rule(priority, path, forward(group));
    }
    let albeit = Albeit::start_unsettled(logged.with_listener(secure)).await?;
    for (addr, kind, code) in
        [(tls.addr(), "https", "200"), (h2.addr(), "h2", "200"), (grpc.addr(), "grpc", "12")]
    {
        check(&albeit, addr, &[("type", kind), ("status_code", code), ("status", "PASS")]).await?;
    }
    Ok(())
}
