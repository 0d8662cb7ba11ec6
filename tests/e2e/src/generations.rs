//! A balancer that is upgraded: one process after the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::{
    albeit::{self, Albeit},
    config::Config,
    wait::{SOON, eventually},
};

/// The processes of one balancer. All are killed when it is dropped.
#[derive(Debug)]
pub struct Generations {
    /// The first process; its configuration and its addresses are those of all.
    pub albeit: Albeit,
    pid_file: PathBuf,
    pids: Vec<u32>,
}

impl Generations {
    /// Starts the first process and waits until its targets are healthy.
    ///
    /// # Errors
    /// When it is not there soon.
    pub async fn start(config: Config) -> Result<Self> {
        Self::start_from(&albeit::binary()?, config, &[]).await
    }

    /// The same with the program at this path, and with environment variables.
    ///
    /// # Errors
    /// When it is not there soon.
    pub async fn start_from(program: &Path, config: Config, environment: &[(&str, PathBuf)]) -> Result<Self> {
        let pid_file = config.dir().join("albeit.pid");
        let after = ["--pid-file", pid_file.to_str().context("not UTF-8")?];
        let mut albeit = Albeit::spawn(config, (program, &[]), &after, environment)?;
        albeit.wait_ready().await?;
        let healthy = |all: &[albeit::TargetHealth]| all.iter().all(|target| target.state == "healthy");
        albeit.wait_for_targets("all targets healthy", healthy).await?;
        let first = albeit.process.pid();
        let generations = Self { albeit, pid_file, pids: vec![first] };
        generations.pid_file_says(|pid| pid == first).await?;
        Ok(generations)
    }

    /// The process that serves.
    ///
    /// # Errors
    /// Never: there is always one.
    pub fn current(&self) -> Result<u32> {
        self.pids.last().copied().context("no process")
    }

    /// Sends SIGUSR2 to the process that serves.
    ///
    /// # Errors
    /// When it is gone.
    pub async fn ask(&self) -> Result<()> {
        signal(self.current()?, "USR2").await
    }

    /// Upgrades, and waits until another process serves; its id.
    ///
    /// # Errors
    /// When none serves soon.
    pub async fn upgrade(&mut self) -> Result<u32> {
        let before = self.current()?;
        self.ask().await?;
        let pid = self.pid_file_says(|pid| pid != before).await?;
        self.pids.push(pid);
        Ok(pid)
    }

    async fn pid_file_says(&self, wanted: impl Fn(u32) -> bool) -> Result<u32> {
        let what = format!("another process; the log says:\n{}", self.albeit.process.stderr());
        eventually(SOON, &what, || async {
            let pid = fs::read_to_string(&self.pid_file)?.trim().parse()?;
            ensure!(wanted(pid), "it is {pid}: {}", self.albeit.process.stderr());
            Ok(pid)
        })
        .await
    }

    /// Waits until a process has ended.
    ///
    /// # Errors
    /// When it still runs.
    pub async fn ended(&self, pid: u32) -> Result<()> {
        eventually(SOON, &format!("end of {pid}"), || async {
            ensure!(!is_running(pid), "{pid} still runs: {}", self.albeit.process.stderr());
            Ok(())
        })
        .await
    }

    /// Waits until the log of all processes has `text`.
    ///
    /// # Errors
    /// When it does not have it soon.
    pub async fn logged(&self, text: &str) -> Result<()> {
        eventually(SOON, &format!("\"{text}\" in the log"), || async {
            let log = self.albeit.process.stderr();
            ensure!(log.contains(text), "{log}");
            Ok(())
        })
        .await
    }
}

impl Drop for Generations {
    fn drop(&mut self) {
        for pid in self.pids.iter().skip(1).filter(|pid| is_running(**pid)) {
            let mut kill = std::process::Command::new("kill");
            // It may end at this very moment.
            drop(kill.args(["-s", "KILL", &pid.to_string()]).status());
        }
    }
}

/// Sends a signal by its name without `SIG`.
///
/// # Errors
/// When the process is gone.
pub async fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill").args(["-s", signal, &pid.to_string()]).status().await?;
    ensure!(status.success(), "kill -s {signal} {pid}: {status}");
    Ok(())
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}
