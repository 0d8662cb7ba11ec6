//! `management.*`, under Spring Boot's names where it has one.

use std::time::Duration;

use serde::Deserialize;

use super::units;

/// Health, and what it shows: Spring's `management.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ManagementConfig {
    /// What the addresses below `/actuator` do.
    pub endpoint: EndpointsConfig,
    /// What the health of single components means.
    pub health: ComponentsConfig,
}

/// `management.endpoint.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EndpointsConfig {
    /// `/health` and `/actuator/health`.
    pub health: HealthConfig,
}

/// `management.endpoint.health.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthConfig {
    /// Whether reports name components and what they tell, or the status alone.
    /// Default `never`, as Spring's: what a component tells is not for everyone.
    pub show_details: ShowDetails,
    /// How long an answer of a component holds.
    pub cache: CacheConfig,
    /// Parts of the health under a path of their own.
    pub group: GroupsConfig,
}

/// Who sees details.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShowDetails {
    /// Nobody.
    #[default]
    Never,
    /// Everybody.
    Always,
}

/// `management.endpoint.health.cache.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheConfig {
    /// How long an answer of a component holds; `0s` asks each time. Default
    /// `2s`, so that the checks of many balancer nodes are one PING.
    #[serde(deserialize_with = "units::duration")]
    pub time_to_live: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { time_to_live: Duration::from_secs(2) }
    }
}

/// `management.endpoint.health.group.*`. There is no such setting for liveness,
/// which depends on no component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupsConfig {
    /// `/actuator/health/readiness`.
    pub readiness: ReadinessConfig,
}

/// `management.endpoint.health.group.readiness.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReadinessConfig {
    /// Components that readiness depends on besides `readinessState`, which may
    /// be named and always counts. Default none: a Redis that all instances
    /// share would take them out of the balancer all at once.
    pub include: Vec<String>,
}

/// `management.health.*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ComponentsConfig {
    /// Components whose failure is reported and does not make `/health` and
    /// `/actuator/health` 503. Default `[redis, store]`: without them an
    /// instance still serves its clients. `[]` is Spring's way.
    pub optional: Vec<String>,
}

impl Default for ComponentsConfig {
    fn default() -> Self {
        Self { optional: vec!["redis".to_owned(), "store".to_owned()] }
    }
}

impl ManagementConfig {
    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let health = &self.endpoint.health;
        let lists = [
            ("management.endpoint.health.group.readiness.include", &health.group.readiness.include),
            ("management.health.optional", &self.health.optional),
        ];
        let named = lists.into_iter().flat_map(|(key, names)| names.iter().map(move |name| (key, name)));
        let wrong = named.filter(|(_, name)| name.is_empty() || name.contains('/'));
        wrong.map(|(key, name)| format!("{key}: {name:?} is no name of a component")).collect()
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.endpoint.health.cache.time_to_live]
    }
}
