//! `reload`: what clients notice when the balancer reloads.
//!
//! Asks steadily (`--rate` 50 requests a second for `--path`) and keeps
//! `--web-sockets` (10) open at the URL, with heart-beats, while the balancer
//! reloads `--times` (3) times, `--every` (2s): by `--trigger COMMAND`, or by
//! SIGHUP to the process of `--pid`. `--every` is multiplied by `--time-scale`, the
//! rate is not.
//!
//! Expectations: `opened`; `no request fails`, which a refused connection is, too;
//! `no WebSocket is cut`. Figures: `requests`, `failed`, `cut` (count), `p50` to `max`
//! (milliseconds from when a request was due). Histogram `latency`. Series: plot
//! `answers` with a line for each status or failure (per second), plot `moments`
//! with `reload`. Closes of WebSockets. Errors: by status or how it failed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::{
    Run,
    clock::{Clock, words},
    during::{self, Happening},
    figures::counted,
    steady,
    trigger::Trigger,
    watch::{Watched, ends_in_words},
};
use crate::{
    outcome::{Better, Outcome, Unit},
    target::{Target, duration},
};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) requests: steady::Arguments,
    /// WebSockets that are open meanwhile
    #[arg(long, default_value_t = 10)]
    pub(crate) web_sockets: usize,
    /// How many times the balancer reloads
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) times: u32,
    /// Time before each reload, and after the last
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) every: Duration,
    /// A command that makes it reload; by default SIGHUP to the process of --pid
    #[arg(long, value_name = "COMMAND")]
    pub(crate) trigger: Option<String>,
}

impl Arguments {
    fn trigger(&self) -> Result<Trigger> {
        match (&self.trigger, self.target.pid) {
            (Some(line), _) => Ok(Trigger::Command(line.clone())),
            (None, Some(pid)) => Ok(Trigger::Signal { name: "HUP".to_owned(), pid }),
            (None, None) => bail!("say how the balancer reloads: --trigger or --pid"),
        }
    }
}

/// Asks, reloads, and judges.
///
/// # Errors
/// When the URL is of no use, or the balancer cannot be told to reload.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let clock = Clock::try_new(run, &arguments.target)?;
    let trigger = arguments.trigger()?;
    let settings = BTreeMap::from([
        ("trigger".to_owned(), trigger.words()),
        ("rate".to_owned(), format!("{} a second", arguments.requests.rate)),
        ("path".to_owned(), arguments.requests.path.clone()),
        ("web-sockets".to_owned(), arguments.web_sockets.to_string()),
        ("times".to_owned(), arguments.times.to_string()),
        ("every".to_owned(), words(arguments.every)),
    ]);
    let happening = Happening {
        target: &arguments.target,
        requests: &arguments.requests,
        web_sockets: arguments.web_sockets,
        lasting: arguments.every.saturating_mul(arguments.times + 1),
    };
    run.progress.begin_for("reload", clock.real(happening.lasting));
    let mut moments = Vec::new();
    let reloading = async {
        for _ in 0..arguments.times {
            run.wait(clock.real(arguments.every)).await;
            if run.stop.is_cancelled() {
                break;
            }
            moments.push(clock.moment(Instant::now()));
            trigger.pull(&arguments.target).await?;
        }
        run.wait(clock.real(arguments.every)).await;
        Ok(())
    };
    let (tally, watched) = during::during(happening, clock, run, reloading).await?;
    let mut outcome = run.outcome("reload", &arguments.target, during::METHOD, settings)?;
    tally.tell(&mut outcome, clock);
    outcome.series.push(during::moments("reload", moments));
    judge(&mut outcome, arguments.web_sockets, watched);
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, web_sockets: usize, watched: Watched) {
    during::opened(outcome, web_sockets, &watched);
    if web_sockets > 0 {
        let measured = match watched.closes.first() {
            Some(first) => {
                format!(
                    "{} cut ({}), the first after {:.1} s",
                    watched.closes.len(),
                    ends_in_words(&watched.closes),
                    first.at
                )
            }
            None => "all stay open".to_owned(),
        };
        outcome.expect("no WebSocket is cut", "all stay open", measured, watched.closes.is_empty());
    }
    outcome.figure("cut", counted(watched.closes.len()), Unit::Count, Better::Lower);
    outcome.closes = watched.closes;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{outcome::Close, sample, scenario::testing};

    #[track_caller]
    fn check(cut: &[(f64, &str)], open: u64, expected: &str) {
        let closes = cut.iter().map(|(at, how)| Close {
            at: *at,
            age: *at,
            idle: 0.0,
            how: (*how).to_owned(),
            code: Some(1006),
            target: None,
        });
        let watched = Watched { closes: closes.collect(), open, ..Watched::default() };
        let mut outcome = sample::empty();
        judge(&mut outcome, 2, watched);
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn every_web_socket_must_live_through_a_reload() {
        check(&[], 2, "");
        check(&[(2.0, "FIN")], 1, "no WebSocket is cut: 1 cut (1 FIN), the first after 2.0 s");
        check(&[], 1, "opened: 1");
    }
}
