//! `authenticate-oidc`: from a code to a session, and from an old session to a new one.
//!
//! ELB page: "Authenticate users using an Application Load Balancer",
//! authentication flow, authentication logout and session timeout. A session
//! lives until its timeout. When its access token expires before, it is
//! refreshed if there is a refresh token and otherwise goes on as it is. A
//! refresh that fails ends it, also when the identity provider cannot be
//! reached: ELB has the user log in again "after the authentication session
//! times out or the refresh flow fails".

use bytes::Bytes;
use http::Request;

use super::{
    fetch::{Answer, Fetch, FetchError},
    refusal::Refusal,
    session::{self, Cookie, LoginId, Session},
    tokens::{self, Grant, Tokens},
};
use crate::model::rule::AuthenticateOidc;

/// What a request's session is good for.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The user is logged in.
    LoggedIn(Session),
    /// The access token has expired; there is a refresh token.
    MustRefresh(Session),
    /// There is no session, it is over, or it is one of another login.
    LoggedOut,
    /// There is a cookie that cannot be read.
    Invalid,
}

/// Weighs a request's session cookie at `now`, in seconds since 1970.
#[must_use]
pub fn standing(cookie: Cookie, action: &AuthenticateOidc, now: u64) -> Standing {
    let session = match cookie {
        Cookie::Missing => return Standing::LoggedOut,
        Cookie::Invalid => return Standing::Invalid,
        Cookie::Session(session) => session,
    };
    let is_over = now >= session::ends(session.created, action.session_timeout);
    if is_over || session.login != LoginId::of(action) {
        return Standing::LoggedOut;
    }
    let has_expired = session.expires.is_some_and(|expires| now >= expires);
    if has_expired && session.refresh_token.is_some() {
        Standing::MustRefresh(session)
    } else {
        Standing::LoggedIn(session)
    }
}

/// The session that a code gives.
///
/// # Errors
///
/// Why it gives none.
pub async fn log_in(
    fetch: &dyn Fetch,
    action: &AuthenticateOidc,
    code: &str,
    redirect_uri: &str,
    now: u64,
) -> Result<Session, Refusal> {
    let request = tokens::token_request(action, Grant::Code { code, redirect_uri });
    let tokens = tokens::tokens(call(fetch, request).await?)?;
    let id_token = tokens.id_token.as_deref().ok_or(Refusal::MissingIdToken)?;
    let subject = tokens::check_id_token(id_token, action, now)?;
    session(fetch, action, tokens, &subject, now).await
}

/// The session that a refresh token gives; it ends when the old one would have.
///
/// # Errors
///
/// Why it gives none.
pub async fn refresh(
    fetch: &dyn Fetch,
    action: &AuthenticateOidc,
    old: &Session,
    now: u64,
) -> Result<Session, Refusal> {
    let token = old.refresh_token.as_deref().ok_or(Refusal::InvalidGrant)?;
    let request = tokens::token_request(action, Grant::Refresh(token));
    let tokens = tokens::tokens(call(fetch, request).await?)?;
    let subject = old.claims.get("sub").and_then(serde_json::Value::as_str).ok_or(Refusal::Unhandled)?;
    if let Some(id_token) = &tokens.id_token
        && tokens::check_id_token(id_token, action, now)? != subject
    {
        return Err(Refusal::InvalidIdToken);
    }
    let mut new = session(fetch, action, tokens, subject, now).await?;
    new.created = old.created;
    // RFC 6749 section 6: without a new one the old one stays.
    new.refresh_token = new.refresh_token.or_else(|| old.refresh_token.clone());
    Ok(new)
}

async fn session(
    fetch: &dyn Fetch,
    action: &AuthenticateOidc,
    tokens: Tokens,
    subject: &str,
    now: u64,
) -> Result<Session, Refusal> {
    let request = tokens::userinfo_request(action, &tokens.access_token);
    let claims = tokens::claims(call(fetch, request).await?, &tokens.access_token, Some(subject))?;
    Ok(Session {
        login: LoginId::of(action),
        created: now,
        access_token: tokens.access_token,
        expires: tokens.expires_in.map(|seconds| now.saturating_add(seconds.0)),
        refresh_token: tokens.refresh_token,
        claims,
    })
}

async fn call(
    fetch: &dyn Fetch,
    request: Option<Request<Bytes>>,
) -> Result<Result<Answer, FetchError>, Refusal> {
    Ok(fetch.fetch(request.ok_or(Refusal::Unhandled)?, tokens::MOST_BYTES).await)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::authenticate::{
        fixtures::{self, Idp},
        jwt::Claims,
    };

    const NOW: u64 = 1_700_000_000;

    fn session(created: u64, expires: Option<u64>, refresh_token: Option<&str>) -> Session {
        let mut claims = Claims::new();
        claims.insert("sub".to_owned(), "user".into());
        Session {
            login: LoginId::of(&fixtures::action()),
            created,
            access_token: "old".to_owned(),
            expires,
            refresh_token: refresh_token.map(str::to_owned),
            claims,
        }
    }

    #[test]
    fn a_session_lives_until_its_timeout_and_is_refreshed_meanwhile() {
        let mut action = fixtures::action();
        action.session_timeout = Duration::from_secs(100);
        let check = |session: Session, expected: fn(Session) -> Standing| {
            let standing = standing(Cookie::Session(session.clone()), &action, NOW);
            assert_eq!(standing, expected(session));
        };
        check(session(NOW - 99, None, None), Standing::LoggedIn);
        check(session(NOW - 100, None, Some("r")), |_| Standing::LoggedOut);
        check(session(NOW - 50, Some(NOW + 1), Some("r")), Standing::LoggedIn);
        check(session(NOW - 50, Some(NOW), Some("r")), Standing::MustRefresh);
        check(session(NOW - 50, Some(NOW), None), Standing::LoggedIn);
        let mut other = session(NOW, None, None);
        let mut elsewhere = fixtures::action();
        elsewhere.client_id.push('x');
        other.login = LoginId::of(&elsewhere);
        check(other, |_| Standing::LoggedOut);
        assert_eq!(standing(Cookie::Missing, &action, NOW), Standing::LoggedOut);
        assert_eq!(standing(Cookie::Invalid, &action, NOW), Standing::Invalid);
    }

    #[tokio::test]
    async fn a_code_becomes_a_session() {
        let idp = Idp::at(NOW);
        let action = fixtures::action();
        let session = log_in(&idp, &action, "code", "https://a.test/cb", NOW).await.unwrap();
        assert_eq!((session.created, session.expires), (NOW, Some(NOW + 60)));
        assert_eq!(session.access_token, "access");
        assert_eq!(session.refresh_token.as_deref(), Some("refresh"));
        assert_eq!(session.claims.get("email"), Some(&json!("user@idp.test")));
    }

    #[tokio::test]
    async fn a_login_without_id_token_or_of_two_users_is_refused() {
        let action = fixtures::action();
        let mut idp = Idp::at(NOW);
        idp.tokens.as_object_mut().unwrap().remove("id_token");
        let refused = log_in(&idp, &action, "code", "u", NOW).await;
        assert_eq!(refused, Err(Refusal::MissingIdToken));
        let mut idp = Idp::at(NOW);
        idp.userinfo["sub"] = json!("somebody else");
        let refused = log_in(&idp, &action, "code", "u", NOW).await;
        assert_eq!(refused, Err(Refusal::InvalidUserinfo));
    }

    #[tokio::test]
    async fn a_refreshed_session_ends_when_the_old_one_would_have() {
        let action = fixtures::action();
        let old = session(NOW - 500, Some(NOW), Some("old refresh"));
        let mut idp = Idp::at(NOW);
        let new = refresh(&idp, &action, &old, NOW).await.unwrap();
        assert_eq!((new.created, new.expires), (NOW - 500, Some(NOW + 60)));
        assert_eq!(new.refresh_token.as_deref(), Some("refresh"));
        idp.tokens = json!({ "access_token": "access" });
        let new = refresh(&idp, &action, &old, NOW).await.unwrap();
        assert_eq!(new.refresh_token.as_deref(), Some("old refresh"), "not rotated");
        idp.userinfo["sub"] = json!("somebody else");
        assert_eq!(refresh(&idp, &action, &old, NOW).await, Err(Refusal::InvalidUserinfo));
    }
}
