//! The rhythm of health checks.
//!
//! Rounds begin at a fixed interval, however long the answers take, and the
//! first one soon after registration.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Keeps a scaled interval from becoming a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// When rounds begin. Both durations are already scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// From registration to the first round: a small spread, so that targets registered together
    /// are not checked at the same instant.
    pub first: Duration,
    /// From the beginning of a round to the beginning of the next. At least 1 ms.
    pub interval: Duration,
}

/// Runs `round` in the rhythm of `schedule` until `cancelled`.
///
/// A round that overruns its interval makes the next ones wait for the next
/// beat; beats never pile up.
///
/// # Cancel safety
/// Dropping the future, like `cancelled`, ends a round half-way.
pub async fn run<F, R>(schedule: Schedule, cancelled: CancellationToken, mut round: F)
where
    F: FnMut() -> R,
    R: Future<Output = ()>,
{
    let interval = schedule.interval.max(SHORTEST_INTERVAL);
    let mut beat = Instant::now() + schedule.first;
    let rounds = async {
        loop {
            sleep_until(beat).await;
            round().await;
            let overrun = Instant::now().saturating_duration_since(beat).as_nanos() / interval.as_nanos();
            beat += interval.saturating_mul(u32::try_from(overrun).unwrap_or(u32::MAX).saturating_add(1));
        }
    };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = rounds => {}
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rounds_keep_their_rhythm_however_long_answers_take() {
        let started = Instant::now();
        let begun = Mutex::new(Vec::new());
        let cancelled = CancellationToken::new();
        let schedule = Schedule { first: Duration::from_secs(1), interval: Duration::from_secs(10) };
        let answers = Mutex::new([9, 1, 12, 3].into_iter());
        run(schedule, cancelled.clone(), || {
            begun.lock().push(started.elapsed().as_secs());
            let answer = answers.lock().next();
            let cancelled = &cancelled;
            async move {
                match answer {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => cancelled.cancel(),
                }
            }
        })
        .await;
        assert_eq!(*begun.lock(), [1, 11, 21, 41, 51]);
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_ends_a_round_half_way() {
        let cancelled = CancellationToken::new();
        let started = Instant::now();
        let schedule = Schedule { first: Duration::ZERO, interval: Duration::from_secs(10) };
        let stop = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            cancelled.cancel();
        };
        tokio::join!(run(schedule, cancelled.clone(), || tokio::time::sleep(Duration::from_secs(60))), stop);
        assert_eq!(started.elapsed(), Duration::from_secs(3));
    }
}
