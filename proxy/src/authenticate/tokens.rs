//! What is asked of the token and user info endpoints, and what they answer.
//!
//! ELB page: "Authenticate users using an Application Load Balancer"; RFC 6749
//! sections 4.1.3, 5 and 6, `OpenID` Connect Core sections 3.1.3 and 5.3. How ELB
//! sends the client secret is not published; here it is HTTP Basic, the one way
//! that every server must take. An ID token comes straight from the token
//! endpoint over TLS, so its claims are checked and not its signature: ELB has
//! no setting for keys either.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use serde::Deserialize;
use serde_json::Value;

use super::{
    fetch::{Answer, FetchError},
    jwt::{self, Claims, LEEWAY},
    query,
    refusal::Refusal,
    session::MOST_CLAIMS,
};
use crate::model::rule::AuthenticateOidc;

/// Largest answer that is read of either endpoint, in bytes.
pub const MOST_BYTES: usize = 64 * 1024;

/// What tokens are asked for with.
#[derive(Clone, Copy)]
pub enum Grant<'a> {
    /// The code that the browser brought, and where it brought it.
    Code {
        /// `code`.
        code: &'a str,
        /// `redirect_uri` of the login request.
        redirect_uri: &'a str,
    },
    /// A refresh token.
    Refresh(&'a str),
}

/// What the token endpoint gave.
#[derive(Deserialize)]
pub struct Tokens {
    /// For the user info endpoint, and for the target.
    pub access_token: String,
    /// Who logged in.
    pub id_token: Option<String>,
    /// For new tokens.
    pub refresh_token: Option<String>,
    /// How long the access token is valid, in seconds.
    pub expires_in: Option<Seconds>,
}

/// A number of seconds; some servers send it as text.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
pub struct Seconds(pub u64);

impl TryFrom<Value> for Seconds {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        seconds.map(Self).ok_or("no number of seconds")
    }
}

/// The call of the token endpoint. `None` if the settings fit in no header.
#[must_use]
pub fn token_request(action: &AuthenticateOidc, grant: Grant<'_>) -> Option<Request<Bytes>> {
    let form = match grant {
        Grant::Code { code, redirect_uri } => query::form([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
        ]),
        Grant::Refresh(token) => {
            query::form([("grant_type", "refresh_token"), ("refresh_token", token), ("scope", &action.scope)])
        }
    };
    // RFC 6749 section 2.3.1: both parts are encoded as in a form first.
    let mut credentials = String::new();
    query::encode(&action.client_id, &mut credentials);
    credentials.push(':');
    query::encode(&action.client_secret, &mut credentials);
    let mut authorization = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(credentials))).ok()?;
    authorization.set_sensitive(true);
    Request::post(&action.token_endpoint)
        .header(header::AUTHORIZATION, authorization)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(form.into())
        .ok()
}

/// Reads the token endpoint's answer.
///
/// # Errors
///
/// The refusal if it gives no access token that can stand in a header.
pub fn tokens(answer: Result<Answer, FetchError>) -> Result<Tokens, Refusal> {
    let answer = answer.map_err(|error| match error {
        FetchError::Unreachable => Refusal::TokenTimeout,
        FetchError::TooLarge => Refusal::InvalidTokenResponse,
    })?;
    if !answer.status.is_success() {
        let error = serde_json::from_slice::<Value>(&answer.body).ok();
        let error = error.as_ref().and_then(|error| error.get("error")?.as_str());
        let is_grant = error == Some("invalid_grant");
        return Err(if is_grant { Refusal::InvalidGrant } else { Refusal::TokenFailed });
    }
    let tokens: Tokens = serde_json::from_slice(&answer.body).map_err(|_| Refusal::InvalidTokenResponse)?;
    let fits = |token: &str| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fits(&tokens.access_token) { Ok(tokens) } else { Err(Refusal::InvalidTokenResponse) }
}

/// Whether the ID token is one for this client now; its subject.
///
/// # Errors
///
/// [`Refusal::InvalidIdToken`] if it is not.
pub fn check_id_token(token: &str, action: &AuthenticateOidc, now: u64) -> Result<String, Refusal> {
    subject(token, action, now).ok_or(Refusal::InvalidIdToken)
}

fn subject(token: &str, action: &AuthenticateOidc, now: u64) -> Option<String> {
    let claims = jwt::unverified_claims(token)?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    let client = action.client_id.as_str();
    let is_ours = match claims.get("aud")? {
        Value::String(audience) => audience == client,
        Value::Array(audiences) => {
            let names_us = audiences.iter().any(|audience| audience == client);
            names_us && (audiences.len() == 1 || text("azp").is_none_or(|party| party == client))
        }
        _ => false,
    };
    let latest = jwt::as_seconds(now.saturating_add(LEEWAY));
    let is_current =
        seconds("exp")? > jwt::as_seconds(now) && seconds("iat").is_none_or(|issued| issued <= latest);
    let is_from_there = text("iss")? == action.issuer;
    (is_ours && is_current && is_from_there).then(|| text("sub").map(str::to_owned))?
}

/// The call of the user info endpoint. `None` if the token fits in no header.
#[must_use]
pub fn userinfo_request(action: &AuthenticateOidc, access_token: &str) -> Option<Request<Bytes>> {
    let mut authorization = HeaderValue::try_from(format!("Bearer {access_token}")).ok()?;
    authorization.set_sensitive(true);
    Request::get(&action.user_info_endpoint)
        .header(header::AUTHORIZATION, authorization)
        .header(header::ACCEPT, "application/json")
        .body(Bytes::new())
        .ok()
}

/// Reads the user info endpoint's answer: the claims of `subject`, or of anybody if that is not known.
///
/// # Errors
///
/// The refusal if they are none, of another user, or with the access token too large.
pub fn claims(
    answer: Result<Answer, FetchError>,
    access_token: &str,
    subject: Option<&str>,
) -> Result<Claims, Refusal> {
    let answer = answer.map_err(|error| match error {
        FetchError::Unreachable => Refusal::UserinfoTimeout,
        FetchError::TooLarge => Refusal::ClaimsTooLarge,
    })?;
    if !answer.status.is_success() {
        return Err(Refusal::UserinfoFailed);
    }
    let claims: Claims = serde_json::from_slice(&answer.body).map_err(|_| Refusal::InvalidUserinfo)?;
    let own = claims.get("sub").and_then(Value::as_str).ok_or(Refusal::InvalidUserinfo)?;
    // `OpenID` Connect Core section 5.3.2: claims of somebody else must not be used.
    let is_theirs = subject.is_none_or(|subject| subject == own);
    if !is_theirs || !own.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Refusal::InvalidUserinfo);
    }
    let size = serde_json::to_vec(&claims).map_err(|_| Refusal::Unhandled)?.len() + access_token.len();
    if size > MOST_CLAIMS { Err(Refusal::ClaimsTooLarge) } else { Ok(claims) }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use http::StatusCode;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::authenticate::fixtures::action;

    const NOW: u64 = 1_700_000_000;

    fn answer(status: u16, body: &Value) -> Result<Answer, FetchError> {
        Ok(Answer { status: StatusCode::from_u16(status).unwrap(), body: body.to_string().into() })
    }

    #[test]
    fn the_secret_travels_in_basic_authentication() {
        let grant = Grant::Code { code: "c/d", redirect_uri: "https://a.test/oauth2/idpresponse" };
        let request = token_request(&action(), grant).unwrap();
        assert_eq!(request.uri(), "https://idp.test/token");
        // client%201:s%3Aecret
        assert_eq!(request.headers()["authorization"], "Basic Y2xpZW50JTIwMTpzJTNBZWNyZXQ=");
        let expected = "grant_type=authorization_code&code=c%2Fd&redirect_uri=https%3A%2F%2Fa.test%2Foauth2%2Fidpresponse";
        assert_eq!(request.body(), expected);
        let request = token_request(&action(), Grant::Refresh("r")).unwrap();
        assert_eq!(request.body(), "grant_type=refresh_token&refresh_token=r&scope=openid");
        assert!(!format!("{request:?}").contains("Y2xpZW50"), "secrets stay out of debug output");
    }

    #[test]
    fn answers_of_the_token_endpoint() {
        let check = |answer: Result<Answer, FetchError>, expected: Option<Refusal>| {
            assert_eq!(tokens(answer.clone()).err(), expected, "{answer:?}");
        };
        check(answer(200, &json!({ "access_token": "a", "expires_in": "60", "token_type": "Bearer" })), None);
        check(answer(400, &json!({ "error": "invalid_grant" })), Some(Refusal::InvalidGrant));
        check(answer(401, &json!({ "error": "invalid_client" })), Some(Refusal::TokenFailed));
        check(answer(302, &json!(null)), Some(Refusal::TokenFailed));
        check(answer(200, &json!({ "id_token": "x" })), Some(Refusal::InvalidTokenResponse));
        check(answer(200, &json!({ "access_token": "a b\n" })), Some(Refusal::InvalidTokenResponse));
        check(answer(200, &json!("no object")), Some(Refusal::InvalidTokenResponse));
        check(Err(FetchError::TooLarge), Some(Refusal::InvalidTokenResponse));
        check(Err(FetchError::Unreachable), Some(Refusal::TokenTimeout));
    }

    #[test]
    fn an_id_token_is_for_this_client_and_for_now() {
        let check = |changes: Value, expected: Option<&str>| {
            let mut claims =
                json!({ "iss": "https://idp.test", "aud": "client 1", "exp": NOW + 1, "sub": "user" });
            for (name, value) in changes.as_object().unwrap() {
                claims[name] = value.clone();
            }
            let token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
            let subject = check_id_token(&token, &action(), NOW);
            assert_eq!(subject.ok().as_deref(), expected, "{changes}");
        };
        check(json!({}), Some("user"));
        check(json!({ "aud": ["client 1"], "iat": NOW }), Some("user"));
        check(json!({ "aud": ["other", "client 1"], "azp": "client 1" }), Some("user"));
        check(json!({ "aud": ["other", "client 1"], "azp": "other" }), None);
        check(json!({ "aud": "other" }), None);
        check(json!({ "aud": 1 }), None);
        check(json!({ "iss": "https://evil.test" }), None);
        check(json!({ "exp": NOW }), None);
        check(json!({ "exp": "never" }), None);
        check(json!({ "iat": NOW + LEEWAY + 1 }), None);
        check(json!({ "sub": null }), None);
        assert_eq!(check_id_token("not a token", &action(), NOW), Err(Refusal::InvalidIdToken));
    }

    #[test]
    fn claims_are_of_the_same_user_and_of_11_kb() {
        let check = |answer: Result<Answer, FetchError>, expected: Option<Refusal>| {
            assert_eq!(claims(answer, &"a".repeat(1000), Some("user")).err(), expected);
        };
        check(answer(200, &json!({ "sub": "user", "email": "a@b.test" })), None);
        check(answer(200, &json!({ "sub": "other" })), Some(Refusal::InvalidUserinfo));
        check(answer(200, &json!({ "email": "a@b.test" })), Some(Refusal::InvalidUserinfo));
        check(answer(200, &json!("eyJhbGciOiJub25lIn0.e30.")), Some(Refusal::InvalidUserinfo));
        check(answer(401, &json!({})), Some(Refusal::UserinfoFailed));
        let size = |padding: usize| json!({ "sub": "user", "x": "x".repeat(padding) });
        check(answer(200, &size(11 * 1024 - 1000 - 21)), None);
        check(answer(200, &size(11 * 1024 - 1000 - 20)), Some(Refusal::ClaimsTooLarge));
        check(Err(FetchError::TooLarge), Some(Refusal::ClaimsTooLarge));
        check(Err(FetchError::Unreachable), Some(Refusal::UserinfoTimeout));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(body in "[\\[\\]{}\":,a-z_0-9.-]{0,60}") {
            let answer = Answer { status: StatusCode::OK, body: body.clone().into() };
            drop(tokens(Ok(answer.clone())));
            drop(claims(Ok(answer), "a", None));
            drop(check_id_token(&body, &action(), NOW));
        }
    }
}
