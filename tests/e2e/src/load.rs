//! `albeit-load` as a process: runs of one scenario, and what came of them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    process,
    wait::{SOON, within},
};

/// A run that measured something.
#[derive(Debug)]
pub struct Load {
    /// Whether all expectations held, by the exit status.
    pub passed: bool,
    /// The outcome as its JSON has it.
    pub outcome: Value,
}

impl Load {
    /// Runs a scenario to its end.
    ///
    /// # Errors
    /// When it measures nothing, or takes long.
    pub async fn run(arguments: &[&str]) -> Result<Self> {
        let binary = process::binary("ALBEIT_LOAD_BIN", "albeit-load")?;
        let mut command = Command::new(&binary);
        command.args(arguments).args(["--json", "-"]).kill_on_drop(true);
        let what = format!("end of albeit-load {}", arguments.join(" "));
        let output = within(SOON + Duration::from_secs(5), &what, command.output()).await?;
        let output = output.with_context(|| format!("start {} (build it first)", binary.display()))?;
        let passed = match output.status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => bail!("{what}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
        };
        let mut results: Value = serde_json::from_slice(&output.stdout)?;
        let outcome = results.pointer_mut("/outcomes/0").context("no outcome")?.take();
        Ok(Self { passed, outcome })
    }

    /// What was measured of an expectation that did not hold.
    ///
    /// # Errors
    /// When there is no such expectation, or it held.
    pub fn broken(&self, expectation: &str) -> Result<&str> {
        let all = self.outcome.get("expectations").and_then(Value::as_array).context("no expectations")?;
        let named = |one: &&Value| one.get("name").and_then(Value::as_str) == Some(expectation);
        let one = all.iter().find(named).with_context(|| format!("no {expectation} in {all:?}"))?;
        match one.get("passed").and_then(Value::as_bool) {
            Some(false) => one.get("measured").and_then(Value::as_str).context("nothing measured"),
            _ => bail!("it held: {one}"),
        }
    }

    /// A figure's number.
    ///
    /// # Errors
    /// When there is none of this name.
    pub fn figure(&self, name: &str) -> Result<f64> {
        let value = self.outcome.pointer(&format!("/figures/{name}/value")).and_then(Value::as_f64);
        value.with_context(|| format!("no figure {name} in {}", self.outcome))
    }
}
