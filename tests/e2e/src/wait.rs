//! Waiting: every wait has a deadline, and states are polled, never slept for.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::time::{self, Instant};

/// Deadline for what should happen at once, generous enough for a busy machine: 15 s.
pub const SOON: Duration = Duration::from_secs(15);

/// Time between two looks at a state in [`eventually`]: 20 ms.
const POLL_PERIOD: Duration = Duration::from_millis(20);

/// The output of `future`, if it ends within `limit`.
///
/// # Errors
/// When the deadline passes; the text names `what` was waited for.
pub async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> Result<T> {
    time::timeout(limit, future).await.map_err(|_| anyhow!("{what}: not within {limit:?}"))
}

/// Calls `probe` again and again until it succeeds.
///
/// # Errors
/// When it has not succeeded within `limit`: its last error, with `what` in front.
pub async fn eventually<T, F>(limit: Duration, what: &str, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let deadline = Instant::now() + limit;
    let mut last = anyhow!("the first look has not ended");
    loop {
        match time::timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(last).with_context(|| format!("{what}: not within {limit:?}"));
        }
        time::sleep(POLL_PERIOD).await;
    }
}
