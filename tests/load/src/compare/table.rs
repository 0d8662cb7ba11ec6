//! A comparison for people.

use std::fmt::{self, Display};

use super::judge::{Change, Comparison, Difference, FigureComparison, RunComparison};
use crate::{
    outcome::Unit,
    quantity,
    results::Unmeasured,
    text::{BAD, FAINT, GOOD, Styled, TITLE, printable, width},
};

/// All of it.
#[derive(Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a Comparison);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { runs, only_before, only_after, unmeasured, tolerance } = self.0;
        for run in runs {
            write_run(f, run)?;
        }
        for Unmeasured { title, error, .. } in unmeasured {
            writeln!(
                f,
                "{}: {} {}\n",
                Styled(TITLE, printable(title)),
                Styled(BAD, "not measured:"),
                printable(error)
            )?;
        }
        for (titles, where_) in [(only_before, "first"), (only_after, "second")] {
            for title in titles {
                writeln!(
                    f,
                    "{}: only in the {where_} file, not compared\n",
                    Styled(TITLE, printable(title))
                )?;
            }
        }
        let percent = quantity::number(tolerance * 100.0);
        if self.0.is_worse() {
            writeln!(f, "{} (tolerance {percent} %)", Styled(BAD, "worse than before"))
        } else {
            writeln!(f, "{} (tolerance {percent} %)", Styled(GOOD, "no worse than before"))
        }
    }
}

fn write_run(f: &mut fmt::Formatter<'_>, run: &RunComparison) -> fmt::Result {
    writeln!(f, "{}", Styled(TITLE, printable(&run.title)))?;
    for difference in &run.settings {
        writeln!(f, "  other settings, not judged: {}", shown(difference))?;
    }
    for text in &run.broken {
        writeln!(f, "  {} {}", Styled(BAD, "broken"), printable(text))?;
    }
    for text in &run.mended {
        writeln!(f, "  {} {}", Styled(GOOD, "mended"), printable(text))?;
    }
    let width = width(run.figures.iter().map(|figure| figure.name.as_str()));
    for FigureComparison { name, before, after, unit, change } in &run.figures {
        let (style, word) = match change {
            Change::Worse => (BAD, "worse "),
            Change::Better => (GOOD, "better"),
            Change::Same => (FAINT, "same  "),
            Change::NotJudged => (FAINT, "      "),
        };
        let (old, new) = (quantity::display(*before, *unit), quantity::display(*after, *unit));
        let moved = moved(*before, *after);
        writeln!(
            f,
            "  {} {:width$}  {old:>10} → {new:>10}  {moved:>9}",
            Styled(style, word),
            printable(name)
        )?;
    }
    writeln!(f)
}

/// A setting and its two values.
pub(crate) fn shown(difference: &Difference) -> String {
    let Difference { name, before, after } = difference;
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), printable);
    format!("{} {} → {}", printable(name), value(before), value(after))
}

/// By how much it moved: in percent, or as a factor if that reads better.
pub(crate) fn moved(before: f64, after: f64) -> String {
    let share = (after - before) / before.abs();
    match share {
        _ if !share.is_finite() => String::new(),
        _ if share >= 9.0 => format!("× {}", quantity::number((after / before).round())),
        _ => format!(
            "{}{}",
            if share > 0.0 { "+" } else { "" },
            quantity::display((share * 1000.0).round() / 10.0, Unit::Percent)
        ),
    }
}
