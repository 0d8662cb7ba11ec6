//! Prometheus and its `promtool` as processes. `scripts/install-peers` installs
//! them where that is allowed; a test that lacks one says so and goes on.

use std::{
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    client::Client,
    log_tools::in_path,
    ports::HeldPort,
    process::Process,
    wait::{SOON, eventually, within},
};

/// How long `promtool` may take on a busy machine: it evaluates hours.
const LONG: Duration = Duration::from_secs(180);

/// `promtool`, with which rules are checked.
#[derive(Debug)]
pub struct Promtool(PathBuf);

impl Promtool {
    /// `None`, with a note, if it is not installed.
    #[must_use]
    pub fn find() -> Option<Self> {
        installed("promtool").map(Self)
    }

    /// Runs it to its end, in `dir`.
    ///
    /// # Errors
    /// When it cannot be started or has not ended in time.
    pub async fn run(&self, dir: &Path, arguments: &[&OsStr]) -> Result<Output> {
        self.run_on(dir, arguments, "").await
    }

    /// The same with this standard input.
    ///
    /// # Errors
    /// When it cannot be started or has not ended in time.
    pub async fn run_on(&self, dir: &Path, arguments: &[&OsStr], input: &str) -> Result<Output> {
        let mut command = Command::new(&self.0);
        command.args(arguments).current_dir(dir).kill_on_drop(true);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().context("start promtool")?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        let write = async move { stdin.write_all(input.as_bytes()).await };
        let (written, output) =
            within(LONG, "end of promtool", async { tokio::join!(write, child.wait_with_output()) }).await?;
        written.context("write to promtool")?;
        Ok(output?)
    }
}

/// A running Prometheus that keeps what it scrapes in the test's directory. Killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    addr: SocketAddr,
}

impl Prometheus {
    /// Starts it with this configuration file and waits until it is ready; `None`, with a note, if it is not
    /// installed.
    ///
    /// # Errors
    /// When it is not ready soon.
    pub async fn start(dir: &Path, configuration: &str) -> Result<Option<Self>> {
        let Some(program) = installed("prometheus") else { return Ok(None) };
        let file = dir.join("prometheus.yml");
        fs::write(&file, configuration)?;
        // It does not share a held port, so it gets an address that nobody else has.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let addr = HeldPort::on(Ipv4Addr::new(127, 101 + high, middle, low).into())?.addr();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", dir.join("prometheus").display()),
            format!("--web.listen-address={addr}"),
            "--web.enable-lifecycle".to_owned(),
        ];
        let process = Process::spawn("prometheus", &program, arguments, dir)?;
        let mut prometheus = Self { process, addr };
        let ready = eventually(LONG, "a ready Prometheus", || async {
            let response = Client::connect(addr).await?.get("/-/ready").await?;
            ensure!(response.status == 200, "{}", response.status);
            Ok(())
        })
        .await;
        prometheus.process.still_running()?;
        ready.map(|()| Some(prometheus))
    }

    /// `data` of its answer to a GET, such as `/api/v1/alerts`.
    ///
    /// # Errors
    /// When it does not answer with success.
    pub async fn data(&self, path: &str) -> Result<Value> {
        let response =
            within(SOON, path, async { Client::connect(self.addr).await?.get(path).await }).await??;
        let mut answer: Value = serde_json::from_str(&response.text())?;
        ensure!(answer.get("status").and_then(Value::as_str) == Some("success"), "{path}: {answer}");
        answer.get_mut("data").map(Value::take).context("no data")
    }
}

#[expect(clippy::print_stderr, reason = "test runners show it on request")]
fn installed(program: &str) -> Option<PathBuf> {
    let found = in_path(program);
    if found.is_none() {
        eprintln!("SKIPPED monitoring with {program}: it is not installed (scripts/install-peers)");
    }
    found
}
