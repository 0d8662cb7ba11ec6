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
pub mod refusal;
pub mod session;
pub mod tasks;
pub mod tokens;
pub mod user_claims;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;

use self::{
    fetch::{CALL_LIMIT, Fetch, HttpsFetch},
    jwks::{KeySet, Timings},
    refusal::Refusal,
    tasks::Tasks,
    user_claims::Signers,
};
use crate::{
    model::{
        Model,
        rule::{Authenticate, JwtValidation},
    },
    stickiness::seal::Keys,
    time_scale::TimeScale,
};

/// What authentication keeps for the life of the process.
pub struct Authenticator {
    fetch: HttpsFetch,
    timings: Timings,
    /// One for each JWKS endpoint that was ever needed.
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
        Self {
            fetch: HttpsFetch::new(scale.apply(CALL_LIMIT), tasks),
            timings: Timings::new(scale),
            key_sets: ArcSwap::default(),
            signers: ArcSwap::from_pointee(Signers::new(keys)),
        }
    }

    /// Gets ready for the authentication actions of `model`. Reads files, if there are any.
    pub fn apply(&self, model: &Model) {
        if actions(model).next().is_some() {
            self.fetch.prepare();
        }
    }

    /// Signs with keys derived from `keys` from now on.
    pub fn set_keys(&self, keys: &Keys) {
        self.signers.store(Arc::new(Signers::new(keys)));
    }

    /// What carries requests to endpoints.
    #[must_use]
    pub fn fetch(&self) -> &dyn Fetch {
        &self.fetch
    }

    /// What signs for targets.
    #[must_use]
    pub fn signers(&self) -> Arc<Signers> {
        self.signers.load_full()
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
        keys.verify(&token, self.fetch(), self.timings).await?;
        jwt::check(&token.claims, action, now)
    }

    fn key_set(&self, endpoint: &str) -> Result<Arc<KeySet>, Refusal> {
        if let Some(known) = self.key_sets.load().get(endpoint) {
            return Ok(Arc::clone(known));
        }
        let new = Arc::new(KeySet::new(endpoint.parse().map_err(|_| Refusal::JwksFailed)?));
        self.key_sets.rcu(|sets| {
            let mut sets = HashMap::clone(sets);
            sets.entry(endpoint.to_owned()).or_insert_with(|| Arc::clone(&new));
            sets
        });
        Ok(self.key_sets.load().get(endpoint).map_or(new, Arc::clone))
    }
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
