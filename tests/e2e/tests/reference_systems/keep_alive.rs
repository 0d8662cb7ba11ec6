//! System C: who closes first, what follows, and what cures it.

use std::time::Duration;

use albeit_e2e::{
    Client, Step, Target,
    access_log::{Log, Record, read_log},
    albeit, eventually, process,
    target::ok,
    topology::{ports::Name, stage::repository},
    wait::SOON,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;

use super::system::Plan;

/// All timers of the measurements are divided by it.
const SCALE: u32 = 10;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

fn plan(backend: &str) -> Plan {
    Plan::of("c-keep-alive-race", backend).with("APPLICATION", &backend)
}

/// How long an instance keeps a connection without a request, as if time were not scaled.
async fn keep_alive(backend: &str) -> Result<Duration> {
    let system = plan(backend).scaled(SCALE).start().await?;
    let mut client = Client::connect(system.ports.addr(Name::Backend1)).await?;
    let answer = client.get("/whoami").await?;
    ensure!(answer.status == 200, "{}", answer.head);
    let idle = Instant::now();
    client.closed().await?;
    Ok(idle.elapsed() * SCALE)
}

#[tokio::test]
async fn as_it_was_found_the_target_closes_before_the_load_balancer() -> Result<()> {
    let found = keep_alive("application.yml").await?;
    ensure!(found > Duration::from_secs(19) && found < IDLE_TIMEOUT, "{found:?}");
    Ok(())
}

#[tokio::test]
async fn after_the_cure_the_load_balancer_closes_first() -> Result<()> {
    let found = keep_alive("application-cured.yml").await?;
    ensure!(found > IDLE_TIMEOUT + Duration::from_secs(5), "{found:?}");
    Ok(())
}

/// Answers the first request of each connection, and closes when the next one is on its way.
fn losing_the_race() -> Result<Target> {
    Target::start(
        |request| {
            if request.number == 0 { vec![Step::Send(ok("{\"ok\":true}"))] } else { vec![Step::Close] }
        },
    )
}

#[tokio::test]
async fn the_race_is_a_502_with_its_signature_in_the_access_log() -> Result<()> {
    let (first, second) = (losing_the_race()?, losing_the_race()?);
    let plan = Plan { backend: None, ..plan("application.yml") };
    let system = plan
        .with("ALBEIT_BACKEND_1_PORT", &first.addr().port())
        .with("ALBEIT_BACKEND_2_PORT", &second.addr().port())
        .start()
        .await?;
    let mut client = Client::connect(system.front()).await?;
    for _ in 0..2 {
        ensure!(client.get("/api/first").await?.text() == "{\"ok\":true}");
    }
    let raced = client.get("/api/raced").await?;
    ensure!((raced.status, raced.header("content-type")?) == (502, "text/html"), "{}", raced.head);
    ensure!(raced.text().contains("<h1>502 Bad Gateway</h1>"), "{}", raced.text());

    let record = eventually(SOON, "the line of the access log", || async {
        let mut records = read_log(&system.dir.path().join("logs"), Log::Access)?;
        records.retain(|record: &Record| record.request().contains("/api/raced"));
        records.pop().context("not yet")
    })
    .await?;
    for (field, value) in [
        ("elb_status_code", "502"),
        ("target_status_code", "-"),
        ("response_processing_time", "-1"),
        ("error_reason", "-"),
    ] {
        ensure!(record[field] == *value, "{field} of {record:?}");
    }
    Ok(())
}

/// Codes of the doctor's findings.
async fn findings(application: &str) -> Result<Vec<String>> {
    let file = repository().join("conf/reference/c-keep-alive-race/alb.yaml");
    let file = file.to_str().context("not UTF-8")?;
    let text = std::fs::read_to_string(file)?.replace("${APPLICATION:-application.yml}", application);
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("alb.yaml"), text)?;
    for name in ["application.yml", "application-cured.yml"] {
        let from = repository().join("conf/reference/c-keep-alive-race").join(name);
        std::fs::copy(from, dir.path().join(name))?;
    }
    let args = ["doctor", "--format", "json", "alb.yaml"];
    let output = process::run(&albeit::binary()?, args, dir.path()).await?;
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let findings = found.get("findings").and_then(Value::as_array).with_context(|| format!("{found:#}"))?;
    Ok(findings.iter().map(|finding| finding["code"].to_string().replace('"', "")).collect())
}

#[tokio::test]
async fn the_doctor_tells_the_race_until_it_is_cured() -> Result<()> {
    let none: Vec<String> = Vec::new();
    assert_eq!(findings("application.yml").await?, ["keep-alive-race"]);
    assert_eq!(findings("application-cured.yml").await?, none);
    Ok(())
}
