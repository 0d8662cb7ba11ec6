//! Health checks: states, reasons, the first-check rule, fail-open.

use albeit_e2e::{
    Albeit, Config, Group, Target,
    albeit::TargetHealth,
    ports::HeldPort,
    wait::{SOON, eventually},
};
use anyhow::{Context as _, Result, ensure};

/// Checks each 0.5 s, two failures or successes decide: ELB's minima divided by 10.
fn quick(config: Config) -> Config {
    config.with_time_scale(10).map_group(quick_group)
}

fn quick_group(group: Group) -> Group {
    group
        .with_health("interval", "5s")
        .with_health("timeout", "4s")
        .with_health("healthy_threshold", 2)
        .with_health("unhealthy_threshold", 2)
}

async fn site(target: &Target) -> Result<Albeit> {
    Albeit::start(quick(Config::forwarding_to(&[target.addr()])?)).await
}

async fn wait_for(albeit: &mut Albeit, state: &str) -> Result<TargetHealth> {
    let what = format!("a target that is {state}");
    let targets = albeit.wait_for_targets(&what, |all| all.iter().all(|t| t.state == state)).await?;
    targets.into_iter().next().context("a target")
}

#[tokio::test]
async fn the_check_looks_like_elbs() -> Result<()> {
    let target = Target::saying("ok")?;
    let _albeit = site(&target).await?;
    let check = target.health_checks().into_iter().next().context("a check")?;
    let lines: Vec<&str> = check.lines().collect();
    assert_eq!(lines.first(), Some(&"GET /health HTTP/1.1"));
    let host = format!("host: {}", target.addr());
    for expected in [host.as_str(), "user-agent: elb-healthchecker/2.0", "connection: close"] {
        assert!(lines.iter().any(|line| line.to_ascii_lowercase() == expected), "{expected} in {check:?}");
    }
    Ok(())
}

#[tokio::test]
async fn one_passed_check_makes_a_new_target_healthy() -> Result<()> {
    let target = Target::saying("ok")?;
    // The next check would come after 30 s and five are needed for a recovery.
    let config =
        Config::forwarding_to(&[target.addr()])?.map_group(|g| g.with_health("healthy_threshold", 5));
    let albeit = Albeit::start(config).await?;
    assert_eq!(target.health_checks().len(), 1);
    let targets = albeit.targets().await?;
    let health = targets.first().context("a target")?;
    assert_eq!((health.state.as_str(), health.reason.as_str()), ("healthy", ""));
    Ok(())
}

#[tokio::test]
async fn a_wrong_code_is_named_and_recovery_needs_the_threshold() -> Result<()> {
    let target = Target::saying("ok")?;
    let mut albeit = site(&target).await?;
    target.set_health(503);
    let health = wait_for(&mut albeit, "unhealthy").await?;
    assert_eq!(health.reason, "Target.ResponseCodeMismatch");
    assert_eq!(health.description, "Health checks failed with these codes: [503]");
    target.set_health(200);
    let before = target.health_checks().len();
    let health = wait_for(&mut albeit, "healthy").await?;
    assert_eq!(health.reason, "");
    let needed = target.health_checks().len() - before;
    ensure!(needed >= 2, "healthy again after {needed} checks");
    Ok(())
}

#[tokio::test]
async fn a_silent_target_times_out_and_a_refusing_one_fails() -> Result<()> {
    let target = Target::saying("ok")?;
    let mut albeit = site(&target).await?;
    target.silence_health();
    let health = wait_for(&mut albeit, "unhealthy").await?;
    assert_eq!(
        (health.reason.as_str(), health.description.as_str()),
        ("Target.Timeout", "Request timed out")
    );

    let port = HeldPort::try_new()?;
    let mut albeit = Albeit::start_unsettled(quick(Config::forwarding_to(&[port.addr()])?)).await?;
    let health = wait_for(&mut albeit, "unhealthy").await?;
    assert_eq!(health.reason, "Target.FailedHealthChecks");
    assert_eq!(health.description, "Health checks failed");
    Ok(())
}

#[tokio::test]
async fn a_target_is_initial_until_its_first_check_is_answered() -> Result<()> {
    let target = Target::saying("ok")?;
    target.silence_health();
    let mut albeit = Albeit::start_unsettled(Config::forwarding_to(&[target.addr()])?).await?;
    let health = wait_for(&mut albeit, "initial").await?;
    assert!(
        ["Elb.RegistrationInProgress", "Elb.InitialHealthChecking"].contains(&health.reason.as_str()),
        "{health:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_unhealthy_target_gets_no_requests_while_another_is_healthy() -> Result<()> {
    let (sick, well) = (Target::saying("sick")?, Target::saying("well")?);
    sick.set_health(500);
    let config = quick(Config::forwarding_to(&[sick.addr(), well.addr()])?);
    let mut albeit = Albeit::start_unsettled(config).await?;
    let addrs = [sick.addr(), well.addr()].map(|addr| addr.to_string());
    let settled = |all: &[TargetHealth]| {
        let is = |addr: &str, state: &str| all.iter().any(|t| t.addr == addr && t.state == state);
        is(&addrs[0], "unhealthy") && is(&addrs[1], "healthy")
    };
    albeit.wait_for_targets("one unhealthy, one healthy", settled).await?;
    for _ in 0..10 {
        assert_eq!(albeit.get("/").await?.text(), "well");
    }
    assert_eq!(sick.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn with_no_healthy_target_all_get_requests() -> Result<()> {
    let targets = [Target::saying("a")?, Target::saying("b")?];
    for target in &targets {
        target.set_health(500);
    }
    let config = quick(Config::forwarding_to(&targets.each_ref().map(Target::addr))?);
    let mut albeit = Albeit::start_unsettled(config).await?;
    albeit.wait_for_targets("both unhealthy", |all| all.iter().all(|t| t.state == "unhealthy")).await?;
    for _ in 0..10 {
        assert_eq!(albeit.get("/").await?.status, 200);
    }
    assert_eq!(targets.each_ref().map(|t| t.requests().len()), [5, 5]);
    assert!(albeit.metrics().await?.cloudwatch("UnhealthyRoutingRequestCount")? >= 10.0);
    Ok(())
}

#[tokio::test]
async fn a_matcher_decides_which_codes_pass() -> Result<()> {
    let target = Target::saying("ok")?;
    target.set_health(302);
    let config = quick(Config::forwarding_to(&[target.addr()])?);
    Albeit::start(config.map_group(|g| g.with_health("matcher", "200,301-303"))).await?;
    Ok(())
}

#[tokio::test]
async fn a_group_that_no_rule_names_is_unused() -> Result<()> {
    let target = Target::saying("ok")?;
    let idle = Target::saying("idle")?;
    let config = Config::forwarding_to(&[target.addr()])?.with_group(Group::new("idle", &[idle.addr()]));
    let mut albeit = Albeit::start_unsettled(config).await?;
    let addr = idle.addr().to_string();
    let unused = |all: &[TargetHealth]| all.iter().any(|t| t.addr == addr && t.state == "unused");
    let targets = albeit.wait_for_targets("an unused target", unused).await?;
    let health = targets.iter().find(|t| t.addr == addr).context("the target")?;
    assert_eq!(health.reason, "Target.NotInUse");
    assert_eq!(
        health.description,
        "Target group is not configured to receive traffic from the load balancer"
    );
    Ok(())
}

#[tokio::test]
async fn checks_come_in_a_fixed_rhythm_and_are_not_logged() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = site(&target).await?;
    eventually(SOON, "five checks", || async {
        ensure!(target.health_checks().len() >= 5, "{} checks", target.health_checks().len());
        Ok(())
    })
    .await?;
    assert_eq!(albeit.access_log()?, []);
    assert_eq!(albeit.metrics().await?.cloudwatch("HealthyHostCount")?, 1.0);
    Ok(())
}
