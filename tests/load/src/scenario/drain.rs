//! `drain`: what clients notice when a target goes.
//!
//! Asks steadily (`--rate` 50 requests a second for `--path`) and keeps
//! `--web-sockets` (10) open at the URL, with heart-beats, for `--for` (30s). A
//! third into it the target goes: by `--admin` with `--target-group` and
//! `--target ID:PORT`, by `--trigger COMMAND`, or by `--signal NAME --pid N`. At the
//! end it comes back: by the admin API, or by `--restore COMMAND`. `--for` and
//! `--deregistration-delay` are multiplied by `--time-scale`, the rate is not.
//!
//! Expectations: `opened`; `no request fails`; `WebSockets drain`: one that ends
//! had been told to go by close code 1001 or 1012, or was cut no earlier than
//! `--deregistration-delay` (300s, 5 % and 1 s less) after the target went.
//! Figures: `requests`, `failed`, `cut_early`, `told_to_go`, `cut_after_delay`
//! (count), `p50` to `max` (milliseconds from when a request was due). Histogram
//! `latency`. Series: plot `answers` with a line for each status or failure
//! (per second), plot `moments` with `deregistered` and `registered`. Closes of
//! WebSockets. Errors: by status or how it failed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use super::{
    Run,
    clock::{Clock, words},
    during::{self, Happening},
    figures::counted,
    steady,
    trigger::{Action, Trigger, one_target, signal_name},
    watch::{Watched, ends_in_words},
};
use crate::{
    outcome::{Better, Close, Outcome, Unit},
    target::{Target, duration},
};

/// A WebSocket is told so to connect anew: going away, service restart.
const GO: [u16; 2] = [1001, 1012];

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) service: Target,
    #[command(flatten)]
    pub(crate) requests: steady::Arguments,
    /// WebSockets that are open meanwhile
    #[arg(long, default_value_t = 10)]
    pub(crate) web_sockets: usize,
    /// How long all takes; a third into it the target goes
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) lasting: Duration,
    /// The delay that the target group gives to what is open
    #[arg(long, value_name = "DURATION", default_value = "300s", value_parser = duration)]
    pub(crate) deregistration_delay: Duration,
    /// Address of the admin API of the balancer
    #[arg(long, value_name = "URL", requires = "target_group", requires = "target_id")]
    pub(crate) admin: Option<String>,
    /// Bearer token of the admin API
    #[arg(long, value_name = "TOKEN", requires = "admin")]
    pub(crate) admin_token: Option<String>,
    /// Name of the target group
    #[arg(long, value_name = "NAME", requires = "admin")]
    pub(crate) target_group: Option<String>,
    /// The target that goes
    #[arg(long = "target", id = "target_id", value_name = "ID:PORT", requires = "admin")]
    pub(crate) target: Option<String>,
    /// A command that makes the target go
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["admin", "signal"])]
    pub(crate) trigger: Option<String>,
    /// A command that brings it back
    #[arg(long, value_name = "COMMAND")]
    pub(crate) restore: Option<String>,
    /// A signal to the process of --pid that makes it go
    #[arg(long, value_name = "NAME", value_parser = signal_name, requires = "pid", conflicts_with = "admin")]
    pub(crate) signal: Option<String>,
}

impl Arguments {
    fn triggers(&self) -> Result<(Trigger, Option<Trigger>)> {
        let restore = self.restore.clone().map(Trigger::Command);
        if let Some(api) = &self.admin {
            let group = self.target_group.as_deref().context("--target-group is missing")?;
            let body = one_target(group, self.target.as_deref().context("--target is missing")?)?;
            let action = |path| {
                let (api, token, body) = (api.clone(), self.admin_token.clone(), body.clone());
                Trigger::Admin(Box::new(Action { api, token, path, body }))
            };
            let back = restore.unwrap_or_else(|| action("/targets/register"));
            return Ok((action("/targets/deregister"), Some(back)));
        }
        match (&self.trigger, &self.signal, self.service.pid) {
            (Some(line), ..) => Ok((Trigger::Command(line.clone()), restore)),
            (None, Some(name), Some(pid)) => Ok((Trigger::Signal { name: name.clone(), pid }, restore)),
            _ => bail!("say how the target goes: --admin, --trigger or --signal"),
        }
    }
}

/// Asks, lets the target go, and judges.
///
/// # Errors
/// When the URL is of no use, or the target cannot be made to go or to come back.
pub(crate) async fn run(arguments: &Arguments, run: &Run) -> Result<Outcome> {
    let clock = Clock::try_new(run, &arguments.service)?;
    let (trigger, restore) = arguments.triggers()?;
    run.progress.begin_for("drain", clock.real(arguments.lasting));
    let settings = BTreeMap::from([
        ("trigger".to_owned(), trigger.words()),
        ("rate".to_owned(), format!("{} a second", arguments.requests.rate)),
        ("path".to_owned(), arguments.requests.path.clone()),
        ("web-sockets".to_owned(), arguments.web_sockets.to_string()),
        ("for".to_owned(), words(arguments.lasting)),
        ("deregistration-delay".to_owned(), words(arguments.deregistration_delay)),
    ]);
    let happening = Happening {
        target: &arguments.service,
        requests: &arguments.requests,
        web_sockets: arguments.web_sockets,
        lasting: arguments.lasting,
    };
    let mut gone_at = None;
    let pulled = async {
        run.wait(clock.real(arguments.lasting / 3)).await;
        ensure!(!run.stop.is_cancelled(), "interrupted before the target went");
        gone_at = Some(tokio::time::Instant::now());
        trigger.pull(&arguments.service).await?;
        run.wait(clock.real(arguments.lasting - arguments.lasting / 3)).await;
        Ok(())
    };
    let during = during::during(happening, clock, run, pulled).await;
    let back_at = tokio::time::Instant::now();
    // Whatever was measured: what was there before is there again.
    if let Some(restore) = restore.as_ref().filter(|_| gone_at.is_some()) {
        restore.pull(&arguments.service).await?;
    }
    let (tally, watched) = during?;
    let gone_at = clock.moment(gone_at.context("the target did not go")?);
    let mut outcome = run.outcome("drain", &arguments.service, during::METHOD, settings)?;
    tally.tell(&mut outcome, clock);
    outcome.series.push(during::moments("deregistered", vec![gone_at]));
    if restore.is_some() {
        outcome.series.push(during::moments("registered", vec![clock.moment(back_at)]));
    }
    judge(&mut outcome, arguments, gone_at, watched);
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, arguments: &Arguments, gone_at: f64, watched: Watched) {
    during::opened(outcome, arguments.web_sockets, &watched);
    let delay = arguments.deregistration_delay;
    let earliest = gone_at + (delay.as_secs_f64() * 0.95 - 1.0).max(0.0);
    let told =
        |close: &&Close| close.how == "close frame" && close.code.is_some_and(|code| GO.contains(&code));
    let told_to_go = watched.closes.iter().filter(told).count();
    let (late, early): (Vec<&Close>, Vec<&Close>) =
        watched.closes.iter().filter(|close| !told(close)).partition(|close| close.at >= earliest);
    if arguments.web_sockets > 0 {
        let mut measured = format!("{} stay open, {told_to_go} told to go", watched.open);
        if !late.is_empty() {
            measured.push_str(&format!(", {} cut after the delay", late.len()));
        }
        if let Some(first) = early.first() {
            let ends = ends_in_words(early.iter().copied());
            let after = first.at - gone_at;
            measured.push_str(&format!(
                ", {} cut early ({ends}), {after:.1} s after the target went",
                early.len()
            ));
        }
        let expected = format!("open for {}, or told to go by 1001 or 1012", words(delay));
        outcome.expect("WebSockets drain", expected, measured, early.is_empty());
    }
    outcome.figure("cut_early", counted(early.len()), Unit::Count, Better::Lower);
    outcome.figure("cut_after_delay", counted(late.len()), Unit::Count, Better::Neither);
    outcome.figure("told_to_go", counted(told_to_go), Unit::Count, Better::Neither);
    outcome.closes = watched.closes;
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

    fn ended(at: f64, how: &str, code: u16) -> Close {
        Close { at, age: at, idle: 0.0, how: how.to_owned(), code: Some(code), target: None }
    }

    /// Of two WebSockets, with the target gone after 10 s and a delay of 20 s.
    #[track_caller]
    fn check(closes: &[Close], expected: &str) {
        let line = ["drain", "ws://a", "--web-sockets=2", "--deregistration-delay=20s", "--trigger=true"];
        let open = 2 - u64::try_from(closes.len()).unwrap();
        let mut outcome = sample::empty();
        let watched = Watched { closes: closes.to_vec(), open, ..Watched::default() };
        judge(&mut outcome, &Line::parse_from(line).arguments, 10.0, watched);
        assert_eq!(testing::verdict(&outcome), expected);
    }

    #[test]
    fn web_sockets_may_stay_be_told_to_go_or_live_out_the_delay() {
        check(&[], "");
        check(&[ended(10.5, "close frame", 1001), ended(11.0, "close frame", 1012)], "");
        check(&[ended(30.2, "FIN", 1006)], "");
        check(&[ended(28.1, "RST", 1006)], "");
    }

    #[test]
    fn web_sockets_that_are_cut_early_fail() {
        check(
            &[ended(12.0, "RST", 1006)],
            "WebSockets drain: 1 stay open, 0 told to go, 1 cut early (1 RST), 2.0 s after the target went",
        );
        check(
            &[ended(9.0, "FIN", 1006), ended(12.0, "close frame", 1011)],
            "WebSockets drain: 0 stay open, 0 told to go, 2 cut early (1 FIN, 1 close frame 1011), \
             -1.0 s after the target went",
        );
    }

    #[test]
    fn a_target_goes_in_one_of_three_ways() {
        let triggers = |options: &[&str]| {
            let line = ["drain", "ws://a"].iter().chain(options);
            Line::parse_from(line).arguments.triggers()
        };
        assert!(triggers(&[]).is_err());
        let (gone, back) =
            triggers(&["--admin=http://b", "--target-group=web", "--target=127.0.0.1:9"]).unwrap();
        assert!(gone.words().starts_with("POST /targets/deregister {"), "{}", gone.words());
        assert!(back.unwrap().words().starts_with("POST /targets/register {"));
        let (gone, back) = triggers(&["--signal=SIGTERM", "--pid=77"]).unwrap();
        assert_eq!((gone.words().as_str(), back), ("SIGTERM to 77", None));
    }
}
