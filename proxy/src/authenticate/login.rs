//! The way to the identity provider and back: nonce, state, login URL.
//!
//! ELB page: "Authenticate users using an Application Load Balancer",
//! authentication flow; `OpenID` Connect Core section 3.1.2.1. The state is
//! sealed and says what was asked for, when and by whom: the browser that
//! holds the cookie `AWSALBAuthNonce`. As on ELB, 16 letters and digits, kept
//! after the login, and no `nonce` parameter is sent. A browser that has a
//! nonce keeps it, so that two logins in two tabs do not spoil each other.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{
    query,
    refusal::Refusal,
    session::{self, LoginId},
};
use crate::{
    model::rule::AuthenticateOidc,
    stickiness::{
        self,
        seal::{Keys, NONCE_LENGTH},
    },
};

/// Where identity providers send the browser back to.
pub const CALLBACK: &str = "/oauth2/idpresponse";
/// The cookie that binds a login to a browser.
pub const NONCE_COOKIE: &str = "AWSALBAuthNonce";

/// Length of a nonce, in characters.
pub const NONCE_CHARS: usize = 16;
/// How long a login may take, in seconds: the client login timeout of ELB.
pub const LOGIN_LIMIT: u64 = 15 * 60;
/// Longest path and query that is come back to, in bytes; instead of a longer one it is `/`.
const LONGEST_PATH: usize = 2048;
/// Longest state that is looked at, in characters.
const LONGEST_STATE: usize = 8192;
/// Keeps other sealed values from being taken for states.
const CONTEXT: &[u8] = b"AWSALBAuthState";

/// What a login was begun for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where the user logs in.
    pub login: LoginId,
    /// Priority of the rule, 0 for the default one.
    pub priority: u16,
    /// The nonce of the browser.
    pub nonce: String,
    /// The host that was asked, in lower case.
    pub host: String,
    /// Path and query that were asked for.
    pub path: String,
    /// When, in seconds since 1970.
    pub issued_at: u64,
}

impl State {
    /// A state; a path that is too long, or is none, is replaced by `/`.
    #[must_use]
    pub fn new(login: LoginId, priority: u16, nonce: String, host: &str, path: String, now: u64) -> Self {
        let fits = path.starts_with('/') && path.len() <= LONGEST_PATH;
        let path = if fits { path } else { "/".to_owned() };
        Self { login, priority, nonce, host: host.to_ascii_lowercase(), path, issued_at: now }
    }

    /// The value of the parameter `state`. `random` is random. `None` if the cipher fails.
    #[must_use]
    pub fn seal(&self, keys: &Keys, random: [u8; NONCE_LENGTH]) -> Option<String> {
        let sealed = keys.seal(CONTEXT, &serde_json::to_vec(self).ok()?, random).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads a value of the parameter `state`.
    #[must_use]
    pub fn open(text: &str, keys: &Keys) -> Option<Self> {
        if text.len() > LONGEST_STATE {
            return None;
        }
        let opened = keys.open(CONTEXT, &URL_SAFE_NO_PAD.decode(text).ok()?)?;
        serde_json::from_slice(&opened).ok()
    }

    /// Whether the browser with this nonce may finish the login at `host` now.
    ///
    /// # Errors
    ///
    /// The refusal if it may not.
    pub fn check(&self, host: &str, nonce: Option<&[u8]>, now: u64) -> Result<(), Refusal> {
        let age = now.saturating_sub(self.issued_at);
        if age > LOGIN_LIMIT || !self.host.eq_ignore_ascii_case(host) {
            return Err(Refusal::InvalidState);
        }
        let nonce = nonce.ok_or(Refusal::MissingNonce)?;
        verify_slices_are_equal(nonce, self.nonce.as_bytes()).map_err(|_| Refusal::InvalidNonce)
    }

    /// The URL that was asked for.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.host, self.path)
    }
}

/// The nonce of a login: the browser's own, or a new one made of `random`.
#[must_use]
pub fn nonce(cookie: Option<&[u8]>, random: [u8; NONCE_CHARS]) -> String {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let own = cookie.filter(|it| it.len() == NONCE_CHARS && it.iter().all(u8::is_ascii_alphanumeric));
    let own = own.and_then(|it| std::str::from_utf8(it).ok()).map(str::to_owned);
    own.unwrap_or_else(|| {
        let letter = |byte: u8| ALPHABET.get(usize::from(byte) % ALPHABET.len()).copied();
        random.iter().filter_map(|byte| letter(*byte)).map(char::from).collect()
    })
}

/// The Set-Cookie value of a nonce; it lives as long as a login may take, counted from the last one begun.
#[must_use]
pub fn nonce_cookie(nonce: &str, now: u64) -> Option<http::HeaderValue> {
    let expires = stickiness::imf_fixdate(now.saturating_add(LOGIN_LIMIT));
    session::set_cookie(NONCE_COOKIE, nonce.as_bytes(), &expires)
}

/// `redirect_uri` of a login at `host`.
#[must_use]
pub fn redirect_uri(host: &str) -> String {
    format!("https://{}{CALLBACK}", host.to_ascii_lowercase())
}

/// Where the browser is sent to log in.
#[must_use]
pub fn location(action: &AuthenticateOidc, redirect_uri: &str, state: &str) -> String {
    let own = [
        ("client_id", action.client_id.as_str()),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", &action.scope),
        ("state", state),
    ];
    let extra = &action.authentication_request_extra_params;
    let query = query::form(own.into_iter().chain(extra.iter().map(|(k, v)| (k.as_str(), v.as_str()))));
    let endpoint = action.authorization_endpoint.as_str();
    let endpoint = endpoint.split_once('#').map_or(endpoint, |(endpoint, _)| endpoint);
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    format!("{endpoint}{separator}{query}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::authenticate::fixtures;

    const NOW: u64 = 1_700_000_000;
    const NONCE: &str = "okt2e445GMpRJB8d";

    fn state() -> State {
        let login = LoginId::of(&fixtures::action());
        State::new(login, 5, NONCE.to_owned(), "App.test:8443", "/a?b=c".to_owned(), NOW)
    }

    fn keys() -> Keys {
        Keys::new(&[1; 32], &[])
    }

    #[test]
    fn a_state_is_opened_only_by_the_key_that_sealed_it() {
        let sealed = state().seal(&keys(), [9; NONCE_LENGTH]).unwrap();
        assert_eq!(State::open(&sealed, &keys()), Some(state()));
        assert_eq!(State::open(&sealed, &Keys::new(&[2; 32], &[])), None);
        assert_eq!(State::open(&sealed.replacen('A', "B", 1).replacen('C', "D", 1), &keys()), None);
        let other = keys().seal(b"AWSELBAuthSessionCookie", b"{}", [9; NONCE_LENGTH]).unwrap();
        assert_eq!(State::open(&URL_SAFE_NO_PAD.encode(other), &keys()), None);
    }

    #[test]
    fn a_state_is_bound_to_host_nonce_and_time() {
        let check = |host: &str, nonce: Option<&str>, now: u64, expected: Result<(), Refusal>| {
            assert_eq!(
                state().check(host, nonce.map(str::as_bytes), now),
                expected,
                "{host} {nonce:?} {now}"
            );
        };
        check("app.test:8443", Some(NONCE), NOW + LOGIN_LIMIT, Ok(()));
        check("app.test:8443", Some(NONCE), NOW + LOGIN_LIMIT + 1, Err(Refusal::InvalidState));
        check("evil.test", Some(NONCE), NOW, Err(Refusal::InvalidState));
        check("app.test:8443", None, NOW, Err(Refusal::MissingNonce));
        check("app.test:8443", Some("okt2e445GMpRJB8e"), NOW, Err(Refusal::InvalidNonce));
        check("app.test:8443", Some(""), NOW, Err(Refusal::InvalidNonce));
    }

    #[test]
    fn the_browser_comes_back_to_a_path_of_the_same_host() {
        let url = |path: &str| {
            let login = LoginId::of(&fixtures::action());
            State::new(login, 0, String::new(), "Host.test", path.to_owned(), NOW).url()
        };
        assert_eq!(url("/a?b"), "https://host.test/a?b");
        assert_eq!(url("//evil.test"), "https://host.test//evil.test");
        assert_eq!(url("*"), "https://host.test/");
        assert_eq!(url("@evil.test"), "https://host.test/");
        assert_eq!(url(&format!("/{}", "x".repeat(3000))), "https://host.test/");
    }

    #[test]
    fn a_browser_keeps_its_nonce() {
        assert_eq!(nonce(Some(NONCE.as_bytes()), [0; 16]), NONCE);
        assert_eq!(nonce(None, [1; 16]), "BBBBBBBBBBBBBBBB");
        assert_eq!(nonce(Some(b"short"), [61; 16]), "9999999999999999");
        assert_eq!(nonce(Some(b"okt2e445GMpRJB8;"), [62; 16]), "AAAAAAAAAAAAAAAA");
    }

    #[test]
    fn the_login_url_has_all_parameters() {
        let mut action = fixtures::action();
        action.scope = "openid email".to_owned();
        action.authentication_request_extra_params.insert("prompt".to_owned(), "log in".to_owned());
        assert_eq!(
            location(&action, &redirect_uri("App.test"), "s-t"),
            "https://idp.test/authorize?client_id=client%201&redirect_uri=https%3A%2F%2Fapp.test\
             %2Foauth2%2Fidpresponse&response_type=code&scope=openid%20email&state=s-t&prompt=log%20in"
        );
        action.authorization_endpoint = "https://idp.test/a?tenant=1#x".to_owned();
        let location = location(&action, "r", "s");
        assert!(location.starts_with("https://idp.test/a?tenant=1&client_id="), "{location}");
    }

    proptest! {
        #[test]
        fn no_state_makes_it_panic(text in "[A-Za-z0-9_-]{0,100}|\\PC{0,30}") {
            prop_assert_eq!(State::open(&text, &keys()), None);
        }

        #[test]
        fn what_was_sealed_opens(path in "/\\PC{0,60}", host in "[a-z.]{1,20}", nonce in "[A-Za-z0-9]{16}") {
            let state = State::new(LoginId::of(&fixtures::action()), 1, nonce, &host, path, NOW);
            let sealed = state.seal(&keys(), [9; NONCE_LENGTH]).unwrap();
            prop_assert_eq!(State::open(&sealed, &keys()), Some(state));
        }
    }
}
