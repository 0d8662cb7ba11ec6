//! Who a STOMP client is, and what it may send: its token and until when it
//! holds, its permissions, its rates.
//!
//! All of it is asked for each frame, before anything is done for it. Tokens may
//! have to be asked for elsewhere; the client's later frames wait meanwhile.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::app::Rejection;
use crate::auth::{self, Action, AuthError, Client, Token};
use crate::stomp::frame::Command;
use crate::stomp::{Frame, Headers};

use crate::endpoint::Services;
use crate::endpoint::identity::{IdentityError, expires_at};
use crate::endpoint::rates::{Exceeded, Rates};

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It may be handled.
    Admitted,
    /// It waits: [`Guard::decided`] tells.
    Waiting,
    /// The session ends with an ERROR frame.
    Rejected(Rejection),
}

/// What was decided after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    /// The client may connect.
    Connected,
    /// The frame that was received may be handled.
    Admitted,
}

type Deciding = BoxFuture<'static, Result<Arc<Client>, Rejection>>;

/// Guards one session.
pub(super) struct Guard {
    services: Arc<Services>,
    client: Arc<Client>,
    /// What the session is ended at: when it should be named, or its token
    /// expires.
    ends: Option<(Instant, AuthError)>,
    rates: Rates,
    deciding: Option<(Decided, Deciding)>,
}

impl Guard {
    /// Guards a session that begins.
    pub(super) fn new(services: &Arc<Services>, client: Arc<Client>, now: Instant) -> Self {
        let mut guard = Self {
            rates: Rates::new(&services.config.limits, now),
            services: Arc::clone(services),
            ends: None,
            deciding: None,
            client,
        };
        if guard.client.principal.is_some() {
            guard.note_expiry(now);
        } else if services.security.required {
            let timeout = guard.services.config.security.unauthenticated_timeout;
            guard.ends = Some((now + timeout, AuthError::Missing));
        }
        guard
    }

    /// Who the client is.
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Decides on a CONNECT frame, whose headers may hold secrets.
    pub(super) fn connect(&mut self, headers: &Headers) -> Decision {
        if self.services.security.authenticator.is_none() {
            return Decision::Admitted;
        }
        let token = auth::of_connect(headers.iter());
        let (services, client) = (Arc::clone(&self.services), Arc::clone(&self.client));
        let connecting = async move {
            services.identify(&client, token.as_ref()).await.map_err(|error| match error {
                IdentityError::Auth(error) => rejection(&error),
                IdentityError::Limit(error) => Rejection::new("too many connections", error.to_string()),
            })
        };
        self.deciding = Some((Decided::Connected, connecting.boxed()));
        Decision::Waiting
    }

    /// Decides on a frame before it is handled, CONNECT included.
    pub(super) fn admit(&mut self, now: Instant, frame: &Frame) -> Decision {
        if let Err(exceeded) = self.rates.charge_message(&self.services.metrics.auth, now) {
            return Decision::Rejected(too_fast(exceeded));
        }
        if matches!(frame.command, Command::Connect | Command::Stomp) {
            return Decision::Admitted;
        }
        if self.services.security.authenticator.is_some()
            && let Some(token) = auth::of_frame(frame.headers.iter())
        {
            let (services, client) = (Arc::clone(&self.services), Arc::clone(&self.client));
            let destination = wanted(frame).map(|(action, destination)| (action, destination.to_owned()));
            let renewing = renew(services, client, token, destination);
            self.deciding = Some((Decided::Admitted, renewing.boxed()));
            return Decision::Waiting;
        }
        match permit(&self.services, &self.client, wanted(frame)) {
            Ok(()) => Decision::Admitted,
            Err(rejection) => Decision::Rejected(rejection),
        }
    }

    /// Charges what was read.
    pub(super) fn charge(&mut self, now: Instant, bytes: usize) -> Result<(), Rejection> {
        self.rates.charge_bytes(&self.services.metrics.auth, now, bytes).map_err(too_fast)
    }

    /// Waits for the outcome of [`Decision::Waiting`]; pending when there is
    /// none.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(super) async fn decided(&mut self) -> Result<Decided, Rejection> {
        let Some((decided, deciding)) = &mut self.deciding else {
            return std::future::pending().await;
        };
        let decided = *decided;
        let outcome = deciding.await;
        self.deciding = None;
        self.client = outcome?;
        self.ends = None;
        self.note_expiry(Instant::now());
        Ok(decided)
    }

    /// Whether nothing is to be read now.
    pub(super) fn holds_back(&self) -> bool {
        self.deciding.is_some() || self.rates.slowed_until.is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let ends = self.ends.as_ref().map(|(at, _)| *at);
        ends.into_iter().chain(self.rates.slowed_until).min()
    }

    /// Lets a client that was slowed down go on; whether it was. Rejects one
    /// whose time is over.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<bool, Rejection> {
        if let Some((_, error)) = self.ends.take_if(|(at, _)| now >= *at) {
            let security = &self.services.security;
            return Err(rejection(&security.ended(error, self.client.address)));
        }
        Ok(self.rates.handle_timeout(now))
    }

    /// The session ends when its token does.
    fn note_expiry(&mut self, now: Instant) {
        self.ends = expires_at(&self.client, now).map(|at| (at, AuthError::Expired));
    }
}

/// What a frame wants with which destination.
fn wanted(frame: &Frame) -> Option<(Action, &str)> {
    let action = match frame.command {
        Command::Send => Action::Send,
        Command::Subscribe => Action::Subscribe,
        _ => return None,
    };
    Some((action, frame.headers.value("destination")?))
}

fn permit(services: &Services, client: &Client, wanted: Option<(Action, &str)>) -> Result<(), Rejection> {
    let Client { address, principal, .. } = client;
    let principal = principal.as_deref();
    services.security.check_expiry(principal, *address).map_err(|error| rejection(&error))?;
    let Some((action, destination)) = wanted else {
        return Ok(());
    };
    let check = |destination: &str| {
        services.security.check_permission(action, destination, principal, *address).map_err(|denied| {
            Rejection::new(denied.to_string(), format!("{} {destination}", action.as_str()))
        })
    };
    check(destination)?;
    match services.presence.watched(destination) {
        Some(room) if action == Action::Subscribe => check(&room),
        _ => Ok(()),
    }
}

async fn renew(
    services: Arc<Services>,
    client: Arc<Client>,
    token: Token,
    wanted: Option<(Action, String)>,
) -> Result<Arc<Client>, Rejection> {
    let proven = client.principal.as_ref();
    let renewed = services.security.renew(&token, proven, client.address).await;
    let principal = renewed.map_err(|error| rejection(&error))?;
    let client = Client { principal, ..Client::clone(&client) };
    let wanted = wanted.as_ref().map(|(action, destination)| (*action, destination.as_str()));
    permit(&services, &client, wanted)?;
    Ok(Arc::new(client))
}

fn rejection(error: &AuthError) -> Rejection {
    let message = match error {
        AuthError::Expired => "token expired",
        _ => "authentication failed",
    };
    Rejection::new(message, error.to_string())
}

fn too_fast(Exceeded(limit): Exceeded) -> Rejection {
    Rejection::new("rate limit exceeded", format!("more {limit} per second than one connection may send"))
}
