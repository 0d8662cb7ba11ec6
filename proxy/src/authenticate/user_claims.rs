//! What the target is told of a user: `x-amzn-oidc-accesstoken`, `-identity`, `-data`.
//!
//! ELB page: "Authenticate users using an Application Load Balancer", user
//! claims encoding and signature verification. `-data` is a JSON Web Token
//! signed with ES256 whose parts are in base64url **with** padding, as ELB's
//! are. ELB serves the public keys at a regional address by key id; here the
//! admin API does. Replicas with the same key files sign with the same key.
//!
//! How long the token is valid ELB does not say: here [`VALID`]. Besides the
//! claims the payload has that `exp` and `iss`.

use std::fmt;

use aws_lc_rs::{
    agreement::{ECDH_P256, PrivateKey},
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use http::HeaderValue;
use serde_json::{Value, json};

use super::session::Session;
use crate::{headers::reserved, model::rule::AuthenticateOidc, stickiness::seal::Keys};

/// How long `x-amzn-oidc-data` is valid, in seconds.
pub const VALID: u64 = 120;

/// What the names of these headers begin with.
const PREFIX: &str = "x-amzn-oidc-";

/// A key's public half as it stands before the point in a P-256 `SubjectPublicKeyInfo` (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Whether a header with this name could be taken for one of these.
///
/// As with other reserved names, whatever is neither letter nor digit is taken for `-`.
#[must_use]
pub fn is_claim(name: &str) -> bool {
    reserved::begins_alike(name, PREFIX)
}

/// Keys that sign what targets are told.
#[derive(Debug)]
pub struct Signers(Vec<Signer>);

struct Signer {
    kid: String,
    key: EcdsaKeyPair,
    pem: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Signers {
    /// One of each of `keys`: the sealing key's signs, the public halves of all are shown.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        // The counter is for the one in 2^32 that is no number below the order of the curve.
        let candidates = [[0], [1], [2]].map(|counter| {
            let purpose: [&[u8]; 2] = [PREFIX.as_bytes(), &counter];
            keys.derive(&purpose).map(|private| Signer::new(&private)).collect::<Vec<_>>()
        });
        let [mut signers, second, third] = candidates;
        for ((signer, second), third) in signers.iter_mut().zip(second).zip(third) {
            if signer.is_none() {
                *signer = second.or(third);
            }
        }
        Self(signers.into_iter().flatten().collect())
    }

    /// The public key with this id, PEM.
    #[must_use]
    pub fn public_key(&self, kid: &str) -> Option<&str> {
        self.0.iter().find(|signer| signer.kid == kid).map(|signer| signer.pem.as_str())
    }

    /// The headers that tell the target of `session`. `lb_arn` is the load balancer's.
    ///
    /// `None` if they cannot be made, which no session of ours brings about.
    #[must_use]
    pub fn headers(
        &self,
        session: &Session,
        action: &AuthenticateOidc,
        lb_arn: &str,
        now: u64,
    ) -> Option<[(&'static str, HeaderValue); 3]> {
        let signer = self.0.first()?;
        let expires = now.saturating_add(VALID);
        let head = json!({
            "typ": "JWT", "kid": signer.kid, "alg": "ES256", "iss": action.issuer,
            "client": action.client_id, "signer": lb_arn, "exp": expires,
        });
        let mut payload = session.claims.clone();
        payload.insert("exp".to_owned(), expires.into());
        payload.insert("iss".to_owned(), action.issuer.as_str().into());
        let data = signer.sign(&head, &Value::Object(payload))?;
        let identity = session.claims.get("sub")?.as_str()?;
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        Some([
            ("x-amzn-oidc-accesstoken", sensitive(&session.access_token)?),
            ("x-amzn-oidc-identity", HeaderValue::from_str(identity).ok()?),
            ("x-amzn-oidc-data", sensitive(&data)?),
        ])
    }
}

impl Signer {
    fn new(private: &[u8]) -> Option<Self> {
        let agreeing = PrivateKey::from_private_key(&ECDH_P256, private).ok()?;
        let public = agreeing.compute_public_key().ok()?;
        let key = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            private,
            public.as_ref(),
        );
        let spki = [SPKI.as_slice(), public.as_ref()].concat();
        Some(Self { kid: uuid(&spki), key: key.ok()?, pem: pem(&spki) })
    }

    fn sign(&self, head: &Value, payload: &Value) -> Option<String> {
        let mut token = URL_SAFE.encode(head.to_string());
        token.push('.');
        token.push_str(&URL_SAFE.encode(payload.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        token.push_str(&URL_SAFE.encode(signature));
        Some(token)
    }
}

/// An id in the form of a UUID, which ELB's are.
fn uuid(spki: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, spki);
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let mut id = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            id.push('-');
        }
        id.push(digit);
    }
    id
}

fn pem(spki: &[u8]) -> String {
    let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
    for (index, letter) in STANDARD.encode(spki).chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(letter);
    }
    pem.push_str("\n-----END PUBLIC KEY-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;
    use crate::authenticate::{fixtures, jwt::Claims, session::LoginId};

    const ARN: &str = "arn:aws:elasticloadbalancing:local:000000000000:loadbalancer/app/a/1";

    fn data(keys: &Keys) -> (Signers, String) {
        let mut claims = Claims::new();
        claims.insert("sub".to_owned(), "user".into());
        let session = Session {
            login: LoginId::of(&fixtures::action()),
            created: 0,
            access_token: "token".to_owned(),
            expires: None,
            refresh_token: None,
            claims,
        };
        let signers = Signers::new(keys);
        let [token, identity, data] =
            signers.headers(&session, &fixtures::action(), ARN, 1_700_000_000).unwrap();
        assert_eq!(token, ("x-amzn-oidc-accesstoken", HeaderValue::from_static("token")));
        assert_eq!(identity, ("x-amzn-oidc-identity", HeaderValue::from_static("user")));
        assert_eq!(data.0, "x-amzn-oidc-data");
        (signers, data.1.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_data_is_a_padded_token_that_its_public_key_verifies() {
        let (signers, token) = data(&Keys::new(&[1; 32], &[]));
        let parts: Vec<&str> = token.split('.').collect();
        assert!(parts.iter().all(|part| part.len() % 4 == 0), "padded: {token}");
        let json = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE.decode(part).unwrap()).unwrap();
        let head = json(parts[0]);
        let kid = head["kid"].as_str().unwrap();
        let expected = json!({
            "typ": "JWT", "kid": kid, "alg": "ES256", "iss": "https://idp.test", "client": "client 1",
            "signer": ARN, "exp": 1_700_000_120,
        });
        assert_eq!(head, expected);
        let payload = json!({ "sub": "user", "exp": 1_700_000_120, "iss": "https://idp.test" });
        assert_eq!(json(parts[1]), payload);
        let pem = signers.public_key(kid).unwrap();
        let spki =
            STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap();
        let point = spki.strip_prefix(&SPKI).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &URL_SAFE.decode(parts[2]).unwrap()).unwrap();
    }

    #[test]
    fn names_that_could_be_taken_for_ours() {
        for name in ["x-amzn-oidc-data", "x_amzn_oidc_data", "X-Amzn_Oidc-anything", "x.amzn.oidc.data"] {
            assert!(is_claim(name), "{name}");
        }
        for name in ["x-amzn-oidc", "x-amzn-trace-id", "xx-amzn-oidc-data", ""] {
            assert!(!is_claim(name), "{name}");
        }
    }

    #[test]
    fn replicas_sign_alike_and_show_the_keys_of_all() {
        let kid = |token: &str| {
            let head = URL_SAFE.decode(token.split('.').next().unwrap()).unwrap();
            serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
        };
        let (_, old) = data(&Keys::new(&[1; 32], &[]));
        let (_, same) = data(&Keys::new(&[1; 32], &[[3; 32]]));
        let (rotated, new) = data(&Keys::new(&[2; 32], &[[1; 32]]));
        assert_eq!(kid(&old), kid(&same));
        assert_ne!(kid(&old), kid(&new));
        assert!(rotated.public_key(&kid(&old)).is_some());
        assert_eq!(rotated.public_key("12345678-1234-1234-1234-123456789012"), None);
        assert_eq!(kid(&old).len(), 36);
    }
}
