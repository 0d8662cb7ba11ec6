//! What is worse, and what cannot be compared.
//!
//! A figure is worse when it moved the wrong way by more than the tolerance and
//! by more than noise of its unit: 0.1 ms more of 0.3 ms is no regression.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    outcome::{Better, Figure, Outcome, Unit},
    results::{Results, Unmeasured},
};

/// Two results, compared.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// How much worse a figure may be, as a share of one.
    pub(crate) tolerance: f64,
    /// Runs that both have, in the order of the second.
    pub(crate) runs: Vec<RunComparison>,
    /// Runs that only the first has.
    pub(crate) only_before: Vec<String>,
    /// Runs that only the second has.
    pub(crate) only_after: Vec<String>,
    /// Runs that measured something before and nothing now.
    pub(crate) unmeasured: Vec<Unmeasured>,
}

/// One run, compared.
#[derive(Debug, Serialize)]
pub(crate) struct RunComparison {
    /// What both are called.
    pub(crate) title: String,
    /// Which run of the first, counted from zero.
    pub(crate) before: usize,
    /// Which run of the second, counted from zero.
    pub(crate) after: usize,
    /// Settings that differ: figures are shown then, but not judged.
    pub(crate) settings: Vec<Difference>,
    /// Figures of both.
    pub(crate) figures: Vec<FigureComparison>,
    /// Expectations that held before and do not now, and new ones that do not.
    pub(crate) broken: Vec<String>,
    /// Expectations that hold now and did not before.
    pub(crate) mended: Vec<String>,
}

/// A setting that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// Its name.
    pub(crate) name: String,
    /// What it was, if it was there.
    pub(crate) before: Option<String>,
    /// What it is, if it is there.
    pub(crate) after: Option<String>,
}

/// A figure of both.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct FigureComparison {
    /// Its name.
    pub(crate) name: String,
    /// What it was.
    pub(crate) before: f64,
    /// What it is.
    pub(crate) after: f64,
    /// What both count.
    pub(crate) unit: Unit,
    /// What that means.
    pub(crate) change: Change,
}

/// What a change of a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A regression.
    Worse,
    /// The other way.
    Better,
    /// Within the tolerance, or within noise.
    Same,
    /// It only says what was done, or was measured otherwise.
    NotJudged,
}

/// Changes up to here are noise, whatever their share.
const fn noise(unit: Unit) -> f64 {
    match unit {
        Unit::Count => 0.0,
        Unit::PerSecond | Unit::Percent => 1.0,
        Unit::Milliseconds => 0.5,
        Unit::Microseconds => 5.0,
        Unit::Seconds => 0.05,
        Unit::Bytes => 65_536.0,
    }
}

/// What a change from one value to another means.
pub(crate) fn change(before: f64, after: f64, unit: Unit, better: Better, tolerance: f64) -> Change {
    let worse_by = match better {
        Better::Lower => after - before,
        Better::Higher => before - after,
        Better::Neither => return Change::NotJudged,
    };
    let allowed = (before.abs() * tolerance).max(noise(unit));
    match worse_by {
        // What became no number is no better.
        _ if before.is_finite() && !after.is_finite() => Change::Worse,
        _ if !worse_by.is_finite() => Change::NotJudged,
        _ if worse_by > allowed => Change::Worse,
        _ if worse_by < -allowed => Change::Better,
        _ => Change::Same,
    }
}

impl Comparison {
    /// Compares the second with the first.
    pub(crate) fn new(before: &Results, after: &Results, tolerance: f64) -> Self {
        let mut left: Vec<(usize, &Outcome)> = before.outcomes.iter().enumerate().collect();
        let mut take = |title: &str| {
            let position = left.iter().position(|(_, outcome)| outcome.title == title)?;
            Some(left.remove(position))
        };
        let (mut runs, mut only_after, mut unmeasured) = (Vec::new(), Vec::new(), Vec::new());
        for (number, outcome) in after.outcomes.iter().enumerate() {
            match take(&outcome.title) {
                Some(before) => runs.push(RunComparison::new(before, (number, outcome), tolerance)),
                None => only_after.push(outcome.title.clone()),
            }
        }
        for run in &after.unmeasured {
            if take(&run.title).is_some() {
                unmeasured.push(run.clone());
            }
        }
        let only_before = left.into_iter().map(|(_, outcome)| outcome.title.clone()).collect();
        Self { tolerance, runs, only_before, only_after, unmeasured }
    }

    /// Whether anything is worse than before.
    pub(crate) fn is_worse(&self) -> bool {
        !self.unmeasured.is_empty() || self.runs.iter().any(RunComparison::is_worse)
    }
}

impl RunComparison {
    fn new(before: (usize, &Outcome), after: (usize, &Outcome), tolerance: f64) -> Self {
        let ((first, before), (second, after)) = (before, after);
        let settings = differences(before, after);
        let judged = settings.is_empty();
        let figures = after.figures.iter().filter_map(|(name, now)| {
            let Figure { value, unit, better } = *before.figures.get(name)?;
            if unit != now.unit {
                return None;
            }
            let change =
                if judged { change(value, now.value, unit, better, tolerance) } else { Change::NotJudged };
            Some(FigureComparison { name: name.clone(), before: value, after: now.value, unit, change })
        });
        let held = |outcome: &Outcome, name: &str| {
            outcome.expectations.iter().find(|expectation| expectation.name == name).map(|found| found.passed)
        };
        let changed = |passed: bool, before_was: &[Option<bool>]| {
            let changed = after.expectations.iter().filter(|expectation| {
                expectation.passed == passed && before_was.contains(&held(before, &expectation.name))
            });
            changed
                .map(|expectation| {
                    format!(
                        "{}: {} (expected {})",
                        expectation.name, expectation.measured, expectation.expected
                    )
                })
                .collect()
        };
        Self {
            title: after.title.clone(),
            before: first,
            after: second,
            figures: figures.collect(),
            broken: changed(false, &[Some(true), None]),
            mended: changed(true, &[Some(false)]),
            settings,
        }
    }

    /// Whether anything of it is worse than before.
    pub(crate) fn is_worse(&self) -> bool {
        !self.broken.is_empty() || self.figures.iter().any(|figure| figure.change == Change::Worse)
    }

    /// Whether it was measured otherwise than before.
    pub(crate) fn differs(&self) -> bool {
        !self.settings.is_empty()
    }
}

/// Settings that differ, and what else says what was measured. The URL may differ:
/// it is what many compare.
fn differences(before: &Outcome, after: &Outcome) -> Vec<Difference> {
    let all = |outcome: &Outcome| -> BTreeMap<String, String> {
        let mut settings = outcome.settings.clone();
        settings.insert("scenario".to_owned(), outcome.scenario.clone());
        settings.insert("protocol".to_owned(), outcome.protocol.clone());
        settings
    };
    let (before, after) = (all(before), all(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Difference {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}
