//! One refresh for all requests that bring the same refresh token.
//!
//! A page asks for many things at once, and each request finds that the access
//! token has expired. Many identity providers take a refresh token once
//! (RFC 6749 section 10.4), so the first request's refresh serves them all, and
//! for [`KEPT`] those that were on their way with the old cookie. It goes on
//! when the request that began it ends, since its token is spent. Replicas do
//! not know of each other's refreshes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{refusal::Refusal, session::Session};
use crate::tasks::Tasks;

/// How long an outcome is shared after the refresh, before time scaling.
pub const KEPT: Duration = Duration::from_secs(5);
/// Most refreshes that are remembered.
const MOST: usize = 1024;

/// What came of a refresh.
pub type Outcome = Result<Arc<Session>, Refusal>;

type Key = [u8; 32];

/// The refreshes that are being made, or were a moment ago.
#[derive(Debug, Clone)]
pub struct Refreshes {
    known: Arc<Mutex<HashMap<Key, Refresh>>>,
    kept: Duration,
}

#[derive(Debug)]
struct Refresh {
    outcome: watch::Receiver<Option<Outcome>>,
    /// None while it is being made.
    ends: Option<Instant>,
}

/// A request's part in a refresh.
#[derive(Debug)]
pub struct Shared {
    /// Whether the refresh was begun for this request.
    pub began: bool,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Shared {
    /// Waits for the end of the refresh.
    ///
    /// # Errors
    ///
    /// Why there is no session, [`Refusal::TokenTimeout`] if the refresh was dropped.
    ///
    /// # Cancel safety
    ///
    /// The refresh goes on for the others.
    pub async fn outcome(mut self) -> Outcome {
        let ended = self.outcome.wait_for(Option::is_some).await;
        ended.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(Refusal::TokenTimeout))
    }
}

impl Refreshes {
    /// Shares outcomes for `kept`.
    #[must_use]
    pub fn new(kept: Duration) -> Self {
        Self { known: Arc::default(), kept }
    }

    /// The refresh of `old` at `now`; `refresh` is begun in `tasks` if there is none.
    ///
    /// # Errors
    ///
    /// [`Refusal::TokenTimeout`] if there are too many.
    pub fn join<F>(&self, old: &Session, now: Instant, tasks: &Tasks, refresh: F) -> Result<Shared, Refusal>
    where
        F: Future<Output = Result<Session, Refusal>> + Send + 'static,
    {
        let key = key(old);
        let mut known = self.known.lock();
        if let Some(refresh) = known.get(&key).filter(|refresh| refresh.is_good(now)) {
            return Ok(Shared { began: false, outcome: refresh.outcome.clone() });
        }
        if known.len() >= MOST {
            known.retain(|_, refresh| refresh.is_good(now));
            if known.len() >= MOST {
                return Err(Refusal::TokenTimeout);
            }
        }
        let (sender, outcome) = watch::channel(None);
        known.insert(key, Refresh { outcome: outcome.clone(), ends: None });
        drop(known);
        let refreshes = self.clone();
        tasks.spawn(async move {
            let outcome = refresh.await.map(Arc::new);
            refreshes.end(&key, &outcome, Instant::now());
            sender.send_replace(Some(outcome));
        });
        Ok(Shared { began: true, outcome })
    }

    /// A provider that failed may be asked again; one that has answered will answer no better.
    fn end(&self, key: &Key, outcome: &Outcome, now: Instant) {
        let mut known = self.known.lock();
        known.retain(|_, refresh| refresh.is_good(now));
        if matches!(outcome, Ok(_) | Err(Refusal::InvalidGrant)) {
            if let Some(refresh) = known.get_mut(key) {
                refresh.ends = Some(now + self.kept);
            }
        } else {
            known.remove(key);
        }
    }
}

impl Refresh {
    fn is_good(&self, now: Instant) -> bool {
        // Without a sender a refresh that has not ended was dropped.
        self.ends.map_or_else(|| self.outcome.has_changed().is_ok(), |ends| now < ends)
    }
}

/// Tokens themselves are not kept. Of two users or logins no outcome is shared.
fn key(session: &Session) -> Key {
    let subject = session.claims.get("sub").and_then(serde_json::Value::as_str).unwrap_or_default();
    let created = session.created.to_be_bytes();
    let parts: [&[u8]; 4] = [
        session.login.as_bytes(),
        &created,
        subject.as_bytes(),
        session.refresh_token.as_deref().unwrap_or_default().as_bytes(),
    ];
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in parts {
        hash.update(&part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{
        future,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::authenticate::{fixtures, jwt::Claims, session::LoginId};

    fn session(refresh_token: &str) -> Session {
        Session {
            login: LoginId::of(&fixtures::action()),
            created: 1_700_000_000,
            access_token: "a".to_owned(),
            expires: None,
            refresh_token: Some(refresh_token.to_owned()),
            claims: Claims::new(),
        }
    }

    fn tasks() -> Tasks {
        Tasks::new(TaskTracker::new(), CancellationToken::new())
    }

    /// Refreshes of a provider that takes its time and counts.
    struct Provider(Arc<AtomicUsize>, Refreshes, Tasks);

    impl Provider {
        fn new() -> Self {
            Self(Arc::default(), Refreshes::new(KEPT), tasks())
        }

        fn join(&self, token: &str, outcome: Result<Session, Refusal>) -> Shared {
            let calls = Arc::clone(&self.0);
            let refresh = async move {
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                outcome
            };
            self.1.join(&session(token), Instant::now(), &self.2, refresh).unwrap()
        }

        fn calls(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_with_one_token_share_one_refresh() {
        let provider = Provider::new();
        let all: Vec<Shared> = (0..6).map(|_| provider.join("1", Ok(session("2")))).collect();
        assert_eq!(all.iter().filter(|shared| shared.began).count(), 1);
        let other = provider.join("other", Ok(session("3")));
        for outcome in join_all(all.into_iter().map(Shared::outcome)).await {
            assert_eq!(outcome.unwrap().refresh_token.as_deref(), Some("2"));
        }
        assert_eq!(other.outcome().await.unwrap().refresh_token.as_deref(), Some("3"));
        assert_eq!(provider.calls(), 2);
        // One that was on its way comes a little later.
        tokio::time::advance(KEPT - Duration::from_millis(1)).await;
        assert!(provider.join("1", Err(Refusal::InvalidGrant)).outcome().await.is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(
            provider.join("1", Err(Refusal::InvalidGrant)).outcome().await,
            Err(Refusal::InvalidGrant)
        );
        assert_eq!(provider.calls(), 3);
        assert_eq!(provider.1.known.lock().len(), 1, "what is over is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_goes_on_when_the_request_that_began_it_has_left() {
        let provider = Provider::new();
        drop(provider.join("1", Ok(session("2"))));
        assert!(provider.join("1", Err(Refusal::InvalidGrant)).outcome().await.is_ok());
        assert_eq!(provider.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_failed_is_asked_again() {
        let provider = Provider::new();
        let failed = provider.join("1", Err(Refusal::TokenTimeout)).outcome().await;
        assert_eq!(failed, Err(Refusal::TokenTimeout));
        assert!(provider.join("1", Ok(session("2"))).outcome().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let (refreshes, tasks) = (Refreshes::new(KEPT), tasks());
        let join = |number: usize| {
            let old = session(&number.to_string());
            refreshes.join(&old, Instant::now(), &tasks, future::pending())
        };
        assert!((0..MOST).all(|number| join(number).is_ok()));
        assert!(matches!(join(MOST), Err(Refusal::TokenTimeout)));
        assert!(matches!(join(0), Ok(Shared { began: false, .. })));
    }

    #[tokio::test]
    async fn a_refresh_that_was_dropped_is_no_answer() {
        let stopped = CancellationToken::new();
        let tasks = Tasks::new(TaskTracker::new(), stopped.clone());
        let shared = Refreshes::new(KEPT).join(&session("1"), Instant::now(), &tasks, future::pending());
        stopped.cancel();
        assert_eq!(shared.unwrap().outcome().await, Err(Refusal::TokenTimeout));
    }
}
