//! What the tests of this module share: an action, and an identity provider without sockets.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::fetch::{Answer, Fetch, FetchError};
use crate::model::rule::{AuthenticateOidc, OnUnauthenticatedRequest};

/// An action with all defaults.
pub(super) fn action() -> AuthenticateOidc {
    AuthenticateOidc {
        issuer: "https://idp.test".to_owned(),
        authorization_endpoint: "https://idp.test/authorize".to_owned(),
        token_endpoint: "https://idp.test/token".to_owned(),
        user_info_endpoint: "https://idp.test/userinfo".to_owned(),
        client_id: "client 1".to_owned(),
        client_secret: "s:ecret".to_owned(),
        session_cookie_name: "AWSELBAuthSessionCookie".to_owned(),
        scope: "openid".to_owned(),
        session_timeout: Duration::from_secs(604_800),
        authentication_request_extra_params: BTreeMap::new(),
        on_unauthenticated_request: OnUnauthenticatedRequest::Authenticate,
    }
}

/// An identity provider that gives everybody the same tokens.
pub(super) struct Idp {
    pub(super) tokens: Value,
    pub(super) userinfo: Value,
}

impl Idp {
    pub(super) fn at(now: u64) -> Self {
        let claims = json!({ "iss": "https://idp.test", "aud": "client 1", "exp": now + 60, "sub": "user" });
        let id_token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        Self {
            tokens: json!({
                "access_token": "access", "id_token": id_token, "refresh_token": "refresh", "expires_in": 60,
            }),
            userinfo: json!({ "sub": "user", "email": "user@idp.test" }),
        }
    }
}

#[async_trait::async_trait]
impl Fetch for Idp {
    async fn fetch(&self, request: Request<Bytes>, _: usize) -> Result<Answer, FetchError> {
        let body = if request.uri().path() == "/token" { &self.tokens } else { &self.userinfo };
        Ok(Answer { status: StatusCode::OK, body: body.to_string().into() })
    }
}
