//! Files of results: what `--json` writes, and `report` and `compare` read.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, SCHEMA};

/// What stands for standard output.
const STDOUT: &str = "-";

/// The results of one call of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    /// [`SCHEMA`].
    pub(crate) version: u32,
    /// One for each run that measured something, in their order.
    pub(crate) outcomes: Vec<Outcome>,
    /// Runs that measured nothing, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unmeasured: Vec<Unmeasured>,
}

/// A run that measured nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unmeasured {
    /// The scenario's name on the command line.
    pub(crate) scenario: String,
    /// What a scenario file calls the run; else the scenario's name.
    pub(crate) title: String,
    /// Why there is no result.
    pub(crate) error: String,
}

/// The one field that has to be right for the others to mean anything.
#[derive(Debug, Deserialize)]
struct Version {
    version: Option<u32>,
}

impl Results {
    /// Without any result yet.
    pub(crate) const fn new() -> Self {
        Self { version: SCHEMA, outcomes: Vec::new(), unmeasured: Vec::new() }
    }

    /// Whether each run measured something and all that had to hold did.
    pub(crate) fn passed(&self) -> bool {
        self.unmeasured.is_empty() && self.outcomes.iter().all(Outcome::passed)
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, is no file of results, or is of another version.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        Self::parse(&text).with_context(|| format!("{shown} is no result of albeit-load"))
    }

    fn parse(text: &str) -> Result<Self> {
        let Version { version } = serde_json::from_str(text)?;
        match version {
            Some(SCHEMA) => {}
            Some(other) => bail!("it is of version {other}, and this program reads {SCHEMA}: measure anew"),
            None => bail!("it has no version"),
        }
        let results: Self = serde_json::from_str(text)?;
        ensure!(
            results.outcomes.iter().all(|outcome| outcome.schema == SCHEMA),
            "an outcome in it is of another version than {SCHEMA}"
        );
        Ok(results)
    }

    /// As JSON, to people's eyes too.
    ///
    /// # Errors
    ///
    /// None in practice: everything in it can be written.
    pub(crate) fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// Whether a path stands for standard output.
pub(crate) fn is_stdout(path: Option<&PathBuf>) -> bool {
    path.is_some_and(|path| path.as_os_str() == STDOUT)
}

/// Writes a file, or standard output if the path is `-`.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    if path.as_os_str() == STDOUT {
        return std::io::stdout().write_all(text.as_bytes()).context("cannot write standard output");
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = Results::parse(text).expect_err("an error");
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }

    #[test]
    fn what_is_written_is_read() {
        let results = Results {
            outcomes: vec![sample::empty(), sample::full()],
            unmeasured: vec![Unmeasured {
                scenario: "hold".to_owned(),
                title: "many".to_owned(),
                error: "connection refused".to_owned(),
            }],
            ..Results::new()
        };
        assert_eq!(Results::parse(&results.json().unwrap()).unwrap(), results);
    }

    #[test]
    fn a_file_of_another_version_says_so() {
        check(r#"{"version": 7, "outcomes": "other"}"#, "version 7, and this program reads 1");
        check(r#"{"outcomes": []}"#, "no version");
        check("{}", "no version");
        check("[]", "invalid");
        check(r#"{"version": 1, "outcomes": [], "extra": 1}"#, "unknown field");
    }
}
