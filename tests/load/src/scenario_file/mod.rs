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

use anyhow::Context as _;

use crate::{
    arguments::Output,
    ending::{Ending, Failure},
    measure,
    outcome::Outcome,
    results::{Results, Unmeasured},
    text::{OutcomeText, Total, UnmeasuredText},
};
use plan::{PlacedLimit, Plan, PlannedRun};
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
    let mut measured = Results::new();
    let mut wrong = Vec::new();
    for (file, plan) in &plans {
        run_plan(file, plan, output, &mut measured, &mut wrong).await?;
    }
    let ending = measure::write(&measured, output)?;
    measure::say(&Total(&measured), output)?;
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

async fn run_plan(
    file: &str,
    plan: &Plan,
    output: &Output,
    measured: &mut Results,
    wrong: &mut Vec<String>,
) -> Result<(), Failure> {
    let all_up = match &plan.wait_for {
        Some(wait_for) => wait::wait(wait_for).await,
        None => Ok(()),
    };
    for run in &plan.runs {
        let outcome = match (&all_up, &run.wait_for) {
            (Err(error), _) => Err(anyhow::anyhow!("{error:#}")),
            (Ok(()), None) => measure::run(&run.scenario, measure::progress(output)).await,
            (Ok(()), Some(wait_for)) => match wait::wait(wait_for).await {
                Ok(()) => measure::run(&run.scenario, measure::progress(output)).await,
                Err(error) => Err(error),
            },
        };
        match outcome {
            Ok(outcome) => {
                let outcome = held(file, run, outcome, output, wrong);
                measure::say(&OutcomeText(&outcome), output)?;
                measured.outcomes.push(outcome);
            }
            Err(error) => {
                let (scenario, title) = (run.scenario_name.clone(), run.name.clone());
                let unmeasured = Unmeasured { scenario, title, error: format!("{error:#}") };
                measure::say(&UnmeasuredText(&unmeasured), output)?;
                measured.unmeasured.push(unmeasured);
            }
        }
    }
    Ok(())
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
