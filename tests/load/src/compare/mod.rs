//! `albeit-load compare`: two results, run by run and figure by figure.

mod judge;
mod page;
mod table;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::anyhow;

use crate::{
    arguments::Output,
    ending::{Ending, Failure},
    measure,
    results::{self, Results},
};
use judge::Comparison;
use page::Page;
use table::Table;

/// What `compare` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The results that are the measure
    #[arg(value_name = "BEFORE.json")]
    before: PathBuf,
    /// The results that are held to it
    #[arg(value_name = "AFTER.json")]
    after: PathBuf,
    /// How much worse a figure may be
    #[arg(long, value_name = "PERCENT", default_value = "10%", value_parser = tolerance)]
    tolerance: f64,
}

/// A share of one: `10%`.
fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').ok_or("a tolerance is in percent, such as 10%")?;
    let percent: f64 = number.trim().parse().map_err(|_| "a tolerance is a number and %")?;
    if percent.is_finite() && percent >= 0.0 {
        Ok(percent / 100.0)
    } else {
        Err("a tolerance is 0% or more".to_owned())
    }
}

/// Compares, and fails on a regression.
///
/// # Errors
///
/// A file cannot be read or written, or the two have no run that can be compared.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<Ending, Failure> {
    if output.junit.is_some() || !output.limits.is_empty() {
        return Err(Failure::Misused(anyhow!(
            "compare has neither --junit nor --limit: they belong to a measurement"
        )));
    }
    let before = Results::read(&arguments.before).map_err(Failure::misused)?;
    let after = Results::read(&arguments.after).map_err(Failure::misused)?;
    let comparison = Comparison::new(&before, &after, arguments.tolerance);
    if let Some(path) = &output.json {
        let json = serde_json::to_string_pretty(&comparison).map_err(Failure::misused)?;
        results::write(path, &(json + "\n")).map_err(Failure::misused)?;
    }
    if let Some(path) = &output.html {
        let page = Page { comparison: &comparison, before: &before, after: &after };
        results::write(path, &page.to_string()).map_err(Failure::misused)?;
    }
    measure::say(&Table(&comparison), output)?;
    if comparison.is_worse() {
        return Ok(Ending::Failed);
    }
    if comparison.runs.iter().all(judge::RunComparison::differs) {
        return Err(Failure::Misused(anyhow!(
            "the two have no run in common that was measured with the same settings"
        )));
    }
    Ok(Ending::Held)
}
