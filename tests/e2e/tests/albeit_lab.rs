//! `scripts/albeit-lab`: what continuous integration runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use albeit_e2e::{ports::HeldPort, process};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// Longer than any run: four scenarios of a few seconds each.
const LONG: Duration = Duration::from_secs(100);
/// A scenario that is over in no time.
const QUICK: &str = "defaults: { url: 'http://127.0.0.1:${ALB_PORT}/whoami' }
runs:
  - { name: quick, scenario: throughput, options: { rate: 50, for: 500ms }, limits: { p99: { max: 20s } } }
";

/// One build: a directory, and a service behind the balancer of `conf/ci`.
struct Build {
    dir: TempDir,
}

struct Ended {
    status: Option<i32>,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Build {
    fn new() -> Result<Self> {
        Ok(Self { dir: tempfile::tempdir()? })
    }

    fn write(&self, name: &str, text: &str) -> Result<String> {
        let path = self.dir.path().join(name);
        fs::write(&path, text)?;
        path.to_str().map(str::to_owned).context("UTF-8")
    }

    fn result(&self, name: &str) -> Result<String> {
        let path = self.dir.path().join("results").join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// Runs the lab with the example's balancer. Its ports are free as far as one can tell: it is run again when
    /// another process was faster.
    async fn lab(&self, scenarios: &str, arguments: &[&str]) -> Result<Ended> {
        for _ in 0..2 {
            let ended = self.once(scenarios, arguments).await?;
            if ended.status != Some(4) {
                return Ok(ended);
            }
        }
        self.once(scenarios, arguments).await
    }

    async fn once(&self, scenarios: &str, arguments: &[&str]) -> Result<Ended> {
        let held = [HeldPort::try_new()?, HeldPort::try_new()?, HeldPort::try_new()?];
        let [alb, service, admin] = held.map(|port| port.port().to_string());
        let binaries = process::binary("ALBEIT_BIN", "albeit")?;
        let path =
            format!("{}:{}", binaries.parent().context("a directory")?.display(), std::env::var("PATH")?);
        let config = root().join("conf/ci/alb.yaml");
        let mut command = Command::new(root().join("scripts/albeit-lab"));
        command.args(["--config", config.to_str().context("UTF-8")?, "--scenarios", scenarios]);
        command.args(["--ready", &format!("http://127.0.0.1:{admin}/readyz"), "--results", "results"]);
        command.args(["--time-scale", "20"]).args(arguments);
        command.args(["--", "albeit-backend", "--port", &service, "--time-scale", "20"]);
        command.envs([("PATH", path.as_str()), ("ALB_PORT", &alb), ("SERVICE_PORT", &service)]);
        command.envs([("ADMIN_PORT", admin.as_str()), ("NO_COLOR", "1")]);
        command.current_dir(self.dir.path()).stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(LONG, command.output()).await.context("the lab takes too long")??;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok(Ended { status: output.status.code(), text })
    }
}

#[track_caller]
fn check(ended: &Ended, status: i32, part: &str) {
    assert_eq!(ended.status, Some(status), "{}", ended.text);
    assert!(ended.text.contains(part), "{part} in {}", ended.text);
}

#[tokio::test]
async fn the_example_passes_and_leaves_its_results() -> Result<()> {
    let build = Build::new()?;
    let scenarios = root().join("conf/ci/scenarios.yaml");
    let ended = build.lab(scenarios.to_str().context("UTF-8")?, &[]).await?;
    check(&ended, 0, "4 of 4 runs held");
    assert!(build.result("load.html")?.contains("<svg"));
    assert!(build.result("load.xml")?.contains("<testsuite "));
    let sarif: Value = serde_json::from_str(&build.result("doctor.sarif")?)?;
    assert_eq!(sarif["version"], "2.1.0");
    Ok(())
}

#[tokio::test]
async fn what_the_doctor_denies_fails_the_build() -> Result<()> {
    let build = Build::new()?;
    let scenarios = build.write("quick.yaml", QUICK)?;
    let spring = "server:\n  port: 8081\n  tomcat:\n    keep-alive-timeout: 20s\n";
    let application = build.write("application.yml", spring)?;
    let ended = build.lab(&scenarios, &["--examine", &application]).await?;
    check(&ended, 3, "error[keep-alive-race]");
    assert!(ended.text.contains("ok     failures "), "{}", ended.text);
    Ok(())
}

#[tokio::test]
async fn a_regression_fails_the_build() -> Result<()> {
    let build = Build::new()?;
    let scenarios = build.write("quick.yaml", QUICK)?;
    check(&build.lab(&scenarios, &[]).await?, 0, "ok     failures ");
    let mut baseline: Value = serde_json::from_str(&build.result("load.json")?)?;
    let figure = baseline.pointer_mut("/outcomes/0/figures/answers_per_second/value").context("no rate")?;
    *figure = json!(10_000.0);
    let baseline = build.write("baseline.json", &baseline.to_string())?;
    let ended = build.lab(&scenarios, &["--baseline", &baseline]).await?;
    check(&ended, 1, "answers_per_second");
    assert!(build.result("compare.html")?.contains("<svg"));
    Ok(())
}

#[tokio::test]
async fn a_broken_limit_fails_the_build() -> Result<()> {
    let build = Build::new()?;
    let scenarios = build.write("quick.yaml", &QUICK.replace("max: 20s", "max: 1us"))?;
    check(&build.lab(&scenarios, &[]).await?, 1, "FAILED limit p99");
    Ok(())
}

#[tokio::test]
async fn wrong_files_and_arguments_are_told_apart() -> Result<()> {
    let build = Build::new()?;
    let scenarios = build.write("wrong.yaml", &QUICK.replace("throughput", "throughputs"))?;
    check(&build.lab(&scenarios, &[]).await?, 2, "throughputs");
    check(&build.lab(&scenarios, &["--denie", "nothing"]).await?, 2, "unknown argument --denie");
    Ok(())
}
