//! Steady requests while something happens: a new one whenever it is due,
//! whether or not those before it are answered (open loop). Latency counts from
//! when a request was due, so that a stall is counted by all that wait for it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use futures_util::FutureExt;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use crate::{
    client::{
        connection::Connector,
        failure::Failure,
        http::{Http, Request},
    },
    outcome::{Better, Outcome, Series, Unit},
    progress::Progress,
    record::{Times, number},
};

/// Requests that may wait for their answer at the same time.
const MAX_IN_FLIGHT: usize = 1000;

/// Points of a plot over the whole run.
const POINTS: u32 = 60;

/// What to ask, and how often.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Requests a second, however the time is scaled
    #[arg(long, default_value_t = 50.0)]
    pub(crate) rate: f64,
    /// What they ask for
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Requests that were due.
    pub(crate) due: u64,
    /// How each was answered: a status, or how it failed; and how often.
    pub(crate) answers: BTreeMap<String, u64>,
    /// Those that failed.
    pub(crate) failed: u64,
    /// When the first one failed, in seconds of the service.
    pub(crate) first_failure: Option<f64>,
    /// From when a request was due.
    latencies: Times,
    /// By how it was answered: which part of the run, and how many.
    over_time: BTreeMap<String, BTreeMap<u32, u64>>,
    /// How long such a part is, really.
    part: Duration,
}

/// One answered request: its connection if it can be used again.
struct Answered {
    due: Instant,
    done: Instant,
    result: Result<u16, Failure>,
    http: Option<Http>,
}

/// Asks until told to stop, on kept-alive connections; a run takes `lasting`,
/// more or less.
///
/// # Errors
/// When the rate is none.
pub(crate) async fn ask(
    arguments: &Arguments,
    connector: &Connector,
    clock: Clock,
    lasting: Duration,
    (stop, progress): (&CancellationToken, &Progress),
) -> Result<Tally> {
    ensure!(arguments.rate > 0.0 && arguments.rate <= 1e6, "--rate must be more than 0, up to 1000000");
    let every = Duration::from_secs_f64(1.0 / arguments.rate);
    let mut tally = Tally::try_new(clock.real(lasting) / POINTS)?;
    let (mut due, mut sent) = (Instant::now(), 0);
    let mut idle: Vec<Http> = Vec::new();
    let mut asking: JoinSet<Answered> = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(joined) = asking.join_next() => tally.joined(joined, clock, &mut idle, progress),
            () = sleep_until(due) => {
                tally.due += 1;
                if asking.len() < MAX_IN_FLIGHT {
                    let http = usable(&mut idle);
                    let (connector, path) = (connector.clone(), arguments.path.clone());
                    asking.spawn(one(connector, http, sent, path, due));
                    sent += 1;
                } else {
                    tally.record(clock, due, due, "not sent: 1000 wait", true);
                }
                due += every;
            }
        }
    }
    while let Some(joined) = asking.join_next().await {
        tally.joined(joined, clock, &mut idle, progress);
    }
    Ok(tally)
}

/// A connection that the server has not ended meanwhile.
pub(crate) fn usable(idle: &mut Vec<Http>) -> Option<Http> {
    while let Some(mut http) = idle.pop() {
        if http.ended().now_or_never().is_none() {
            return Some(http);
        }
    }
    None
}

async fn one(
    connector: Connector,
    http: Option<Http>,
    number: usize,
    path: String,
    due: Instant,
) -> Answered {
    let asked = async {
        let mut http = match http {
            Some(http) => http,
            None => Http::connect(&connector, number).await?,
        };
        let status = http.request(&Request::get(&path)).await?.head.status;
        Ok((status, http))
    };
    let asked: Result<(u16, Http), Failure> = asked.await;
    let done = Instant::now();
    match asked {
        Ok((status, http)) => {
            Answered { due, done, result: Ok(status), http: http.is_reusable().then_some(http) }
        }
        Err(failure) => Answered { due, done, result: Err(failure), http: None },
    }
}

impl Tally {
    fn try_new(part: Duration) -> Result<Self> {
        Ok(Self {
            due: 0,
            answers: BTreeMap::new(),
            failed: 0,
            first_failure: None,
            latencies: Times::try_new()?,
            over_time: BTreeMap::new(),
            part: part.max(Duration::from_millis(1)),
        })
    }

    fn joined(
        &mut self,
        joined: Result<Answered, tokio::task::JoinError>,
        clock: Clock,
        idle: &mut Vec<Http>,
        progress: &Progress,
    ) {
        // A task of ours that panicked has said so itself.
        let Ok(Answered { due, done, result, http }) = joined else { return };
        match result {
            Ok(200..400) => progress.answered(done.saturating_duration_since(due)),
            _ => progress.failed(),
        }
        match result {
            Ok(status) => self.record(clock, due, done, &status.to_string(), status >= 400),
            Err(failure) => self.record(clock, due, done, &failure.name(), true),
        }
        idle.extend(http);
    }

    fn record(&mut self, clock: Clock, due: Instant, done: Instant, name: &str, failed: bool) {
        let moment = clock.moment(done);
        if failed {
            self.failed += 1;
            self.first_failure.get_or_insert(moment);
        } else {
            self.latencies.record(done.saturating_duration_since(due));
        }
        *self.answers.entry(name.to_owned()).or_default() += 1;
        let part = clock.seconds(self.part);
        let index = whole(moment / part);
        *self.over_time.entry(name.to_owned()).or_default().entry(index).or_default() += 1;
    }

    fn words(&self) -> String {
        let parts: Vec<_> = self.answers.iter().map(|(name, count)| format!("{count} × {name}")).collect();
        parts.join(", ")
    }

    /// Judges the requests, and tells of them: expectation `requests`, figures
    /// `requests`, `failed`, `p50` to `max`, series `answers`.
    pub(crate) fn tell(&self, outcome: &mut Outcome, clock: Clock) {
        let first = match self.first_failure {
            Some(at) => format!("; the first failure after {at:.1} s"),
            None => String::new(),
        };
        let measured = format!("{}{first}", self.words());
        let passed = self.failed == 0 && !self.answers.is_empty();
        outcome.expect("no request fails", "none answered 400 or more, cut or refused", measured, passed);
        outcome.figure("requests", number(self.due), Unit::Count, Better::Neither);
        outcome.figure("failed", number(self.failed), Unit::Count, Better::Lower);
        self.latencies.note(outcome, "latency", "");
        let (part, real) = (clock.seconds(self.part), self.part.as_secs_f64());
        for (name, counts) in &self.over_time {
            let last = counts.keys().last().copied().unwrap_or_default();
            let rate = |index| counts.get(&index).copied().map_or(0.0, number) / real;
            outcome.series.push(Series {
                plot: "answers".to_owned(),
                name: name.clone(),
                unit: Unit::PerSecond,
                points: (0..=last).map(|index| (f64::from(index) * part, rate(index))).collect(),
            });
            if name.parse::<u16>().map_or(true, |status| status >= 400) {
                *outcome.errors.entry(name.clone()).or_default() +=
                    self.answers.get(name).copied().unwrap_or(0);
            }
        }
    }
}

/// The whole part, from 0 on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
fn whole(value: f64) -> u32 {
    value as u32
}
