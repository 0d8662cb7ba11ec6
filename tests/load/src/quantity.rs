//! Numbers with units, read and written.

use std::{fmt, str::FromStr, time::Duration};

use crate::outcome::Unit;

/// A number with a unit, or in the unit of what it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quantity {
    number: f64,
    suffix: &'static str,
}

/// Suffix → what it counts, and how many of the unit of [`Outcome`](crate::outcome::Outcome) one is.
const SUFFIXES: &[(&str, Dimension, f64)] = &[
    ("us", Dimension::Time, 1e-6),
    ("µs", Dimension::Time, 1e-6),
    ("ms", Dimension::Time, 1e-3),
    ("s", Dimension::Time, 1.0),
    ("m", Dimension::Time, 60.0),
    ("h", Dimension::Time, 3600.0),
    ("%", Dimension::Share, 1.0),
    ("/s", Dimension::Rate, 1.0),
    ("B", Dimension::Size, 1.0),
    ("kB", Dimension::Size, 1e3),
    ("MB", Dimension::Size, 1e6),
    ("GB", Dimension::Size, 1e9),
    ("KiB", Dimension::Size, 1024.0),
    ("MiB", Dimension::Size, 1024.0 * 1024.0),
    ("GiB", Dimension::Size, 1024.0 * 1024.0 * 1024.0),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Time,
    Share,
    Rate,
    Size,
    Number,
}

/// What a unit counts, and how many of the base of that one is.
const fn dimension(unit: Unit) -> (Dimension, f64) {
    match unit {
        Unit::Count => (Dimension::Number, 1.0),
        Unit::PerSecond => (Dimension::Rate, 1.0),
        Unit::Microseconds => (Dimension::Time, 1e-6),
        Unit::Milliseconds => (Dimension::Time, 1e-3),
        Unit::Seconds => (Dimension::Time, 1.0),
        Unit::Percent => (Dimension::Share, 1.0),
        Unit::Bytes => (Dimension::Size, 1.0),
    }
}

impl Quantity {
    /// The number in this unit; nothing when it counts something else.
    pub(crate) fn in_unit(&self, unit: Unit) -> Option<f64> {
        if self.suffix.is_empty() {
            return Some(self.number);
        }
        let (counted, base) = dimension(unit);
        let (_, own, scale) = SUFFIXES.iter().find(|(suffix, ..)| *suffix == self.suffix)?;
        (*own == counted).then(|| self.number * (scale / base))
    }

    /// The time that it is; nothing without a unit of time, below zero, or beyond what can be told.
    pub(crate) fn duration(&self) -> Option<Duration> {
        let seconds = self.in_unit(Unit::Seconds).filter(|_| !self.suffix.is_empty())?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let end =
            text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '_')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let number: f64 = number
            .replace('_', "")
            .parse()
            .map_err(|_| format!("{text:?} is no number with a unit, such as 200ms, 5% or 64KiB"))?;
        let suffix = suffix.trim();
        if suffix.is_empty() {
            return Ok(Self { number, suffix: "" });
        }
        let known = SUFFIXES.iter().find(|(name, ..)| *name == suffix);
        let (suffix, ..) = known.ok_or_else(|| {
            let units: Vec<&str> = SUFFIXES.iter().map(|(name, ..)| *name).collect();
            format!("no unit {suffix:?} (have: {})", units.join(", "))
        })?;
        Ok(Self { number, suffix })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.suffix)
    }
}

/// The unit in a word.
pub(crate) const fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "things",
        Unit::PerSecond => "things a second",
        Unit::Milliseconds => "milliseconds",
        Unit::Microseconds => "microseconds",
        Unit::Seconds => "seconds",
        Unit::Percent => "percent",
        Unit::Bytes => "bytes",
    }
}

/// The unit as it stands behind a number, such as ` ms`.
pub(crate) const fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::Count => "",
        Unit::PerSecond => "/s",
        Unit::Milliseconds => " ms",
        Unit::Microseconds => " µs",
        Unit::Seconds => " s",
        Unit::Percent => " %",
        Unit::Bytes => " B",
    }
}

/// A number and its unit for people: three digits that count, thousands apart.
pub(crate) fn display(value: f64, unit: Unit) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let (value, unit) = readable(value, unit);
    format!("{}{unit}", number(value))
}

/// In a unit where the number is neither tiny nor huge.
fn readable(value: f64, unit: Unit) -> (f64, &'static str) {
    let size = value.abs();
    match unit {
        Unit::Bytes if size >= 1e9 => (value / 1e9, " GB"),
        Unit::Bytes if size >= 1e6 => (value / 1e6, " MB"),
        Unit::Bytes if size >= 1e4 => (value / 1e3, " kB"),
        Unit::Milliseconds if size >= 1e4 => (value / 1e3, " s"),
        Unit::Milliseconds if size < 1.0 && size > 0.0 => (value * 1e3, " µs"),
        Unit::Microseconds if size >= 1e4 => (value / 1e3, " ms"),
        Unit::Seconds if size < 1.0 && size > 0.0 => (value * 1e3, " ms"),
        _ => (value, suffix(unit)),
    }
}

/// A number with three digits that count, thousands apart by thin spaces.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if (value - value.round()).abs() < 1e-9 => 0,
        _ if size < 0.1 => 4,
        _ if size < 1.0 => 3,
        _ if size < 10.0 => 2,
        _ if size < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = match text.split_once('.') {
        Some((whole, fraction)) => {
            let fraction = fraction.trim_end_matches('0');
            (whole, if fraction.is_empty() { String::new() } else { format!(".{fraction}") })
        }
        None => (text.as_str(), String::new()),
    };
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::from(if whole.len() > digits.len() { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: f64, unit: Unit, expected: &str) {
        assert_eq!(display(value, unit), expected);
    }

    #[test]
    fn numbers_read_well() {
        check(0.0, Unit::Count, "0");
        check(1234.0, Unit::Count, "1234");
        check(1_234_567.0, Unit::PerSecond, "1\u{202f}234\u{202f}567/s");
        check(0.1234, Unit::Milliseconds, "123 µs");
        check(59.98, Unit::Seconds, "60 s");
        check(5.04, Unit::Milliseconds, "5.04 ms");
        check(61_250.0, Unit::Milliseconds, "61.2 s");
        check(8_300.0, Unit::Bytes, "8300 B");
        check(83_000_000.0, Unit::Bytes, "83 MB");
        check(-12_345.0, Unit::Count, "-12\u{202f}345");
        check(f64::NAN, Unit::Count, "–");
    }

    #[test]
    fn quantities_are_read_in_the_unit_of_a_figure() {
        let quantity: Quantity = "1.5 s".parse().unwrap();
        assert_eq!(quantity.in_unit(Unit::Milliseconds), Some(1500.0));
        assert_eq!(quantity.in_unit(Unit::Bytes), None);
        let quantity: Quantity = "10_000".parse().unwrap();
        assert_eq!(quantity.in_unit(Unit::Bytes), Some(10_000.0));
    }
}
