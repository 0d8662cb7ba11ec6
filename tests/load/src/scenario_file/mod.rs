//! `albeit-load run`: scenario files, for CI.

mod expand;
mod options;
mod plan;
mod problem;
mod tree;
mod wait;

#[cfg(test)]
mod tests;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Output,
    ending::{Ending, Failure},
    interrupt, measure,
    outcome::Outcome,
    results::{Results, Unmeasured},
    text::{OutcomeText, Total, UnmeasuredText},
};
use plan::{PlacedLimit, Plan, PlannedRun, WaitFor};
use problem::{Problem, Problems};

/// What `run` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Scenario files in YAML
    #[arg(required = true, value_name = "FILE.yaml")]
    files: Vec<PathBuf>,
    /// Only read the files and tell what is wrong with them
    #[arg(long)]
    check: bool,
}

/// Runs all runs of all files, one after the other, and gives one result.
///
/// # Errors
///
/// A file is wrong: nothing is run then. A limit is of a figure that its run
/// does not have. A result cannot be written.
pub(crate) async fn run(arguments: &Arguments, output: &Output) -> Result<Ending, Failure> {
    let plans = read_all(&arguments.files)?;
    if arguments.check {
        return Ok(Ending::Held);
    }
    measure::writable(output)?;
    let mut campaign = Campaign {
        output,
        begun: 0,
        runs: plans.iter().map(|(_, plan)| plan.runs.len()).sum(),
        measured: Results::new(),
        wrong: Vec::new(),
    };
    let ran = interrupt::heeding(async |stop| {
        for (file, plan) in &plans {
            campaign.run_plan(file, plan, stop).await?;
        }
        Ok(stop.is_cancelled())
    });
    // What the first runs measured is kept even if the last one is broken off.
    let is_interrupted = ran.await.unwrap_or(Ok(true))?;
    let Campaign { measured, wrong, .. } = campaign;
    measure::say(&Total(&measured), output)?;
    let ending = measure::write(&measured, output)?;
    if is_interrupted {
        return Ok(Ending::Interrupted);
    }
    if wrong.is_empty() { Ok(ending) } else { Err(Failure::Misused(anyhow::anyhow!(wrong.join("\n")))) }
}

fn read_all(files: &[PathBuf]) -> Result<Vec<(String, Plan)>, Failure> {
    let mut plans = Vec::new();
    for file in files {
        let shown = file.display().to_string();
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read {shown}"))
            .map_err(Failure::misused)?;
        let plan = plan::read(&shown, &text, &|name| std::env::var(name).ok()).map_err(Failure::misused)?;
        plans.push((shown, plan));
    }
    Ok(plans)
}

/// All runs of all files.
struct Campaign<'a> {
    output: &'a Output,
    /// Runs that have begun.
    begun: usize,
    /// How many there are.
    runs: usize,
    measured: Results,
    /// Limits that could not be held to anything.
    wrong: Vec<String>,
}

impl Campaign<'_> {
    async fn run_plan(&mut self, file: &str, plan: &Plan, stop: &CancellationToken) -> Result<(), Failure> {
        let all_up = up(plan.wait_for.as_ref(), stop).await;
        for run in &plan.runs {
            self.begun += 1;
            let outcome = match &all_up {
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
                Ok(()) => self.run(run, stop).await,
            };
            match outcome {
                Ok(outcome) => {
                    let outcome = held(file, run, outcome, self.output, &mut self.wrong);
                    measure::say(&OutcomeText(&outcome), self.output)?;
                    self.measured.outcomes.push(outcome);
                }
                Err(error) => {
                    let (scenario, title) = (run.scenario_name.clone(), run.name.clone());
                    let unmeasured = Unmeasured { scenario, title, error: format!("{error:#}") };
                    measure::say(&UnmeasuredText(&unmeasured), self.output)?;
                    self.measured.unmeasured.push(unmeasured);
                }
            }
        }
        Ok(())
    }

    async fn run(&self, run: &PlannedRun, stop: &CancellationToken) -> anyhow::Result<Outcome> {
        up(run.wait_for.as_ref(), stop).await?;
        ensure!(!stop.is_cancelled(), "interrupted");
        let progress = measure::progress(self.output).of(self.begun, self.runs);
        measure::run(&run.scenario, progress, stop).await
    }
}

/// Waits until what must answer does, or for the interruption.
async fn up(wait_for: Option<&WaitFor>, stop: &CancellationToken) -> anyhow::Result<()> {
    match wait_for {
        Some(wait_for) => stop.run_until_cancelled(wait::wait(wait_for)).await.unwrap_or(Ok(())),
        None => Ok(()),
    }
}

/// The outcome by the name of its run and held to its limits; those that could
/// not be held to anything are noted.
fn held(
    file: &str,
    run: &PlannedRun,
    mut outcome: Outcome,
    output: &Output,
    wrong: &mut Vec<String>,
) -> Outcome {
    outcome.title.clone_from(&run.name);
    let mut problems = Vec::new();
    for PlacedLimit { place, path, limit } in &run.limits {
        if let Err(error) = limit.hold(&mut outcome) {
            problems.push(Problem { place: *place, path: path.clone(), message: error.to_string() });
        }
    }
    if !problems.is_empty() {
        wrong.push(Problems { file: file.to_owned(), all: problems }.to_string());
    }
    if let Some(error) = measure::hold(&mut outcome, &output.limits) {
        wrong.push(format!("{}: {error:#}", run.name));
    }
    outcome
}
