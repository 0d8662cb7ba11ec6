//! Bounds that a caller sets to figures.

use std::{fmt, str::FromStr};

use crate::{
    outcome::Outcome,
    quantity::{self, Quantity},
};

/// A bound of one figure: `p99<=200ms`, `answers_per_second>=500`, `errors==0`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// The figure.
    pub(crate) figure: String,
    /// Which side is allowed.
    pub(crate) bound: Bound,
    /// The bound, itself allowed.
    pub(crate) value: Quantity,
}

/// Which side of a limit is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// At most.
    Max,
    /// At least.
    Min,
    /// Neither more nor less.
    Exactly,
}

impl Bound {
    const fn sign(self) -> &'static str {
        match self {
            Self::Max => "<=",
            Self::Min => ">=",
            Self::Exactly => "==",
        }
    }
}

/// Why a limit cannot be held to a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    /// The scenario has no such figure.
    #[error("no figure {figure:?} (have: {have})")]
    NoFigure { figure: String, have: String },
    /// The bound counts something else.
    #[error("{figure} is in {unit}, and {value} is not")]
    OtherUnit { figure: String, unit: &'static str, value: String },
}

impl Limit {
    /// Holds an outcome to it, as one more expectation of the outcome.
    ///
    /// # Errors
    ///
    /// There is no such figure, or it is in another unit. The outcome then has
    /// a failed expectation that says so.
    pub(crate) fn hold(&self, outcome: &mut Outcome) -> Result<(), LimitError> {
        let name = format!("limit {}", self.figure);
        let expected = format!("{} {}", self.bound.sign(), self.value);
        match self.judge(outcome) {
            Ok((measured, passed)) => {
                outcome.expect(&name, expected, measured, passed);
                Ok(())
            }
            Err(error) => {
                outcome.expect(&name, expected, error.to_string(), false);
                Err(error)
            }
        }
    }

    fn judge(&self, outcome: &Outcome) -> Result<(String, bool), LimitError> {
        let Some(figure) = outcome.figures.get(&self.figure) else {
            let have: Vec<&str> = outcome.figures.keys().map(String::as_str).collect();
            let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
            return Err(LimitError::NoFigure { figure: self.figure.clone(), have });
        };
        let limit = self.value.in_unit(figure.unit).ok_or_else(|| LimitError::OtherUnit {
            figure: self.figure.clone(),
            unit: quantity::name(figure.unit),
            value: self.value.to_string(),
        })?;
        // What is no number is within no bound.
        let passed = match self.bound {
            Bound::Max => figure.value <= limit,
            Bound::Min => figure.value >= limit,
            Bound::Exactly => (figure.value - limit).abs() < f64::EPSILON,
        };
        Ok((quantity::display(figure.value, figure.unit), passed))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = [Bound::Max, Bound::Min, Bound::Exactly]
            .into_iter()
            .find_map(|bound| text.split_once(bound.sign()).map(|(name, value)| (bound, name, value)));
        let (bound, figure, value) =
            parts.ok_or("a limit is NAME<=VALUE, NAME>=VALUE or NAME==VALUE, such as p99<=200ms")?;
        let figure = figure.trim();
        if figure.is_empty() {
            return Err("a limit begins with the name of a figure".to_owned());
        }
        Ok(Self { figure: figure.to_owned(), bound, value: value.parse()? })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.figure, self.bound.sign(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        outcome::{Better, Unit},
        sample,
    };

    #[track_caller]
    fn check(limit: &str, expected: Result<bool, &str>) {
        let mut outcome = sample::empty();
        outcome.figure("p99", 180.0, Unit::Milliseconds, Better::Lower);
        outcome.figure("errors", 0.0, Unit::Count, Better::Lower);
        outcome.figure("heap", 2048.0, Unit::Bytes, Better::Lower);
        outcome.figure("nothing", f64::NAN, Unit::Seconds, Better::Lower);
        let limit: Limit = limit.parse().expect("a limit");
        let held = limit.hold(&mut outcome).map(|()| outcome.passed());
        assert_eq!(held, expected.map_err(str::to_owned).map_err(|text| held_error(&held, &text)));
    }

    /// The error that was met if its text is this one.
    fn held_error(met: &Result<bool, LimitError>, text: &str) -> LimitError {
        match met {
            Err(error) if error.to_string() == text => error.clone(),
            _ => LimitError::NoFigure { figure: text.to_owned(), have: String::new() },
        }
    }

    #[test]
    fn a_limit_is_held_in_the_unit_of_the_figure() {
        check("p99<=180", Ok(true));
        check("p99<=179.9", Ok(false));
        check("p99 <= 0.2s", Ok(true));
        check("p99>=1s", Ok(false));
        check("errors==0", Ok(true));
        check("heap<=2KiB", Ok(true));
        check("heap<=2kB", Ok(false));
    }

    #[test]
    fn what_is_no_number_is_within_no_limit() {
        check("nothing<=10", Ok(false));
        check("nothing>=0", Ok(false));
    }

    #[test]
    fn a_limit_that_cannot_be_held_says_why() {
        check("p98<=1", Err(r#"no figure "p98" (have: errors, heap, nothing, p99)"#));
        check("p99<=5%", Err("p99 is in milliseconds, and 5% is not"));
    }

    #[test]
    fn a_limit_that_is_none_is_refused() {
        for text in ["p99", "<=5", "p99<=", "p99<=fast", "p99<=5 parsecs", "p99=5"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
        assert_eq!("p99 <= 200ms".parse::<Limit>().unwrap().to_string(), "p99<=200ms");
    }
}
