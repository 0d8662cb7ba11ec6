//! Faults are switched on and off in the file and at run time, and nobody overlooks them.

use albeit_e2e::{Albeit, Config, Target, albeit::binary, eventually, process, wait::SOON};
use anyhow::{Result, ensure};
use serde_json::json;

use super::{check_count, faulty, injected, set, with_faults};

/// Whether the gauge says that a fault is on.
async fn enabled(albeit: &Albeit, fault: &str) -> Result<bool> {
    let labels = format!("fault=\"{fault}\"");
    Ok(albeit.metrics().await?.sum("albeit_fault_enabled", &labels) > 0.5)
}

#[tokio::test]
async fn the_admin_api_switches_a_fault_on_and_off_for_the_next_request() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = Albeit::start(Config::forwarding_to(&[target.addr()])?).await?;
    let mut client = albeit.client().await?;
    assert_eq!(client.get("/before").await?.status, 200);
    let answer = set(&albeit, &[("abort.percent", "100"), ("abort.status_code", "500")]).await?;
    let shown = answer["Attributes"].as_array().cloned().unwrap_or_default();
    assert!(shown.contains(&json!({ "Key": "albeit.fault.abort.percent", "Value": "100" })));
    assert_eq!(client.get("/during").await?.status, 500);
    assert!(enabled(&albeit, "abort").await?);
    let overrides = albeit.resource("/overrides").await?.to_string();
    assert!(overrides.contains("albeit.fault.abort.percent"), "{overrides}");
    let log = albeit.process.stderr();
    let line = log.lines().find(|line| line.contains("faults are on")).unwrap_or_default();
    assert!(line.contains("WARN") && line.contains("abort: 100 % are answered 500"), "{log}");
    assert!(log.contains("(set through the admin API)"), "{log}");

    albeit.act("DELETE", "/overrides", &json!({})).await?;
    assert_eq!(client.get("/after").await?.status, 200);
    assert!(!enabled(&albeit, "abort").await?);
    assert!(albeit.process.stderr().contains("faults are off"));
    check_count(injected(&albeit, "abort").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_reload_switches_a_fault_on_and_off() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    let mut albeit = Albeit::start(config.clone()).await?;
    for (percent, status) in [(100, 503), (0, 200)] {
        albeit.reload(with_faults(config.clone(), &[("abort.percent", percent)])).await?;
        eventually(SOON, "the reload", || async {
            ensure!(albeit.get("/").await?.status == status, "not yet");
            ensure!(enabled(&albeit, "abort").await? == (percent > 0), "the gauge");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_group_without_faults_is_untouched_beside_one_that_has_them_all() -> Result<()> {
    let (good, bad) = (Target::saying("good")?, Target::saying("bad")?);
    let path = json!({ "path_pattern": ["/good/*"] });
    let config = with_faults(
        Config::forwarding_to(&[bad.addr()])?,
        &[("abort.percent", 100), ("delay.percent", 100), ("slow_target.bytes_per_second", 1)],
    );
    let config = config
        .with_group(albeit_e2e::Group::new("good", &[good.addr()]))
        .map_listeners(|it| it.with_rule(1, path.clone(), albeit_e2e::forward("good")));
    let albeit = Albeit::start(config).await?;
    let mut client = albeit.client().await?;
    for _ in 0..20 {
        assert_eq!(client.get("/good/1").await?.text(), "good");
    }
    check_count(injected(&albeit, "abort").await?, 0);
    assert_eq!(client.get("/bad").await?.status, 503);
    let metrics = albeit.admin("/metrics").await?.text();
    let of_good = |line: &&str| line.starts_with("albeit_fault") && line.contains("targetgroup/good/");
    assert_eq!(metrics.lines().find(of_good), None, "a group without faults has no series");
    assert_eq!(albeit.record("/bad").await?["elb_status_code"], "503");
    for record in albeit.records("/good/1", 20).await? {
        assert_eq!((&*record["elb_status_code"], &*record["target_status_code"]), ("200", "200"));
    }
    Ok(())
}

#[tokio::test]
async fn check_warns_of_each_fault_with_its_place() -> Result<()> {
    let config = Config::forwarding_to(&["127.0.0.1:1".parse()?])?;
    let config = with_faults(config, &[("reset.percent", 7), ("slow_target.bytes_per_second", 9)]);
    config.write()?;
    let file = config.file().display().to_string();
    let checked = process::run(&binary()?, &["check", "-c", &file], config.dir()).await?;
    assert!(checked.status.success(), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stderr);
    for expected in [
        "target_groups[0].attributes.albeit.fault.reset.percent: a fault is on: 7 % are reset",
        "a fault is on: targets send 9 bytes a second",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(said.matches("warning: ").count(), 2, "{said}");
    Ok(())
}

#[tokio::test]
async fn half_of_the_requests_are_half_of_the_requests() -> Result<()> {
    let target = Target::saying("ok")?;
    let albeit = faulty(&target, &[("abort.percent", 50)]).await?;
    let mut client = albeit.client().await?;
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(client.get("/").await?.status == 503);
    }
    // Ten standard deviations.
    assert!((100..300).contains(&failed), "{failed}");
    check_count(injected(&albeit, "abort").await?, failed);
    Ok(())
}
