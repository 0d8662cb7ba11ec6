//! Live figures: what is open, what comes each second, how late, what failed.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{outcome::Unit, quantity, record::Times};

/// Rate and percentile are those of the last so long, so that a stall shows at once.
const WINDOW: Duration = Duration::from_secs(1);

/// What all tasks and threads of a run count together.
#[derive(Debug, Default)]
pub(super) struct Live {
    open: AtomicU64,
    ever_open: AtomicU64,
    failed: AtomicU64,
    /// None before the first answer.
    window: Mutex<Option<Window>>,
}

/// Answers since a moment, and the figures of the window before.
#[derive(Debug)]
struct Window {
    since: Instant,
    times: Times,
    shown: Option<Shown>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    per_second: f64,
    p99: Option<f64>,
}

/// Figures at a moment, for people: `900 open, 1203/s, p99 3.1 ms, 2 failed`.
#[derive(Debug)]
pub(super) struct Figures {
    open: Option<u64>,
    shown: Option<Shown>,
    failed: u64,
}

impl Live {
    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
        self.ever_open.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn answered(&self, latency: Duration, now: Instant) {
        let mut window = self.window.lock();
        if window.is_none() {
            *window = Times::try_new().ok().map(|times| Window { since: now, times, shown: None });
        }
        let Some(window) = window.as_mut() else { return };
        window.roll(now);
        window.times.record(latency);
    }

    pub(super) fn at(&self, now: Instant) -> Figures {
        let mut window = self.window.lock();
        let shown = window.as_mut().map(|window| {
            window.roll(now);
            window.shown.unwrap_or_else(|| window.figures(now))
        });
        let open = (self.ever_open.load(Relaxed) > 0).then(|| self.open.load(Relaxed));
        Figures { open, shown, failed: self.failed.load(Relaxed) }
    }
}

impl Window {
    fn roll(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= WINDOW {
            self.shown = Some(self.figures(now));
            self.times.clear();
            self.since = now;
        }
    }

    fn figures(&self, now: Instant) -> Shown {
        let count = self.times.count();
        let seconds = now.saturating_duration_since(self.since).max(WINDOW).as_secs_f64();
        let p99 = (count > 0).then(|| self.times.percentile(99.0));
        Shown { per_second: crate::record::number(count) / seconds, p99 }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(open) = self.open {
            write!(f, "{open} open, ")?;
        }
        if let Some(Shown { per_second, p99 }) = self.shown {
            write!(f, "{per_second:.0}/s, ")?;
            if let Some(p99) = p99 {
                write!(f, "p99 {}, ", quantity::display(p99, Unit::Milliseconds))?;
            }
        }
        write!(f, "{} failed", self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn figures_are_those_of_the_last_second() {
        let (live, start) = (Live::default(), Instant::now());
        assert_eq!(live.at(start).to_string(), "0 failed");
        for _ in 0..3 {
            live.opened();
        }
        live.closed();
        live.failed();
        for number in 0..100 {
            live.answered(2 * MILLISECOND, start + number * MILLISECOND);
        }
        assert_eq!(live.at(start + WINDOW).to_string(), "2 open, 100/s, p99 2 ms, 1 failed");
        // The service stalls.
        assert_eq!(live.at(start + 3 * WINDOW).to_string(), "2 open, 0/s, 1 failed");
    }
}
