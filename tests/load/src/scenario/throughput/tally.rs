//! What came of requests, counted by one thread and noted for all.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use crate::client::failure::Failure;
use crate::outcome::{Better, Outcome, Unit};
use crate::pace::{Pace, Start};
use crate::record::{OverTime, Times, failures, number, unmade};

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answered {
    Status(u16),
    Echo,
    Failed(String),
}

impl fmt::Display for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "{status}"),
            Self::Echo => formatter.write_str("echo"),
            Self::Failed(how) => formatter.write_str(how),
        }
    }
}

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) answered: Answered,
    /// From the request's last byte to the answer's first; none of an echo.
    pub(super) first_byte: Option<Duration>,
    /// The target, if the answer names it.
    pub(super) target: Option<String>,
}

impl Answer {
    /// Whether this is what was asked for.
    pub(super) fn is_good(&self, accept: &[u16]) -> bool {
        match self.answered {
            Answered::Echo => true,
            Answered::Status(status) => accept.contains(&status),
            Answered::Failed(_) => false,
        }
    }
}

/// What one thread counts.
#[derive(Debug)]
pub(super) struct Tally {
    latency: Times,
    first_byte: Times,
    answers: OverTime<Answered>,
    targets: BTreeMap<String, u64>,
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
            latency: Times::try_new()?,
            first_byte: Times::try_new()?,
            answers: OverTime::new(start),
            targets: BTreeMap::new(),
            first_failure: None,
            late: 0,
            missed: 0,
            last: start,
        })
    }

    /// Counts one request that ended now.
    pub(super) fn count(&mut self, answer: Result<Answer, Failure>, start: Start, now: Instant) {
        self.last = self.last.max(now);
        let Answer { answered, first_byte, target } = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.first_failure.get_or_insert_with(|| failure.to_string());
                return self.answers.count(&Answered::Failed(failure.name().into_owned()), now);
            }
        };
        self.latency.record(now - start.counted_from);
        self.answers.count(&answered, now);
        if let Some(time) = first_byte {
            self.first_byte.record(time);
        }
        if let Some(target) = target {
            match self.targets.get_mut(&target) {
                Some(count) => *count += 1,
                None => drop(self.targets.insert(target, 1)),
            }
        }
    }

    /// All is asked: what the pace counted.
    pub(super) fn end(&mut self, pace: &Pace) {
        (self.late, self.missed) = (pace.late(), pace.missed());
    }

    /// Takes another thread's in.
    fn add(&mut self, other: Self) {
        self.latency.add(&other.latency);
        self.first_byte.add(&other.first_byte);
        self.answers.add(&other.answers);
        for (target, count) in other.targets {
            *self.targets.entry(target).or_default() += count;
        }
        self.first_failure = self.first_failure.take().or(other.first_failure);
        self.late += other.late;
        self.missed += other.missed;
        self.last = self.last.max(other.last);
    }
}

/// Notes what all threads counted. Statuses in `accept` are good; a pace is noted
/// where there was one.
///
/// # Errors
/// Without a thread.
pub(super) fn note(outcome: &mut Outcome, parts: Vec<Tally>, accept: &[u16], is_paced: bool) -> Result<()> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().context("no threads")?;
    parts.for_each(|part| all.add(part));
    let (mut good, mut bad) = (0, 0);
    for (answered, count) in all.answers.totals() {
        let problem = match answered {
            Answered::Echo => None,
            Answered::Status(status) if accept.contains(status) => None,
            Answered::Status(status) => Some(format!("status {status}")),
            Answered::Failed(how) => Some(how.clone()),
        };
        match problem {
            None => good += count,
            Some(problem) => {
                bad += count;
                outcome.errors.insert(problem, count);
            }
        }
    }
    let seconds = all.last.saturating_duration_since(all.answers.start()).as_secs_f64().max(0.001);
    outcome.figure("answers", number(good), Unit::Count, Better::Neither);
    outcome.figure("answers_per_second", number(good) / seconds, Unit::PerSecond, Better::Higher);
    outcome.figure("failures", number(bad), Unit::Count, Better::Lower);
    if is_paced {
        outcome.figure("late_starts", number(all.late), Unit::Count, Better::Lower);
        outcome.expect("requests that were due", "all sent", unmade(all.missed, "sent"), all.missed == 0);
    }
    all.latency.note(outcome, "latency", "");
    all.first_byte.note(outcome, "first byte", "first_byte_");
    outcome.series.extend(all.answers.series("answers"));
    outcome.targets = all.targets;
    outcome.expect("answers", "some", good.to_string(), good > 0);
    outcome.expect("failures", "none", failures(bad, good + bad, all.first_failure), bad == 0);
    Ok(())
}
