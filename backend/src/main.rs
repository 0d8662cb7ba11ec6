//! The `albeit-backend` command.
//!
//! Exit codes: 0 after a drain, 1 when it cannot listen or run, 2 for a wrong
//! command line, configuration, certificate or key, 130 when a second signal cuts the drain short.

use std::process::ExitCode;
use std::sync::Arc;

use albeit_backend::app::Demo;
use albeit_backend::config::{Arguments, Config, ConfigError, Loaded};
use albeit_backend::server::{BindError, Server};
use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Wrong arguments or configuration.
const USAGE: u8 = 2;

/// Ended by a second signal.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.logging.start();
    let is_check = arguments.check_config;
    let loaded = match arguments.load() {
        Ok(loaded) => loaded,
        Err(error) => return refuse(error),
    };
    report(&loaded);
    if is_check {
        tracing::info!("the configuration is valid");
        return ExitCode::SUCCESS;
    }
    run(loaded.config).unwrap_or_else(|error| fail(&error))
}

/// A configuration that cannot be served.
fn refuse(error: ConfigError) -> ExitCode {
    for line in format!("{:#}", anyhow::Error::from(error)).lines() {
        tracing::error!("{line}");
    }
    ExitCode::from(USAGE)
}

/// A server that could not start or run.
fn fail(error: &anyhow::Error) -> ExitCode {
    tracing::error!("{error:#}");
    let is_configuration = matches!(
        error.downcast_ref(),
        Some(
            BindError::Tls(_)
                | BindError::Keys(_)
                | BindError::NoKeys
                | BindError::Relay(_)
                | BindError::Store(_)
        )
    );
    if is_configuration { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// Tells which settings change nothing.
fn report(loaded: &Loaded) {
    if !loaded.ignored.is_empty() {
        tracing::info!(keys = loaded.ignored.join(" "), "settings that mean nothing here");
    }
    for setting in loaded.config.without_effect() {
        tracing::info!(setting, "without effect");
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::try_new().context("signal handlers")?;
    let application = Arc::new(Demo::new(config.instance.clone()));
    let server = Server::bind(config, application)?;
    let shutdown = CancellationToken::new();
    let reload = server.reload();
    let serving = server.run(shutdown.clone());
    tokio::pin!(serving);
    loop {
        let asked = tokio::select! {
            () = &mut serving => return Ok(ExitCode::SUCCESS),
            asked = signals.next() => asked,
        };
        match asked {
            Asked::Reload if reload.request() => {}
            Asked::Reload => tracing::info!("SIGHUP: there is nothing to read again"),
            Asked::Leave if shutdown.is_cancelled() => {
                tracing::warn!("second signal: leaving at once");
                return Ok(ExitCode::from(INTERRUPTED));
            }
            Asked::Leave => shutdown.cancel(),
        }
    }
}

/// What a signal asks for.
enum Asked {
    Leave,
    Reload,
}

/// SIGTERM and SIGINT to leave, SIGHUP to reload.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn try_new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Leave,
            _ = self.interrupt.recv() => Asked::Leave,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}
