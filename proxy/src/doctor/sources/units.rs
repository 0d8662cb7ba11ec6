//! Durations and sizes in the spellings of those who wrote the files.

use std::time::Duration;

/// Spring's: `20s`, `20000` in `unit`, `PT20S`. Nothing below zero, which stands for no limit.
pub(super) fn spring_duration(text: &str, unit: Unit) -> Option<Duration> {
    let text = text.trim();
    if text.starts_with(['P', 'p']) {
        return iso_8601(text);
    }
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at_checked(end)?;
    let number: u64 = digits.parse().ok()?;
    match suffix.to_ascii_lowercase().as_str() {
        "" => unit.of(number),
        "ns" => Some(Duration::from_nanos(number)),
        "us" => Some(Duration::from_micros(number)),
        suffix => Unit::named(suffix)?.of(number),
    }
}

/// What a number without a unit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Seconds if it is below 1000, else milliseconds: for keys that an application has invented.
    Guessed,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days.
    Days,
}

impl Unit {
    fn named(text: &str) -> Option<Self> {
        match text {
            "ms" => Some(Self::Milliseconds),
            "s" => Some(Self::Seconds),
            "m" => Some(Self::Minutes),
            "h" => Some(Self::Hours),
            "d" => Some(Self::Days),
            _ => None,
        }
    }

    fn of(self, number: u64) -> Option<Duration> {
        let seconds = match self {
            Self::Milliseconds => return Some(Duration::from_millis(number)),
            Self::Guessed if number >= 1000 => return Some(Duration::from_millis(number)),
            Self::Guessed | Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3600,
            Self::Days => 86_400,
        };
        number.checked_mul(seconds).map(Duration::from_secs)
    }
}

/// `P1DT2H3M4.5S`.
fn iso_8601(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((days, time)) => (days, time),
        None => (text.strip_prefix('P')?, ""),
    };
    let whole = fields(days, &[('D', 86_400.0)])? + fields(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    Duration::try_from_secs_f64(whole).ok()
}

/// The seconds of numbers with a letter behind each.
fn fields(mut text: &str, letters: &[(char, f64)]) -> Option<f64> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let end = text.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, rest) = text.split_at_checked(end)?;
        let mut rest = rest.chars();
        let letter = rest.next()?;
        let (_, worth) = letters.iter().find(|(known, _)| *known == letter)?;
        seconds += number.parse::<f64>().ok()? * worth;
        text = rest.as_str();
    }
    Some(seconds)
}

/// Go's, as in compose files: `1m30s`, `90s`, `500ms`.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, behind) = rest.split_at_checked(unit_at)?;
        let next = behind.find(|c: char| !c.is_ascii_alphabetic() && c != '\u{b5}').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at_checked(next)?;
        let worth = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let seconds = number.parse::<f64>().ok()? * worth;
        sum = sum.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = behind;
    }
    Some(sum)
}

/// A size in bytes: `8192`, `8KB`, `64KiB`, `1MB`, all by 1024 as in Spring's `DataSize`.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1024,
        "M" | "MB" | "MIB" => 1024 * 1024,
        "G" | "GB" | "GIB" => 1024 * 1024 * 1024,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn springs_durations_are_numbers_with_a_unit_or_iso_8601() {
        for (text, milliseconds) in [
            ("20s", Some(20_000)),
            ("20000", Some(20_000)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("PT20S", Some(20_000)),
            ("pt1h2m3.5s", Some(3_723_500)),
            ("P1D", Some(86_400_000)),
            ("-1", None),
            ("PT-1S", None),
            ("soon", None),
            ("", None),
            ("${A}", None),
        ] {
            let expected = milliseconds.map(Duration::from_millis);
            assert_eq!(spring_duration(text, Unit::Milliseconds), expected, "{text}");
        }
        assert_eq!(spring_duration("30", Unit::Seconds), Some(Duration::from_secs(30)));
        assert_eq!(spring_duration("25", Unit::Guessed), Some(Duration::from_secs(25)));
        assert_eq!(spring_duration("25000", Unit::Guessed), Some(Duration::from_secs(25)));
    }

    #[test]
    fn the_durations_of_compose_files_are_gos() {
        for (text, milliseconds) in [
            ("1m30s", Some(90_000)),
            ("10s", Some(10_000)),
            ("1.5h", Some(5_400_000)),
            ("500ms", Some(500)),
            ("10", None),
            ("10x", None),
            ("", None),
        ] {
            assert_eq!(go_duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn sizes_count_by_1024() {
        for (text, bytes) in [("8192", Some(8192)), ("8KB", Some(8192)), ("64KiB", Some(65_536)), ("x", None)]
        {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[0-9.PTDHMSnumskKiB\u{b5}-]{0,40}|.{0,20}") {
            let _ = (spring_duration(&text, Unit::Guessed), go_duration(&text), size(&text));
        }
    }
}
