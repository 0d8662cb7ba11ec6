//! `idle-cut`: who cuts a silent connection, when, and how.
//!
//! Opens `--connections` (10) WebSockets, or with `--http` kept-alive HTTP/1.1
//! connections after one GET, and says nothing: no pings, no heart-beats, and
//! pings of Socket.IO stay unanswered. Every idle time must be `--expect` (60s)
//! within `--tolerance` (5 % and 1 s); with `--expect none` nothing may be cut
//! within `--for` (90s). All these times are multiplied by `--time-scale`.
//!
//! Expectations: `opened`, and `cut after 60 s of silence` or `not cut`.
//! Figures: `closed` (count), `idle_min`, `idle_median`, `idle_max`, `age_median`
//! (seconds). Closes: each with age, idle time and how. Errors: how connecting
//! failed.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use anyhow::Result;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    Run,
    clock::{Clock, seconds_in_words, words},
    figures::{counted, median},
    watch::{Watch, Watched, close, ends_in_words},
};
use crate::{
    client::{
        connection::Connector,
        failure::Failure,
        heart_beat::HeartBeat,
        http::{Http, Request},
        messenger::Options,
        web_socket::{Closed, How},
    },
    outcome::{Better, Close, Outcome, Unit},
    target::{Target, duration},
};

/// How long to look when nothing may be cut.
const WITHOUT_CUT: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Connections
    #[arg(long, default_value_t = 10)]
    pub(crate) connections: usize,
    /// Kept-alive HTTP connections instead of WebSockets
    #[arg(long)]
    pub(crate) http: bool,
    /// Silence after which every connection must be cut, or `none`
    #[arg(long, value_name = "DURATION|none", default_value = "60s")]
    pub(crate) expect: Expect,
    /// How far from that a cut may be; by default 5 % and 1 s
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) tolerance: Option<Duration>,
    /// How long to look; by default half as long again as --expect, and 90s for `none`
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) lasting: Option<Duration>,
}

/// When silence must be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Never.
    Uncut,
    /// After so long.
    After(Duration),
}

impl FromStr for Expect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(Self::Uncut) } else { duration(text).map(Self::After) }
    }
}

impl Arguments {
    fn tolerance(&self) -> Duration {
        let default = match self.expect {
            Expect::Uncut => Duration::ZERO,
            Expect::After(time) => time / 20 + Duration::from_secs(1),
        };
        self.tolerance.unwrap_or(default)
    }

    fn lasting(&self) -> Duration {
        let default = match self.expect {
            Expect::Uncut => WITHOUT_CUT,
            Expect::After(time) => {
                time.saturating_add(time / 2).max(time.saturating_add(self.tolerance() * 2))
            }
        };
        self.lasting.unwrap_or(default)
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let expect = match self.expect {
            Expect::Uncut => "none".to_owned(),
            Expect::After(time) => words(time),
        };
        let kind = if self.http { "HTTP" } else { "WebSocket" };
        BTreeMap::from([
            ("connections".to_owned(), format!("{} {kind}", self.connections)),
            ("expect".to_owned(), expect),
            ("tolerance".to_owned(), words(self.tolerance())),
            ("for".to_owned(), words(self.lasting())),
        ])
    }
}

/// Opens, waits and judges.
///
/// # Errors
/// When the URL or the certificates are of no use.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let clock = Clock::try_new(run, &arguments.target)?;
    let connector = Connector::for_target(&arguments.target).await?;
    run.progress.begin_for("idle-cut", clock.real(arguments.lasting()));
    let watched = if arguments.http {
        silent_http(arguments, &connector, run, clock).await
    } else {
        silent_web_sockets(arguments, &connector, run, clock).await
    };
    let method = "Connections were opened, then left silent; idle is from the last byte of either side to the \
                  end as this client saw it.";
    let mut outcome = run.outcome("idle-cut", &arguments.target, method, arguments.settings())?;
    judge(&mut outcome, arguments, watched);
    Ok(outcome)
}

async fn silent_web_sockets(
    arguments: &Arguments,
    connector: &Connector,
    run: &Run,
    clock: Clock,
) -> Watched {
    let options = Options {
        protocol: arguments.target.protocol,
        heart_beat: HeartBeat::Off,
        destination: String::new(),
        namespace: "/".to_owned(),
    };
    let progress = &run.progress;
    let mut watch = Watch::open(connector, &options, arguments.connections, clock, progress).await;
    tokio::select! {
        () = watch.all_closed() => {}
        () = run.wait(clock.real(arguments.lasting())) => {}
    }
    watch.leave().await
}

async fn silent_http(arguments: &Arguments, connector: &Connector, run: &Run, clock: Clock) -> Watched {
    let mut tasks: JoinSet<Result<Option<Close>, Failure>> = JoinSet::new();
    let lasting = clock.real(arguments.lasting());
    for number in 0..arguments.connections {
        let connector = connector.clone();
        let (progress, stop) = (run.progress.clone(), run.stop.clone());
        tasks.spawn(async move {
            let mut http = Http::connect(&connector, number).await?;
            let opened = Instant::now();
            let used = http.request(&Request::get(connector.path())).await?.done;
            progress.opened();
            let failure = if http.is_reusable() {
                match stop.run_until_cancelled(timeout(lasting, http.ended())).await {
                    Some(Ok(failure)) => failure,
                    Some(Err(_)) | None => return Ok(None),
                }
            } else {
                Failure::protocol("not kept alive")
            };
            progress.closed();
            let closed = Closed { how: How::from(failure), at: Instant::now() };
            Ok(Some(Close { code: None, ..close(clock, opened, used, &closed) }))
        });
    }
    let mut watched = Watched::default();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(Ok(Some(close))) => watched.closes.push(close),
            Ok(Ok(None)) => watched.open += 1,
            Ok(Err(failure)) => *watched.failures.entry(failure.name().into_owned()).or_default() += 1,
            // A task of ours that panicked has said so itself.
            Err(_) => {}
        }
    }
    watched.closes.sort_by(|one, other| one.at.total_cmp(&other.at));
    watched
}

fn judge(outcome: &mut Outcome, arguments: &Arguments, watched: Watched) {
    let Watched { closes, open, failures } = watched;
    let opened = closes.len() + usize::try_from(open).unwrap_or(usize::MAX);
    let wanted = arguments.connections;
    outcome.expect("opened", format!("{wanted} connections"), opened.to_string(), opened == wanted);
    let mut idle: Vec<f64> = closes.iter().map(|close| close.idle).collect();
    idle.sort_by(f64::total_cmp);
    let (min, max) = (idle.first().copied(), idle.last().copied());
    let range = match min.zip(max) {
        Some((min, max)) => {
            let ends = ends_in_words(&closes);
            format!("after {} to {}: {ends}", seconds_in_words(min), seconds_in_words(max))
        }
        None => "none was cut".to_owned(),
    };
    let lasting = words(arguments.lasting());
    let left = if open > 0 { format!("; {open} open after {lasting}") } else { String::new() };
    match arguments.expect {
        Expect::Uncut => {
            let passed = closes.is_empty() && opened > 0;
            outcome.expect("not cut", format!("open for {lasting}"), format!("{range}{left}"), passed);
        }
        Expect::After(time) => {
            let tolerance = arguments.tolerance();
            let far = |idle: &f64| (idle - time.as_secs_f64()).abs() > tolerance.as_secs_f64();
            let passed = open == 0 && !idle.is_empty() && !idle.iter().any(far);
            let expected = format!("after {} ± {}", words(time), words(tolerance));
            outcome.expect("cut after silence", expected, format!("{range}{left}"), passed);
        }
    }
    outcome.figure("closed", counted(closes.len()), Unit::Count, Better::Neither);
    for (name, value) in [("idle_min", min), ("idle_median", median(&idle)), ("idle_max", max)] {
        if let Some(value) = value {
            outcome.figure(name, value, Unit::Seconds, Better::Neither);
        }
    }
    let mut ages: Vec<f64> = closes.iter().map(|close| close.age).collect();
    ages.sort_by(f64::total_cmp);
    if let Some(age) = median(&ages) {
        outcome.figure("age_median", age, Unit::Seconds, Better::Neither);
    }
    outcome.closes = closes;
    outcome.errors.extend(failures);
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{sample, scenario::testing};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn cut(idle: f64) -> Close {
        Close { at: idle, age: idle, idle, how: "FIN".to_owned(), code: Some(1006), target: None }
    }

    #[track_caller]
    fn check(options: &[&str], idle: &[f64], open: u64, expected: &str) {
        let line = ["idle-cut", "ws://a"].iter().chain(options);
        let arguments = Line::parse_from(line).arguments;
        let watched = Watched { closes: idle.iter().copied().map(cut).collect(), open, ..Watched::default() };
        let mut outcome = sample::empty();
        judge(&mut outcome, &arguments, watched);
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn cuts_at_the_idle_timeout_are_expected() {
        let two = ["--connections=2"];
        check(&two, &[60.1, 60.4], 0, "");
        check(&two, &[56.1, 63.9], 0, "");
        check(&two, &[30.0, 60.0], 0, "cut after silence: after 30 s to 60 s: 2 FIN");
        check(&two, &[60.0], 1, "cut after silence: after 60 s to 60 s: 1 FIN; 1 open after 90 s");
        check(&two, &[60.0], 0, "opened: 1");
        check(
            &["--connections=1", "--expect=350s", "--tolerance=1s"],
            &[352.0],
            0,
            "cut after silence: after 352 s to 352 s: 1 FIN",
        );
    }

    #[test]
    fn nothing_may_be_cut_when_none_is_expected() {
        let none = ["--connections=2", "--expect=none"];
        check(&none, &[], 2, "");
        check(&none, &[60.0], 1, "not cut: after 60 s to 60 s: 1 FIN; 1 open after 90 s");
        check(&none, &[], 0, "opened: 0; not cut: none was cut");
    }
}
