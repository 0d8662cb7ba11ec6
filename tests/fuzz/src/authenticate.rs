//! What a user's browser or a service brings to prove who it is.

use albeit_proxy::{
    authenticate::{
        jwt,
        login::State,
        query,
        session::{self, Cookie},
    },
    stickiness::seal::Keys,
    tls::client_certificate::{ClientCertificate, PemScope},
};
use rustls::pki_types::CertificateDer;

use crate::text;

/// The keys of all targets here: no input can be sealed with them but by chance.
fn keys() -> Keys {
    Keys::new(&[7; 32], &[[8; 32]])
}

/// AWSELBAuthSessionCookie-0 and its further shards.
pub(crate) fn session_cookie(data: &[u8]) {
    let lines = || data.split(|&byte| byte == b'\n');
    let cookie = session::read(lines(), "AWSELBAuthSessionCookie", &keys());
    assert!(!matches!(cookie, Cookie::Session(_)), "a forged session was taken");
    for cookie in session::clear_cookies(lines(), "AWSELBAuthSessionCookie") {
        assert!(cookie.as_bytes().starts_with(b"AWSELBAuthSessionCookie-"), "{cookie:?}");
    }
}

/// The query of the callback.
pub(crate) fn login_state(data: &[u8]) {
    let query = text(data, 0);
    if let Some(state) = query::parameter(&query, "state") {
        assert!(State::open(&state, &keys()).is_none(), "a forged state was taken");
    }
}

/// A bearer token.
pub(crate) fn jwt(data: &[u8]) {
    if let Ok(token) = jwt::bearer(std::iter::once(data)) {
        assert!(jwt::parse(token).is_err() || token.split('.').count() == 3, "{token}");
        drop(jwt::unverified_claims(token));
    }
}

/// A client's certificate.
pub(crate) fn client_certificate(data: &[u8]) {
    let der = CertificateDer::from(data);
    drop(ClientCertificate::new(&der, &[], PemScope::Leaf));
}
