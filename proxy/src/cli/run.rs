//! `albeit run`, and what it shares with `albeit dev`: logging, signals, life cycle.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{RunArgs, WRONG_CONFIGURATION, complain};
use crate::{
    listener::PortSharing,
    server::{Options, Server, StartError, chain, prepare},
};

/// What is logged unless `RUST_LOG` says otherwise. The HTTP engine's own words are for its developers.
const DEFAULT_LOG: &str = "info,pingora_core=error";

/// Runs the balancer until it is told to end.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    start_logging();
    let options = Options {
        config: args.config.config.clone(),
        scale: args.timers.time_scale,
        port_sharing: if args.reuse_port { PortSharing::Shared } else { PortSharing::Exclusive },
        drain: args.timers.drain,
    };
    runtime()?.block_on(async {
        let server = match Server::start(options).await {
            Ok(server) => server,
            Err(error) => return Ok(refuse(&error)),
        };
        serve(&server).await?;
        force_exit_on_second_signal()?;
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Says why the balancer cannot start.
pub(super) fn refuse(error: &StartError) -> ExitCode {
    complain(&chain(error));
    match error {
        StartError::Prepare(_) => ExitCode::from(WRONG_CONFIGURATION),
        StartError::Bind { .. } | StartError::System(_) => ExitCode::FAILURE,
    }
}

/// Logs to standard error, by `RUST_LOG`.
pub(super) fn start_logging() {
    prepare::install_crypto_provider();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// One worker per core.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// Reloads at each SIGHUP and returns at SIGTERM or SIGINT.
pub(super) async fn serve(server: &Server) -> anyhow::Result<()> {
    let mut reload = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = reload.recv() => server.reload(),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

/// From here on SIGTERM and SIGINT end the process at once.
#[expect(
    clippy::disallowed_methods,
    reason = "must outlive every tracker: it ends the process they belong to"
)]
pub(super) fn force_exit_on_second_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("second signal, ending at once");
        #[expect(clippy::exit, reason = "this is what a second signal asks for")]
        std::process::exit(1);
    });
    Ok(())
}
