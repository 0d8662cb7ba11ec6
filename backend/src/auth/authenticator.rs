//! From a token to the user that it names. [`Authenticator`] is the seam for
//! who embeds the server; [`Jwt`](super::Jwt) is the one that the settings
//! build.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Principal;

/// Longest token in bytes.
const TOKEN_LIMIT: usize = 16 * 1024;

/// What a client shows as proof of who it is. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// A token, unless the text is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The text, which is a secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether it is longer than any token is.
    pub(super) fn is_too_long(&self) -> bool {
        self.0.len() > TOKEN_LIMIT
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why somebody is not let in. The texts are shown to the client: they say what
/// is wrong with the token and nothing of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no token where one is required.
    #[error("a token is required")]
    Missing,
    /// The token is not of the form that it should have.
    #[error("the token is malformed")]
    Malformed,
    /// It is signed in a way that no key is for, or not at all.
    #[error("the token is signed with another algorithm than the keys are for")]
    Algorithm,
    /// It names a key that is not there.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// Its signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// It is over.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It is of another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is for others.
    #[error("the token is for another audience")]
    Audience,
    /// A claim is missing, or not of its type.
    #[error("the token has no usable claim {0:?}")]
    Claim(String),
    /// It names another user than the session's.
    #[error("the token is of another user")]
    OtherUser,
    /// An authenticator of others refuses it, with a reason for the client.
    #[error("{0}")]
    Refused(String),
    /// Whoever could tell cannot be asked.
    #[error("tokens cannot be checked at the moment")]
    Unavailable,
}

impl AuthError {
    /// The value of the metric's label, and of the log's field.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claim(_) => "claim",
            Self::OtherUser => "other_user",
            Self::Refused(_) => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Tells users by their tokens.
pub trait Authenticator: Send + Sync + 'static {
    /// Finds out whom a token names, and until when. Called at the handshake, at
    /// CONNECT, and for each later frame that brings a token; the client waits
    /// meanwhile.
    ///
    /// An error ends the attempt: 401 at the handshake, an ERROR frame later.
    fn authenticate<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<Arc<Principal>, AuthError>>;
}
