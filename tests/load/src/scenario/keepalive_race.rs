//! `keepalive-race`: the 502 of a target that closes idle connections before the
//! balancer does.
//!
//! A target whose keep-alive timeout is shorter than the balancer's idle timeout
//! closes a pooled connection at the moment the balancer sends a request on it.
//! That takes requests with just the right gap and little traffic: so volleys of
//! `--connections` (4) requests are sent at once, which leaves as many idle
//! connections to the targets, and the gaps between volleys sweep `--gap FROM..TO`
//! (a fifth around `--keep-alive`, 5s, which is Node's) in `--steps` (21), `--rounds`
//! (1) times; with `--pace` the gaps are random in that range. Gaps are multiplied
//! by `--time-scale`.
//!
//! Expectations: `answered` (the first volley, without any gap); `no 502`, which
//! tells how many, after which gaps, and the `Server` and body of the first one;
//! `no other failure`. Figures: `requests`, `bad_gateway`, `failed` (count),
//! `bad_gateway_share` (percent), `gap_min`, `gap_max` (seconds; of the 502s).
//! Series: plot `gaps` with a line for each status or failure: the moment, and the
//! gap in seconds. Errors: by status or how it failed.

mod gaps;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use futures_util::future::join_all;
use rand::Rng;
use tokio::time::Instant;

use self::gaps::Gaps;
use super::{
    Run,
    clock::{Clock, seconds_in_words, words},
    figures::counted,
    steady::usable,
};
use crate::{
    client::{
        connection::Connector,
        failure::Failure,
        http::{Http, Request, Response},
    },
    outcome::{Better, Outcome, Series, Unit},
    target::{Target, duration},
};

/// The answer that this is about.
const BAD_GATEWAY: &str = "502";

/// As much of a body as is shown.
const SHOWN: usize = 120;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The keep-alive timeout that the target seems to have
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) keep_alive: Duration,
    /// Gaps between requests; by default a fifth around --keep-alive
    #[arg(long, value_name = "FROM..TO")]
    pub(crate) gap: Option<Gaps>,
    /// How many gaps there are from one end of the range to the other
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// How many times the range is swept
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Random gaps of the range instead of a sweep
    #[arg(long)]
    pub(crate) pace: bool,
    /// Requests that are sent at once
    #[arg(long, default_value_t = 4)]
    pub(crate) connections: usize,
    /// Method of the requests: a balancer may send a GET again, but no POST
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
}

impl Arguments {
    fn gaps(&self, dice: &mut impl Rng) -> Vec<Duration> {
        let range = self.gap.unwrap_or_else(|| Gaps::around(self.keep_alive));
        let mut gaps = Vec::new();
        for _ in 0..self.rounds {
            if self.pace {
                gaps.extend((0..self.steps).map(|_| range.random(dice)));
            } else {
                gaps.extend(range.sweep(self.steps));
            }
        }
        gaps
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let Gaps { from, to } = self.gap.unwrap_or_else(|| Gaps::around(self.keep_alive));
        let kind = if self.pace { "random" } else { "swept" };
        BTreeMap::from([
            ("gaps".to_owned(), format!("{kind}, {} to {}", words(from), words(to))),
            ("volleys".to_owned(), u64::from(self.steps).saturating_mul(self.rounds.into()).to_string()),
            ("connections".to_owned(), self.connections.to_string()),
            ("method".to_owned(), self.method.clone()),
        ])
    }
}

/// One answered request.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    /// Seconds from the start.
    at: f64,
    /// Seconds since the last volley; none of the first.
    gap: Option<f64>,
    /// The status, or how it failed.
    name: String,
    /// `Server` header and the beginning of the body.
    from: String,
}

impl Answer {
    fn works(&self) -> bool {
        self.name.parse::<u16>().is_ok_and(|status| status < 400)
    }
}

/// Sends the volleys and judges.
///
/// # Errors
/// When the URL is of no use.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let clock = Clock::try_new(run, &arguments.target)?;
    let connector = Connector::for_target(&arguments.target).await?;
    let gaps = arguments.gaps(&mut rand::rng());
    run.progress.begin("keepalive-race", gaps.len());
    let mut lanes: Vec<Lane> = (0..arguments.connections).map(|number| Lane { number, http: None }).collect();
    let mut answers = volley(&mut lanes, &connector, &arguments.method, clock, None).await;
    // Where nothing answers, gaps tell nothing.
    let gaps = if answers.iter().any(Answer::works) { gaps } else { Vec::new() };
    let mut last = Instant::now();
    for gap in gaps {
        run.wait(clock.real(gap).saturating_sub(last.elapsed())).await;
        if run.stop.is_cancelled() {
            break;
        }
        let gap = clock.seconds(last.elapsed());
        let volleyed = Instant::now();
        let volley = volley(&mut lanes, &connector, &arguments.method, clock, Some(gap)).await;
        last = Instant::now();
        for answer in &volley {
            if answer.works() { run.progress.answered(last - volleyed) } else { run.progress.failed() }
        }
        answers.extend(volley);
        run.progress.advance();
        let bad = answers.iter().filter(|answer| answer.name == BAD_GATEWAY).count();
        run.progress.say(format!("({bad} × 502), gap {}", seconds_in_words(gap)));
    }
    let method = "Volleys of requests at once on kept-alive connections; a gap is from the last answer of a \
                  volley to the first request of the next.";
    let mut outcome = run.outcome("keepalive-race", &arguments.target, method, arguments.settings())?;
    judge(&mut outcome, answers);
    Ok(outcome)
}

/// One connection of ours.
#[derive(Debug)]
struct Lane {
    number: usize,
    http: Option<Http>,
}

async fn volley(
    lanes: &mut [Lane],
    connector: &Connector,
    method: &str,
    clock: Clock,
    gap: Option<f64>,
) -> Vec<Answer> {
    let asking = lanes.iter_mut().map(|lane| async move {
        let asked = lane.ask(connector, method).await;
        let at = clock.moment(Instant::now());
        match asked {
            Ok(response) => {
                Answer { at, gap, name: response.head.status.to_string(), from: sender(&response) }
            }
            Err(failure) => Answer { at, gap, name: failure.name().into_owned(), from: String::new() },
        }
    });
    join_all(asking).await
}

impl Lane {
    async fn ask(&mut self, connector: &Connector, method: &str) -> Result<Response, Failure> {
        let mut http = match usable(&mut self.http.take().into_iter().collect()) {
            Some(http) => http,
            None => Http::connect(connector, self.number).await?,
        };
        let request = Request { method, path: connector.path(), headers: &[], body: &[] };
        let response = http.request(&request).await?;
        self.http = http.is_reusable().then_some(http);
        Ok(response)
    }
}

fn sender(response: &Response) -> String {
    let server = response.head.header("server").unwrap_or("no Server header");
    let body = String::from_utf8_lossy(&response.body);
    let body: Vec<_> = body.split_whitespace().collect();
    format!("{server}: {}", body.join(" ").chars().take(SHOWN).collect::<String>())
}

fn judge(outcome: &mut Outcome, answers: Vec<Answer>) {
    let (first, after): (Vec<Answer>, Vec<Answer>) =
        answers.into_iter().partition(|answer| answer.gap.is_none());
    let broken = kinds(first.iter().filter(|answer| !answer.works()));
    let passed = broken.is_empty() && !first.is_empty();
    let measured = if passed { "all".to_owned() } else { listed(&broken) };
    outcome.expect("answered", "the first requests, without any gap", measured, passed);

    let bad: Vec<&Answer> = after.iter().filter(|answer| answer.name == BAD_GATEWAY).collect();
    let mut gaps: Vec<f64> = bad.iter().filter_map(|answer| answer.gap).collect();
    gaps.sort_by(f64::total_cmp);
    let measured = match (bad.first(), gaps.first(), gaps.last()) {
        (Some(one), Some(min), Some(max)) => format!(
            "{} of {} after gaps of {min:.2} s to {max:.2} s, from {}",
            bad.len(),
            after.len(),
            one.from
        ),
        _ => format!("0 of {}", after.len()),
    };
    outcome.expect("no 502", "none, whatever the gap", measured, bad.is_empty());

    let others = kinds(after.iter().filter(|answer| !answer.works() && answer.name != BAD_GATEWAY));
    let measured = if others.is_empty() { "none".to_owned() } else { listed(&others) };
    outcome.expect("no other failure", "none", measured, others.is_empty());

    let failed = bad.len() + others.values().sum::<usize>();
    outcome.figure("requests", counted(after.len()), Unit::Count, Better::Neither);
    outcome.figure("bad_gateway", counted(bad.len()), Unit::Count, Better::Lower);
    outcome.figure("failed", counted(failed), Unit::Count, Better::Lower);
    let share = 100.0 * counted(bad.len()) / counted(after.len().max(1));
    outcome.figure("bad_gateway_share", share, Unit::Percent, Better::Lower);
    for (name, gap) in [("gap_min", gaps.first()), ("gap_max", gaps.last())] {
        if let Some(gap) = gap {
            outcome.figure(name, *gap, Unit::Seconds, Better::Neither);
        }
    }
    for answer in first.iter().chain(&after).filter(|answer| !answer.works()) {
        outcome.error(&answer.name);
    }
    outcome.series = series(&after);
}

/// How often each was answered.
fn kinds<'a>(answers: impl Iterator<Item = &'a Answer>) -> BTreeMap<&'a str, usize> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in answers {
        *kinds.entry(&answer.name).or_default() += 1;
    }
    kinds
}

fn listed(kinds: &BTreeMap<&str, usize>) -> String {
    let parts: Vec<_> = kinds.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    parts.join(", ")
}

fn series(answers: &[Answer]) -> Vec<Series> {
    let mut lines: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for answer in answers {
        lines.entry(&answer.name).or_default().extend(answer.gap.map(|gap| (answer.at, gap)));
    }
    let line = |(name, points): (&str, _)| Series {
        plot: "gaps".to_owned(),
        name: name.to_owned(),
        unit: Unit::Seconds,
        points,
    };
    lines.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, scenario::testing};

    fn answer(gap: Option<f64>, name: &str) -> Answer {
        Answer { at: 0.0, gap, name: name.to_owned(), from: "awselb/2.0: 502 Bad Gateway".to_owned() }
    }

    #[track_caller]
    fn check(first: &str, after: &[(f64, &str)], expected: &str) {
        let after = after.iter().map(|(gap, name)| answer(Some(*gap), name));
        let answers = [answer(None, first)].into_iter().chain(after).collect();
        let mut outcome = sample::empty();
        judge(&mut outcome, answers);
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn a_502_after_any_gap_fails() {
        check("200", &[(4.0, "200"), (5.0, "204"), (6.0, "302")], "");
        check(
            "200",
            &[(4.0, "200"), (4.95, "502"), (5.05, "502"), (6.0, "200")],
            "no 502: 2 of 4 after gaps of 4.95 s to 5.05 s, from awselb/2.0: 502 Bad Gateway",
        );
    }

    #[test]
    fn other_failures_are_told_apart() {
        check("200", &[(4.0, "503"), (5.0, "reset")], "no other failure: 1 × 503, 1 × reset");
        check("502", &[(4.0, "200")], "answered: 1 × 502");
        check("refused", &[], "answered: 1 × refused");
    }
}
