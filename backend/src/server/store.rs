//! The message store's place in the server: its health, and its end.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio_util::sync::CancellationToken;

use crate::endpoint::Services;
use crate::health::{self, Health, HealthIndicator, Registry};
use crate::store::{Monitor, Status, Store};

/// The component `store`.
struct StoreHealth(Monitor);

impl HealthIndicator for StoreHealth {
    fn health(&self) -> BoxFuture<'_, Health> {
        let health = match self.0.status() {
            Status::Up => Health::up(),
            Status::Down(failure) => Health::down(failure),
            Status::Off | Status::Starting => Health::new(health::Status::Unknown),
        };
        ready(health.with("database", self.0.database()).with("waiting", self.0.queued())).boxed()
    }
}

/// Makes a store that is on a component of the health.
pub(super) fn register(store: &Store, health: &Registry) {
    if let Some(monitor) = store.monitor() {
        health.register("store", StoreHealth(monitor));
    }
}

/// Writes out what waits for the store, when `flushing` says so.
pub(super) async fn close(services: Arc<Services>, flushing: CancellationToken) {
    flushing.cancelled().await;
    services.store.close().await;
}
