//! The lessons of `conf/lessons/`: each failure shows, and one setting cures it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use albeit_e2e::{albeit, within};
use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// Lessons take a few seconds; on a busy machine their programs start slowly.
const LONG: Duration = Duration::from_secs(110);

fn lessons() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/lessons")
}

/// Runs a lesson and looks for parts of its text, in this order. The script itself makes sure that the doctor and
/// the measurement say what they should.
async fn check(lesson: &str, parts: &[&str]) -> Result<()> {
    let elsewhere = tempfile::tempdir()?;
    let binary = albeit::binary()?;
    let programs = binary.parent().context("albeit is in no directory")?;
    let mut script = Command::new(lessons().join(format!("{lesson}.sh")));
    script.env("ALBEIT_PROGRAMS", programs).env("TMPDIR", elsewhere.path());
    script.env("NO_COLOR", "1").current_dir(&elsewhere).kill_on_drop(true);
    let output = within(LONG, lesson, script.output()).await??;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}:\n{said}\n{errors}", output.status);
    let mut rest = &*said;
    for part in parts {
        let (_, after) = rest.split_once(part).with_context(|| format!("no {part:?} in time in\n{said}"))?;
        rest = after;
    }
    ensure!(elsewhere.path().read_dir()?.next().is_none(), "something is left in the temporary directory");
    Ok(())
}

#[tokio::test]
async fn heartbeats_that_come_too_seldom() -> Result<()> {
    let parts = [
        "HEARTBEAT=90s",
        "error[heartbeat-idle-timeout]",
        "FAILED not cut",
        "20 × FIN 1006",
        "HEARTBEAT=25s",
        "nothing found",
        "ok     not cut",
    ];
    check("idle-timeout", &parts).await
}

#[tokio::test]
async fn the_race_for_an_idle_connection() -> Result<()> {
    let parts = [
        "KEEP_ALIVE=20s",
        "error[keep-alive-race]",
        "FAILED no 502",
        "== two of them in the access log",
        " -1 502 - ",
        "KEEP_ALIVE=70s",
        "nothing found",
        "ok     no 502",
    ];
    check("keep-alive-race", &parts).await
}

#[tokio::test]
async fn polling_without_stickiness() -> Result<()> {
    let parts = [
        "STICKINESS=false",
        "error[polling-without-stickiness]",
        "FAILED sessions",
        "400 Session ID unknown",
        "STICKINESS=true",
        "ok     sessions",
    ];
    check("stickiness", &parts).await
}

#[tokio::test]
async fn a_deployment_without_drain() -> Result<()> {
    let parts = [
        "SHUTDOWN=immediate",
        "warning[shutdown-not-graceful]",
        "FAILED no request fails",
        "FAILED WebSockets drain",
        " × 502",
        "SHUTDOWN=graceful",
        "nothing found",
        "ok     no request fails",
        "ok     WebSockets drain",
    ];
    check("deployment", &parts).await
}

#[tokio::test]
async fn a_flow_that_the_network_load_balancer_forgets() -> Result<()> {
    let parts = [
        "TCP_IDLE=350",
        "error[heartbeat-idle-timeout]",
        "warning[nlb-keepalive]",
        "FAILED all live",
        "20 × RST",
        "TCP_IDLE=900",
        "nothing found",
        "ok     all live",
    ];
    check("nlb-idle", &parts).await
}

#[tokio::test]
async fn proxy_protocol_on_one_side() -> Result<()> {
    let parts = [
        "PROXY_PROTOCOL=false",
        "error[proxy-protocol-one-sided]",
        "FAILED failures",
        "100 × status 400",
        "PROXY_PROTOCOL=true",
        "nothing found",
        "ok     failures",
    ];
    check("proxy-protocol", &parts).await
}

#[tokio::test]
async fn a_head_that_is_too_large() -> Result<()> {
    let parts = [
        "HEADER_SIZE=8KB",
        "info[header-limit]",
        "\nstatus 200\n",
        "FAILED failures",
        "100 × status 431",
        "HEADER_SIZE=64KB",
        "nothing found",
        "ok     failures",
    ];
    check("header-limit", &parts).await
}

#[test]
fn every_lesson_is_a_test() -> Result<()> {
    let tests = include_str!("lessons.rs");
    for entry in lessons().read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let name = path.file_stem().and_then(|name| name.to_str()).context("a strange name")?;
            assert!(tests.contains(&format!("check(\"{name}\"")), "{name} has no test");
        }
    }
    Ok(())
}
