//! Keys of token issuers: fetched from their JWKS endpoint, kept, used to check signatures.
//!
//! ELB page: "Verify JWTs using an Application Load Balancer"; RFC 7517. An
//! answer may have 150 KB and ten keys. How long ELB keeps keys is not
//! published. Here a set is fetched again, beside the requests that go on with
//! it, once it is older than [`Timings::fresh`], but never more often than each
//! [`Timings::pause`] and never twice at the same time; while the endpoint
//! fails, the last good set serves until it is [`Timings::stale`] old. A request
//! waits for the endpoint only if there is no set, or none with its key, and no
//! longer than a call may take.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Uri, header};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    fetch::{Answer, Fetch, FetchError},
    jwt::Token,
    refusal::Refusal,
};
use crate::{tasks::Tasks, time_scale::TimeScale};

/// Largest answer, in bytes.
pub const MOST_BYTES: usize = 150 * 1024;
/// Most keys in an answer, those of other kinds included.
pub const MOST_KEYS: usize = 10;

/// An RSA key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// What a set of keys says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Valid,
    BadSignature,
    /// None of the keys is the one that may have signed it.
    UnknownKey,
}

/// The usable keys of an endpoint: RSA, for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Keys(Vec<Key>);

impl Keys {
    /// Reads an endpoint's answer.
    fn parse(answer: &Answer) -> Result<Self, Refusal> {
        if !answer.status.is_success() {
            return Err(Refusal::JwksFailed);
        }
        let set: Value = serde_json::from_slice(&answer.body).map_err(|_| Refusal::JwksInvalid)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(Refusal::JwksInvalid)?;
        if keys.len() > MOST_KEYS {
            return Err(Refusal::JwksTooManyKeys);
        }
        Ok(Self(keys.iter().filter_map(Key::parse).collect()))
    }

    fn verify(&self, token: &Token<'_>) -> Verdict {
        let may_have_signed = |key: &&Key| match (&token.kid, &key.kid) {
            (Some(wanted), Some(kid)) => wanted == kid,
            _ => true,
        };
        let mut tried = false;
        for key in self.0.iter().filter(may_have_signed) {
            if key.verifies(token) {
                return Verdict::Valid;
            }
            tried = true;
        }
        // A token that names no key may be signed by one that is new.
        if tried && token.kid.is_some() { Verdict::BadSignature } else { Verdict::UnknownKey }
    }
}

impl Key {
    fn parse(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            bytes.get(zeros..).map(<[u8]>::to_vec)
        };
        let is_usable = text("kty") == Some("RSA")
            && text("use").is_none_or(|purpose| purpose == "sig")
            && text("alg").is_none_or(|algorithm| algorithm == "RS256");
        let kid = text("kid").map(str::to_owned);
        is_usable.then_some(Self { kid, modulus: number("n")?, exponent: number("e")? })
    }

    fn verifies(&self, token: &Token<'_>) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed.as_bytes(), &token.signature).is_ok()
    }
}

/// How long keys are kept, scaled.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// How long a set is used without asking again: 5 minutes.
    pub fresh: Duration,
    /// How long a set is used while the endpoint fails: 1 hour.
    pub stale: Duration,
    /// Shortest time between two calls: 10 seconds.
    pub pause: Duration,
}

impl Timings {
    /// The timings under `scale`.
    #[must_use]
    pub fn new(scale: TimeScale) -> Self {
        Self {
            fresh: scale.apply(Duration::from_secs(300)),
            stale: scale.apply(Duration::from_secs(3600)),
            pause: scale.apply(Duration::from_secs(10)),
        }
    }
}

#[derive(Debug)]
struct Fetched {
    keys: Keys,
    at: Instant,
}

/// What came of asking the endpoint.
type Outcome = Result<(), Refusal>;

/// Whether the endpoint is or was asked.
#[derive(Debug, Clone, Default)]
enum Asking {
    #[default]
    Never,
    /// It is being asked; tells when that is over.
    Now(watch::Receiver<Option<Outcome>>),
    /// It was asked until then.
    Ended(Instant, Outcome),
}

/// What key sets ask endpoints with.
#[derive(Clone)]
pub struct Means {
    /// Carries the calls.
    pub fetch: Arc<dyn Fetch>,
    /// Runs them.
    pub tasks: Tasks,
    /// How long keys are kept.
    pub timings: Timings,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("timings", &self.timings).finish_non_exhaustive()
    }
}

/// The keys of one endpoint.
#[derive(Debug)]
pub struct KeySet {
    endpoint: Uri,
    current: ArcSwapOption<Fetched>,
    asking: Mutex<Asking>,
}

impl KeySet {
    /// The keys of `endpoint`, which is asked when they are first needed.
    #[must_use]
    pub fn new(endpoint: Uri) -> Self {
        Self { endpoint, current: ArcSwapOption::empty(), asking: Mutex::default() }
    }

    /// Checks a token's signature.
    ///
    /// # Errors
    ///
    /// [`Refusal::JwtSignature`], or why there are no keys to check it with.
    ///
    /// # Cancel safety
    ///
    /// A call of the endpoint goes on for those who need it next.
    pub async fn verify(self: &Arc<Self>, token: &Token<'_>, means: &Means) -> Result<(), Refusal> {
        let known = self.usable(means.timings);
        let verdict = known.as_ref().map_or(Verdict::UnknownKey, |fetched| fetched.keys.verify(token));
        let verdict = match verdict {
            Verdict::UnknownKey => self.refreshed(means).await?.keys.verify(token),
            verdict => {
                if known.is_some_and(|fetched| fetched.at.elapsed() >= means.timings.fresh) {
                    drop(self.ask(means));
                }
                verdict
            }
        };
        if verdict == Verdict::Valid { Ok(()) } else { Err(Refusal::JwtSignature) }
    }

    fn usable(&self, timings: Timings) -> Option<Arc<Fetched>> {
        self.current.load_full().filter(|fetched| fetched.at.elapsed() < timings.stale)
    }

    /// The keys after asking the endpoint, unless that was done a moment ago.
    async fn refreshed(self: &Arc<Self>, means: &Means) -> Result<Arc<Fetched>, Refusal> {
        let outcome = match self.ask(means) {
            Asking::Now(mut asking) => match asking.wait_for(Option::is_some).await {
                Ok(outcome) => *outcome,
                Err(_) => Some(Err(Refusal::JwksTimeout)),
            },
            Asking::Ended(_, outcome) => Some(outcome),
            Asking::Never => None,
        };
        let refusal = outcome.and_then(Result::err).unwrap_or(Refusal::JwtSignature);
        self.usable(means.timings).ok_or(refusal)
    }

    /// Asks the endpoint, if nobody does or did a moment ago.
    fn ask(self: &Arc<Self>, means: &Means) -> Asking {
        let mut asking = self.asking.lock();
        let goes_on = match &*asking {
            Asking::Never => false,
            // Without a sender the call has been dropped.
            Asking::Now(outcome) => outcome.has_changed().is_ok(),
            Asking::Ended(at, _) => at.elapsed() < means.timings.pause,
        };
        if !goes_on {
            let (sender, receiver) = watch::channel(None);
            *asking = Asking::Now(receiver);
            let (set, fetch) = (Arc::clone(self), Arc::clone(&means.fetch));
            means.tasks.spawn(async move {
                let outcome = set.fetch(&*fetch).await.map(|keys| {
                    set.current.store(Some(Arc::new(Fetched { keys, at: Instant::now() })));
                });
                *set.asking.lock() = Asking::Ended(Instant::now(), outcome);
                sender.send_replace(Some(outcome));
            });
        }
        asking.clone()
    }

    async fn fetch(&self, fetch: &dyn Fetch) -> Result<Keys, Refusal> {
        let request = Request::get(self.endpoint.clone())
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| Refusal::JwksFailed)?;
        let answer = fetch.fetch(request, MOST_BYTES).await.map_err(|error| match error {
            FetchError::Unreachable => Refusal::JwksTimeout,
            FetchError::TooLarge => Refusal::JwksTooLarge,
        });
        let keys = answer.and_then(|answer| Keys::parse(&answer));
        if let Err(refusal) = &keys {
            tracing::warn!(endpoint = %self.endpoint, ?refusal, "no keys from a JWKS endpoint");
        }
        keys
    }
}

#[cfg(test)]
mod tests;
