//! Authentication actions: checked, then refused as not supported yet.
//!
//! ELB pages: "Authenticate users using an Application Load Balancer", "Verify
//! JWTs using an Application Load Balancer".

use super::{
    context::Context,
    path::Path,
    raw::{RawAttributes, RawAuthenticateCognito, RawAuthenticateOidc, RawClaim, RawJwtValidation},
    scalar::{Span, Text},
};

/// Longest session, in seconds: seven days, which is the default too.
const LONGEST_SESSION: u64 = 604_800;
/// Most `authentication_request_extra_params`.
const MOST_EXTRA_PARAMS: usize = 10;
/// Most claims besides issuer and expiry.
const MOST_CLAIMS: usize = 10;

/// `authenticate_oidc`.
pub(super) fn oidc(raw: RawAuthenticateOidc, at: &Path, cx: &mut Context<'_>) {
    for (key, url) in [
        ("issuer", raw.issuer),
        ("authorization_endpoint", raw.authorization_endpoint),
        ("token_endpoint", raw.token_endpoint),
        ("user_info_endpoint", raw.user_info_endpoint),
    ] {
        https_url(url, &at.key(key), cx);
    }
    cx.required(raw.client_id, &at.key("client_id"));
    cx.required(raw.client_secret, &at.key("client_secret"));
    let session = Session {
        cookie_name: raw.session_cookie_name,
        scope: raw.scope,
        timeout: raw.session_timeout,
        extra_params: raw.authentication_request_extra_params,
        on_unauthenticated_request: raw.on_unauthenticated_request,
    };
    session.check(at, cx);
    cx.report.not_yet(at, "the action authenticate_oidc");
}

/// `authenticate_cognito`.
pub(super) fn cognito(raw: RawAuthenticateCognito, at: &Path, cx: &mut Context<'_>) {
    cx.required(raw.user_pool_arn, &at.key("user_pool_arn"));
    cx.required(raw.user_pool_client_id, &at.key("user_pool_client_id"));
    cx.required(raw.user_pool_domain, &at.key("user_pool_domain"));
    let session = Session {
        cookie_name: raw.session_cookie_name,
        scope: raw.scope,
        timeout: raw.session_timeout,
        extra_params: raw.authentication_request_extra_params,
        on_unauthenticated_request: raw.on_unauthenticated_request,
    };
    session.check(at, cx);
    cx.report.not_yet(at, "the action authenticate_cognito");
}

/// `jwt_validation`.
pub(super) fn jwt(raw: RawJwtValidation, at: &Path, cx: &mut Context<'_>) {
    https_url(raw.jwks_endpoint, &at.key("jwks_endpoint"), cx);
    cx.required(raw.issuer, &at.key("issuer"));
    let claims = raw.additional_claims.unwrap_or_default();
    let claims_at = at.key("additional_claims");
    if claims.len() > MOST_CLAIMS {
        let message = format!("can have up to {MOST_CLAIMS} claims, not {}", claims.len());
        cx.report.mistake(&claims_at, message);
    }
    for (index, raw) in claims.into_iter().enumerate() {
        let at = claims_at.index(index);
        match raw {
            Some(raw) => claim(raw, &at, cx),
            None => cx.report.missing(&at),
        }
    }
    cx.report.not_yet(at, "the action jwt_validation");
}

fn claim(raw: RawClaim, at: &Path, cx: &mut Context<'_>) {
    const FORMATS: &[(&str, ())] =
        &[("single-string", ()), ("string-array", ()), ("space-separated-values", ())];
    let name_at = at.key("name");
    if let Some(name) = cx.required(raw.name, &name_at)
        && ["exp", "iss", "nbf", "iat"].contains(&name.as_str())
    {
        cx.report.mistake(&name_at, format!("the claim '{name}' is always checked"));
    }
    let format_at = at.key("format");
    if let Some(format) = cx.required(raw.format, &format_at) {
        cx.one_of(&format, &format_at, "claim format", FORMATS);
    }
    let values_at = at.key("values");
    match raw.values {
        Some(values) if !values.is_empty() => {
            for (index, value) in values.into_iter().enumerate() {
                cx.required(value, &values_at.index(index));
            }
        }
        _ => cx.report.missing(&values_at),
    }
}

/// What both kinds of login sessions share.
struct Session {
    cookie_name: Option<Text>,
    scope: Option<Text>,
    timeout: Option<Span>,
    extra_params: RawAttributes,
    on_unauthenticated_request: Option<Text>,
}

impl Session {
    fn check(self, at: &Path, cx: &mut Context<'_>) {
        const UNAUTHENTICATED: &[(&str, ())] = &[("authenticate", ()), ("allow", ()), ("deny", ())];
        for (key, text) in [("session_cookie_name", self.cookie_name), ("scope", self.scope)] {
            if text.is_some() {
                cx.required(text, &at.key(key));
            }
        }
        if let Some(Span(timeout)) = self.timeout
            && !(1..=LONGEST_SESSION).contains(&timeout.as_secs())
        {
            let message = format!("must be between '1-{LONGEST_SESSION}' seconds inclusive");
            cx.report.mistake(&at.key("session_timeout"), message);
        }
        let params = self.extra_params.unwrap_or_default();
        let params_at = at.key("authentication_request_extra_params");
        if params.len() > MOST_EXTRA_PARAMS {
            let message = format!("can have up to {MOST_EXTRA_PARAMS} parameters, not {}", params.len());
            cx.report.mistake(&params_at, message);
        }
        for (key, value) in params {
            cx.required(value, &params_at.key(&key));
        }
        if let Some(Text(text)) = self.on_unauthenticated_request {
            let at = at.key("on_unauthenticated_request");
            cx.one_of(&text, &at, "on_unauthenticated_request", UNAUTHENTICATED);
        }
    }
}

fn https_url(raw: Option<Text>, at: &Path, cx: &mut Context<'_>) {
    let Some(url) = cx.required(raw, at) else { return };
    let fine =
        url.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    if !fine {
        cx.report.mistake(at, format!("'{url}' is not an https URL"));
    }
}
