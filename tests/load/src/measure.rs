//! Runs of scenarios, and what is done with their results.

use std::{fmt::Display, io::Write as _};

use anyhow::Context;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    arguments::{Output, Scenario},
    ending::{Ending, Failure},
    html,
    junit::Junit,
    limit::Limit,
    outcome::Outcome,
    progress::Progress,
    results::{self, Results},
    scenario::Run,
    text::Text,
};

/// Runs one scenario.
///
/// # Errors
///
/// It could not measure, or its result could not be written.
pub(crate) async fn one(scenario: &Scenario, output: &Output) -> Result<Ending, Failure> {
    let mut outcome = run(scenario, progress(output)).await.map_err(Failure::of)?;
    let wrong = hold(&mut outcome, &output.limits);
    let mut measured = Results::new();
    measured.outcomes.push(outcome);
    let ending = publish(&measured, output)?;
    wrong.map_or(Ok(ending), |error| Err(Failure::misused(error)))
}

/// Measures.
///
/// # Errors
///
/// What kept the scenario from measuring.
pub(crate) async fn run(scenario: &Scenario, progress: Progress) -> anyhow::Result<Outcome> {
    let run = Run { progress, wall_clock: OffsetDateTime::now_utc(), started: Instant::now() };
    let outcome = scenario.run(&run).await;
    run.progress.end();
    outcome
}

/// Holds an outcome to limits; the first that cannot be held to anything.
pub(crate) fn hold(outcome: &mut Outcome, limits: &[Limit]) -> Option<anyhow::Error> {
    let mut wrong = None;
    for limit in limits {
        if let Err(error) = limit.hold(outcome) {
            wrong.get_or_insert_with(|| anyhow::Error::new(error).context(format!("--limit {limit}")));
        }
    }
    wrong
}

/// What tells how a run goes.
pub(crate) fn progress(output: &Output) -> Progress {
    if output.quiet { Progress::silent() } else { Progress::on_terminal() }
}

/// Writes results to where they are wanted, standard output included, and tells
/// how they end the program.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn publish(measured: &Results, output: &Output) -> Result<Ending, Failure> {
    let ending = write(measured, output)?;
    say(&Text(measured), output)?;
    Ok(ending)
}

/// Writes results to the files in which they are wanted, and tells how they end
/// the program.
///
/// # Errors
///
/// A file cannot be written.
pub(crate) fn write(measured: &Results, output: &Output) -> Result<Ending, Failure> {
    if let Some(path) = &output.json {
        let json = measured.json().map_err(Failure::misused)?;
        results::write(path, &json).map_err(Failure::misused)?;
    }
    if let Some(path) = &output.html {
        results::write(path, &html::Page(measured).to_string()).map_err(Failure::misused)?;
    }
    if let Some(path) = &output.junit {
        results::write(path, &Junit(measured).to_string()).map_err(Failure::misused)?;
    }
    Ok(match measured {
        _ if measured.passed() => Ending::Held,
        Results { unmeasured, .. } if !unmeasured.is_empty() => Ending::Unmeasured,
        _ => Ending::Failed,
    })
}

/// Prints for people, unless that is not wanted or standard output has a file's
/// content. Only a terminal gets colours.
///
/// # Errors
///
/// Standard output is closed.
pub(crate) fn say(text: &impl Display, output: &Output) -> Result<(), Failure> {
    let taken =
        [&output.json, &output.html, &output.junit].into_iter().any(|path| results::is_stdout(path.as_ref()));
    if output.quiet || taken {
        return Ok(());
    }
    let said = write!(anstream::stdout(), "{text}").context("cannot write standard output");
    said.map_err(Failure::misused)
}
