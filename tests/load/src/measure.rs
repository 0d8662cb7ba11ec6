//! Runs of scenarios, and what is done with their results.

use std::io::Write as _;

use anyhow::Context;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    arguments::{Output, Scenario},
    ending::{Ending, Failure},
    html,
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
    let progress = if output.quiet { Progress::silent() } else { Progress::on_terminal() };
    let mut outcome = run(scenario, progress).await.map_err(Failure::of)?;
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

/// Writes results to where they are wanted, and tells how they end the program.
///
/// # Errors
///
/// A file cannot be written.
pub(crate) fn publish(measured: &Results, output: &Output) -> Result<Ending, Failure> {
    if let Some(path) = &output.json {
        let json = measured.json().map_err(Failure::misused)?;
        results::write(path, &json).map_err(Failure::misused)?;
    }
    if let Some(path) = &output.html {
        results::write(path, &html::Page(measured).to_string()).map_err(Failure::misused)?;
    }
    if !output.quiet && !results::is_stdout(output.json.as_ref()) {
        write!(anstream::stdout(), "{}", Text(measured))
            .context("cannot write standard output")
            .map_err(Failure::misused)?;
    }
    Ok(match measured {
        _ if measured.passed() => Ending::Held,
        Results { unmeasured, .. } if !unmeasured.is_empty() => Ending::Unmeasured,
        _ => Ending::Failed,
    })
}
