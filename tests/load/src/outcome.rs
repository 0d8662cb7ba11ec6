//! What a scenario measured, what it expected, and whether that held.
//!
//! An outcome is the whole result: its JSON is what `--json` writes, what the
//! HTML report draws and what `albeit-load compare` compares. Every time is in
//! milliseconds and every moment in seconds from the start, unless a unit says
//! otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of this format: another number means other names.
pub(crate) const SCHEMA: u32 = 1;

/// One run of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// The scenario's name on the command line.
    pub(crate) scenario: String,
    /// What a scenario file calls this run; else the scenario's name.
    pub(crate) title: String,
    /// What was measured.
    pub(crate) url: String,
    /// What was spoken there.
    pub(crate) protocol: String,
    /// When it began, as RFC 3339 in UTC.
    pub(crate) started: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
    /// How it was measured, in a sentence: open or closed loop, and what a latency is counted from.
    pub(crate) method: String,
    /// The settings it ran with.
    pub(crate) settings: BTreeMap<String, String>,
    /// What had to hold, and whether it did.
    pub(crate) expectations: Vec<Expectation>,
    /// The figures that limits and comparisons name.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// Distributions of times.
    pub(crate) histograms: Vec<Histogram>,
    /// Figures over time, such as answers a second by status.
    pub(crate) series: Vec<Series>,
    /// Answers or connections by target.
    pub(crate) targets: BTreeMap<String, u64>,
    /// Ends of connections.
    pub(crate) closes: Vec<Close>,
    /// Failures by kind.
    pub(crate) errors: BTreeMap<String, u64>,
}

/// Something that had to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// What it is about, such as `closed by the idle timeout`.
    pub(crate) name: String,
    /// What had to be.
    pub(crate) expected: String,
    /// What was.
    pub(crate) measured: String,
    /// Whether that is good enough.
    pub(crate) passed: bool,
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// The number.
    pub(crate) value: f64,
    /// What it counts.
    pub(crate) unit: Unit,
    /// Which way is better: what `compare` calls a regression.
    pub(crate) better: Better,
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Things.
    Count,
    /// Things a second.
    PerSecond,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Seconds.
    Seconds,
    /// Hundredths of a whole.
    Percent,
    /// Bytes.
    Bytes,
}

/// Which way a figure is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It only says what was done.
    Neither,
}

/// A distribution of times, in buckets that grow with the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    /// Whose times.
    pub(crate) name: String,
    /// How many were counted.
    pub(crate) count: u64,
    /// Mean, in milliseconds.
    pub(crate) mean: f64,
    /// Percentile → milliseconds: `50`, `90`, `99`, `99.9`, `100`.
    pub(crate) percentiles: Vec<(f64, f64)>,
    /// Upper bound of each bucket in milliseconds, and how many lie in it.
    pub(crate) buckets: Vec<(f64, u64)>,
}

/// A figure over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The plot it is drawn in, such as `answers`.
    pub(crate) plot: String,
    /// What this line counts, such as `200` or `reset`.
    pub(crate) name: String,
    /// What the numbers count.
    pub(crate) unit: Unit,
    /// Second from the start, and the number.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The end of a connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Close {
    /// The moment, in seconds from the start.
    pub(crate) at: f64,
    /// How long the connection had been open, in seconds.
    pub(crate) age: f64,
    /// How long nothing had come or gone on it, in seconds.
    pub(crate) idle: f64,
    /// `close frame`, `FIN`, `RST` or `ours`.
    pub(crate) how: String,
    /// The close code that a browser would report.
    pub(crate) code: Option<u16>,
    /// The target, if it is known.
    pub(crate) target: Option<String>,
}

impl Outcome {
    /// Whether all that had to hold did.
    pub(crate) fn passed(&self) -> bool {
        self.expectations.iter().all(|expectation| expectation.passed)
    }

    /// Notes something that had to hold.
    pub(crate) fn expect(
        &mut self,
        name: &str,
        expected: impl Into<String>,
        measured: impl Into<String>,
        passed: bool,
    ) {
        let (expected, measured) = (expected.into(), measured.into());
        self.expectations.push(Expectation { name: name.to_owned(), expected, measured, passed });
    }

    /// Notes a figure.
    pub(crate) fn figure(&mut self, name: &str, value: f64, unit: Unit, better: Better) {
        self.figures.insert(name.to_owned(), Figure { value, unit, better });
    }

    /// Counts a failure.
    pub(crate) fn error(&mut self, kind: &str) {
        *self.errors.entry(kind.to_owned()).or_default() += 1;
    }
}
