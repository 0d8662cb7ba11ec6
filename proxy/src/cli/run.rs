//! `albeit run`, and what it shares with `albeit dev`: signals, life cycle.

use std::process::ExitCode;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{RunArgs, WRONG_CONFIGURATION, complain, logging};
use crate::{
    error_chain::chain,
    listener::PortSharing,
    server::{Options, Server, StartError},
};

/// Runs the balancer until it is told to end.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    logging::start(args.logging);
    let options = Options {
        config: args.config.config.clone(),
        scale: args.scale.time_scale,
        port_sharing: if args.reuse_port { PortSharing::Shared } else { PortSharing::Exclusive },
        drain: args.drain,
    };
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let server = tokio::select! {
            started = Server::start(options) => match started {
                Ok(server) => server,
                Err(error) => return Ok(refuse(&error)),
            },
            // Nothing is served yet that could be drained.
            () = signals.end() => return Ok(ExitCode::SUCCESS),
        };
        signals.serve(&server).await;
        Ok(signals.shut_down(server).await)
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

/// One worker per core, and as many descriptors as the system lets the process have.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    if let Err(error) = raised {
        tracing::warn!(%error, ?limit, "the limit of open files could not be raised");
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// The signals that steer the process. Made before anything is served, so that none kills it undrained.
pub(super) struct Signals {
    reload: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM or SIGINT.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Reloads at each SIGHUP, reads changed files, and returns at SIGTERM or SIGINT.
    pub(super) async fn serve(&mut self, server: &Server) {
        loop {
            tokio::select! {
                _ = self.reload.recv() => server.reload().await,
                change = server.files_changed() => server.take(change).await,
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }

    /// Drains and ends the balancer; a second SIGTERM or SIGINT closes what is left
    /// at once and makes it a failure.
    pub(super) async fn shut_down(&mut self, server: Server) -> ExitCode {
        if server.shutdown(self.end()).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
