//! JSON Web Tokens of clients: taken apart, and their claims checked.
//!
//! ELB page: "Verify JWTs using an Application Load Balancer"; RFC 7515, RFC
//! 7519. Only RS256 (RFC 7518 section 3.3). `iss` and `exp` must be there,
//! `nbf` and `iat` are checked if they are. How far clocks may be apart ELB
//! does not say: here `nbf` and `iat` may lie [`LEEWAY`] ahead, `exp` counts to
//! the second. Pure: signatures are checked in [`super::jwks`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::model::rule::{AdditionalClaim, ClaimFormat, JwtValidation};

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// How many seconds the clock of an issuer may be ahead.
pub const LEEWAY: u64 = 30;

/// A token whose signature has not been checked yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Token<'a> {
    /// `kid`: the key that signed it.
    pub kid: Option<String>,
    /// What was signed.
    pub signed: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    /// The claims.
    pub claims: Claims,
}

/// The token of a request, from the values of its `Authorization` fields.
///
/// # Errors
///
/// [`Refusal::JwtMissing`] without the field, [`Refusal::JwtMalformed`] if it is not one bearer token.
pub fn bearer<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<&'a str, Refusal> {
    let value = values.next().ok_or(Refusal::JwtMissing)?;
    if values.next().is_some() {
        return Err(Refusal::JwtMalformed);
    }
    let text = std::str::from_utf8(value).map_err(|_| Refusal::JwtMalformed)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(Refusal::JwtMalformed)?;
    let is_bearer = scheme.eq_ignore_ascii_case("Bearer");
    if is_bearer { Ok(token.trim_start()) } else { Err(Refusal::JwtMalformed) }
}

/// Takes a token apart.
///
/// # Errors
///
/// [`Refusal::JwtMalformed`] if it is not three parts in base64url, the first two JSON objects, or not
/// signed with RS256.
pub fn parse(token: &str) -> Result<Token<'_>, Refusal> {
    parts(token).ok_or(Refusal::JwtMalformed)
}

fn parts(token: &str) -> Option<Token<'_>> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let header = object(header)?;
    // Critical extensions (RFC 7515 section 4.1.11) are not understood.
    if header.get("alg")?.as_str()? != "RS256" || header.contains_key("crit") {
        return None;
    }
    let kid = match header.get("kid") {
        Some(kid) => Some(kid.as_str()?.to_owned()),
        None => None,
    };
    Some(Token { kid, signed, signature: URL_SAFE_NO_PAD.decode(signature).ok()?, claims: object(payload)? })
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// The claims of a token whose signature does not matter, since it came straight from its issuer over TLS
/// (`OpenID` Connect Core section 3.1.3.7).
#[must_use]
pub fn unverified_claims(token: &str) -> Option<Claims> {
    let (signed, _) = token.rsplit_once('.')?;
    let (_, payload) = signed.split_once('.')?;
    object(payload.trim_end_matches('='))
}

/// Whether the claims are those that `expected` asks for, at `now` in seconds since 1970.
///
/// # Errors
///
/// What is wrong with the first claim that is not.
pub fn check(claims: &Claims, expected: &JwtValidation, now: u64) -> Result<(), Refusal> {
    let issuer = claims.get("iss").ok_or(Refusal::JwtClaimMissing)?;
    let issuer = issuer.as_str().ok_or(Refusal::JwtClaimFormat)?;
    claim_holds(issuer == expected.issuer)?;
    let expires = seconds(claims, "exp")?.ok_or(Refusal::JwtClaimMissing)?;
    claim_holds(expires > as_seconds(now))?;
    for name in ["nbf", "iat"] {
        if let Some(from) = seconds(claims, name)? {
            claim_holds(from <= as_seconds(now.saturating_add(LEEWAY)))?;
        }
    }
    expected.additional_claims.iter().try_for_each(|expected| additional(claims, expected))
}

const fn claim_holds(holds: bool) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(Refusal::JwtClaimValue) }
}

/// A `NumericDate` (RFC 7519 section 2), which may have a fraction.
fn seconds(claims: &Claims, name: &str) -> Result<Option<f64>, Refusal> {
    claims.get(name).map(|value| value.as_f64().ok_or(Refusal::JwtClaimFormat)).transpose()
}

#[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit 52 bits for millions of years")]
pub(super) const fn as_seconds(seconds: u64) -> f64 {
    seconds as f64
}

/// One of the values must be there.
fn additional(claims: &Claims, expected: &AdditionalClaim) -> Result<(), Refusal> {
    let value = claims.get(&expected.name).ok_or(Refusal::JwtClaimMissing)?;
    let is_wanted = |value: &str| expected.values.iter().any(|wanted| wanted == value);
    let holds = match expected.format {
        ClaimFormat::SingleString => is_wanted(value.as_str().ok_or(Refusal::JwtClaimFormat)?),
        ClaimFormat::SpaceSeparatedValues => {
            value.as_str().ok_or(Refusal::JwtClaimFormat)?.split(' ').any(is_wanted)
        }
        ClaimFormat::StringArray => {
            let values = value.as_array().ok_or(Refusal::JwtClaimFormat)?;
            if !values.iter().all(Value::is_string) {
                return Err(Refusal::JwtClaimFormat);
            }
            values.iter().filter_map(Value::as_str).any(is_wanted)
        }
    };
    claim_holds(holds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn expected(claims: &[(&str, ClaimFormat, &[&str])]) -> JwtValidation {
        let claim = |(name, format, values): &(&str, ClaimFormat, &[&str])| AdditionalClaim {
            name: (*name).to_owned(),
            format: *format,
            values: values.iter().map(ToString::to_string).collect(),
        };
        JwtValidation {
            jwks_endpoint: "https://idp.test/jwks".to_owned(),
            issuer: "https://idp.test".to_owned(),
            additional_claims: claims.iter().map(claim).collect(),
        }
    }

    #[track_caller]
    fn refused(claims: &Value, expected: &JwtValidation) -> Option<Refusal> {
        check(claims.as_object().unwrap(), expected, NOW).err()
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn issuer_and_expiry_must_be_there_and_times_must_fit() {
        let check = |changes: Value, refusal: Option<Refusal>| {
            let mut claims = json!({ "iss": "https://idp.test", "exp": NOW + 1 });
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            assert_eq!(refused(&claims, &expected(&[])), refusal, "{changes}");
        };
        check(json!({}), None);
        check(json!({ "nbf": NOW, "iat": NOW + LEEWAY, "exp": 1.8e9 }), None);
        check(json!({ "iss": "https://other.test" }), Some(Refusal::JwtClaimValue));
        check(json!({ "iss": 7 }), Some(Refusal::JwtClaimFormat));
        check(json!({ "exp": NOW }), Some(Refusal::JwtClaimValue));
        check(json!({ "exp": "soon" }), Some(Refusal::JwtClaimFormat));
        check(json!({ "nbf": NOW + LEEWAY + 1 }), Some(Refusal::JwtClaimValue));
        check(json!({ "iat": NOW + LEEWAY + 1 }), Some(Refusal::JwtClaimValue));
        check(json!({ "iat": null }), Some(Refusal::JwtClaimFormat));
        assert_eq!(refused(&json!({ "exp": NOW + 1 }), &expected(&[])), Some(Refusal::JwtClaimMissing));
        let without_expiry = json!({ "iss": "https://idp.test" });
        assert_eq!(refused(&without_expiry, &expected(&[])), Some(Refusal::JwtClaimMissing));
    }

    #[test]
    fn further_claims_have_three_formats() {
        let check = |format: ClaimFormat, value: Value, refusal: Option<Refusal>| {
            let claims = json!({ "iss": "https://idp.test", "exp": NOW + 1, "scope": value });
            let expected = expected(&[("scope", format, &["read", "write"])]);
            assert_eq!(refused(&claims, &expected), refusal, "{format:?} {value}");
        };
        let (value, format) = (Some(Refusal::JwtClaimValue), Some(Refusal::JwtClaimFormat));
        check(ClaimFormat::SingleString, json!("read"), None);
        check(ClaimFormat::SingleString, json!("read write"), value);
        check(ClaimFormat::SingleString, json!(["read"]), format);
        check(ClaimFormat::SpaceSeparatedValues, json!("openid write"), None);
        check(ClaimFormat::SpaceSeparatedValues, json!("reading"), value);
        check(ClaimFormat::SpaceSeparatedValues, json!(["read"]), format);
        check(ClaimFormat::StringArray, json!(["x", "read"]), None);
        check(ClaimFormat::StringArray, json!([]), value);
        check(ClaimFormat::StringArray, json!(["read", 1]), format);
        check(ClaimFormat::StringArray, json!("read"), format);
        let missing = json!({ "iss": "https://idp.test", "exp": NOW + 1 });
        let expected = expected(&[("scope", ClaimFormat::SingleString, &["read"])]);
        assert_eq!(refused(&missing, &expected), Some(Refusal::JwtClaimMissing));
    }

    #[test]
    fn a_bearer_token_is_one_field_with_one_scheme() {
        let check = |values: &[&str], expected: Result<&str, Refusal>| {
            assert_eq!(bearer(values.iter().map(|value| value.as_bytes())), expected, "{values:?}");
        };
        check(&[], Err(Refusal::JwtMissing));
        check(&["Bearer a.b.c"], Ok("a.b.c"));
        check(&["bearer  a.b.c "], Ok("a.b.c"));
        check(&["Basic YTpi"], Err(Refusal::JwtMalformed));
        check(&["Bearer"], Err(Refusal::JwtMalformed));
        check(&["Bearer a", "Bearer b"], Err(Refusal::JwtMalformed));
    }

    #[test]
    fn only_rs256_is_taken() {
        let token = |header: Value| format!("{}.{}.c2ln", part(&header), part(&json!({ "iss": "i" })));
        let good = token(json!({ "alg": "RS256", "kid": "k", "typ": "JWT" }));
        let parsed = parse(&good).unwrap();
        assert_eq!(parsed.kid.as_deref(), Some("k"));
        assert_eq!(parsed.signature, b"sig");
        assert_eq!(format!("{}.c2ln", parsed.signed), good);
        assert_eq!(parsed.claims.get("iss"), Some(&json!("i")));
        for header in [
            json!({ "alg": "none" }),
            json!({ "alg": "HS256" }),
            json!({ "alg": "ES256" }),
            json!({ "alg": "rs256" }),
            json!({ "kid": "k" }),
            json!({ "alg": "RS256", "kid": 1 }),
            json!({ "alg": "RS256", "crit": ["b64"] }),
            json!(["RS256"]),
        ] {
            assert_eq!(parse(&token(header.clone())), Err(Refusal::JwtMalformed), "{header}");
        }
        for token in ["", ".", "..", "a.b", "a.b.c.d", "****.e30.c2ln"] {
            assert_eq!(parse(token), Err(Refusal::JwtMalformed), "{token}");
        }
    }

    proptest! {
        #[test]
        fn no_token_makes_it_panic(token in "[A-Za-z0-9._-]{0,80}|\\PC{0,40}") {
            drop(parse(&token));
            drop(unverified_claims(&token));
        }

        #[test]
        fn no_claims_make_it_panic(text in "[\\[\\]{}\":,a-z0-9.-]{0,60}") {
            let header = part(&json!({ "alg": "RS256" }));
            let token = format!("{header}.{}.c2ln", URL_SAFE_NO_PAD.encode(&text));
            if let Ok(token) = parse(&token) {
                prop_assert!(check(&token.claims, &expected(&[]), NOW).is_err());
            }
        }
    }
}
