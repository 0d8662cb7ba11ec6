//! Health as the settings want it.

use std::sync::{Arc, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::config::{ManagementConfig, ShowDetails};
use crate::endpoint::Services;
use crate::health::{Details, Health, HealthIndicator, Registry, Settings, Status};
use crate::relay::RelayStatus;

/// No components yet, and how they will be put together.
pub(super) fn registry(config: &ManagementConfig) -> Registry {
    let health = &config.endpoint.health;
    // The state of the process always counts.
    let components = health.group.readiness.include.iter().filter(|name| *name != "readinessState");
    let settings = Settings {
        time_to_live: health.cache.time_to_live,
        optional: config.health.optional.clone(),
        readiness: components.cloned().collect(),
        details: match health.show_details {
            ShowDetails::Never => Details::Hidden,
            ShowDetails::Always => Details::Shown,
        },
        ..Settings::default()
    };
    Registry::new(settings)
}

/// Logs what readiness is to depend on and never can.
pub(super) fn warn_of_missing(registry: &Registry) {
    let missing = registry.missing();
    if !missing.is_empty() {
        tracing::warn!(?missing, "readiness includes components that do not exist");
    }
}

/// Registers `redis` when the server relays.
pub(super) fn register(services: &Arc<Services>) {
    let component = |tell| Component { services: Arc::downgrade(services), tell };
    if services.relay.status().is_some() {
        services.health.register("redis", component(redis));
    }
}

/// A part of the services, which keeps its own status.
struct Component {
    services: Weak<Services>,
    tell: fn(&Services) -> Health,
}

impl HealthIndicator for Component {
    fn health(&self) -> BoxFuture<'_, Health> {
        let health = self.services.upgrade().map(|services| (self.tell)(&services));
        ready(health.unwrap_or_else(|| Health::new(Status::Unknown))).boxed()
    }
}

fn redis(services: &Services) -> Health {
    match services.relay.status() {
        Some(status) if status.is_connected => connected(&status),
        Some(status) => Health::down(status.last_error.as_deref().unwrap_or("not connected yet")),
        None => Health::new(Status::Unknown),
    }
}

fn connected(status: &RelayStatus) -> Health {
    let mut health = Health::up().with("redis", "Connected");
    if let Some(version) = &status.server_version {
        health = health.with("version", version.as_str());
    }
    if let Some(instances) = status.instances {
        health = health.with("instances", instances);
    }
    health
}
