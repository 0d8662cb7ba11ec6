//! One setting as somebody wrote it down, or left it to a default: value, name and place.

use std::{fmt, sync::Arc, time::Duration};

use super::secret;

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It stands in a file.
    File {
        /// The file as it was named to us.
        file: Arc<str>,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// Nobody set it.
    Default {
        /// Whose default it is, such as `Application Load Balancer` or `Node.js`.
        of: Arc<str>,
    },
    /// It was measured.
    Measured {
        /// What was measured, such as `http://127.0.0.1:9001`.
        at: Arc<str>,
    },
}

impl Place {
    /// A default of `of`.
    #[must_use]
    pub fn default_of(of: &str) -> Self {
        Self::Default { of: of.into() }
    }

    /// Whether somebody wrote the setting down.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Default { of } => write!(f, "default of {of}"),
            Self::Measured { at } => write!(f, "measured at {at}"),
        }
    }
}

/// A value, what it is called where it was set, and where that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value, understood.
    pub value: T,
    /// Its name where it was set, such as `idle_timeout.timeout_seconds`, `server.tomcat.keep-alive-timeout`
    /// or `aws_lb.web.idle_timeout`.
    pub key: Arc<str>,
    /// The value as it was written there, such as `60` or `70s`.
    pub written: Arc<str>,
    /// Where that is.
    pub place: Place,
}

impl<T> Setting<T> {
    /// A setting as it stands in a file.
    #[must_use]
    pub fn new(value: T, key: &str, written: &str, place: Place) -> Self {
        Self { value, key: key.into(), written: written.into(), place }
    }

    /// A setting that nobody set: the default of `of`.
    #[must_use]
    pub fn default_of(of: &str, value: T, key: &str, written: &str) -> Self {
        Self::new(value, key, written, Place::default_of(of))
    }

    /// The same setting, its value understood in another way.
    #[must_use]
    pub fn map<U>(self, understand: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: understand(self.value), key: self.key, written: self.written, place: self.place }
    }

    /// The same setting if its value can be understood so.
    #[must_use]
    pub fn filter_map<U>(self, understand: impl FnOnce(T) -> Option<U>) -> Option<Setting<U>> {
        let value = understand(self.value)?;
        Some(Setting { value, key: self.key, written: self.written, place: self.place })
    }

    /// What a finding shows of it: secrets are hidden.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let written = secret::hidden(&self.key, &self.written).unwrap_or_else(|| Arc::clone(&self.written));
        Evidence { key: Arc::clone(&self.key), written, place: self.place.clone() }
    }
}

impl Setting<Duration> {
    /// A duration in the unit in which this one is written: `70000` beside `20000` for 20 s, `70` beside `20`,
    /// else `70s`.
    #[must_use]
    pub fn in_its_unit(&self, duration: Duration) -> String {
        match self.written.parse::<u128>() {
            Ok(number) if number == self.value.as_millis() => duration.as_millis().to_string(),
            _ => self.in_seconds(duration),
        }
    }

    /// A duration for a setting whose bare numbers are seconds, as everywhere in AWS: `70`, also beside `0`, which
    /// tells no unit by itself; else `70s`.
    #[must_use]
    pub fn in_seconds(&self, duration: Duration) -> String {
        let is_bare = self.written.parse::<u128>().is_ok();
        match (is_bare, duration.subsec_millis()) {
            (true, 0) => duration.as_secs().to_string(),
            (true, _) => duration.as_secs().saturating_add(1).to_string(),
            (false, 0) => format!("{}s", duration.as_secs()),
            (false, _) => format!("{}ms", duration.as_millis()),
        }
    }
}

/// One of the settings that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its name where it was set.
    pub key: Arc<str>,
    /// Its value as it was written.
    pub written: Arc<str>,
    /// Where that is.
    pub place: Place,
}

/// A duration for people: `60 s`, `1.5 s`, `250 ms`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let (seconds, milliseconds) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, milliseconds) {
        (seconds, 0) => format!("{seconds} s"),
        (0, milliseconds) => format!("{milliseconds} ms"),
        _ => format!("{} s", duration.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_their_unit() {
        assert_eq!(human(Duration::from_secs(60)), "60 s");
        assert_eq!(human(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(human(Duration::from_millis(250)), "250 ms");
        assert_eq!(human(Duration::ZERO), "0 s");
    }

    #[test]
    fn a_duration_is_proposed_in_the_unit_of_the_setting() {
        for (seconds, written, expected) in [
            (20, "20000", "70000"),
            (20, "20", "70"),
            (20, "20s", "70s"),
            (60, "PT1M", "70s"),
            (0, "0", "70000"),
        ] {
            let place = Place::default_of("Node.js");
            let setting = Setting::new(Duration::from_secs(seconds), "timeout", written, place);
            assert_eq!(setting.in_its_unit(Duration::from_secs(70)), expected, "{written}");
        }
        let setting = Setting::new(Duration::from_secs(20), "timeout", "20s", Place::default_of("Node.js"));
        assert_eq!(setting.in_its_unit(Duration::from_millis(1500)), "1500ms");
    }

    #[test]
    fn nothing_is_counted_in_seconds_where_aws_counts() {
        for (written, proposed, expected) in
            [("0", 90_000, "90"), ("30", 90_000, "90"), ("0", 12_500, "13"), ("10s", 90_000, "90s")]
        {
            let setting = Setting::new(Duration::ZERO, "timeout", written, Place::default_of("Amazon ECS"));
            assert_eq!(setting.in_seconds(Duration::from_millis(proposed)), expected, "{written}");
        }
    }

    #[test]
    fn a_place_is_written_as_editors_know_it() {
        let file = Place::File { file: "alb.yaml".into(), line: 3, column: 7 };
        assert_eq!(file.to_string(), "alb.yaml:3:7");
        assert_eq!(Place::default_of("Node.js").to_string(), "default of Node.js");
    }
}
