//! What came of connections, counted by one thread and noted for all.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{Arguments, Made};
use crate::client::failure::Failure;
use crate::outcome::{Better, Outcome, Unit};
use crate::pace::Pace;
use crate::record::{OverTime, Times, failures, number, unmade};

/// How many handshakes in a hundred must resume where that is wanted.
const RESUMED: u64 = 90;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Done,
    Failed(String),
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("done"),
            Self::Failed(how) => formatter.write_str(how),
        }
    }
}

/// What one thread counts.
#[derive(Debug)]
pub(super) struct Tally {
    whole: Times,
    tcp: Times,
    tls: Times,
    rest: Times,
    ended: OverTime<Ended>,
    resumed: u64,
    /// In full words.
    first_failure: Option<String>,
    late: u64,
    missed: u64,
    last: Instant,
}

impl Tally {
    /// Seconds count from `start`.
    ///
    /// # Errors
    /// Never.
    pub(super) fn try_new(start: Instant) -> Result<Self> {
        Ok(Self {
            whole: Times::try_new()?,
            tcp: Times::try_new()?,
            tls: Times::try_new()?,
            rest: Times::try_new()?,
            ended: OverTime::new(start),
            resumed: 0,
            first_failure: None,
            late: 0,
            missed: 0,
            last: start,
        })
    }

    /// Counts one attempt that ended now; its time counts from `from`.
    pub(super) fn count(&mut self, made: &Result<Made, Failure>, from: Instant, now: Instant) {
        self.last = self.last.max(now);
        match made {
            Ok(made) => self.done(made, made.at - from, now),
            Err(failure) => {
                self.first_failure.get_or_insert_with(|| failure.to_string());
                self.ended.count(&Ended::Failed(failure.name().into_owned()), now);
            }
        }
    }

    /// All is made: what the pace counted.
    pub(super) fn end(&mut self, pace: &Pace) {
        (self.late, self.missed) = (pace.late(), pace.missed());
    }

    /// Takes another thread's in.
    fn add(&mut self, other: Self) {
        self.whole.add(&other.whole);
        self.tcp.add(&other.tcp);
        self.tls.add(&other.tls);
        self.rest.add(&other.rest);
        self.ended.add(&other.ended);
        self.resumed += other.resumed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.late += other.late;
        self.missed += other.missed;
        self.last = self.last.max(other.last);
    }

    fn done(&mut self, made: &Made, whole: Duration, now: Instant) {
        self.whole.record(whole);
        self.ended.count(&Ended::Done, now);
        if let Some(timings) = made.timings {
            self.tcp.record(timings.tcp);
            if let Some(tls) = timings.tls {
                self.tls.record(tls);
            }
            self.resumed += u64::from(timings.is_resumed);
            if let Some(rest) = made.rest {
                self.rest.record(rest);
            }
        }
    }
}

/// Notes what all threads counted.
///
/// # Errors
/// Without a thread.
pub(super) fn note(outcome: &mut Outcome, arguments: &Arguments, parts: Vec<Tally>) -> Result<()> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().context("no threads")?;
    parts.for_each(|part| all.add(part));
    let (mut done, mut failed) = (0, 0);
    for (ended, count) in all.ended.totals() {
        match ended {
            Ended::Done => done += count,
            Ended::Failed(how) => {
                failed += count;
                outcome.errors.insert(how.clone(), count);
            }
        }
    }
    let seconds = all.last.saturating_duration_since(all.ended.start()).as_secs_f64().max(0.001);
    outcome.figure("handshakes", number(done), Unit::Count, Better::Neither);
    outcome.figure("handshakes_per_second", number(done) / seconds, Unit::PerSecond, Better::Higher);
    outcome.figure("failures", number(failed), Unit::Count, Better::Lower);
    if arguments.rate.is_some() {
        outcome.figure("late_starts", number(all.late), Unit::Count, Better::Lower);
        let measured = unmade(all.missed, "begun");
        outcome.expect("connections that were due", "all begun", measured, all.missed == 0);
    }
    all.whole.note(outcome, "handshake", "");
    all.tcp.note(outcome, "TCP", "tcp_");
    all.tls.note(outcome, "TLS", "tls_");
    all.rest.note(outcome, "upgrade", "upgrade_");
    outcome.series.extend(all.ended.series("handshakes"));
    outcome.expect("handshakes", "some", done.to_string(), done > 0);
    outcome.expect("failures", "none", failures(failed, done + failed, all.first_failure), failed == 0);
    if arguments.resume {
        outcome.figure("resumed", number(all.resumed), Unit::Count, Better::Higher);
        let passed = all.resumed * 100 >= done * RESUMED && done > 0;
        let measured = format!("{} of {done}", all.resumed);
        outcome.expect("resumed sessions", format!("at least {RESUMED} %"), measured, passed);
    }
    Ok(())
}
