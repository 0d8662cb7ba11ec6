//! Why a request does not get past an authentication action.
//!
//! ELB pages: "Troubleshoot your Application Load Balancers" (status codes),
//! "Access logs for your Application Load Balancer" (error reasons). Names
//! that ELB documents are used as they are. Those of the JWKS endpoint are not
//! published word for word; here they follow the style of the others.

use http::StatusCode;

/// Why authentication ended a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no session, and `on_unauthenticated_request` is `deny`.
    Denied,
    /// The session cookie was not made here, or was changed.
    InvalidCookie,
    /// The request names no host to come back to.
    MissingHost,
    /// The answer of the authorization endpoint has no state.
    MissingState,
    /// Its state was not made here, is of another host, or the login took more than 15 minutes.
    InvalidState,
    /// The browser sent no nonce cookie with it.
    MissingNonce,
    /// The nonce cookie is not that of the login.
    InvalidNonce,
    /// It has no code.
    MissingCode,
    /// It says that the user was denied access.
    AccessDenied,
    /// It says that the identity provider failed.
    IdpError,
    /// The token endpoint says that the code is invalid, or was used before.
    InvalidGrant,
    /// The token endpoint cannot be reached, or did not answer within five seconds.
    TokenTimeout,
    /// The token endpoint answered with something else than 2XX.
    TokenFailed,
    /// The token endpoint's answer holds no usable access token.
    InvalidTokenResponse,
    /// The token endpoint's answer holds no ID token: the scope does not ask for one.
    MissingIdToken,
    /// The ID token is of another issuer or client, or has expired.
    InvalidIdToken,
    /// The user info endpoint cannot be reached, or did not answer within five seconds.
    UserinfoTimeout,
    /// The user info endpoint answered with something else than 2XX.
    UserinfoFailed,
    /// The user info endpoint's answer holds no claims of the user.
    InvalidUserinfo,
    /// Claims and access token are larger than 11 KB.
    ClaimsTooLarge,
    /// The load balancer failed.
    Unhandled,
    /// There is no `Authorization` header.
    JwtMissing,
    /// The header holds no RS256 token.
    JwtMalformed,
    /// No key of the JWKS made the signature.
    JwtSignature,
    /// A claim is missing.
    JwtClaimMissing,
    /// A claim is of another type.
    JwtClaimFormat,
    /// A claim has another value, or says that the token is not valid now.
    JwtClaimValue,
    /// The JWKS endpoint cannot be reached, or did not answer within five seconds.
    JwksTimeout,
    /// The JWKS endpoint's answer is larger than 150 KB.
    JwksTooLarge,
    /// The JWKS endpoint's answer holds more than ten keys.
    JwksTooManyKeys,
    /// The JWKS endpoint answered with something else than 2XX.
    JwksFailed,
    /// The JWKS endpoint's answer is no key set.
    JwksInvalid,
}

/// The metric that counts a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedAs {
    /// None: it is the configured answer.
    Nothing,
    /// `ELBAuthFailure`: the request or what the identity provider says of the user.
    Failure,
    /// `ELBAuthError`: the identity provider or the load balancer does not work.
    Error,
    /// `JWTValidationFailureCount`.
    JwtFailure,
}

impl Refusal {
    /// Status, `error_reason` and metric.
    const fn facts(self) -> (u16, Option<&'static str>, CountedAs) {
        use CountedAs as As;
        match self {
            Self::Denied => (401, None, As::Nothing),
            Self::InvalidCookie => (401, Some("AuthInvalidCookie"), As::Failure),
            Self::MissingHost => (401, Some("AuthMissingHostHeader"), As::Error),
            Self::MissingState => (401, Some("AuthMissingStateParam"), As::Failure),
            Self::InvalidState => (401, Some("AuthInvalidStateParam"), As::Failure),
            Self::MissingNonce => (401, Some("AuthMissingAWSALBAuthNonce"), As::Failure),
            Self::InvalidNonce => (401, Some("AuthInvalidAWSALBAuthNonce"), As::Failure),
            Self::MissingCode | Self::AccessDenied => (401, Some("AuthMissingCodeParam"), As::Failure),
            Self::IdpError => (561, Some("AuthMissingCodeParam"), As::Failure),
            Self::InvalidGrant => (561, Some("AuthInvalidGrantError"), As::Failure),
            Self::TokenTimeout => (500, Some("AuthTokenEpRequestTimeout"), As::Error),
            Self::TokenFailed => (561, Some("AuthTokenEpRequestFailed"), As::Error),
            Self::InvalidTokenResponse => (561, Some("AuthInvalidTokenResponse"), As::Failure),
            Self::MissingIdToken => (401, Some("AuthInvalidTokenResponse"), As::Failure),
            Self::InvalidIdToken => (401, Some("AuthInvalidIdToken"), As::Failure),
            Self::UserinfoTimeout => (500, Some("AuthUserinfoEpRequestTimeout"), As::Error),
            Self::UserinfoFailed => (561, Some("AuthUserinfoEpRequestFailed"), As::Error),
            Self::InvalidUserinfo => (561, Some("AuthInvalidUserinfoResponse"), As::Failure),
            Self::ClaimsTooLarge => (500, Some("AuthUserinfoResponseSizeExceeded"), As::Error),
            Self::Unhandled => (500, Some("AuthUnhandledException"), As::Error),
            Self::JwtMissing => (401, Some("JWTHeaderNotPresent"), As::JwtFailure),
            Self::JwtMalformed => (401, Some("JWTRequestFormatInvalid"), As::JwtFailure),
            Self::JwtSignature => (401, Some("JWTSignatureValidationError"), As::JwtFailure),
            Self::JwtClaimMissing => (401, Some("JWTClaimNotPresent"), As::JwtFailure),
            Self::JwtClaimFormat => (401, Some("JWTClaimFormatInvalid"), As::JwtFailure),
            Self::JwtClaimValue => (401, Some("JWTClaimValueInvalid"), As::JwtFailure),
            Self::JwksTimeout => (500, Some("JWKSRequestTimeout"), As::JwtFailure),
            Self::JwksTooLarge => (500, Some("JWKSResponseSizeExceeded"), As::JwtFailure),
            Self::JwksTooManyKeys => (500, Some("JWKSKeyCountExceeded"), As::JwtFailure),
            Self::JwksFailed => (562, Some("JWKSRequestFailed"), As::JwtFailure),
            Self::JwksInvalid => (562, Some("JWKSInvalidResponse"), As::JwtFailure),
        }
    }

    /// `elb_status_code`: 401, 500, 561 or 562.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.facts().0).unwrap_or(StatusCode::UNAUTHORIZED)
    }

    /// `error_reason`.
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        self.facts().1
    }

    /// The metric that counts it.
    #[must_use]
    pub const fn counted_as(self) -> CountedAs {
        self.facts().2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refusal: Refusal, status: u16, reason: &str) {
        assert_eq!((refusal.status().as_u16(), refusal.reason()), (status, Some(reason)), "{refusal:?}");
    }

    #[test]
    fn statuses_are_those_of_the_troubleshooting_page() {
        assert_eq!((Refusal::Denied.status().as_u16(), Refusal::Denied.reason()), (401, None));
        check(Refusal::AccessDenied, 401, "AuthMissingCodeParam");
        check(Refusal::IdpError, 561, "AuthMissingCodeParam");
        check(Refusal::TokenFailed, 561, "AuthTokenEpRequestFailed");
        check(Refusal::TokenTimeout, 500, "AuthTokenEpRequestTimeout");
        check(Refusal::ClaimsTooLarge, 500, "AuthUserinfoResponseSizeExceeded");
        check(Refusal::JwtSignature, 401, "JWTSignatureValidationError");
        check(Refusal::JwksTimeout, 500, "JWKSRequestTimeout");
        check(Refusal::JwksFailed, 562, "JWKSRequestFailed");
    }
}
