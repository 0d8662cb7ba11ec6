//! Actions that authenticate: `authenticate_oidc`, `jwt_validation`.
//!
//! ELB pages: "Authenticate users using an Application Load Balancer", "Verify
//! JWTs using an Application Load Balancer". `authenticate_cognito` is checked
//! and refused: the client secret of a user pool is to be had only from an API
//! of AWS.

use std::{sync::Arc, time::Duration};

use super::{
    context::Context,
    path::Path,
    raw::{List, RawAttributes, RawAuthenticateCognito, RawAuthenticateOidc, RawClaim, RawJwtValidation},
    scalar::{Span, Text},
};
use crate::model::rule::{
    AdditionalClaim, Authenticate, AuthenticateOidc, ClaimFormat, JwtValidation, OnUnauthenticatedRequest,
};

/// Longest session, in seconds: seven days, which is the default too.
const LONGEST_SESSION: u64 = 604_800;
/// Most `authentication_request_extra_params`.
const MOST_EXTRA_PARAMS: usize = 10;
/// Parameters of the login request that the load balancer sets.
const OWN_PARAMS: [&str; 5] = ["client_id", "redirect_uri", "response_type", "scope", "state"];
/// Default of `session_cookie_name`.
const SESSION_COOKIE: &str = "AWSELBAuthSessionCookie";
/// Longest `session_cookie_name`, in characters, so that a cookie's value has room beside it.
const LONGEST_COOKIE_NAME: usize = 256;
/// Default of `scope`.
const SCOPE: &str = "openid";
/// Most claims besides issuer and expiry.
const MOST_CLAIMS: usize = 10;
/// Most values of a claim.
const MOST_VALUES: usize = 10;
/// Longest value of a claim, in characters.
const LONGEST_VALUE: usize = 256;

/// `authenticate_oidc`.
pub(super) fn oidc(raw: RawAuthenticateOidc, at: &Path, cx: &mut Context<'_>) -> Option<Authenticate> {
    let issuer = https_url(raw.issuer, &at.key("issuer"), cx);
    let authorization_endpoint = https_url(raw.authorization_endpoint, &at.key("authorization_endpoint"), cx);
    let token_endpoint = https_url(raw.token_endpoint, &at.key("token_endpoint"), cx);
    let user_info_endpoint = https_url(raw.user_info_endpoint, &at.key("user_info_endpoint"), cx);
    let client_id = cx.required(raw.client_id, &at.key("client_id"));
    let client_secret = cx.required(raw.client_secret, &at.key("client_secret"));
    let session = RawSession {
        cookie_name: raw.session_cookie_name,
        scope: raw.scope,
        timeout: raw.session_timeout,
        extra_params: raw.authentication_request_extra_params,
        on_unauthenticated_request: raw.on_unauthenticated_request,
    };
    let session = session.convert(at, cx);
    Some(Authenticate::Oidc(Arc::new(AuthenticateOidc {
        issuer: issuer?,
        authorization_endpoint: authorization_endpoint?,
        token_endpoint: token_endpoint?,
        user_info_endpoint: user_info_endpoint?,
        client_id: client_id?,
        client_secret: client_secret?,
        session_cookie_name: session.cookie_name,
        scope: session.scope,
        session_timeout: session.timeout,
        authentication_request_extra_params: session.extra_params.into_iter().collect(),
        on_unauthenticated_request: session.on_unauthenticated_request,
    })))
}

/// `authenticate_cognito`.
pub(super) fn cognito(raw: RawAuthenticateCognito, at: &Path, cx: &mut Context<'_>) {
    cx.required(raw.user_pool_arn, &at.key("user_pool_arn"));
    cx.required(raw.user_pool_client_id, &at.key("user_pool_client_id"));
    cx.required(raw.user_pool_domain, &at.key("user_pool_domain"));
    let session = RawSession {
        cookie_name: raw.session_cookie_name,
        scope: raw.scope,
        timeout: raw.session_timeout,
        extra_params: raw.authentication_request_extra_params,
        on_unauthenticated_request: raw.on_unauthenticated_request,
    };
    session.convert(at, cx);
    let message = "the client secret of a user pool is only to be had from AWS: \
                   use authenticate_oidc with the endpoints, client id and client secret of the pool";
    cx.report.mistake(at, message);
}

/// `jwt_validation`.
pub(super) fn jwt(raw: RawJwtValidation, at: &Path, cx: &mut Context<'_>) -> Option<Authenticate> {
    let jwks_endpoint = https_url(raw.jwks_endpoint, &at.key("jwks_endpoint"), cx);
    let issuer = cx.required(raw.issuer, &at.key("issuer"));
    let claims = raw.additional_claims.unwrap_or_default();
    let claims_at = at.key("additional_claims");
    if claims.len() > MOST_CLAIMS {
        let message = format!("can have up to {MOST_CLAIMS} claims, not {}", claims.len());
        cx.report.mistake(&claims_at, message);
    }
    let mut additional_claims = Vec::with_capacity(claims.len());
    for (index, raw) in claims.into_iter().enumerate() {
        let at = claims_at.index(index);
        match raw {
            Some(raw) => additional_claims.extend(claim(raw, &at, cx)),
            None => cx.report.missing(&at),
        }
    }
    let jwks_endpoint = jwks_endpoint?;
    Some(Authenticate::Jwt(Arc::new(JwtValidation { jwks_endpoint, issuer: issuer?, additional_claims })))
}

fn claim(raw: RawClaim, at: &Path, cx: &mut Context<'_>) -> Option<AdditionalClaim> {
    const FORMATS: &[(&str, ClaimFormat)] = &[
        ("single-string", ClaimFormat::SingleString),
        ("string-array", ClaimFormat::StringArray),
        ("space-separated-values", ClaimFormat::SpaceSeparatedValues),
    ];
    let name_at = at.key("name");
    let name = cx.required(raw.name, &name_at);
    if let Some(name) = &name
        && ["exp", "iss", "nbf", "iat"].contains(&name.as_str())
    {
        cx.report.mistake(&name_at, format!("the claim '{name}' is always checked"));
    }
    let format_at = at.key("format");
    let format = cx.required(raw.format, &format_at);
    let format = format.and_then(|format| cx.one_of(&format, &format_at, "claim format", FORMATS));
    let values = claim_values(raw.values, format, &at.key("values"), cx);
    Some(AdditionalClaim { name: name?, format: format?, values })
}

fn claim_values(
    raw: List<Text>,
    format: Option<ClaimFormat>,
    at: &Path,
    cx: &mut Context<'_>,
) -> Vec<String> {
    let raw = raw.unwrap_or_default();
    let most = if format == Some(ClaimFormat::SingleString) { 1 } else { MOST_VALUES };
    if raw.is_empty() {
        cx.report.missing(at);
    } else if raw.len() > most {
        let message = format!("can have up to {most} values in this format, not {}", raw.len());
        cx.report.mistake(at, message);
    }
    let mut values = Vec::with_capacity(raw.len());
    for (index, value) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let value = cx.required(value, &at);
        if value.as_ref().is_some_and(|value| value.chars().count() > LONGEST_VALUE) {
            cx.report.mistake(&at, format!("cannot be longer than {LONGEST_VALUE} characters"));
        }
        values.extend(value);
    }
    values
}

/// What both kinds of login sessions share.
struct RawSession {
    cookie_name: Option<Text>,
    scope: Option<Text>,
    timeout: Option<Span>,
    extra_params: RawAttributes,
    on_unauthenticated_request: Option<Text>,
}

struct Session {
    cookie_name: String,
    scope: String,
    timeout: Duration,
    extra_params: Vec<(String, String)>,
    on_unauthenticated_request: OnUnauthenticatedRequest,
}

impl RawSession {
    /// The session; where something is reported, its default.
    fn convert(self, at: &Path, cx: &mut Context<'_>) -> Session {
        const UNAUTHENTICATED: &[(&str, OnUnauthenticatedRequest)] = &[
            ("authenticate", OnUnauthenticatedRequest::Authenticate),
            ("allow", OnUnauthenticatedRequest::Allow),
            ("deny", OnUnauthenticatedRequest::Deny),
        ];
        let mut text = |key: &str, raw: Option<Text>, default: &str| match raw {
            Some(raw) => cx.required(Some(raw), &at.key(key)).unwrap_or_default(),
            None => default.to_owned(),
        };
        let cookie_name = text("session_cookie_name", self.cookie_name, SESSION_COOKIE);
        let scope = text("scope", self.scope, SCOPE);
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if cookie_name.len() > LONGEST_COOKIE_NAME || !cookie_name.bytes().all(is_token) {
            cx.report.mistake(&at.key("session_cookie_name"), "is not the name of a cookie");
        }
        let timeout = self.timeout.and_then(|span| {
            cx.seconds(span, &at.key("session_timeout"), "session timeout", (1, LONGEST_SESSION))
        });
        let extra_params = extra_params(self.extra_params, at, cx);
        let on_unauthenticated_request = self.on_unauthenticated_request.and_then(|Text(text)| {
            let at = at.key("on_unauthenticated_request");
            cx.one_of(&text, &at, "on_unauthenticated_request", UNAUTHENTICATED)
        });
        Session {
            cookie_name,
            scope,
            timeout: timeout.unwrap_or(Duration::from_secs(LONGEST_SESSION)),
            extra_params,
            on_unauthenticated_request: on_unauthenticated_request
                .unwrap_or(OnUnauthenticatedRequest::Authenticate),
        }
    }
}

fn extra_params(raw: RawAttributes, at: &Path, cx: &mut Context<'_>) -> Vec<(String, String)> {
    let raw = raw.unwrap_or_default();
    let at = at.key("authentication_request_extra_params");
    if raw.len() > MOST_EXTRA_PARAMS {
        let message = format!("can have up to {MOST_EXTRA_PARAMS} parameters, not {}", raw.len());
        cx.report.mistake(&at, message);
    }
    let mut params = Vec::with_capacity(raw.len());
    for (key, value) in raw {
        let at = at.key(&key);
        if OWN_PARAMS.contains(&key.as_str()) {
            cx.report.mistake(&at, format!("the parameter '{key}' is set by the load balancer"));
        }
        params.extend(cx.required(value, &at).map(|value| (key, value)));
    }
    params
}

fn https_url(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) -> Option<String> {
    let url = cx.required(raw, at)?;
    let fine =
        url.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    if !fine {
        cx.report.mistake(at, format!("'{url}' is not an https URL"));
    }
    fine.then_some(url)
}
