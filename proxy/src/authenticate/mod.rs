//! Authentication before a rule's last action: `authenticate-oidc` and `jwt-validation`.
//!
//! ELB pages: "Authenticate users using an Application Load Balancer", "Verify
//! JWTs using an Application Load Balancer". Decisions and codecs are pure;
//! what asks an endpoint does so through [`fetch::Fetch`]. Which request is
//! authenticated, and what the client is answered, is decided in `alb`.
//!
//! `authenticate-cognito` is not here: its client secret is to be had only from
//! an API of AWS. A user pool works with `authenticate-oidc`.

pub mod fetch;
#[cfg(test)]
mod fixtures;
pub mod jwks;
pub mod jwt;
pub mod login;
pub mod oidc;
pub mod query;
pub mod refreshes;
pub mod refusal;
pub mod session;
pub mod tokens;
pub mod user_claims;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use self::{
    fetch::{CALL_LIMIT, Fetch, HttpsFetch},
    jwks::{KeySet, Means, Timings},
    refreshes::Refreshes,
    refusal::Refusal,
    session::Session,
    user_claims::Signers,
};
use crate::{
    model::{
        Model,
        rule::{Authenticate, AuthenticateOidc, JwtValidation},
    },
    stickiness::seal::Keys,
    tasks::Tasks,
    time_scale::TimeScale,
};

/// What authentication keeps for the life of the process.
pub struct Authenticator {
    https: Arc<HttpsFetch>,
    means: Means,
    refreshes: Refreshes,
    /// One for each JWKS endpoint of the configuration.
    key_sets: ArcSwap<HashMap<String, Arc<KeySet>>>,
    signers: ArcSwap<Signers>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Authenticator {
    /// Calls endpoints over HTTPS, signs with keys derived from `keys`. What outlives a request is in `tasks`.
    #[must_use]
    pub fn new(keys: &Keys, scale: TimeScale, tasks: Tasks) -> Self {
        let https = Arc::new(HttpsFetch::new(scale.apply(CALL_LIMIT), tasks.clone()));
        Self {
            means: Means { fetch: Arc::clone(&https) as _, tasks, timings: Timings::new(scale) },
            https,
            refreshes: Refreshes::new(scale.apply(refreshes::KEPT)),
            key_sets: ArcSwap::default(),
            signers: ArcSwap::from_pointee(Signers::new(keys)),
        }
    }

    /// Gets ready for the authentication actions of `model`, and forgets those before. Reads files, if
    /// there are any.
    pub fn apply(&self, model: &Model) {
        self.keep_key_sets(actions(model).filter_map(|action| match action {
            Authenticate::Jwt(action) => Some(action.jwks_endpoint.as_str()),
            Authenticate::Oidc(_) => None,
        }));
        if actions(model).next().is_some() {
            self.https.prepare();
        }
    }

    /// From now on there are key sets of these endpoints and no others; those that stay keep their keys.
    fn keep_key_sets<'a>(&self, endpoints: impl Iterator<Item = &'a str>) {
        let known = self.key_sets.load();
        let sets = endpoints.filter_map(|endpoint| {
            let set = known.get(endpoint).map(Arc::clone);
            Some((endpoint.to_owned(), set.or_else(|| new_key_set(endpoint).ok())?))
        });
        self.key_sets.store(Arc::new(sets.collect()));
    }

    /// Signs with keys derived from `keys` from now on.
    pub fn set_keys(&self, keys: &Keys) {
        self.signers.store(Arc::new(Signers::new(keys)));
    }

    /// What carries requests to endpoints.
    #[must_use]
    pub fn fetch(&self) -> &dyn Fetch {
        &*self.means.fetch
    }

    /// What signs for targets.
    #[must_use]
    pub fn signers(&self) -> Arc<Signers> {
        self.signers.load_full()
    }

    /// The session that follows `old` at `now`, in seconds since 1970, shared by all requests that bring
    /// `old` at about the same time; and whether its refresh was begun here.
    ///
    /// # Errors
    ///
    /// Why there is none.
    ///
    /// # Cancel safety
    ///
    /// The refresh goes on: its token is spent.
    pub async fn refresh(
        &self,
        action: &Arc<AuthenticateOidc>,
        old: Session,
        now: u64,
    ) -> Result<(Arc<Session>, bool), Refusal> {
        let (fetch, action, ours) = (Arc::clone(&self.means.fetch), Arc::clone(action), old.clone());
        let refresh = async move { oidc::refresh(&*fetch, &action, &ours, now).await };
        let shared = self.refreshes.join(&old, Instant::now(), &self.means.tasks, refresh)?;
        let began = shared.began;
        Ok((shared.outcome().await?, began))
    }

    /// Carries out `jwt-validation` on a request with these values of `Authorization`.
    ///
    /// # Errors
    ///
    /// Why the request goes no further.
    pub async fn validate<'a>(
        &self,
        action: &JwtValidation,
        authorization: impl Iterator<Item = &'a [u8]>,
        now: u64,
    ) -> Result<(), Refusal> {
        let token = jwt::parse(jwt::bearer(authorization)?)?;
        let keys = self.key_set(&action.jwks_endpoint)?;
        keys.verify(&token, &self.means).await?;
        jwt::check(&token.claims, action, now)
    }

    fn key_set(&self, endpoint: &str) -> Result<Arc<KeySet>, Refusal> {
        match self.key_sets.load().get(endpoint) {
            Some(known) => Ok(Arc::clone(known)),
            // A request that began before a reload took its rule away.
            None => new_key_set(endpoint),
        }
    }
}

fn new_key_set(endpoint: &str) -> Result<Arc<KeySet>, Refusal> {
    Ok(Arc::new(KeySet::new(endpoint.parse().map_err(|_| Refusal::JwksFailed)?)))
}

/// The authentication actions of all rules.
fn actions(model: &Model) -> impl Iterator<Item = &Authenticate> {
    let listeners = model.load_balancers.iter().flat_map(|load_balancer| &load_balancer.listeners);
    let all = listeners.flat_map(|listener| {
        let rules = listener.rules.iter().map(|rule| &rule.actions);
        rules.chain([&listener.default_actions])
    });
    all.filter_map(|actions| actions.authenticate.as_ref())
}

#[cfg(test)]
mod tests {
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;

    #[test]
    fn a_reload_drops_key_sets_that_nothing_names_and_keeps_the_others() {
        let tasks = Tasks::new(TaskTracker::new(), CancellationToken::new());
        let keys = Keys::generate(&mut rand::rng());
        let authenticator = Authenticator::new(&keys, TimeScale::default(), tasks);
        authenticator.keep_key_sets(["https://a.test/jwks", "https://b.test/jwks"].into_iter());
        let kept = authenticator.key_set("https://b.test/jwks").unwrap();
        authenticator.keep_key_sets(["https://b.test/jwks", "https://c.test/jwks"].into_iter());
        let sets = authenticator.key_sets.load();
        let mut names: Vec<&str> = sets.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["https://b.test/jwks", "https://c.test/jwks"]);
        assert!(Arc::ptr_eq(&kept, &authenticator.key_set("https://b.test/jwks").unwrap()));
        // A request that began before can still be carried out, and leaves nothing behind.
        assert!(authenticator.key_set("https://a.test/jwks").is_ok());
        assert_eq!(authenticator.key_sets.load().len(), 2);
    }
}
