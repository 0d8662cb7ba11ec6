//! Upgrade of the program, on the side of the process that serves so far: up to
//! the moment when there is another one that serves as well.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use super::{
    Server,
    running::{Changes, Running},
    upgrade::{Carried, Program, State, Successor, UpgradeError},
};
use crate::error_chain::chain;

/// How long a new process may take until it serves. Not scaled.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a new process that did not come to serve may drain, on top of the drain time. Not scaled.
const ABANDON_LIMIT: Duration = Duration::from_secs(5);

impl Server {
    /// Starts `program` again and waits until the new process serves with the sockets of this one, or
    /// changes nothing. Either way this process serves on, until [`Self::leave`].
    ///
    /// From here on, unless it fails, nothing can be changed any more: it would be lost.
    ///
    /// # Errors
    ///
    /// When no new process comes to serve; logged and counted here. A success is counted by the new process,
    /// since from then on it is the one that is asked for metrics.
    ///
    /// # Cancel safety
    ///
    /// Only to be dropped to end this process: the new one goes on.
    pub async fn upgrade(&self, program: &Program) -> Result<Successor, UpgradeError> {
        let metrics = self.running.metrics.process();
        tracing::info!(program = %program.path.display(), "starting the program again");
        *self.running.changing.lock() = Changes::Suspended;
        let started = self.succeed(program).await;
        started.inspect_err(|error| {
            *self.running.changing.lock() = Changes::Allowed;
            metrics.upgrade_failures.inc();
            tracing::error!(error = chain(error), "upgrade failed, this process serves on");
        })
    }

    async fn succeed(&self, program: &Program) -> Result<Successor, UpgradeError> {
        let sockets = self.sockets().map_err(UpgradeError::Sockets)?;
        let state = State::from(self.running.carried());
        let again = program.clone();
        let started = self.background.spawn_blocking(move || Successor::start(&again, sockets)).await;
        let mut successor = started.map_err(|panic| UpgradeError::Sockets(io::Error::other(panic)))??;
        match successor.until_ready(&state, START_LIMIT).await {
            Ok(()) => Ok(successor),
            Err(error) => {
                let options = &self.running.options;
                let limit = options.scale.apply(options.drain) + ABANDON_LIMIT;
                let stopped = self.stopped.clone();
                self.background.spawn(async move {
                    stopped.run_until_cancelled(successor.abandon(limit)).await;
                });
                Err(error)
            }
        }
    }

    /// All listening sockets, once more.
    fn sockets(&self) -> io::Result<Vec<OwnedFd>> {
        let mut sockets = self.running.listeners.sockets()?;
        if let Some(admin) = &self.admin_socket {
            sockets.push(admin.as_fd().try_clone_to_owned()?);
        }
        Ok(sockets)
    }
}

impl Running {
    /// What the process after this one is to know.
    fn carried(&self) -> Carried {
        Carried {
            stickiness_key: Some(self.stickiness_key),
            tickets: Some(self.session_tickets.keys()),
            overrides: self.in_force.load().overrides.clone(),
            known: self.registry.known(),
            upgrades: self.metrics.process().upgrades.get().saturating_add(1),
        }
    }
}
