//! The new process, as the old one sees it.

use std::{
    fs, io,
    os::{
        fd::{OwnedFd, RawFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
    process::{Command as StdCommand, ExitStatus},
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{
    Program,
    channel::{Answer, Channel, ChannelError},
    state::State,
};
use crate::listener::inherited::{FIRST, PREDECESSOR};

/// How sockets are named in `LISTEN_FDNAMES`.
const LISTENER: &str = "albeit-listener";
/// How long a process may take to be gone after its end of the connection is. Not scaled.
const REAP_LIMIT: Duration = Duration::from_secs(2);

/// The program could not be upgraded: the old process goes on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The program cannot be run.
    #[error("cannot start {}", path.display())]
    Start {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No descriptors are left for the sockets.
    #[error("cannot pass the sockets on")]
    Sockets(#[source] io::Error),
    /// The new process says why it cannot serve.
    #[error("the new process cannot serve: {0}")]
    Refused(String),
    /// The new process says nothing and is gone.
    #[error("the new process has ended ({0}) before it was ready")]
    Ended(ExitStatus),
    /// The new process cannot be spoken with.
    #[error("the new process was not heard of")]
    Channel(#[from] ChannelError),
}

/// A process that is to serve from now on.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    channel: Channel,
}

impl Successor {
    /// Starts the program with `sockets`. Forks, and so blocks for a moment when much memory is in use.
    pub(in crate::server) fn start(program: &Program, sockets: Vec<OwnedFd>) -> Result<Self, UpgradeError> {
        let failed = |source| UpgradeError::Start { path: program.path.clone(), source };
        // What is not there is better said before the process is duplicated.
        fs::metadata(&program.path).map_err(failed)?;
        let (ours, theirs) = UnixStream::pair().map_err(UpgradeError::Sockets)?;
        let names = vec![LISTENER; sockets.len()].into_iter().chain([PREDECESSOR]);
        let names = names.collect::<Vec<_>>().join(":");
        let descriptors = sockets.into_iter().chain([OwnedFd::from(theirs)]);
        let mappings: Vec<FdMapping> = (FIRST..RawFd::MAX)
            .zip(descriptors)
            .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd })
            .collect();
        let mut command = StdCommand::new(&program.path);
        command
            .args(&program.arguments)
            .env("LISTEN_FDS", mappings.len().to_string())
            .env("LISTEN_FDNAMES", names)
            // Not known before the process is there; without it any process may be meant.
            .env_remove("LISTEN_PID")
            // The same: it says that somebody else than the new process is watched.
            .env_remove("WATCHDOG_PID");
        command.fd_mappings(mappings).map_err(|error| UpgradeError::Sockets(io::Error::other(error)))?;
        let child = Command::from(command).spawn().map_err(failed)?;
        let channel = Channel::new(ours).map_err(ChannelError::from)?;
        Ok(Self { child, channel })
    }

    /// Hands `state` over and waits at most `limit` until the new process serves.
    pub(in crate::server) async fn until_ready(
        &mut self,
        state: &State,
        limit: Duration,
    ) -> Result<(), UpgradeError> {
        let speaking = async {
            self.channel.send_state(state).await?;
            self.channel.receive_answer(limit).await
        };
        match timeout(limit, speaking).await.unwrap_or(Err(ChannelError::Silent(limit))) {
            Ok(Answer::Ready) => Ok(()),
            Ok(Answer::Refused(why)) => Err(UpgradeError::Refused(why)),
            Err(error @ ChannelError::Broken(_)) => match timeout(REAP_LIMIT, self.child.wait()).await {
                Ok(Ok(status)) => Err(UpgradeError::Ended(status)),
                Ok(Err(_)) | Err(_) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Its process id; `None` if it has ended meanwhile.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Lets it know that it is the one that serves.
    pub(in crate::server) async fn go(&mut self) {
        if let Err(error) = self.channel.send_go().await {
            // It says so itself, too, if it is about to end.
            tracing::warn!(
                error = crate::error_chain::chain(&error),
                "the new process cannot be told to go on"
            );
        }
    }

    /// Completes when it has ended, before this process has.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub(in crate::server) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends a process that did not come to serve: it drains whatever it may have accepted for at most `limit`.
    pub(in crate::server) async fn abandon(mut self, limit: Duration) {
        drop(self.channel);
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile, which is as well.
            kill_process(pid, Signal::TERM).unwrap_or_default();
        }
        if timeout(limit, self.child.wait()).await.is_err() {
            drop(self.child.kill().await);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt as _, path::Path};

    use super::*;
    use crate::error_chain::chain;

    fn script(directory: &Path, text: &str) -> Program {
        let path = directory.join("albeit");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program { path, arguments: vec!["run".into()] }
    }

    /// What comes of an upgrade to a program that does `text`.
    async fn upgrade(text: &str, limit: Duration) -> (Result<(), UpgradeError>, String) {
        let directory = tempfile::tempdir().unwrap();
        let program = script(directory.path(), &text.replace("DIR", directory.path().to_str().unwrap()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut successor = Successor::start(&program, vec![listener.into()]).unwrap();
        let ready = successor.until_ready(&State::default(), limit).await;
        successor.abandon(limit).await;
        (ready, fs::read_to_string(directory.path().join("out")).unwrap_or_default())
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_new_process_finds_sockets_where_systemd_puts_them() {
        let say = "echo $LISTEN_FDS $LISTEN_FDNAMES ${LISTEN_PID-none} $1 >DIR/out
            readlink /proc/self/fd/3 /proc/self/fd/4 | sed 's/[0-9]//g' >>DIR/out
            printf '\\0\\0\\0\\0R' >&4; cat <&4 >/dev/null";
        let (ready, out) = upgrade(say, LONG).await;
        assert!(ready.is_ok(), "{ready:?}");
        let expected = "2 albeit-listener:albeit-predecessor none run\nsocket:[]\nsocket:[]\n";
        assert_eq!(out, expected);
    }

    #[tokio::test]
    async fn a_process_that_refuses_ends_or_is_silent_is_no_successor() {
        let why = |ready: Result<(), UpgradeError>| chain(&ready.unwrap_err());
        let (refused, _) = upgrade("printf '\\0\\0\\0\\2Fno' >&4; cat <&4 >/dev/null", LONG).await;
        assert_eq!(why(refused), "the new process cannot serve: no");
        let (ended, _) = upgrade("exit 3", LONG).await;
        assert_eq!(why(ended), "the new process has ended (exit status: 3) before it was ready");
        let (silent, _) = upgrade("exec sleep 60", Duration::from_millis(50)).await;
        assert_eq!(
            why(silent),
            "the new process was not heard of: the other process of the upgrade did not answer within 50ms"
        );
    }

    #[tokio::test]
    async fn a_program_that_cannot_be_run_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let program = Program { path: directory.path().join("gone"), arguments: Vec::new() };
        let error = Successor::start(&program, Vec::new()).unwrap_err();
        assert!(chain(&error).starts_with(&format!("cannot start {}", program.path.display())), "{error}");
    }
}
