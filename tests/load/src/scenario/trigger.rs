//! What makes happen what a scenario measures: a command, a signal, or the
//! admin API of Albeit.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use crate::{
    client::{
        connection::Connector,
        http::{Http, Request},
    },
    target::Target,
};

/// Something to set off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A command line for `sh -c`.
    Command(String),
    /// A signal to a process.
    Signal { name: String, pid: u32 },
    /// An action of the admin API.
    Admin(Box<Action>),
}

/// A call of the admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Action {
    /// Address of the API: `http://127.0.0.1:9901`.
    pub(crate) api: String,
    /// Sent as `Authorization: Bearer …`.
    pub(crate) token: Option<String>,
    /// `/targets/register` or `/targets/deregister`.
    pub(crate) path: &'static str,
    /// JSON.
    pub(crate) body: String,
}

impl Trigger {
    /// Sets it off and waits until that is done: a command has ended, a signal
    /// is delivered, the API has answered.
    ///
    /// # Errors
    /// When it fails, or takes longer than the target's patience.
    pub(crate) async fn pull(&self, target: &Target) -> Result<()> {
        let pulled = timeout(target.patience, async {
            match self {
                Self::Command(line) => command(line).await,
                Self::Signal { name, pid } => send(name, *pid),
                Self::Admin(action) => act(action, target).await,
            }
        });
        pulled.await.with_context(|| format!("{} takes longer than --patience", self.words()))?
    }

    /// What it is, for people.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Command(line) => line.clone(),
            Self::Signal { name, pid } => format!("SIG{name} to {pid}"),
            Self::Admin(action) => format!("POST {} {}", action.path, action.body),
        }
    }
}

async fn command(line: &str) -> Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("starting {line}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{line}: {}: {}", output.status, said.trim());
    Ok(())
}

/// A signal by its name, with `SIG` or without; given back without.
pub(crate) fn signal_name(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("SIG").unwrap_or(text).to_ascii_uppercase();
    signal(&name)
        .map(|_| name)
        .ok_or_else(|| "one of HUP, INT, QUIT, TERM, USR1, USR2, WINCH, KILL".to_owned())
}

fn signal(name: &str) -> Option<Signal> {
    Some(match name {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "WINCH" => Signal::WINCH,
        "KILL" => Signal::KILL,
        _ => return None,
    })
}

fn send(name: &str, pid: u32) -> Result<()> {
    let signal = signal(name).with_context(|| format!("no signal {name}"))?;
    let number = i32::try_from(pid)?;
    // 0 and less are groups of processes.
    let process = Pid::from_raw(number).filter(|_| number > 0).context("no process id")?;
    kill_process(process, signal).with_context(|| format!("sending SIG{name} to {pid}"))
}

async fn act(action: &Action, target: &Target) -> Result<()> {
    let api =
        Target { url: action.api.clone(), headers: Vec::new(), source_addresses: None, ..target.clone() };
    let connector = Connector::for_target(&api).await?;
    let bearer = action.token.as_ref().map(|token| format!("Bearer {token}"));
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    let request =
        Request { method: "POST", path: action.path, headers: &headers, body: action.body.as_bytes() };
    let mut http = Http::connect(&connector, 0).await.context("the admin API")?;
    let answer = http.request(&request).await.context("the admin API")?;
    match answer.head.status {
        200 => Ok(()),
        status => bail!("the admin API answered {status}: {}", String::from_utf8_lossy(&answer.body)),
    }
}

/// The body of a call that registers or deregisters one target, `ID:PORT`, or
/// `ID` alone for the group's port.
pub(crate) fn one_target(group: &str, target: &str) -> Result<String> {
    let target: Value = match target.rsplit_once(':') {
        Some((id, port)) if !id.ends_with(':') => {
            let port: u16 = port.parse().with_context(|| format!("no port in --target {target}"))?;
            json!({ "Id": id.trim_start_matches('[').trim_end_matches(']'), "Port": port })
        }
        _ => json!({ "Id": target }),
    };
    Ok(json!({ "TargetGroupName": group, "Targets": [target] }).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name("SIGTERM"), Ok("TERM".to_owned()));
        assert_eq!(signal_name("hup"), Ok("HUP".to_owned()));
        assert!(signal_name("SIGNOPE").is_err());
    }

    #[test]
    fn a_signal_to_no_process_is_an_error() {
        assert!(send("HUP", 0).is_err());
        assert!(send("HUP", u32::MAX).is_err());
    }

    #[track_caller]
    fn check(target: &str, expected: &str) {
        assert_eq!(one_target("web", target).unwrap(), expected);
    }

    #[test]
    fn a_target_is_an_id_and_a_port() {
        check("127.0.0.1:9001", r#"{"TargetGroupName":"web","Targets":[{"Id":"127.0.0.1","Port":9001}]}"#);
        check("[::1]:80", r#"{"TargetGroupName":"web","Targets":[{"Id":"::1","Port":80}]}"#);
        check("i-1", r#"{"TargetGroupName":"web","Targets":[{"Id":"i-1"}]}"#);
        assert!(one_target("web", "a:x").is_err());
    }

    #[tokio::test]
    async fn a_command_that_fails_says_why() {
        assert!(command("exit 0").await.is_ok());
        let error = command("echo broken >&2; exit 3").await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3: broken"), "{error}");
    }
}
