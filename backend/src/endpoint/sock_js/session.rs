//! Sessions over HTTP: who may reach them, and how long they live.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Principal;
use crate::broker::Item;
use crate::config::SockJsConfig;
use crate::endpoint::{Opened, Services, serve_stomp};
use crate::link::{Limits, Link, Table, TableFull, Weight};
use crate::sock_js::frame::Framing;
use crate::ws::CloseCode;

use super::http::LinkCarrier;

/// Messages of the client that may wait for STOMP; its next request waits.
const INBOUND: usize = 64;

impl Weight for Item {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// One session over HTTP.
#[derive(Debug)]
pub struct Session {
    pub(super) link: Arc<Link<Item>>,
    /// Who opened it.
    owner: Option<Arc<Principal>>,
    /// The client was greeted.
    greeted: AtomicBool,
    /// STOMP has no heart-beats of its own.
    heart_beats: AtomicBool,
    /// A heart-beat is wanted now.
    pub(super) ping: Notify,
    /// The client knows that it is closed.
    pub(super) told: CancellationToken,
}

impl Session {
    fn new(config: &SockJsConfig, owner: Option<Arc<Principal>>) -> Self {
        let limits = Limits {
            messages: config.http_message_cache_size,
            bytes: config.http_message_cache_bytes,
            inbound: INBOUND,
        };
        Self {
            link: Arc::new(Link::new(limits, Instant::now())),
            owner,
            greeted: AtomicBool::new(false),
            heart_beats: AtomicBool::new(true),
            ping: Notify::new(),
            told: CancellationToken::new(),
        }
    }

    /// Messages of the client; the session's own queue is behind.
    #[must_use]
    pub fn link(&self) -> &Link<Item> {
        &self.link
    }

    /// A session that a user opened is nobody else's.
    fn is_open_to(&self, user: Option<&Principal>) -> bool {
        self.owner.as_ref().is_none_or(|owner| user.is_some_and(|user| user.name == owner.name))
    }

    /// Whether this is the first time.
    pub(super) fn greet(&self) -> bool {
        !self.greeted.swap(true, Ordering::Relaxed)
    }

    pub(super) fn has_heart_beats(&self) -> bool {
        self.heart_beats.load(Ordering::Relaxed)
    }

    pub(super) fn disable_heart_beats(&self) {
        self.heart_beats.store(false, Ordering::Relaxed);
    }
}

/// The sessions of a server that are reached by HTTP requests.
#[derive(Debug)]
pub struct Sessions(Table<Session>);

impl Sessions {
    /// At most `limit` of them.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Table::new(limit))
    }

    /// The session of this id, if there is one.
    ///
    /// # Errors
    ///
    /// It is another user's.
    pub fn find(&self, id: &str, user: Option<&Principal>) -> Result<Option<Arc<Session>>, OpenError> {
        match self.0.get(id) {
            Some(session) if !session.is_open_to(user) => Err(OpenError::Foreign),
            session => Ok(session),
        }
    }

    /// Whether there is a session of this id, whosever it is.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.0.get(id).is_some()
    }

    /// How many there are, those included that are closed and still say so.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a receiver has no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is another user's.
    #[error("not found")]
    Foreign,
    /// No further session is taken.
    #[error(transparent)]
    Full(#[from] TableFull),
    /// No session begins any more.
    #[error("server is going away")]
    Leaving,
}

/// Begins the session of this id in a task of its own, unless another request
/// has just begun it.
///
/// # Errors
///
/// The client may not have it, or the server takes no further one.
pub fn open(
    services: &Arc<Services>,
    tasks: &TaskTracker,
    id: &str,
    opened: Opened,
    framing: &Framing,
) -> Result<Arc<Session>, OpenError> {
    let sessions = &services.sock_js;
    if services.lifecycle.closing().is_cancelled() {
        return Err(OpenError::Leaving);
    }
    let owner = &opened.client.principal;
    let make = || Session::new(&services.config.sockjs, owner.clone());
    let (session, new) = sessions.0.get_or_insert(id, make).inspect_err(|_| {
        services.metrics.sock_js.sessions_refused.inc();
        tracing::warn!("SockJS session above max-connections refused");
    })?;
    if !session.is_open_to(owner.as_deref()) {
        return Err(OpenError::Foreign);
    }
    if new {
        let transport = if framing.is_streaming() { "http-streaming" } else { "http-polling" };
        let carrier = LinkCarrier::new(&session, services, transport);
        let listed = Listed { id: id.into(), session: Arc::clone(&session), services: Arc::clone(services) };
        tasks.spawn(run(listed, carrier, opened));
    }
    Ok(session)
}

/// A session as long as its id leads to it.
struct Listed {
    id: Box<str>,
    session: Arc<Session>,
    services: Arc<Services>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        // Told already, unless the session's task was cut short.
        self.session.link.close(CloseCode::GoingAway.as_u16(), "server is going away");
        self.services.sock_js.0.remove(&self.id, &self.session);
        self.services.metrics.outbox_dropped.inc_by(self.session.link.abandon());
    }
}

async fn run(listed: Listed, carrier: LinkCarrier, opened: Opened) {
    let Listed { session, services, .. } = &listed;
    serve_stomp(carrier, Arc::clone(services), opened).await;
    session.link.close(CloseCode::GoingAway.as_u16(), "server is going away");
    linger(session, services).await;
}

/// Stays for the client to hear that the session is closed, each time it asks:
/// for the disconnect delay, or once where the server leaves.
async fn linger(session: &Session, services: &Services) {
    let delay = services.config.sockjs.disconnect_delay;
    if session.link.detached_at().is_some_and(|at| at.elapsed() >= delay) {
        return;
    }
    let lifecycle = &services.lifecycle;
    let heard = async {
        lifecycle.closing().cancelled().await;
        session.told.cancelled().await;
    };
    tokio::select! {
        () = sleep(delay) => {}
        () = heard => {}
        () = lifecycle.ending().cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Option<Arc<Principal>> {
        Some(Arc::new(Principal { name: name.to_owned(), authorities: Vec::new(), expires_at: None }))
    }

    #[tokio::test]
    async fn a_session_belongs_to_its_user() {
        let sessions = Sessions::new(10);
        let config = SockJsConfig::default();
        for (id, owner) in [("anns", user("ann")), ("anyones", None)] {
            sessions.0.get_or_insert(id, || Session::new(&config, owner)).unwrap();
        }
        let found = |id, user: Option<Arc<Principal>>| {
            sessions.find(id, user.as_deref()).map(|session| session.is_some())
        };
        assert_eq!(found("anns", user("ann")), Ok(true));
        assert_eq!(found("anns", user("bob")), Err(OpenError::Foreign));
        assert_eq!(found("anns", None), Err(OpenError::Foreign));
        assert_eq!(found("anyones", None), Ok(true));
        assert_eq!(found("anyones", user("bob")), Ok(true));
        assert_eq!(found("nobodys", user("ann")), Ok(false));
    }
}
