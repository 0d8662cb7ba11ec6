//! Log files: as ELB delivers them, as JSON, and what happens when they cannot be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use albeit_e2e::{
    Albeit, Config, Target,
    access_log::{self, Log},
    albeit::binary,
    eventually, process,
    wait::SOON,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;

/// All three logs in one directory, as ELB writes them.
fn all_logs(target: &Target) -> Result<Config> {
    let config = Config::forwarding_to(&[target.addr()])?;
    let bucket = json!(config.dir().join("logs"));
    Ok(config
        .with_attribute("albeit.access_logs.files", "elb")
        .with_attribute("connection_logs.s3.enabled", true)
        .with_attribute("connection_logs.s3.bucket", bucket.clone())
        .with_attribute("health_check_logs.s3.enabled", true)
        .with_attribute("health_check_logs.s3.bucket", bucket))
}

fn logs(config: &Config) -> PathBuf {
    config.dir().join("logs")
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let files = access_log::files(dir)?;
    let names = files.iter().filter_map(|file| file.file_name()?.to_str().map(str::to_owned));
    Ok(names.collect())
}

#[tokio::test]
async fn compressed_files_appear_when_their_interval_is_over() -> Result<()> {
    let target = Target::saying("ok")?;
    // Files of five minutes come every three seconds.
    let config = all_logs(&target)?.with_attribute("idle_timeout.timeout_seconds", 4000).with_time_scale(100);
    let albeit = Albeit::start(config).await?;
    albeit.get("/one").await?;
    let record = albeit.record("/one").await?;
    assert_eq!(record["elb_status_code"], "200");
    let dir = logs(&albeit.config);
    let visible = |names: Vec<String>| -> Vec<String> {
        names.into_iter().filter(|name| !name.starts_with('.')).collect()
    };
    let now = visible(names(&dir)?);
    for name in now.iter().filter(|name| name.contains("Log") || !name.ends_with("TestFile")) {
        assert!(
            name.ends_with("TestFile") || (name.ends_with(".log.gz") && name.contains("Z_127.0.0.1_")),
            "{name}"
        );
    }
    for log in ["AccessLog", "ConnectionLog", "HealthCheckLog"] {
        assert!(now.contains(&format!("ELB{log}TestFile")), "{now:?}");
    }
    // Health checks go on, requests do not: an interval without lines has no file.
    let of_requests =
        |names: &[String]| names.iter().filter(|name| name.starts_with("000000000000_")).count();
    assert_eq!(of_requests(&now), 1, "{now:?}");
    eventually(SOON, "two files of health checks", || async {
        let names = visible(names(&dir)?);
        let checks = names.iter().filter(|name| name.starts_with("health_check_log_")).count();
        ensure!(checks >= 2, "{names:?}");
        ensure!(of_requests(&names) == 1, "{names:?}");
        Ok(())
    })
    .await?;
    assert_eq!(albeit.log(Log::Connection)?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_last_files_are_complete_at_reload_and_shutdown() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = all_logs(&target)?;
    let mut albeit = Albeit::start(config.clone()).await?;
    albeit.get("/before").await?;
    assert_eq!(albeit.access_log()?, []);
    let elsewhere = config.dir().join("elsewhere");
    albeit.reload(config.clone().with_attribute("access_logs.s3.bucket", json!(elsewhere))).await?;
    // Long before its five minutes are over.
    albeit.record("/before").await?;
    albeit.get("/after").await?;
    assert!(albeit.stop().await?.success());
    assert_eq!(access_log::read(&elsewhere)?.len(), 1);
    assert_eq!(access_log::read_log(&logs(&config), Log::Connection)?.len(), 2);
    assert!(!access_log::read_log(&logs(&config), Log::HealthCheck)?.is_empty());
    let left: Vec<String> = names(config.dir())?.into_iter().filter(|name| name.ends_with(".tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn all_logs_may_be_json() -> Result<()> {
    let target = Target::saying("ok")?;
    let config = all_logs(&target)?.with_attribute("albeit.access_logs.format", "json");
    let mut albeit = Albeit::start(config.clone()).await?;
    albeit.client().await?.get_with("/json", &["User-Agent: a \"quoted\" \\ agent"]).await?;
    assert!(albeit.stop().await?.success());
    for (log, field, value) in [
        (Log::Access, "user_agent", json!("a \"quoted\" \\ agent")),
        (Log::Access, "elb_status_code", json!(200)),
        (Log::Access, "ssl_cipher", Value::Null),
        (Log::Connection, "tls_protocol", Value::Null),
        (Log::HealthCheck, "status_code", json!(200)),
    ] {
        let lines = access_log::lines(&logs(&config), log)?;
        let object: Value = serde_json::from_str(lines.first().context("no line")?)?;
        assert_eq!(object[field], value, "{object}");
        let names: Vec<&str> = log.fields().iter().map(|(name, _)| *name).collect();
        assert!(
            object.as_object().is_some_and(|it| names.iter().all(|name| it.contains_key(*name))),
            "{object}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_removed_directory_is_made_again() -> Result<()> {
    for files in ["elb", "plain"] {
        let target = Target::saying("ok")?;
        let config = all_logs(&target)?.with_attribute("albeit.access_logs.files", files);
        let mut albeit = Albeit::start(config.clone()).await?;
        albeit.get("/lost").await?;
        eventually(SOON, "a file", || async {
            ensure!(names(&logs(&config))?.iter().any(|name| name.contains(".log")), "none yet");
            Ok(())
        })
        .await?;
        // Another log may begin its file in the middle of the removal.
        eventually(SOON, "the removal", || async { Ok(fs::remove_dir_all(logs(&config))?) }).await?;
        albeit.get("/kept").await?;
        assert!(albeit.stop().await?.success());
        let records = access_log::read(&logs(&config))?;
        assert!(records.iter().any(|record| record.request().contains("/kept")), "{files}: {records:?}");
    }
    Ok(())
}

/// A tiny file system, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None` where nobody may mount.
    async fn mount(at: PathBuf) -> Result<Option<Self>> {
        fs::create_dir_all(&at)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at);
        Ok(mount.output().await.is_ok_and(|output| output.status.success()).then_some(Self(at)))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

#[tokio::test]
async fn a_full_disk_loses_lines_and_nothing_else() -> Result<()> {
    for files in ["plain", "elb"] {
        let target = Target::saying("ok")?;
        let config =
            Config::forwarding_to(&[target.addr()])?.with_attribute("albeit.access_logs.files", files);
        // Files of five minutes come every three seconds.
        let config = config.with_attribute("idle_timeout.timeout_seconds", 4000).with_time_scale(100);
        let Some(disk) = Disk::mount(logs(&config)).await? else {
            println!("SKIPPED a full disk: nobody may mount a file system here");
            return Ok(());
        };
        let mut albeit = Albeit::start(config.clone()).await?;
        let filler = disk.0.join("filler");
        let losses = || async {
            let metrics = albeit.metrics().await?;
            let sum = |what: &str| metrics.sum(&format!("albeit_access_log_{what}_total"), "");
            anyhow::Ok((sum("lines_dropped"), sum("write_errors")))
        };
        eventually(SOON, "lines are lost", || async {
            // As much as there is room for, and some more.
            drop(fs::write(&filler, vec![0; 1 << 20]));
            for _ in 0..100 {
                assert_eq!(albeit.get("/into-the-full-disk").await?.status, 200);
            }
            let (lines, errors) = losses().await?;
            ensure!(lines >= 100.0 && errors >= 2.0, "{lines} lines, {errors} errors");
            Ok(())
        })
        .await?;
        let told = |what: &str| albeit.process.stderr().matches(what).count();
        // However often it fails.
        assert_eq!(told("access log cannot be written"), 1, "{files}");
        assert_eq!(told("access log is written again"), 0, "{files}");
        fs::remove_file(&filler)?;
        eventually(SOON, "the log is written again", || async {
            assert_eq!(albeit.get("/written-again").await?.status, 200);
            ensure!(told("access log is written again") > 0, "not yet");
            Ok(())
        })
        .await?;
        assert!(albeit.stop().await?.success());
        let records = access_log::read(&disk.0)?;
        assert!(records.iter().any(|record| record.request().contains("/written-again")), "{files}");
    }
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_a_file_is_refused() -> Result<()> {
    let target = Target::saying("ok")?;
    let good = Config::forwarding_to(&[target.addr()])?;
    let file = good.dir().join("file");
    fs::write(&file, "in the way")?;
    let bad = all_logs(&target)?.with_attribute("connection_logs.s3.bucket", json!(file));
    bad.write()?;
    let output = process::run(&binary()?, ["check", "-c", "albeit.yaml"], bad.dir()).await?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let expected = format!(
        "load_balancers[0].attributes.connection_logs.s3.bucket: Access Denied for bucket: {0}: {0}: not a directory",
        file.display()
    );
    assert!(errors.contains(&expected), "{errors}");
    // A reload with it changes nothing.
    let mut albeit = Albeit::start(good.clone()).await?;
    albeit.reload(good.with_attribute("access_logs.s3.bucket", json!(file))).await?;
    eventually(SOON, "the reload is refused", || async {
        ensure!(albeit.metrics().await?.sum("albeit_config_reload_failures_total", "") > 0.0, "not yet");
        Ok(())
    })
    .await?;
    albeit.get("/still-logged").await?;
    albeit.record("/still-logged").await?;
    Ok(())
}
