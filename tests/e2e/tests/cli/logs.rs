//! `--log-format`, `--color` and the variables that say the same.

use std::path::{Path, PathBuf};

use albeit_e2e::{Config, Target, albeit::binary, eventually, process, wait::SOON};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Runs a server until it has logged something, ends it, and gives what it logged.
async fn logged(program: &Path, args: &[&str], environment: &[(&str, &str)]) -> Result<String> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log");
    let mut command = Command::new(program);
    command.args(args).env_remove("NO_COLOR").envs(environment.iter().copied()).kill_on_drop(true);
    let mut child = command.stderr(std::fs::File::create(&log)?).spawn()?;
    let pid = child.id().context("it has ended")?.to_string();
    let first = eventually(SOON, "a line of the log", || async {
        let text = std::fs::read_to_string(&log)?;
        ensure!(text.ends_with('\n'), "{text}");
        Ok(text)
    });
    first.await?;
    ensure!(Command::new("kill").args(["-s", "TERM", &pid]).status().await?.success(), "kill");
    ensure!(child.wait().await?.success(), "its end");
    Ok(std::fs::read_to_string(&log)?)
}

fn backend() -> Result<PathBuf> {
    process::binary("ALBEIT_BACKEND_BIN", "albeit-backend")
}

#[tokio::test]
async fn logs_can_be_json_and_colours_can_be_had_and_left() -> Result<()> {
    // Its target's health is worth a line.
    let target = Target::saying("ok")?;
    let config = Config::forwarding_to(&[target.addr()])?;
    config.write()?;
    let file = config.file();
    let run = ["run", "-c", file.to_str().context("UTF-8")?, "--reuse-port", "--drain", "1s"];
    let serve = ["--port", "0"];
    for (program, args) in [(binary()?, run.as_slice()), (backend()?, serve.as_slice())] {
        let with = |more: &[&'static str]| [args, more].concat();
        let json = ["--log-format", "json"];
        let by_variable = [("ALBEIT_LOG_FORMAT", "json")];
        for text in [
            logged(&program, &with(&json), &[]).await?,
            logged(&program, args, &by_variable).await?,
            logged(&program, &with(&["--log-format", "json", "--color", "always"]), &[]).await?,
        ] {
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).with_context(|| text.clone())?;
                for member in ["timestamp", "level", "target", "message"] {
                    assert!(line[member].is_string(), "{member} in {line}");
                }
            }
        }
        let coloured = |text: &str| text.contains("\u{1b}[");
        assert!(!coloured(&logged(&program, args, &[]).await?));
        assert!(coloured(&logged(&program, args, &[("CLICOLOR_FORCE", "1")]).await?));
        assert!(coloured(&logged(&program, &with(&["--color", "always"]), &[("NO_COLOR", "1")]).await?));
        let never = logged(&program, &with(&["--color", "never"]), &[("CLICOLOR_FORCE", "1")]).await?;
        assert!(!coloured(&never));
    }
    Ok(())
}
