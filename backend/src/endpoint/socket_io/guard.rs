//! Who a client is, until when, and how much it may send.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::app::gateway::Refusal;
use crate::auth::{self, Client};
use crate::config::{LimitsConfig, WhenExceeded};
use crate::endpoint::Services;
use crate::limits::Gcra;

/// The client that a namespace gets to know: with the principal that the token
/// of its `auth` names, or that of its handshake.
pub(super) async fn authenticate(
    services: &Services,
    client: &Arc<Client>,
    credentials: &Map<String, Value>,
) -> Result<Arc<Client>, Refusal> {
    let token = credentials.get("token").and_then(Value::as_str);
    let token = token.and_then(|token| auth::of_connect(std::iter::once(("authorization", token))));
    let proven = client.principal.as_ref();
    let connected = services.security.connect(token.as_ref(), proven, client.address).await;
    let principal = connected.map_err(|error| Refusal(error.to_string()))?;
    let places = match &principal {
        Some(principal) => services
            .admission
            .user(&client.places, &principal.name, client.address)
            .map_err(|error| Refusal(error.to_string()))?,
        None => client.places.clone(),
    };
    Ok(Arc::new(Client { address: client.address, principal, places }))
}

/// When the proof of a client's identity is over.
pub(super) fn expires_at(client: &Client, now: Instant) -> Option<Instant> {
    let left = client.principal.as_ref()?.time_left(SystemTime::now())?;
    now.checked_add(left)
}

/// More was sent than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exceeded;

/// What one session may send in a second.
#[derive(Debug)]
pub(super) struct Rates {
    messages: Option<Gcra>,
    bytes: Option<Gcra>,
    when_exceeded: WhenExceeded,
    /// Until when nothing more is read.
    pub(super) slowed_until: Option<Instant>,
}

impl Rates {
    pub(super) fn new(limits: &LimitsConfig, now: Instant) -> Self {
        Self {
            messages: limits.messages().map(|rate| Gcra::new(rate, now)),
            bytes: limits.bytes().map(|rate| Gcra::new(rate, now)),
            when_exceeded: limits.when_exceeded,
            slowed_until: None,
        }
    }

    /// A message came, of so many bytes.
    pub(super) fn charge(&mut self, services: &Services, now: Instant, bytes: usize) -> Result<(), Exceeded> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        for (limit, account, units) in [("messages", &self.messages, 1), ("bytes", &self.bytes, bytes)] {
            let Some(wait) = account.as_ref().and_then(|account| account.charge(now, units)) else {
                continue;
            };
            if self.slowed_until.is_none() {
                services.metrics.auth.limits_exceeded.with_label_values(&[limit]).inc();
            }
            match self.when_exceeded {
                WhenExceeded::SlowDown => {
                    self.slowed_until = self.slowed_until.max(now.checked_add(wait));
                }
                WhenExceeded::Close => return Err(Exceeded),
            }
        }
        Ok(())
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.slowed_until.take_if(|at| now >= *at);
    }
}
