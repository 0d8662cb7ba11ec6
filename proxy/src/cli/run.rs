//! `albeit run`, and what it shares with `albeit dev`: signals, life cycle.

use std::{os::unix::net::UnixStream, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    RunArgs, WRONG_CONFIGURATION, complain, logging, parse_duration, pid_file::PidFile, service_manager,
};
use crate::{
    error_chain::chain,
    listener::{PortSharing, inherited::Inherited},
    server::{
        Change, Options, Server, StartError,
        upgrade::{Predecessor, Program, State, Successor},
    },
};

/// What systemd shows as the status of the service.
const SERVING: &str = "Serving";
const RELOAD_REFUSED: &str = "Serving as before: the reload was refused, see the log";
const UPGRADE_FAILED: &str = "Serving as before: the upgrade failed, see the log";

/// How the process makes way for another one.
#[derive(Debug, Args)]
pub(super) struct UpgradeArgs {
    /// How long connections may stay with this process after SIGUSR2 has started the program anew.
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = parse_duration)]
    upgrade_drain: Duration,
    /// Write the process id to this file once the balancer serves.
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
}

/// Runs the balancer until it is told to end, or another process of it has taken over.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    logging::start(args.logging);
    let program = Program::of_this_process().context("cannot find the program that is running")?;
    // Changes the environment, and so comes before there is a second thread.
    let (sockets, predecessor) = Inherited::from_env()?;
    let options = Options {
        config: args.config.config.clone(),
        scale: args.scale.time_scale,
        port_sharing: if args.reuse_port { PortSharing::Shared } else { PortSharing::Exclusive },
        drain: args.drain,
    };
    runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let upgrade = Upgrade { signal: signal(SignalKind::user_defined2())?, program };
        let server = tokio::select! {
            started = start(options, sockets, predecessor) => match started? {
                Ok(server) => server,
                Err(error) => return Ok(refuse(&error)),
            },
            // Nothing is served yet that could be drained.
            () = signals.end() => return Ok(ExitCode::SUCCESS),
        };
        let _pid_file = args.upgrade.pid_file.as_deref().map(write_pid_file);
        service_manager::ready(SERVING);
        let end = tokio::select! {
            end = signals.serve_upgradable(&server, upgrade) => end,
            never = service_manager::watchdog() => match never {},
        };
        Ok(match end {
            None => {
                service_manager::stopping();
                signals.shut_down(server).await
            }
            Some(successor) => signals.leave(server, successor, args.upgrade.upgrade_drain).await,
        })
    })
}

/// Starts the balancer, in the place of the process before this one if there is one.
async fn start(
    options: Options,
    sockets: Inherited,
    predecessor: Option<UnixStream>,
) -> anyhow::Result<Result<Server, StartError>> {
    let (predecessor, state) = match predecessor {
        None => (None, State::default()),
        Some(stream) => {
            let (predecessor, state) = Predecessor::meet(stream).await?;
            (Some(predecessor), state)
        }
    };
    let started = Server::start_with(options, sockets, state).await;
    match (&started, predecessor) {
        (_, None) => {}
        (Ok(_), Some(predecessor)) => predecessor.take_over().await,
        (Err(error), Some(predecessor)) => predecessor.refuse(&chain(error)).await,
    }
    Ok(started)
}

/// A file that cannot be written does not keep the balancer from serving.
fn write_pid_file(path: &std::path::Path) -> Option<PidFile> {
    let written = PidFile::write(path);
    written
        .inspect_err(|error| tracing::error!(%error, file = %path.display(), "no file with the process id"))
        .ok()
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

/// What starts the program anew: SIGUSR2, as with nginx. SIGQUIT would be at hand (Ctrl-\), and means an end
/// elsewhere.
struct Upgrade {
    signal: Signal,
    program: Program,
}

/// What is to be done.
enum Wish {
    /// To read what has changed, or all of it.
    Reload(Option<Change>),
    /// To end.
    End,
}

/// Reloads, and lets systemd know if it was asked for, as by `systemctl reload`.
async fn reload(server: &Server, change: Option<Change>) {
    if let Some(change) = change {
        return server.take(change).await;
    }
    service_manager::reloading();
    let is_done = server.reload().await;
    service_manager::ready(if is_done { SERVING } else { RELOAD_REFUSED });
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
            match self.wish(server).await {
                Wish::Reload(change) => reload(server, change).await,
                Wish::End => return,
            }
        }
    }

    /// The same, but at each SIGUSR2 starts the program anew, and also returns when another process serves.
    async fn serve_upgradable(&mut self, server: &Server, mut upgrade: Upgrade) -> Option<Successor> {
        loop {
            let wish = tokio::select! {
                wish = self.wish(server) => Some(wish),
                _ = upgrade.signal.recv() => None,
            };
            match wish {
                Some(Wish::Reload(change)) => reload(server, change).await,
                Some(Wish::End) => return None,
                None => {
                    service_manager::upgrading();
                    tokio::select! {
                        upgraded = server.upgrade(&upgrade.program) => match upgraded {
                            Ok(successor) => return Some(successor),
                            // Why is in the log.
                            Err(_) => service_manager::ready(UPGRADE_FAILED),
                        },
                        () = self.end() => return None,
                    }
                }
            }
        }
    }

    /// What is to be done next. Nothing is lost by dropping the future.
    async fn wish(&mut self, server: &Server) -> Wish {
        tokio::select! {
            _ = self.reload.recv() => Wish::Reload(None),
            change = server.files_changed() => Wish::Reload(Some(change)),
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
        }
    }

    /// Leaves the service to `successor` and ends with the last connection, or after `drain`. SIGTERM and
    /// SIGINT begin the usual drain time; a second one closes what is left at once.
    async fn leave(&mut self, server: Server, successor: Successor, drain: Duration) -> ExitCode {
        if let Some(pid) = successor.pid() {
            service_manager::main_pid(pid);
        }
        let in_time = server.leave(successor, drain, async || self.end().await).await;
        if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Drains and ends the balancer; a second SIGTERM or SIGINT closes what is left
    /// at once and makes it a failure.
    pub(super) async fn shut_down(&mut self, server: Server) -> ExitCode {
        if server.shutdown(self.end()).await { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
