//! When to start what is measured.
//!
//! **Open loop**: starts are due at fixed moments, whatever became of earlier
//! ones. A server that stalls is asked all the same, and what had to wait counts
//! from when it was due: otherwise one slow answer would hide all the requests
//! that a stall keeps from being made (coordinated omission).
//!
//! **Closed loop**: each connection starts again when it is done. It finds the
//! most that a server can do, and tells nothing of how long users wait.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Timers fire up to this much late, which is this program's doing: a start that
/// was waited for, and is no later than this, counts from when it was made.
const TIMER: Duration = Duration::from_millis(2);

/// Tells many connections when to start.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    end: Instant,
    rate: Option<f64>,
    /// How long after the end starts that are overdue may still be made.
    grace: Duration,
    /// Ends it early.
    stop: CancellationToken,
    taken: AtomicU64,
    late: AtomicU64,
}

/// One start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    /// What its latency counts from.
    pub(crate) counted_from: Instant,
}

impl Pace {
    /// Starts from `start` on for `duration`: at this rate a second, or as fast as
    /// each connection can.
    pub(crate) fn new(
        start: Instant,
        duration: Duration,
        rate: Option<f64>,
        grace: Duration,
        stop: CancellationToken,
    ) -> Self {
        let end = start + duration;
        Self { start, end, rate, grace, stop, taken: AtomicU64::new(0), late: AtomicU64::new(0) }
    }

    /// How latencies are measured at a rate, or without one, in a sentence.
    pub(crate) fn method(rate: Option<f64>) -> String {
        match rate {
            Some(rate) => format!(
                "open loop: {rate} starts a second, due at fixed moments; a latency counts from when its \
                 start was due, not from when a connection was free for it (no coordinated omission)"
            ),
            None => "closed loop: each connection starts again when it is done, and a latency counts from \
                 its start; a stalled server is asked less often, which nothing here corrects"
                .to_owned(),
        }
    }

    /// Waits for the next start; none when the time is over, or when it is ended early.
    ///
    /// # Cancel safety
    /// Not safe: a start that was taken is lost.
    pub(crate) async fn next(&self) -> Option<Start> {
        if self.stop.is_cancelled() {
            return None;
        }
        let now = Instant::now();
        let Some(rate) = self.rate else {
            return (now < self.end).then_some(Start { counted_from: now });
        };
        if now >= self.end + self.grace {
            return None;
        }
        let number = self.taken.fetch_add(1, Relaxed);
        let due = self.start + after(number, rate);
        if due >= self.end {
            return None;
        }
        if now < due {
            self.stop.run_until_cancelled(sleep_until(due)).await?;
        }
        let started = Instant::now();
        let lateness = started.saturating_duration_since(due);
        if lateness > TIMER {
            self.late.fetch_add(1, Relaxed);
        }
        let is_timely = now < due && lateness <= TIMER;
        Some(Start { counted_from: if is_timely { started } else { due } })
    }

    /// Starts that were made late, since no connection was free; zero in a closed
    /// loop.
    pub(crate) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }

    /// Starts that were due and never made; none of a pace that was ended early.
    pub(crate) fn missed(&self) -> u64 {
        let Some(rate) = self.rate.filter(|_| !self.stop.is_cancelled()) else { return 0 };
        let taken = self.taken.load(Relaxed);
        // Few enough to count: those of one grace.
        (taken..)
            .take_while(|number| self.start + after(*number, rate) < self.end)
            .fold(0, |count, _| count + 1)
    }
}

/// Reads a rate a second: a number above zero.
///
/// # Errors
/// When it is none.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a rate is a number above zero".to_owned()),
    }
}

/// From the first start to the one with this number.
fn after(number: u64, rate: f64) -> Duration {
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 starts")]
    let seconds = number as f64 / rate;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(start: Instant, rate: Option<f64>) -> Pace {
        Pace::new(start, SECOND, rate, SECOND, CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn starts_are_due_at_fixed_moments() {
        let start = Instant::now();
        let pace = pace(start, Some(4.0));
        let mut seen = Vec::new();
        while let Some(next) = pace.next().await {
            seen.push((next.counted_from - start).as_millis());
        }
        assert_eq!(seen, [0, 250, 500, 750]);
        assert_eq!((pace.late(), pace.missed()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_stall_latencies_count_from_when_starts_were_due() {
        let start = Instant::now();
        let pace = pace(start, Some(4.0));
        assert_eq!(pace.next().await, Some(Start { counted_from: start }));
        // The only connection is busy for 600 ms.
        tokio::time::advance(Duration::from_millis(600)).await;
        for due in [250, 500, 750] {
            let next = pace.next().await.unwrap();
            assert_eq!(next.counted_from - start, Duration::from_millis(due));
        }
        assert_eq!(pace.next().await, None);
        assert_eq!((pace.late(), pace.missed()), (2, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn starts_that_a_stall_outlasts_are_missed() {
        let pace = pace(Instant::now(), Some(4.0));
        pace.next().await.unwrap();
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(pace.next().await, None);
        assert_eq!(pace.missed(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pace_that_is_ended_early_misses_nothing() {
        let stop = CancellationToken::new();
        let pace = Pace::new(Instant::now(), SECOND, Some(4.0), SECOND, stop.clone());
        pace.next().await.unwrap();
        let (next, ()) = tokio::join!(pace.next(), async { stop.cancel() });
        assert_eq!((next, pace.next().await, pace.missed()), (None, None, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_loop_starts_at_once_until_the_end() {
        let start = Instant::now();
        let pace = pace(start, None);
        tokio::time::advance(SECOND / 2).await;
        assert_eq!(pace.next().await, Some(Start { counted_from: start + SECOND / 2 }));
        tokio::time::advance(SECOND / 2).await;
        assert_eq!(pace.next().await, None);
        assert_eq!((pace.late(), pace.missed()), (0, 0));
    }
}
