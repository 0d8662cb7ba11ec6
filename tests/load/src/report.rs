//! What a run prints.

use anyhow::Result;
use serde::Serialize;

/// One line of JSON on standard output.
#[expect(clippy::print_stdout, reason = "the result of the program")]
pub(crate) fn line(result: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(result)?);
    Ok(())
}

/// Why there is no result.
#[expect(clippy::print_stderr, reason = "the program's own error")]
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("albeit-load: {error:#}");
}

/// A figure with three digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
