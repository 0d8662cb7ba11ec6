use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use http::StatusCode;
use parking_lot::Mutex as SyncMutex;
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::authenticate::jwt;

/// An issuer's key.
struct Signer {
    kid: &'static str,
    key: KeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        Self { kid, key: KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    fn jwk(&self) -> Value {
        // RSAPublicKey (RFC 8017 appendix A.1.1): the 256 bytes of a modulus follow nine of framing.
        let modulus = self.key.public_key().as_ref().get(9..265).unwrap();
        json!({
            "kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256",
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
        })
    }

    fn token(&self, header: &Value) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(json!({ "iss": "i" }).to_string())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn named_token(&self) -> String {
        self.token(&json!({ "alg": "RS256", "kid": self.kid }))
    }
}

/// An endpoint whose answer can be changed, and that counts its calls.
struct Endpoint {
    answer: SyncMutex<Result<Answer, FetchError>>,
    calls: AtomicUsize,
}

impl Endpoint {
    fn new(keys: &[Value]) -> Arc<Self> {
        let endpoint =
            Self { answer: SyncMutex::new(Err(FetchError::Unreachable)), calls: AtomicUsize::new(0) };
        endpoint.serve(keys);
        Arc::new(endpoint)
    }

    fn serve(&self, keys: &[Value]) {
        *self.answer.lock() = Ok(answer(200, &json!({ "keys": keys }).to_string()));
    }

    fn fail(&self, error: FetchError) {
        *self.answer.lock() = Err(error);
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait::async_trait]
impl Fetch for Endpoint {
    async fn fetch(&self, _: Request<Bytes>, _: usize) -> Result<Answer, FetchError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        // Long enough for others to come meanwhile.
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.answer.lock().clone()
    }
}

fn answer(status: u16, body: &str) -> Answer {
    Answer { status: StatusCode::from_u16(status).unwrap(), body: Bytes::copy_from_slice(body.as_bytes()) }
}

fn key_set() -> Arc<KeySet> {
    Arc::new(KeySet::new(Uri::from_static("https://idp.test/jwks")))
}

async fn verify(set: &Arc<KeySet>, endpoint: &Arc<Endpoint>, token: &str) -> Result<(), Refusal> {
    let tasks = Tasks::new(TaskTracker::new(), CancellationToken::new());
    let means =
        Means { fetch: Arc::clone(endpoint) as _, tasks, timings: Timings::new(TimeScale::default()) };
    set.verify(&jwt::parse(token)?, &means).await
}

/// Lets calls that nobody waits for end.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_once_and_again_for_an_unknown_key() {
    let (first, second) = (Signer::new("1"), Signer::new("2"));
    let endpoint = Endpoint::new(&[first.jwk()]);
    let set = key_set();
    let token = first.named_token();
    let together = futures_util::future::join_all((0..5).map(|_| verify(&set, &endpoint, &token))).await;
    assert_eq!((together, endpoint.calls()), (vec![Ok(()); 5], 1), "one call for all");
    // Rotated: the new key is unknown, but the endpoint was asked a moment ago.
    endpoint.serve(&[first.jwk(), second.jwk()]);
    assert_eq!(verify(&set, &endpoint, &second.named_token()).await, Err(Refusal::JwtSignature));
    assert_eq!(endpoint.calls(), 1);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(verify(&set, &endpoint, &second.named_token()).await, Ok(()));
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    assert_eq!(endpoint.calls(), 2);
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    settle().await;
    assert_eq!(endpoint.calls(), 3, "no longer fresh");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_signature_does_not_reach_the_endpoint() {
    let (signer, forger) = (Signer::new("1"), Signer::new("1"));
    let endpoint = Endpoint::new(&[signer.jwk()]);
    let set = key_set();
    assert_eq!(verify(&set, &endpoint, &signer.named_token()).await, Ok(()));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(verify(&set, &endpoint, &forger.named_token()).await, Err(Refusal::JwtSignature));
    assert_eq!(endpoint.calls(), 1);
    // A token that names no key is checked with all of them.
    assert_eq!(verify(&set, &endpoint, &signer.token(&json!({ "alg": "RS256" }))).await, Ok(()));
    assert_eq!(endpoint.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_keys_serve_for_an_hour_while_the_endpoint_fails() {
    let signer = Signer::new("1");
    let endpoint = Endpoint::new(&[signer.jwk()]);
    let set = key_set();
    let token = signer.named_token();
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    endpoint.fail(FetchError::Unreachable);
    tokio::time::advance(Duration::from_secs(3000)).await;
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(verify(&set, &endpoint, &token).await, Err(Refusal::JwksTimeout));
    let calls = endpoint.calls();
    assert_eq!(verify(&set, &endpoint, &token).await, Err(Refusal::JwksTimeout));
    assert_eq!(endpoint.calls(), calls, "not asked again at once");
}

#[tokio::test(start_paused = true)]
async fn a_silent_endpoint_does_not_hold_up_tokens_whose_key_is_known() {
    let (signer, other) = (Signer::new("1"), Signer::new("2"));
    let endpoint = Endpoint::new(&[signer.jwk()]);
    let set = key_set();
    let token = signer.named_token();
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    endpoint.fail(FetchError::Unreachable);
    tokio::time::advance(Duration::from_secs(301)).await;
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    // One that needs the answer joins the call that is being made.
    assert_eq!(verify(&set, &endpoint, &other.named_token()).await, Err(Refusal::JwtSignature));
    assert_eq!(endpoint.calls(), 2, "one call for all");
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_when_the_request_that_made_it_has_ended() {
    let signer = Signer::new("1");
    let endpoint = Endpoint::new(&[signer.jwk()]);
    let set = key_set();
    let token = signer.named_token();
    let left = tokio::time::timeout(Duration::from_millis(1), verify(&set, &endpoint, &token)).await;
    assert!(left.is_err());
    assert_eq!(verify(&set, &endpoint, &token).await, Ok(()));
    assert_eq!(endpoint.calls(), 1);
}

#[test]
fn an_answer_is_bounded_and_must_be_a_key_set() {
    let check = |status: u16, body: &str, expected: Result<usize, Refusal>| {
        let keys = Keys::parse(&answer(status, body)).map(|keys| keys.0.len());
        assert_eq!(keys, expected, "{status} {body}");
    };
    let rsa = json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" });
    let set = |count: usize| json!({ "keys": vec![rsa.clone(); count] }).to_string();
    check(200, &set(10), Ok(10));
    check(200, &set(11), Err(Refusal::JwksTooManyKeys));
    check(404, &set(1), Err(Refusal::JwksFailed));
    check(302, "", Err(Refusal::JwksFailed));
    check(200, "<html>", Err(Refusal::JwksInvalid));
    check(200, "{}", Err(Refusal::JwksInvalid));
    check(200, r#"{"keys":{}}"#, Err(Refusal::JwksInvalid));
    check(200, r#"{"keys":[{"kty":"EC"},{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},7,null]}"#, Ok(0));
}
