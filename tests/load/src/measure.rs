//! Runs of scenarios, and what is done with their results.

use std::{fmt::Display, io::Write as _};

use anyhow::Context;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::{Output, Scenario},
    ending::{Ending, Failure},
    html, interrupt,
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
    writable(output)?;
    let progress = progress(output);
    let ran = interrupt::heeding(async |stop| {
        let outcome = run(scenario, progress.clone(), stop).await;
        (outcome, stop.is_cancelled())
    });
    let Some((outcome, is_interrupted)) = ran.await else {
        progress.end();
        return Err(Failure::Interrupted);
    };
    let mut outcome = outcome.map_err(Failure::of)?;
    let wrong = hold(&mut outcome, &output.limits);
    let mut measured = Results::new();
    measured.outcomes.push(outcome);
    let ending = publish(&measured, output)?;
    match wrong {
        _ if is_interrupted => Ok(Ending::Interrupted),
        Some(error) => Err(Failure::misused(error)),
        None => Ok(ending),
    }
}

/// Measures, to the end or until `stop` is cancelled, which the outcome then tells.
///
/// # Errors
///
/// What kept the scenario from measuring.
pub(crate) async fn run(
    scenario: &Scenario,
    progress: Progress,
    stop: &CancellationToken,
) -> anyhow::Result<Outcome> {
    let (wall_clock, started) = (OffsetDateTime::now_utc(), Instant::now());
    let run = Run { stop: stop.clone(), progress, wall_clock, started };
    let outcome = scenario.run(&run).await;
    run.progress.end();
    let mut outcome = outcome?;
    if stop.is_cancelled() {
        let measured = format!("interrupted after {:.1} s", outcome.seconds);
        outcome.expect("run to the end", "not interrupted", measured, false);
    }
    Ok(outcome)
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

/// Checks, before anything is measured, that results will have a place.
///
/// # Errors
///
/// The directory of a file is none.
pub(crate) fn writable(output: &Output) -> Result<(), Failure> {
    for path in [&output.json, &output.html, &output.junit].into_iter().flatten() {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
            let (path, directory) = (path.display(), directory.display());
            return Err(Failure::misused(anyhow::anyhow!("cannot write {path}: no directory {directory}")));
        }
    }
    Ok(())
}

/// Writes results to where they are wanted, standard output included, and tells
/// how they end the program.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn publish(measured: &Results, output: &Output) -> Result<Ending, Failure> {
    // First to people: a file that cannot be written must not cost them the results.
    say(&Text(measured), output)?;
    write(measured, output)
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
