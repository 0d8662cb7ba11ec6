//! `make demo-topologies`: starts every way from a client to a target, looks at
//! each with the same client, and prints what differs.
//!
//! Exit status 1: something broke, or is not as documented.

use std::{io::Write as _, process::ExitCode};

use albeit_e2e::topology::{Way, facts_of, ports::Ports, stage::Directory, table};
use anyhow::{Context as _, Error, Result, anyhow, bail};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "usage: demo-topologies [--json]\n\n\
    Starts each way from a client to a target, looks at it and prints a table.\n\
    --json  print the raw facts instead";

#[tokio::main]
async fn main() -> ExitCode {
    let is_json = match arguments() {
        Ok(is_json) => is_json,
        Err(error) => return complain(&format!("{error}\n\n{USAGE}")),
    };
    // Whoever ends this early ends what it started, too.
    let result = tokio::select! {
        result = demo(is_json) => result,
        error = ended() => Err(error),
    };
    match result {
        Ok(surprises) if surprises.is_empty() => ExitCode::SUCCESS,
        Ok(surprises) => complain(&format!("not as documented:\n  {}", surprises.join("\n  "))),
        Err(error) => complain(&format!("{error:#}")),
    }
}

/// Waits for SIGINT or SIGTERM.
async fn ended() -> Error {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return anyhow!("no signals can be received");
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    anyhow!("ended by a signal")
}

fn arguments() -> Result<bool> {
    let mut is_json = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => is_json = true,
            other => bail!("unknown argument {other:?}"),
        }
    }
    Ok(is_json)
}

/// Looks at every way; what is not as documented.
async fn demo(is_json: bool) -> Result<Vec<String>> {
    let dir = Directory::try_new().await?;
    let mut all = Vec::new();
    let mut surprises = Vec::new();
    for way in Way::ALL {
        if !is_json {
            say(&format!("{}:\n  {}", way.title(), way.commands().join("\n  ")))?;
        }
        let facts = facts_of(way, &dir, Ports::of_files).await.context(way.title())?;
        surprises.extend(facts.surprises(way));
        all.push(facts);
    }
    if is_json {
        let ways: Vec<Value> =
            Way::ALL.into_iter().zip(&all).map(|(way, facts)| facts.to_json(way)).collect();
        say(&serde_json::to_string_pretty(&ways)?)?;
    } else {
        say(&format!("\n{}", table::found(&all).join("\n")))?;
    }
    Ok(surprises)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

fn complain(text: &str) -> ExitCode {
    // Nobody is left to tell when this fails, too.
    drop(writeln!(std::io::stderr().lock(), "demo-topologies: {text}"));
    ExitCode::FAILURE
}
