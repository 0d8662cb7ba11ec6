//! `store.*`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// The message store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StoreConfig {
    /// Whether messages are kept at all. Default true.
    pub enabled: bool,
    /// Where: `sqlite::memory:`, the default, which ends with the process;
    /// `sqlite:messages.db`, a file, made when it is missing; or
    /// `mysql://user@host:3306/database`, which instances can share.
    pub url: StoreUrl,
    /// The database user, in place of the one in the URL. MySQL only;
    /// `DB_USERNAME` counts more. Default none.
    pub username: Option<String>,
    /// Its password, in place of the one in the URL. MySQL only; `DB_PASSWORD`
    /// counts more. Default none.
    pub password: Option<Password>,
    /// Messages that may wait to be written; those above are dropped from the
    /// store. Default 10000.
    pub queue_messages: usize,
    /// Bytes that may wait to be written. Default `16MiB`.
    #[serde(deserialize_with = "units::size")]
    pub queue_size: usize,
    /// Messages written together, in one transaction. Default 200.
    pub batch_messages: usize,
    /// How long a message may wait for others. Default `10ms`.
    #[serde(deserialize_with = "units::duration")]
    pub batch_time: Duration,
    /// Messages kept of each destination; a few more may stay until the next
    /// check. Default 1000.
    pub retention_messages: u32,
    /// Age from which messages go. Default `168h`, a week.
    #[serde(deserialize_with = "units::duration")]
    pub retention_age: Duration,
    /// Largest size of an SQLite database, without its log; from nine tenths on
    /// the oldest messages go. From `16MiB`, so that a batch fits into the last
    /// tenth. Default `64MiB`.
    #[serde(deserialize_with = "units::size")]
    pub max_size: usize,
    /// Most messages that one request for history gets. Default 500.
    pub history_limit: usize,
    /// Longest time of one operation of the database. Default `5s`.
    #[serde(deserialize_with = "units::duration")]
    pub timeout: Duration,
    /// How often old messages go and an idle database is asked whether it is
    /// there. Default `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub check_interval: Duration,
    /// Longest pause between two attempts while the database fails; the first
    /// is 100 ms. Default `5s`.
    #[serde(deserialize_with = "units::duration")]
    pub retry_interval: Duration,
    /// Longest time at the end of the drain to write what waits. Default
    /// `5s`.
    #[serde(deserialize_with = "units::duration")]
    pub flush_timeout: Duration,
}

/// The URL of a database, whose password is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(pub String);

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once(':').unwrap_or_default();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        write!(f, "StoreUrl({scheme}:{place})")
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            url: StoreUrl("sqlite::memory:".to_owned()),
            username: None,
            password: None,
            queue_messages: 10_000,
            queue_size: 16 << 20,
            batch_messages: 200,
            batch_time: Duration::from_millis(10),
            retention_messages: 1000,
            retention_age: Duration::from_secs(7 * 24 * 3600),
            max_size: 64 << 20,
            history_limit: 500,
            timeout: Duration::from_secs(5),
            check_interval: Duration::from_secs(10),
            retry_interval: Duration::from_secs(5),
            flush_timeout: Duration::from_secs(5),
        }
    }
}

impl StoreConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let known = ["sqlite:", "mysql:", "mariadb:"].iter().any(|scheme| self.url.0.starts_with(scheme));
        let numbers = [
            ("queue-messages", self.queue_messages, 1..=1_000_000),
            ("queue-size", self.queue_size, 1024..=1 << 30),
            ("batch-messages", self.batch_messages, 1..=5000),
            ("max-size", self.max_size, 16 << 20..=1 << 40),
            ("history-limit", self.history_limit, 1..=10_000),
        ];
        let timers = [
            ("retention-age", self.retention_age),
            ("timeout", self.timeout),
            ("check-interval", self.check_interval),
            ("retry-interval", self.retry_interval),
        ];
        let mut problems = Vec::new();
        if !known {
            problems.push("store.url: must begin with sqlite: or mysql:".to_owned());
        }
        for (key, value, range) in numbers {
            if !range.contains(&value) {
                problems.push(format!("store.{key}: must be from {} to {}", range.start(), range.end()));
            }
        }
        if self.retention_messages == 0 {
            problems.push("store.retention-messages: must be above zero".to_owned());
        }
        for (key, timer) in timers {
            if timer.is_zero() {
                problems.push(format!("store.{key}: must be above zero"));
            }
        }
        problems
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![
            &mut self.batch_time,
            &mut self.retention_age,
            &mut self.timeout,
            &mut self.check_interval,
            &mut self.retry_interval,
            &mut self.flush_timeout,
        ]
    }

    /// Takes the credentials that a container's environment carries.
    pub(super) fn take_credentials(&mut self, variable: impl Fn(&str) -> Option<String>) {
        self.username = variable("DB_USERNAME").or_else(|| self.username.take());
        self.password = variable("DB_PASSWORD").map(Password).or_else(|| self.password.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let config = StoreConfig {
            url: StoreUrl("mysql://ann:secret@db.test/chat".to_owned()),
            password: Some(Password("secret".to_owned())),
            ..StoreConfig::default()
        };
        let shown = format!("{config:?}");
        assert!(shown.contains("StoreUrl(mysql:db.test/chat)") && !shown.contains("secret"), "{shown}");
        let memory = format!("{:?}", StoreConfig::default());
        assert!(memory.contains("StoreUrl(sqlite::memory:)"), "{memory}");
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let mut config = StoreConfig { username: Some("file".to_owned()), ..StoreConfig::default() };
        config.take_credentials(|name| (name == "DB_PASSWORD").then(|| "p".to_owned()));
        assert_eq!((config.username.as_deref(), config.password), (Some("file"), Some(Password("p".into()))));
    }

    #[test]
    fn every_problem_is_named() {
        let config = StoreConfig {
            url: StoreUrl("postgres://x".to_owned()),
            queue_messages: 0,
            retention_messages: 0,
            timeout: Duration::ZERO,
            ..StoreConfig::default()
        };
        assert_eq!(
            config.problems(),
            [
                "store.url: must begin with sqlite: or mysql:",
                "store.queue-messages: must be from 1 to 1000000",
                "store.retention-messages: must be above zero",
                "store.timeout: must be above zero",
            ]
        );
    }
}
