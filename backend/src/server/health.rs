//! Health as the settings want it.

use crate::config::{ManagementConfig, ShowDetails};
use crate::health::{Details, Registry, Settings};

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
