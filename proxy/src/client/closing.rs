//! That the listener of a connection goes, and how soon the connection has to.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

/// How long a client that is just connecting may take for its first request once the listener goes. Not scaled.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Cancelled when a listener goes: by a reload, a shutdown, or because another process serves it from now on.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    token: CancellationToken,
    pace: Pace,
}

/// How soon idle connections close once their listener goes. Shared by all listeners of the process.
#[derive(Debug, Clone)]
pub struct Pace(Arc<watch::Sender<bool>>);

impl Default for Pace {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Pace {
    /// Leaves idle connections until their next request, which is answered with `Connection: close`: a
    /// request that crosses the closing of its connection on the way is lost, and here nothing is in a hurry.
    pub fn leave_idle(&self) {
        self.0.send_replace(true);
    }

    /// Closes idle connections, as is done from the beginning.
    pub fn close_idle(&self) {
        self.0.send_replace(false);
    }

    async fn until_close_idle(&self) {
        // The sender lives as long as this does, so it cannot fail.
        drop(self.0.subscribe().wait_for(|leaves_idle| !leaves_idle).await);
    }
}

impl Closing {
    /// Cancelled when `token` is.
    #[must_use]
    pub const fn new(token: CancellationToken, pace: Pace) -> Self {
        Self { token, pace }
    }

    /// One that is cancelled when this is, or by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { token: self.token.child_token(), pace: self.pace.clone() }
    }

    /// The listener goes.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// Whether the listener goes: the request in hand is the connection's last.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Completes when the listener goes.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Completes when a connection that waits for its next request is to be closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping the future.
    pub async fn idle(&self) {
        self.token.cancelled().await;
        self.pace.until_close_idle().await;
    }
}

/// Completes a moment after `closing` was cancelled: a request that is on its way is still served.
///
/// # Cancel safety
///
/// Begun anew, the moment is counted anew.
pub async fn last_moment(closing: &Closing) {
    closing.cancelled().await;
    sleep(LAST_MOMENT).await;
    closing.idle().await;
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idle_connections_close_with_their_listener_unless_they_are_left() {
        let pace = Pace::default();
        let listener = Closing::new(CancellationToken::new(), pace.clone());
        let connection = listener.child();
        assert_eq!(connection.idle().now_or_never(), None);
        pace.leave_idle();
        listener.cancel();
        assert!(connection.is_cancelled());
        assert_eq!(connection.idle().now_or_never(), None);
        let mut moment = Box::pin(last_moment(&connection));
        let limit = Duration::from_secs(60);
        assert!(tokio::time::timeout(limit, &mut moment).await.is_err());
        pace.close_idle();
        assert_eq!(connection.idle().now_or_never(), Some(()));
        assert_eq!(moment.now_or_never(), Some(()));
    }
}
