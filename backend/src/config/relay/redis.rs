//! `relay.redis.*`, under the names of Spring's `spring.data.redis.*`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::units;

/// The connection to Redis.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RedisConfig {
    /// `redis://user:password@host:6379/0`, or `rediss://` for TLS. Overrides
    /// host, port, username, password and database. Default none.
    pub url: Option<Secret>,
    /// Name or address. Default `localhost`.
    pub host: String,
    /// TCP port. Default 6379.
    pub port: u16,
    /// Name of the ACL user. Default none: `default`.
    pub username: Option<String>,
    /// Password of the user. Default none.
    pub password: Option<Secret>,
    /// Number of the database, for streams; channels are common to all. Default
    /// 0.
    pub database: u32,
    /// Longest time for an answer; later the connection counts as dead. Default
    /// `2s`.
    #[serde(deserialize_with = "units::duration")]
    pub timeout: Duration,
    /// Longest time to connect, TLS and login included. Default `2s`.
    #[serde(deserialize_with = "units::duration")]
    pub connect_timeout: Duration,
    /// A PING is sent this often on the connection that receives: a link that
    /// swallows packets is noticed after this and `timeout`. Default `2s`.
    #[serde(deserialize_with = "units::duration")]
    pub ping_interval: Duration,
    /// Pauses between attempts to connect.
    pub reconnect: ReconnectConfig,
    /// TLS to Redis.
    pub ssl: RedisSslConfig,
    /// Redis Cluster.
    pub cluster: ClusterConfig,
}

/// Pauses between attempts to connect: doubled each time, and drawn anew
/// between half and all of it, so that instances do not come at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReconnectConfig {
    /// The first pause. Default `50ms`.
    #[serde(deserialize_with = "units::duration")]
    pub min: Duration,
    /// The longest pause. Default `500ms`.
    #[serde(deserialize_with = "units::duration")]
    pub max: Duration,
}

/// TLS to Redis.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RedisSslConfig {
    /// Whether Redis speaks TLS. Default false; `rediss://` says it as well.
    pub enabled: bool,
    /// PEM file with the authorities that are trusted. Default: the system's.
    pub ca_certificate: Option<PathBuf>,
    /// PEM file with our own certificate, for a Redis that asks for one. Default
    /// none.
    pub certificate: Option<PathBuf>,
    /// PEM file with its private key.
    pub certificate_private_key: Option<PathBuf>,
}

/// Redis Cluster, with sharded channels (Redis 7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClusterConfig {
    /// `host:port` of some nodes; the others are found through them. Default
    /// none: no cluster. Ordinary channels work in a cluster, too, with `host`
    /// as one of its nodes.
    pub nodes: Vec<String>,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            host: "localhost".to_owned(),
            port: 6379,
            username: None,
            password: None,
            database: 0,
            timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(2),
            reconnect: ReconnectConfig::default(),
            ssl: RedisSslConfig::default(),
            cluster: ClusterConfig::default(),
        }
    }
}

impl Default for ReconnectConfig {
    fn default() -> Self {
        Self { min: Duration::from_millis(50), max: Duration::from_millis(500) }
    }
}

impl RedisConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let is_redis = |url: &Secret| ["redis://", "rediss://"].iter().any(|s| url.reveal().starts_with(s));
        let is_node = |node: &String| {
            node.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let ssl = &self.ssl;
        let rules = [
            (self.url.as_ref().is_none_or(is_redis), "url: must begin with redis:// or rediss://"),
            (!self.host.is_empty(), "host: must not be empty"),
            (self.port > 0, "port: must be from 1 to 65535"),
            (self.username.is_none() || self.password.is_some(), "password: must be set with username"),
            (!self.timeout.is_zero(), "timeout: must be above zero"),
            (!self.connect_timeout.is_zero(), "connect-timeout: must be above zero"),
            (!self.ping_interval.is_zero(), "ping-interval: must be above zero"),
            (!self.reconnect.min.is_zero(), "reconnect.min: must be above zero"),
            (self.reconnect.max >= self.reconnect.min, "reconnect.max: must not be below reconnect.min"),
            (
                ssl.certificate.is_some() == ssl.certificate_private_key.is_some(),
                "ssl.certificate: must be set with ssl.certificate-private-key, and it with this",
            ),
            (self.cluster.nodes.iter().all(is_node), "cluster.nodes: must be host:port each"),
            (
                self.cluster.nodes.is_empty() || self.url.is_none(),
                "url: must not be set with cluster.nodes, give username and password apart",
            ),
        ];
        let wrong = rules.iter().filter(|(holds, _)| !holds);
        wrong.map(|(_, problem)| format!("relay.redis.{problem}")).collect()
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![
            &mut self.timeout,
            &mut self.connect_timeout,
            &mut self.ping_interval,
            &mut self.reconnect.min,
            &mut self.reconnect.max,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_in_the_debug_form() {
        let password = Some(Secret::new("hunter2".to_owned()));
        let config = RedisConfig { url: password.clone(), password, ..RedisConfig::default() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn every_problem_has_its_key() {
        let mut config = RedisConfig { url: Some(Secret::new("http://a".to_owned())), ..Default::default() };
        config.username = Some("app".to_owned());
        config.cluster.nodes = vec!["a".to_owned()];
        config.reconnect.max = Duration::ZERO;
        assert_eq!(
            config.problems(),
            [
                "relay.redis.url: must begin with redis:// or rediss://",
                "relay.redis.password: must be set with username",
                "relay.redis.reconnect.max: must not be below reconnect.min",
                "relay.redis.cluster.nodes: must be host:port each",
                "relay.redis.url: must not be set with cluster.nodes, give username and password apart",
            ]
        );
    }
}
