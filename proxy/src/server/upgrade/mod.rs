//! Zero-downtime upgrade of the program: a new process of it takes over the
//! listening sockets and what the old one knows, and the old one drains.
//!
//! ```text
//! old                                     new
//!  │ starts the program again: sockets     │
//!  │ by LISTEN_FDS, one of them to speak ─▶│
//!  │ State ───────────────────────────────▶│ reads configuration, takes the sockets,
//!  │                                       │ accepts with them
//!  │◀──────────────────────────────── Ready│ (or Refused, or it ends: nothing has changed)
//!  │ tells the service manager             │
//!  │ Go ──────────────────────────────────▶│ tells the service manager
//!  │ stops accepting, drains               │
//! ```
//!
//! Both accept from the same sockets for a moment, so that no connection is refused
//! and none is lost in a queue. Keys go over the connection between the two, never
//! through the command line or the environment.

mod channel;
mod program;
mod state;
mod successor;

use std::{os::unix::net::UnixStream, time::Duration};

use self::channel::Channel;
pub(super) use self::state::Carried;
pub use self::{
    channel::ChannelError,
    program::Program,
    state::State,
    successor::{Successor, UpgradeError},
};

/// How long the old process may take for an answer. Not scaled.
const PATIENCE: Duration = Duration::from_secs(10);

/// The process before this one, as long as it waits for this one to be ready.
#[derive(Debug)]
pub struct Predecessor(Channel);

impl Predecessor {
    /// Takes over what the process before this one knows. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When it has ended meanwhile, or speaks another language.
    pub async fn meet(stream: UnixStream) -> Result<(Self, State), ChannelError> {
        let mut channel = Channel::new(stream)?;
        let state = channel.receive_state(PATIENCE).await?;
        Ok((Self(channel), state))
    }

    /// Says that this process serves, and waits until the other one knows.
    pub async fn take_over(mut self) {
        let answered = match self.0.send_ready().await {
            Ok(()) => self.0.receive_go(PATIENCE).await,
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            // It has ended, and this process serves all the same.
            tracing::warn!(error = crate::error_chain::chain(&error), "the process before this one is gone");
        }
    }

    /// Says why this process cannot serve. The other one goes on.
    pub async fn refuse(mut self, why: &str) {
        // If it has ended, then nobody wants to know.
        drop(self.0.send_refused(why).await);
    }
}
