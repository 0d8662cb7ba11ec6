//! The namespaces of a session: what its clients want there, and what they
//! are sent without asking.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use crate::app::gateway::{Event, Gateway};
use crate::endpoint::Services;
use crate::endpoint::clock::timestamp;
use crate::endpoint::identity::expires_at;
use crate::socket_io::Received;

use super::dispatch::{self, Membership, Processed};
use super::ending::Ending;
use super::heartbeat::{Due, Heartbeat};
use super::member::Wire;
use super::session::Session;

/// The event that clients must answer, and its answer.
const HEARTBEAT: &str = "heartbeat";

/// A namespace that the client is in.
pub(super) struct Joined {
    pub(super) membership: Membership,
    pub(super) heartbeat: Option<Heartbeat>,
    /// Under which id the last heartbeat may be acknowledged.
    pub(super) heartbeat_ack: Option<u64>,
    /// When the client's token expires.
    pub(super) expires_at: Option<Instant>,
}

impl Joined {
    fn answered(&mut self, services: &Services) {
        if self.heartbeat.as_mut().is_some_and(Heartbeat::answered) {
            services.metrics.socket_io.heartbeats_answered.inc();
        }
    }
}

impl Session {
    pub(super) fn dispatch(&mut self, received: Received) -> Option<BoxFuture<'static, Processed>> {
        let services = Arc::clone(&self.services);
        match received {
            Received::Connect { namespace, auth } => {
                let (outbox, client) = (Arc::clone(&self.outbox), Arc::clone(&self.opened.client));
                Some(dispatch::connect(services, outbox, client, namespace, auth).boxed())
            }
            Received::Event { namespace, id, payload } => {
                let joined = self.joined.get_mut(namespace.as_str())?;
                if payload.args.first().and_then(Value::as_str) == Some(HEARTBEAT) {
                    joined.answered(&services);
                }
                let member = Arc::clone(&joined.membership.member);
                Some(dispatch::event(services, member, id, payload).boxed())
            }
            Received::Ack { namespace, id, payload } => {
                let joined = self.joined.get_mut(namespace.as_str())?;
                if joined.heartbeat_ack == Some(id) {
                    joined.answered(&services);
                    return None;
                }
                let member = Arc::clone(&joined.membership.member);
                Some(dispatch::acknowledged(services, member, id, payload).boxed())
            }
            Received::Disconnect { namespace } => {
                let joined = self.joined.remove(namespace.as_str())?;
                let left = async move {
                    dispatch::disconnect(&services, joined.membership, "client namespace disconnect").await;
                    Processed::Done
                };
                Some(left.boxed())
            }
        }
    }

    pub(super) fn handle_processed(&mut self, processed: Processed) {
        match processed {
            Processed::Done => {}
            Processed::Connected(membership) => self.join(*membership),
            Processed::Disconnected(namespace) => {
                self.clients.disconnected(&namespace);
                if let Some(joined) = self.joined.remove(&namespace) {
                    let services = Arc::clone(&self.services);
                    let left = async move {
                        let reason = "server namespace disconnect";
                        dispatch::disconnect(&services, joined.membership, reason).await;
                        Processed::Done
                    };
                    self.processing = Some(left.boxed());
                }
            }
        }
    }

    pub(super) fn join(&mut self, membership: Membership) {
        let namespace = Arc::clone(&membership.member.namespace);
        let config = &self.services.config.socket_io;
        let beats = dispatch::gateway(&self.services, &namespace).is_some_and(Gateway::has_heartbeat);
        let heartbeat = beats
            .then(|| Heartbeat::new(config.heartbeat_interval, config.heartbeat_misses, Instant::now()))
            .flatten();
        self.clients.connected(&namespace);
        let expires_at = expires_at(&membership.member.client, Instant::now());
        let joined = Joined { membership, heartbeat, heartbeat_ack: None, expires_at };
        self.joined.insert(namespace, joined);
    }

    /// Sends the `heartbeat` events that are due.
    pub(super) fn beat(&mut self, now: Instant) {
        let metrics = &self.services.metrics;
        let mut stale = false;
        for joined in self.joined.values_mut() {
            match joined.heartbeat.as_mut().and_then(|heartbeat| heartbeat.take_due(now)) {
                None => {}
                Some(Due::Stale) => {
                    metrics.socket_io.stale_clients.inc();
                    stale = true;
                }
                Some(Due::Beat) => {
                    let member = &joined.membership.member;
                    let id = member.next_ack();
                    joined.heartbeat_ack = Some(id);
                    let event = Event::new(HEARTBEAT, serde_json::json!({ "timestamp": timestamp() }));
                    if member.push(&Wire::event(&member.namespace, &event, Some(id))) {
                        metrics.socket_io.heartbeats_sent.inc();
                        metrics.websocket_messages_sent.inc();
                    }
                }
            }
        }
        if stale {
            tracing::info!(sid = self.handle.sid(), "client leaves heartbeats unanswered");
            self.end_by(Ending::stale(), now);
        }
    }

    /// Puts out whose token has expired, one at a time.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.processing.is_some() {
            return;
        }
        let expired = |joined: &mut Joined| joined.expires_at.take_if(|at| now >= *at).is_some();
        if let Some(joined) = self.joined.values_mut().find_map(|joined| expired(joined).then_some(joined)) {
            let member = Arc::clone(&joined.membership.member);
            self.processing = Some(dispatch::expire(Arc::clone(&self.services), member).boxed());
        }
    }

    pub(super) fn tell_server_leaves(&self) {
        let notice = serde_json::from_str(&self.services.notice().json()).unwrap_or_default();
        let event = Event::new("server.events", notice);
        for joined in self.joined.values() {
            let member = &joined.membership.member;
            member.push(&Wire::event(&member.namespace, &event, None));
        }
    }
}
