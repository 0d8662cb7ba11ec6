//! The components whose health is reported.
//!
//! A component is asked when somebody wants to know, by one asker at a time, and
//! its answer holds for a while: health checks of many balancer nodes cannot
//! become a load on what is checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::{Duration, Instant, timeout};

use super::{Health, Status};

/// Tells the health of one component.
pub trait HealthIndicator: Send + Sync + 'static {
    /// Looks at the component. It may take time; after
    /// [`Settings::timeout`] the component counts as `DOWN`.
    fn health(&self) -> BoxFuture<'_, Health>;
}

/// Whether reports say more than a status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Details {
    /// The status alone: Spring's `never`.
    #[default]
    Hidden,
    /// Components and what they tell: Spring's `always`.
    Shown,
}

/// How health is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long an answer of a component holds.
    pub time_to_live: Duration,
    /// How long a component may take to answer.
    pub timeout: Duration,
    /// Components whose failure the overall status survives.
    pub optional: Vec<String>,
    /// Components that readiness depends on, besides the state of the process.
    pub readiness: Vec<String>,
    /// Whether reports say more than a status.
    pub details: Details,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            time_to_live: Duration::from_secs(2),
            timeout: Duration::from_secs(3),
            optional: Vec::new(),
            readiness: Vec::new(),
            details: Details::Hidden,
        }
    }
}

struct Component {
    indicator: Box<dyn HealthIndicator>,
    last: Mutex<Option<(Instant, Health)>>,
}

impl Component {
    async fn health(&self, settings: &Settings) -> Health {
        let mut last = self.last.lock().await;
        let fresh = |(at, _): &&(Instant, Health)| at.elapsed() < settings.time_to_live;
        if let Some((_, health)) = last.as_ref().filter(fresh) {
            return health.clone();
        }
        let late = |_| Health::down(format_args!("no answer within {} ms", settings.timeout.as_millis()));
        let health = timeout(settings.timeout, self.indicator.health()).await.unwrap_or_else(late);
        *last = Some((Instant::now(), health.clone()));
        health
    }
}

/// Components by name.
#[derive(Default)]
pub struct Registry {
    settings: Settings,
    components: RwLock<BTreeMap<String, Arc<Component>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let components = self.components.read();
        f.debug_struct("Registry").field("components", &components.keys()).finish_non_exhaustive()
    }
}

impl Registry {
    /// No components yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, components: RwLock::default() }
    }

    /// Adds a component, in place of one of the same name. Its failure counts
    /// for the overall status unless [`Settings::optional`] names it.
    pub fn register(&self, name: &str, indicator: impl HealthIndicator) {
        let component = Component { indicator: Box::new(indicator), last: Mutex::default() };
        self.components.write().insert(name.to_owned(), Arc::new(component));
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The health of one component; None if there is no such one.
    ///
    /// # Cancel safety
    ///
    /// The component is asked again by the next one who wants to know.
    pub async fn component(&self, name: &str) -> Option<Health> {
        let component = self.components.read().get(name).cloned()?;
        Some(component.health(&self.settings).await)
    }

    /// The health of all components, in the order of their names.
    ///
    /// # Cancel safety
    ///
    /// As [`component`](Self::component).
    pub async fn components(&self) -> BTreeMap<String, Health> {
        let components = self.components.read().clone();
        let asked = components.into_iter().map(|(name, component)| async move {
            let health = component.health(&self.settings).await;
            (name, health)
        });
        join_all(asked).await.into_iter().collect()
    }

    /// The overall status: the gravest of those that count.
    pub(super) fn overall(&self, components: &BTreeMap<String, Health>) -> Status {
        let counts = |name: &str| !self.settings.optional.iter().any(|optional| optional == name);
        let statuses = components.iter().filter(|(name, _)| counts(name)).map(|(_, health)| health.status());
        statuses.min().unwrap_or(Status::Unknown)
    }

    /// Components that readiness names and that do not exist.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let components = self.components.read();
        let names = self.settings.readiness.iter();
        names.filter(|name| !components.contains_key(*name)).cloned().collect()
    }
}
