//! `heartbeat`: whether heart-beats keep connections open, and how the server
//! beats.
//!
//! Opens `--connections` (10) WebSockets that send a heart-beat every `--interval`
//! (25s): ping frames (plain; Socket.IO, which also answers the server's pings), or
//! those of STOMP. All must live through `--for` (5m). With `--idle-timeout` the
//! server's own heart-beats must come at least every half of it. All these times
//! are multiplied by `--time-scale`; the interval that STOMP's CONNECT offers is the
//! real one.
//!
//! The server's heart-beats are ping frames (plain), line ends (STOMP; over SockJS
//! also `h`), or pings (Socket.IO).
//!
//! Expectations: `opened`; `all live`, which tells who died, when and how;
//! `server heart-beats`. Figures: `alive`, `died`, `server_beats` (count),
//! `server_interval_mean`, `server_interval_max`, `server_jitter` (seconds; the
//! standard deviation), `pong_p50` to `pong_max` (milliseconds, real; plain only).
//! Histograms: `pong`, and `server interval` in the service's time. Closes: who
//! died. Errors: how connecting failed.

mod client;
mod life;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use tokio::task::JoinSet;

use self::{
    client::Client,
    life::{Life, live},
};
use super::{
    Run,
    clock::{Clock, seconds_in_words, words},
    figures::counted,
    watch::ends_in_words,
};
use crate::{
    client::{connection::Connector, failure::Failure},
    ending::misused,
    outcome::{Better, Outcome, Unit},
    record::Times,
    target::{Target, duration},
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Connections
    #[arg(long, default_value_t = 10)]
    pub(crate) connections: usize,
    /// Time between two heart-beats of the client
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    pub(crate) interval: Duration,
    /// How long all must live
    #[arg(long = "for", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub(crate) lasting: Duration,
    /// The idle timeout on the way: the server must send a heart-beat each half of it
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) idle_timeout: Option<Duration>,
}

/// Opens, beats and judges.
///
/// # Errors
/// When the URL is of no use.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let clock = Clock::try_new(run, &arguments.target)?;
    let connector = Connector::for_target(&arguments.target).await?;
    if let Some(half) =
        arguments.idle_timeout.map(|timeout| timeout / 2).filter(|half| arguments.lasting < *half)
    {
        return Err(misused(format!(
            "--for {} is too short: the server has half of --idle-timeout, {}, for its first heart-beat",
            words(arguments.lasting),
            words(half)
        )));
    }
    let (every, lasting) = (clock.real(arguments.interval), clock.real(arguments.lasting));
    run.progress.begin_for("heartbeat", lasting);
    let protocol = arguments.target.protocol;
    let mut tasks: JoinSet<Result<Life, Failure>> = JoinSet::new();
    for number in 0..arguments.connections {
        let (connector, progress, stop) = (connector.clone(), run.progress.clone(), run.stop.clone());
        tasks.spawn(async move {
            let client = Client::connect(&connector, number, protocol, every).await?;
            progress.opened();
            let life = live(client, every, clock, (&progress, &stop), lasting).await;
            Ok(life)
        });
    }
    let (mut lives, mut failures) = (Vec::new(), BTreeMap::new());
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(Ok(life)) => {
                if life.close.is_some() {
                    run.progress.closed();
                    run.progress.failed();
                }
                lives.push(life);
            }
            Ok(Err(failure)) => *failures.entry(failure.name().into_owned()).or_default() += 1,
            // A task of ours that panicked has said so itself.
            Err(_) => {}
        }
    }
    let idle_timeout = arguments.idle_timeout.map_or_else(|| "not given".to_owned(), words);
    let settings = BTreeMap::from([
        ("connections".to_owned(), arguments.connections.to_string()),
        ("interval".to_owned(), words(arguments.interval)),
        ("for".to_owned(), words(arguments.lasting)),
        ("idle-timeout".to_owned(), idle_timeout),
    ]);
    let method = "Every connection sent its heart-beats on time, whatever came; those of the server were noted \
                  when they came.";
    let mut outcome = run.outcome("heartbeat", &arguments.target, method, settings)?;
    outcome.errors = failures;
    judge(&mut outcome, arguments, lives)?;
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, arguments: &Arguments, lives: Vec<Life>) -> Result<()> {
    let (opened, wanted) = (lives.len(), arguments.connections);
    outcome.expect("opened", format!("{wanted} connections"), opened.to_string(), opened == wanted);

    let mut intervals: Vec<Duration> = Vec::new();
    let mut trips = Times::try_new()?;
    let mut gaps = Times::try_new()?;
    let silent = lives.iter().filter(|life| life.intervals.is_empty()).count();
    let silence = lives.iter().map(|life| life.silence).max().unwrap_or_default();
    for life in lives {
        outcome.closes.extend(life.close);
        intervals.extend(life.intervals);
        for trip in life.trips {
            trips.record(trip);
        }
    }
    outcome.closes.sort_by(|one, other| one.at.total_cmp(&other.at));
    for interval in &intervals {
        gaps.record(*interval);
    }

    let died = outcome.closes.len();
    let measured = match (outcome.closes.first(), outcome.closes.last()) {
        (Some(first), Some(last)) => format!(
            "{died} died after {} to {}: {}",
            seconds_in_words(first.age),
            seconds_in_words(last.age),
            ends_in_words(&outcome.closes)
        ),
        _ => format!("all {opened}"),
    };
    outcome.expect(
        "all live",
        format!("for {}", words(arguments.lasting)),
        measured,
        died == 0 && opened > 0,
    );

    let longest = intervals.iter().max().copied();
    if let Some(idle_timeout) = arguments.idle_timeout {
        let half = idle_timeout / 2;
        // A server that beats no more is silent to the end.
        let apart = longest.map(|longest| longest.max(silence));
        let passed = silent == 0 && apart.is_some_and(|apart| apart <= half);
        let measured = match apart {
            Some(longest) if silent == 0 => format!("at most {} apart", words(longest)),
            Some(longest) => format!("at most {} apart, none on {silent} connections", words(longest)),
            None => "none came".to_owned(),
        };
        outcome.expect("server heart-beats", format!("each {} or sooner", words(half)), measured, passed);
    }

    outcome.figure("alive", counted(opened.saturating_sub(died)), Unit::Count, Better::Higher);
    outcome.figure("died", counted(died), Unit::Count, Better::Lower);
    outcome.figure("server_beats", counted(intervals.len()), Unit::Count, Better::Neither);
    if let Some(longest) = longest {
        let (mean, deviation) = mean_and_deviation(&intervals);
        outcome.figure("server_interval_mean", mean, Unit::Seconds, Better::Neither);
        outcome.figure("server_interval_max", longest.as_secs_f64(), Unit::Seconds, Better::Lower);
        outcome.figure("server_jitter", deviation, Unit::Seconds, Better::Lower);
        outcome.histograms.extend(gaps.histogram("server interval"));
    }
    trips.note(outcome, "pong", "pong_");
    Ok(())
}

/// In seconds.
fn mean_and_deviation(times: &[Duration]) -> (f64, f64) {
    let count = counted(times.len().max(1));
    let mean = times.iter().map(Duration::as_secs_f64).sum::<f64>() / count;
    let squares = times.iter().map(|time| (time.as_secs_f64() - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{outcome::Close, sample, scenario::testing};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn life(intervals: &[u64], died: Option<f64>) -> Life {
        let close = died.map(|age| Close {
            at: age,
            age,
            idle: 0.0,
            how: "FIN".to_owned(),
            code: Some(1006),
            target: None,
        });
        let intervals = intervals.iter().copied().map(Duration::from_secs).collect();
        Life { intervals, trips: vec![Duration::from_millis(2)], close, ..Life::default() }
    }

    #[track_caller]
    fn check(options: &[&str], lives: Vec<Life>, expected: &str) {
        let line = ["heartbeat", "ws://a", "--connections=2"];
        let arguments = Line::parse_from(line.iter().chain(options)).arguments;
        let mut outcome = sample::empty();
        judge(&mut outcome, &arguments, lives).unwrap();
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn all_connections_must_live() {
        check(&[], vec![life(&[], None), life(&[], None)], "");
        check(
            &[],
            vec![life(&[], None), life(&[], Some(60.0))],
            "all live: 1 died after 60 s to 60 s: 1 FIN",
        );
        check(&[], vec![life(&[], None)], "opened: 1");
        check(&[], Vec::new(), "opened: 0; all live: all 0");
    }

    #[test]
    fn the_server_must_beat_twice_in_an_idle_timeout() {
        let idle = ["--idle-timeout=60s"];
        check(&idle, vec![life(&[25, 25], None), life(&[30], None)], "");
        check(
            &idle,
            vec![life(&[25, 31], None), life(&[25], None)],
            "server heart-beats: at most 31 s apart",
        );
        check(
            &idle,
            vec![life(&[25], None), life(&[], None)],
            "server heart-beats: at most 25 s apart, none on 1 connections",
        );
        let falls_silent = Life { silence: Duration::from_secs(40), ..life(&[25], None) };
        check(&idle, vec![life(&[25], None), falls_silent], "server heart-beats: at most 40 s apart");
        check(&idle, vec![life(&[], None), life(&[], None)], "server heart-beats: none came");
    }

    #[test]
    fn intervals_and_round_trips_are_figures() {
        let arguments = Line::parse_from(["heartbeat", "ws://a", "--connections=2"]).arguments;
        let mut outcome = sample::empty();
        judge(&mut outcome, &arguments, vec![life(&[20, 30], None), life(&[], None)]).unwrap();
        let figure = |name: &str| outcome.figures.get(name).map(|figure| figure.value.round());
        assert_eq!(figure("server_interval_mean"), Some(25.0));
        assert_eq!(figure("server_interval_max"), Some(30.0));
        assert_eq!(figure("server_jitter"), Some(5.0));
        assert_eq!(figure("pong_p50"), Some(2.0));
    }
}
