//! The health check log: one line for each check, with the reason of a failed one.

use std::net::SocketAddr;

use albeit_e2e::{
    Albeit, Config, Group, Listener, Target, access_log::Log, eventually, forward, ports::HeldPort,
    wait::SOON,
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
    for (field, value) in [("type", "http"), ("target_group_id", "web"), ("ip_address", "127.0.0.1")] {
        assert_eq!(line[field], value, "{line:?}");
    }
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
