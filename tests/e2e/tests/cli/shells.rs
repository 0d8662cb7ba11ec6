//! Help, completions and manual pages of the real program.

use std::{fs, process::Command};

use albeit_e2e::albeit::binary;
use anyhow::{Context as _, Result, ensure};

use super::alone;

const COMMANDS: [&str; 12] = [
    "run",
    "status",
    "connections",
    "drain",
    "register",
    "reload",
    "check",
    "doctor",
    "dev",
    "certs",
    "completions",
    "man",
];

/// Says why a test does nothing.
fn skip(missing: &str) {
    eprintln!("SKIPPED: {missing} is not installed");
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[tokio::test]
async fn help_teaches_by_examples() -> Result<()> {
    let overview = alone(&[]).await?.with(0)?.stdout;
    let help = alone(&["--help"]).await?.with(0)?.stdout;
    for command in COMMANDS {
        assert!(overview.contains(&format!("\n  {command} ")), "{command} in {overview}");
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
        let long = alone(&[command, "--help"]).await?.with(0)?.stdout;
        for expected in ["Examples:\n", &format!("albeit {command}"), "Exit status:\n", "docs/"] {
            assert!(long.contains(expected), "{expected} in {long}");
        }
    }
    assert!(help.contains("Exit status:\n  0  done"), "{help}");
    alone(&["no-such-command"]).await?.with(2)?;
    alone(&["drain"]).await?.with(2)?;
    alone(&["connections", "--watch", "--json"]).await?.with(2)?;
    alone(&["drain", "127.0.0.1", "--timeout", "5s"]).await?.with(2)?;
    Ok(())
}

/// What bash offers for a command line whose last word is not finished.
fn completed(words: &[&str]) -> Result<Vec<String>> {
    let script = format!(
        "source <(\"$1\" completions bash); COMP_WORDS=({}); COMP_CWORD={}; \
         _albeit albeit '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words.len() - 1,
        words.last().context("no words")?,
        words.iter().rev().nth(1).context("one word")?,
    );
    let output = Command::new("bash").args(["-c", &script, "bash"]).arg(binary()?).output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn bash_completes_commands_options_and_values() -> Result<()> {
    if !is_there("bash") {
        skip("bash");
        return Ok(());
    }
    let script = alone(&["completions", "bash"]).await?.with(0)?.stdout;
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("albeit.bash");
    fs::write(&file, script)?;
    ensure!(Command::new("bash").arg("-n").arg(&file).status()?.success(), "bash -n");
    assert_eq!(completed(&["albeit", "dr"])?, ["drain"]);
    assert_eq!(completed(&["albeit", "re"])?, ["register", "reload"]);
    assert_eq!(completed(&["albeit", "connections", "--we"])?, ["--websocket"]);
    assert_eq!(completed(&["albeit", "connections", "--order", "a"])?, ["age"]);
    assert_eq!(completed(&["albeit", "run", "--log-format", ""])?, ["plain", "json"]);
    Ok(())
}

#[tokio::test]
async fn every_shell_has_a_script() -> Result<()> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = alone(&["completions", shell]).await?.with(0)?.stdout;
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
    }
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        if !is_there(shell) {
            skip(shell);
            continue;
        }
        let dir = tempfile::tempdir()?;
        let file = dir.path().join("albeit");
        fs::write(&file, alone(&["completions", shell]).await?.stdout)?;
        ensure!(Command::new(shell).arg(check).arg(&file).status()?.success(), "{shell}");
    }
    alone(&["completions", "tcsh"]).await?.with(2)?;
    Ok(())
}

#[tokio::test]
async fn manual_pages_are_made_for_every_command() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let pages = dir.path().join("man1");
    alone(&["man", "--dir", pages.to_str().context("UTF-8")?]).await?.with(0)?;
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(&pages)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let mut expected: Vec<_> = COMMANDS.iter().map(|command| format!("albeit-{command}.1")).collect();
    expected.push("albeit.1".to_owned());
    expected.sort();
    assert_eq!(names, expected);
    let one = alone(&["man", "drain"]).await?.with(0)?.stdout;
    assert_eq!(one.trim_end(), fs::read_to_string(pages.join("albeit-drain.1"))?.trim_end());
    assert!(alone(&["man"]).await?.with(0)?.stdout.contains("COMMANDS"));
    alone(&["man", "nothing"]).await?.with(2)?;
    alone(&["man", "--dir", "/proc/nowhere"]).await?.with(1)?;
    if !is_there("groff") {
        skip("groff");
        return Ok(());
    }
    for name in &names {
        let output = Command::new("groff").args(["-man", "-ww", "-z"]).arg(pages.join(name)).output()?;
        ensure!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
    }
    let output = Command::new("groff")
        .args(["-man", "-Tascii", "-P-cbou"])
        .arg(pages.join("albeit-drain.1"))
        .output()?;
    let shown = String::from_utf8_lossy(&output.stdout);
    for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
        assert!(shown.contains(section), "{section} in {shown}");
    }
    Ok(())
}
