//! Tokens made for the tests, good and bad.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use tempfile::TempDir;

use crate::auth::Secret;

use super::*;

const SECRET: &str = "a secret of at least thirty-two bytes";

/// The tests' time, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn settings() -> JwtSettings {
    JwtSettings {
        issuer: None,
        audiences: Vec::new(),
        clock_skew: Duration::from_secs(30),
        principal_claim: "sub".to_owned(),
        authorities_claims: ["scope", "roles"].map(str::to_owned).to_vec(),
        authority_prefix: String::new(),
    }
}

fn with_secret(settings: JwtSettings) -> Jwt {
    let sources = KeySources { secret: Some(Secret::new(SECRET)), ..KeySources::default() };
    Jwt::load(sources, settings).unwrap()
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": NOW + 60 })
}

/// The claims with some of them changed, `null` for none.
fn claims_with(changes: &Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
        if value.is_null() {
            all.as_object_mut().unwrap().remove(name);
        }
    }
    all
}

fn sign(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    encode(header, claims, key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn of_key(algorithm: Algorithm, kid: Option<&str>, key: &EncodingKey) -> String {
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    sign(&header, &claims(), key)
}

#[track_caller]
fn refused(jwt: &Jwt, token: &str, expected: &AuthError) {
    assert_eq!(jwt.verify(token, at(NOW)).as_ref(), Err(expected));
}

#[test]
fn a_token_names_its_user_and_authorities() {
    let jwt = with_secret(settings());
    let token = hs256(&claims_with(&json!({ "scope": "bid read", "roles": ["bidder", "read", 7] })));
    let principal = jwt.verify(&token, at(NOW)).unwrap();
    assert_eq!(principal.name, "ann");
    assert_eq!(principal.authorities, ["bid", "bidder", "read"]);
    assert_eq!(principal.expires_at, Some(at(NOW + 90)));
}

#[test]
fn claims_and_prefix_may_have_other_names() {
    let jwt = with_secret(JwtSettings {
        principal_claim: "uid".to_owned(),
        authority_prefix: "SCOPE_".to_owned(),
        ..settings()
    });
    let principal = jwt.verify(&hs256(&claims_with(&json!({ "uid": 42, "scope": "a" }))), at(NOW)).unwrap();
    assert_eq!((principal.name.as_str(), &principal.authorities[..]), ("42", &["SCOPE_a".to_owned()][..]));
    refused(&jwt, &hs256(&claims()), &AuthError::Claim("uid".to_owned()));
}

#[test]
fn time_is_checked_each_time_within_the_clock_skew() {
    let jwt = with_secret(settings());
    let token = hs256(&claims_with(&json!({ "nbf": NOW })));
    for (now, expected) in [
        (NOW - 31, Err(AuthError::NotYetValid)),
        (NOW - 30, Ok(())),
        (NOW + 89, Ok(())),
        (NOW + 90, Err(AuthError::Expired)),
        (NOW, Ok(())),
    ] {
        assert_eq!(jwt.verify(&token, at(now)).map(drop), expected, "{now}");
    }
}

#[test]
fn claims_that_are_missing_or_of_another_type_are_named() {
    let jwt = with_secret(settings());
    for (changes, claim) in [
        (json!({ "exp": null }), "exp"),
        (json!({ "exp": "tomorrow" }), "exp"),
        (json!({ "exp": -1 }), "exp"),
        (json!({ "exp": 1e300 }), "exp"),
        (json!({ "nbf": [] }), "nbf"),
        (json!({ "sub": null }), "sub"),
        (json!({ "sub": "" }), "sub"),
        (json!({ "sub": "x".repeat(257) }), "sub"),
    ] {
        refused(&jwt, &hs256(&claims_with(&changes)), &AuthError::Claim(claim.to_owned()));
    }
}

#[test]
fn issuer_and_audience_count_when_they_are_set() {
    let any = with_secret(settings());
    assert!(any.verify(&hs256(&claims_with(&json!({ "iss": "x", "aud": "y" }))), at(NOW)).is_ok());
    let jwt = with_secret(JwtSettings {
        issuer: Some("https://issuer".to_owned()),
        audiences: vec!["api".to_owned(), "chat".to_owned()],
        ..settings()
    });
    let token = |iss, aud| hs256(&claims_with(&json!({ "iss": iss, "aud": aud })));
    assert!(jwt.verify(&token(json!("https://issuer"), json!(["other", "chat"])), at(NOW)).is_ok());
    refused(&jwt, &token(json!("https://other"), json!("chat")), &AuthError::Issuer);
    refused(&jwt, &token(json!("https://issuer"), json!("other")), &AuthError::Audience);
    refused(&jwt, &token(json!("https://issuer"), json!(null)), &AuthError::Claim("aud".to_owned()));
    refused(&jwt, &token(json!(null), json!("chat")), &AuthError::Claim("iss".to_owned()));
}

/// A token whose header is this text.
fn with_header(header: &str, signature: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", encode(header), encode(&claims().to_string()))
}

#[test]
fn what_is_not_signed_by_a_key_is_refused() {
    let jwt = with_secret(settings());
    let good = hs256(&claims());
    let other = sign(&Header::new(Algorithm::HS256), &claims(), &EncodingKey::from_secret(b"another"));
    refused(&jwt, &other, &AuthError::Signature);
    let stronger = Header::new(Algorithm::HS512);
    let stronger = sign(&stronger, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
    refused(&jwt, &stronger, &AuthError::Algorithm);
    for none in ["none", "None", "NONE"] {
        refused(&jwt, &with_header(&format!(r#"{{"alg":"{none}"}}"#), ""), &AuthError::Algorithm);
    }
    for text in ["", "x", "a.b", "a.b.c.d", "....", &good.replace('.', "")] {
        refused(&jwt, text, &AuthError::Malformed);
    }
    let (signed, signature) = good.rsplit_once('.').unwrap();
    refused(&jwt, &format!("{signed}."), &AuthError::Signature);
    let (header, _) = signed.split_once('.').unwrap();
    let forged = URL_SAFE_NO_PAD.encode(claims_with(&json!({ "sub": "root" })).to_string());
    refused(&jwt, &format!("{header}.{forged}.{signature}"), &AuthError::Signature);
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["exp".to_owned()]);
    let critical = sign(&critical, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
    refused(&jwt, &critical, &AuthError::Malformed);
}

/// An RSA key pair.
fn rsa() -> (KeyPair, EncodingKey) {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let key = EncodingKey::from_rsa_pem(pair.serialize_pem().as_bytes()).unwrap();
    (pair, key)
}

fn load(sources: KeySources) -> Result<Jwt, KeyError> {
    Jwt::load(sources, settings())
}

fn file(dir: &TempDir, name: &str, text: impl AsRef<[u8]>) -> Option<std::path::PathBuf> {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    Some(path)
}

#[test]
fn a_public_key_verifies_its_own_algorithm_only() {
    let dir = tempfile::tempdir().unwrap();
    let (pair, key) = rsa();
    let public = pair.public_key_pem();
    let sources = KeySources { public_key: file(&dir, "rsa.pem", &public), ..KeySources::default() };
    let jwt = load(sources).unwrap();
    assert!(jwt.verify(&of_key(Algorithm::RS256, None, &key), at(NOW)).is_ok());
    refused(&jwt, &of_key(Algorithm::RS512, None, &key), &AuthError::Algorithm);
    refused(&jwt, &of_key(Algorithm::PS256, None, &key), &AuthError::Algorithm);
    refused(&jwt, &of_key(Algorithm::RS256, None, &rsa().1), &AuthError::Signature);
    // The public key as a secret, which everybody has.
    for secret in [public.as_bytes(), public.trim().as_bytes(), rcgen::PublicKeyData::der_bytes(&pair)] {
        let confused = of_key(Algorithm::HS256, None, &EncodingKey::from_secret(secret));
        refused(&jwt, &confused, &AuthError::Algorithm);
    }
}

#[test]
fn an_elliptic_curve_key_verifies_es256() {
    let dir = tempfile::tempdir().unwrap();
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
    let public_key = file(&dir, "ec.pem", pair.public_key_pem());
    let jwt = load(KeySources { public_key, ..KeySources::default() }).unwrap();
    assert!(jwt.verify(&of_key(Algorithm::ES256, None, &key), at(NOW)).is_ok());
}

fn jwk(key: &EncodingKey, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::RS256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

fn jwk_set(keys: Vec<Jwk>) -> Vec<u8> {
    serde_json::to_vec(&JwkSet { keys }).unwrap()
}

#[test]
fn the_key_id_chooses_from_a_set_and_without_one_all_are_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (rsa().1, rsa().1);
    let set = jwk_set(vec![jwk(&first, "1"), jwk(&second, "2")]);
    let jwt = load(KeySources { jwk_set: file(&dir, "jwks", set), ..KeySources::default() }).unwrap();
    for kid in [Some("2"), None] {
        assert!(jwt.verify(&of_key(Algorithm::RS256, kid, &second), at(NOW)).is_ok(), "{kid:?}");
    }
    refused(&jwt, &of_key(Algorithm::RS256, Some("1"), &second), &AuthError::Signature);
    refused(&jwt, &of_key(Algorithm::RS256, Some("3"), &second), &AuthError::UnknownKey);
}

#[test]
fn keys_for_encryption_and_of_unknown_kinds_are_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let key = rsa().1;
    let mut set: Value = serde_json::from_slice(&jwk_set(vec![jwk(&key, "1"), jwk(&key, "2")])).unwrap();
    set["keys"][1]["use"] = json!("enc");
    set["keys"].as_array_mut().unwrap().push(json!({ "kty": "future", "kid": "3" }));
    let jwk_set = file(&dir, "jwks", set.to_string());
    let jwt = load(KeySources { jwk_set, ..KeySources::default() }).unwrap();
    assert!(jwt.verify(&of_key(Algorithm::RS256, Some("1"), &key), at(NOW)).is_ok());
    refused(&jwt, &of_key(Algorithm::RS256, Some("2"), &key), &AuthError::UnknownKey);
}

#[test]
fn old_and_new_secret_can_be_in_force_together() {
    let dir = tempfile::tempdir().unwrap();
    let old = "the old secret, which goes on a while";
    let secret_file = file(&dir, "secrets", format!("{SECRET}\n\n  {old}\r\n"));
    let jwt = load(KeySources { secret_file, ..KeySources::default() }).unwrap();
    for secret in [SECRET, old] {
        let token = of_key(Algorithm::HS256, None, &EncodingKey::from_secret(secret.as_bytes()));
        assert!(jwt.verify(&token, at(NOW)).is_ok(), "{secret}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_named_with_their_setting_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let short = || Some(Secret::new("short"));
    let missing = Some(dir.path().join("missing"));
    let empty_set = file(&dir, "set", r#"{"keys":[]}"#);
    for (sources, expected) in [
        (
            KeySources { secret: short(), ..KeySources::default() },
            "security.jwt.secret: must have at least 32 bytes",
        ),
        (
            KeySources { secret_file: file(&dir, "s", "short\n"), ..KeySources::default() },
            "security.jwt.secret-file: s: a secret must have at least 32 bytes",
        ),
        (
            KeySources { public_key: file(&dir, "p", "hidden"), ..KeySources::default() },
            "security.jwt.public-key-location: p: holds no public key of RSA or an elliptic curve in PEM",
        ),
        (
            KeySources { jwk_set: file(&dir, "j", "hidden"), ..KeySources::default() },
            "security.jwt.jwk-set-file: j: is no JWK set",
        ),
        (
            KeySources { jwk_set: empty_set, ..KeySources::default() },
            "security.jwt.jwk-set-file: set: holds no key for signatures",
        ),
        (
            KeySources { jwk_set: missing, ..KeySources::default() },
            "security.jwt.jwk-set-file: missing: cannot be read",
        ),
    ] {
        let error = load(sources).unwrap_err().to_string();
        let prefix = Path::new(dir.path()).join("");
        assert_eq!(error.replace(prefix.to_str().unwrap(), ""), expected);
    }
}

#[test]
fn new_keys_are_taken_up_and_bad_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let metrics = crate::metrics::Metrics::try_new().unwrap().auth;
    let (old, new) = (rsa().1, rsa().1);
    let set = |key| jwk_set(vec![jwk(key, "1")]);
    let sources = KeySources { jwk_set: file(&dir, "jwks", set(&old)), ..KeySources::default() };
    let jwt = load(sources).unwrap();
    let (of_old, of_new) =
        (of_key(Algorithm::RS256, Some("1"), &old), of_key(Algorithm::RS256, Some("1"), &new));
    assert!(jwt.verify(&of_old, at(NOW)).is_ok());
    refused(&jwt, &of_new, &AuthError::Signature);
    let reloads = |result| metrics.key_reloads.with_label_values(&[result]).get();
    file(&dir, "jwks", "{");
    jwt.replace(jwt.sources.read(), &metrics);
    assert_eq!((reloads("failed"), reloads("ok")), (1, 0));
    assert!(jwt.verify(&of_old, at(NOW)).is_ok());
    // Though it was verified before, the token of a key that is gone is not.
    file(&dir, "jwks", set(&new));
    jwt.replace(jwt.sources.read(), &metrics);
    assert_eq!((reloads("failed"), reloads("ok")), (1, 1));
    refused(&jwt, &of_old, &AuthError::Signature);
    assert!(jwt.verify(&of_new, at(NOW)).is_ok());
}
