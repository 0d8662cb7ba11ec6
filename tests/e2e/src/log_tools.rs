//! Other people's readers of access logs. `scripts/install-log-tools` installs
//! them where that is allowed; a test that lacks one says so and goes on.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process::run;

/// Counts a log's lines with `GoAccess`: requests and, of these, failed ones. `None` if it is not installed.
///
/// # Errors
/// When it does not do its work.
pub async fn goaccess(log: &Path, dir: &Path) -> Result<Option<(u64, u64)>> {
    let Some(program) = in_path("goaccess") else {
        return Ok(skipped("goaccess"));
    };
    let (log, report, invalid) = (text(log)?, dir.join("goaccess.json"), dir.join("goaccess.invalid"));
    let arguments = [
        log,
        "--log-format=AWSALB",
        "--no-global-config",
        "--no-progress",
        "-o",
        text(&report)?,
        &format!("--invalid-requests={}", text(&invalid)?),
    ];
    succeeded(&run(&program, arguments, dir).await?)?;
    let report: Value = serde_json::from_slice(&std::fs::read(&report)?)?;
    let count = |name: &str| {
        report.pointer(name).and_then(Value::as_u64).with_context(|| format!("no {name} in {report}"))
    };
    Ok(Some((count("/general/total_requests")?, count("/general/failed_requests")?)))
}

/// Reads a log with the Python package `aws-log-parser`: how many entries it finds. `None` if it is
/// not installed.
///
/// # Errors
/// When it rejects a line.
pub async fn aws_log_parser(log: &Path, dir: &Path) -> Result<Option<u64>> {
    const COUNT: &str = "import sys
from aws_log_parser import AwsLogParser, LogType
entries = AwsLogParser(log_type=LogType.LoadBalancer).parse(open(sys.argv[1]).readlines())
print(sum(1 for entry in entries))";
    let python = target_directory()?.join("log-tools/bin/python");
    if !python.is_file() {
        return Ok(skipped("aws-log-parser"));
    }
    let output = run(&python, ["-c", COUNT, text(log)?], dir).await?;
    succeeded(&output)?;
    let count = String::from_utf8_lossy(&output.stdout).trim().parse();
    Ok(Some(count.context("no number")?))
}

#[expect(clippy::print_stderr, reason = "test runners show it on request")]
fn skipped<T>(tool: &str) -> Option<T> {
    eprintln!("SKIPPED the access log read by {tool}: it is not installed (scripts/install-log-tools)");
    None
}

fn succeeded(output: &Output) -> Result<()> {
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// Where a program is that the environment's path leads to.
pub(crate) fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Cargo's target directory, which the test was built into.
fn target_directory() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    Ok(test.ancestors().nth(3).context("the test is not in target/PROFILE/deps")?.to_owned())
}
