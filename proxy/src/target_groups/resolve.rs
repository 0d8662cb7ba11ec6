//! Targets given by host name: looked up again and again, each address a target.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Environment, Group};
use crate::model::target_group::TargetId;

/// Pause between two lookups of a host name, divided by the time scale: 5 s.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long one lookup may take, divided by the time scale: 10 s.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks host names up. The registry takes one, so that tests can script DNS.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `host`, with `port`.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// A host name among the configured targets, with its last answer.
#[derive(Debug)]
pub(super) struct Host {
    /// As configured.
    pub(super) name: String,
    /// As configured.
    pub(super) port: u16,
    /// `None` until the first lookup ended, however it ended.
    pub(super) addresses: Option<Vec<SocketAddr>>,
    /// Ends the lookups when dropped.
    pub(super) _lookups: DropGuard,
}

impl Host {
    /// Whether this is the host behind a configured target.
    pub(super) fn is(&self, id: &TargetId, port: u16) -> bool {
        matches!(id, TargetId::HostName(name) if *name == self.name) && port == self.port
    }
}

/// Looks `host` up until `stop`, and tells `group` each answer.
///
/// A failed lookup, or one without addresses, keeps the last answer; it is
/// counted, and logged when it begins and when it ends.
pub(super) async fn watch(
    environment: Arc<Environment>,
    group: Weak<Group>,
    host: (String, u16),
    stop: CancellationToken,
) {
    let lookups = async {
        let mut failing = false;
        loop {
            let answer = lookup(&environment, &host).await;
            let Some(group) = group.upgrade() else { return };
            if let Err(error) = &answer {
                environment.metrics.process().dns_failures.inc();
                if !failing {
                    tracing::warn!(target_group = group.name(), host = host.0, %error, "host name lookup fails");
                }
            } else if failing {
                tracing::info!(target_group = group.name(), host = host.0, "host name lookup works again");
            }
            failing = answer.is_err();
            group.handle_resolved((&host.0, host.1), answer.ok());
            drop(group);
            sleep(environment.scale.apply(RESOLVE_INTERVAL)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = lookups => {}
    }
}

async fn lookup(environment: &Environment, (host, port): &(String, u16)) -> io::Result<Vec<SocketAddr>> {
    let limit = environment.scale.apply(RESOLVE_TIMEOUT);
    let mut addresses = timeout(limit, environment.resolver.resolve(host, *port))
        .await
        .map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??;
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host name has no address"));
    }
    // Name servers rotate their answers; the order says nothing.
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}
