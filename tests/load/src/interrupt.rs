//! Ctrl-C, and SIGTERM of a CI system: the first ends what runs, which then tells
//! what it has; the second ends the program at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Does work that ends early when its token is cancelled, which the first signal
/// does. Nothing comes of it when there is a second one.
pub(crate) async fn heeding<T>(work: impl AsyncFnOnce(&CancellationToken) -> T) -> Option<T> {
    let stop = CancellationToken::new();
    tokio::select! {
        biased;
        done = work(&stop) => Some(done),
        () = twice(&stop) => None,
    }
}

async fn twice(stop: &CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Signals end the program as they do others.
        return std::future::pending().await;
    };
    for _ in 0..2 {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    }
}
