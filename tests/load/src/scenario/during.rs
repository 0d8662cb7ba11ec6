//! Steady requests and open WebSockets while something happens: what `drain` and
//! `reload` share.

use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{
    Run,
    clock::Clock,
    steady::{self, Tally},
    watch::{Watch, Watched},
};
use crate::{
    client::{connection::Connector, heart_beat::HeartBeat, messenger::Options},
    outcome::{Outcome, Series, Unit},
    target::Target,
};

/// How it is measured.
pub(crate) const METHOD: &str = "Open loop: each request was sent when it was due, whatever became of those before; \
                                 its latency counts from then. WebSockets had heart-beats every 2 s.";

/// Often enough for any idle timeout that is in use.
const HEART_BEAT: Duration = Duration::from_secs(2);

/// What goes on meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Happening<'a> {
    pub(crate) target: &'a Target,
    pub(crate) requests: &'a steady::Arguments,
    pub(crate) web_sockets: usize,
    /// How long it takes, more or less, in the service's time.
    pub(crate) lasting: Duration,
}

/// Opens WebSockets and asks until `script` has ended.
///
/// # Errors
/// When the URL is of no use, or the script fails.
pub(crate) async fn during(
    happening: Happening<'_>,
    clock: Clock,
    run: &Run,
    script: impl Future<Output = Result<()>>,
) -> Result<(Tally, Watched)> {
    let connector = Connector::for_target(happening.target).await?;
    let options = Options {
        protocol: happening.target.protocol,
        heart_beat: HeartBeat::Every(clock.real(HEART_BEAT)),
        destination: String::new(),
        namespace: "/".to_owned(),
    };
    let watch = Watch::open(&connector, &options, happening.web_sockets, clock, &run.progress).await;
    let stop = CancellationToken::new();
    let script = async {
        let done = script.await;
        stop.cancel();
        done
    };
    let asking =
        steady::ask(happening.requests, &connector, clock, happening.lasting, (&stop, &run.progress));
    let (tally, done) = tokio::join!(asking, script);
    let watched = watch.leave().await;
    done?;
    Ok((tally?, watched))
}

/// Judges whether all WebSockets could be opened, and counts those that could not.
pub(crate) fn opened(outcome: &mut Outcome, wanted: usize, watched: &Watched) {
    let opened = watched.closes.len() + usize::try_from(watched.open).unwrap_or(usize::MAX);
    outcome.expect("opened", format!("{wanted} WebSockets"), opened.to_string(), opened == wanted);
    for (name, count) in &watched.failures {
        *outcome.errors.entry(name.clone()).or_default() += count;
    }
}

/// Moments of the run, to be marked in its plots.
pub(crate) fn moments(name: &str, at: Vec<f64>) -> Series {
    Series {
        plot: "moments".to_owned(),
        name: name.to_owned(),
        unit: Unit::Count,
        points: at.into_iter().map(|moment| (moment, 1.0)).collect(),
    }
}
