//! `albeit-load report`: results measured before, shown anew and together.

use std::path::PathBuf;

use crate::{
    arguments::Output,
    ending::{Ending, Failure},
    measure,
    results::Results,
};

/// What `report` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files that `--json` wrote
    #[arg(required = true, value_name = "RESULT.json")]
    files: Vec<PathBuf>,
}

/// Reads results, puts them together and writes them to where they are wanted.
///
/// # Errors
///
/// A file cannot be read or written, or has no results.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Ending, Failure> {
    let mut all = Results::new();
    for file in &arguments.files {
        let results = Results::read(file).map_err(Failure::misused)?;
        all.outcomes.extend(results.outcomes);
        all.unmeasured.extend(results.unmeasured);
    }
    let mut wrong = None;
    for outcome in &mut all.outcomes {
        let met = measure::hold(outcome, &output.limits);
        wrong = wrong.or(met);
    }
    let ending = measure::publish(&all, output)?;
    wrong.map_or(Ok(ending), |error| Err(Failure::misused(error)))
}
