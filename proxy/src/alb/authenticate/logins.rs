//! The logins that a listener leads to, and the path that leads back.

use std::sync::Arc;

use crate::{
    authenticate::{
        login::{self, State},
        session::LoginId,
    },
    model::{
        Listener,
        rule::{Authenticate, AuthenticateOidc},
    },
};

/// The `authenticate-oidc` actions of a listener.
#[derive(Debug)]
pub struct Logins(Vec<Login>);

/// One of them.
#[derive(Debug)]
pub(super) struct Login {
    id: LoginId,
    /// Priority of its rule, 0 for the default one.
    pub(super) priority: u16,
    /// What it does.
    pub(super) action: Arc<AuthenticateOidc>,
}

impl Logins {
    /// The actions of `listener`; `None` without any.
    #[must_use]
    pub fn of(listener: &Listener) -> Option<Self> {
        let rules = listener.rules.iter().map(|rule| (rule.priority, &rule.actions));
        let all = rules.chain(std::iter::once((0, &listener.default_actions)));
        let logins: Vec<Login> = all
            .filter_map(|(priority, actions)| match &actions.authenticate {
                Some(Authenticate::Oidc(action)) => {
                    Some(Login { id: LoginId::of(action), priority, action: Arc::clone(action) })
                }
                Some(Authenticate::Jwt(_)) | None => None,
            })
            .collect();
        (!logins.is_empty()).then_some(Self(logins))
    }

    /// Whether an identity provider sent the browser to this path and query.
    #[must_use]
    pub fn is_callback(&self, path_and_query: &[u8]) -> bool {
        let path = path_and_query.strip_prefix(login::CALLBACK.as_bytes());
        path.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"?"))
    }

    /// The action that a login was begun for; after a reload perhaps that of another rule.
    pub(super) fn find(&self, state: &State) -> Option<&Login> {
        let same = || self.0.iter().filter(|login| login.id == state.login);
        same().find(|login| login.priority == state.priority).or_else(|| same().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_one_path_exactly() {
        let logins = Logins(Vec::new());
        for callback in ["/oauth2/idpresponse", "/oauth2/idpresponse?", "/oauth2/idpresponse?code=x&state=y"]
        {
            assert!(logins.is_callback(callback.as_bytes()), "{callback}");
        }
        for other in ["/oauth2/idpresponse/", "/oauth2/idpresponses", "/oauth2", "/a?/oauth2/idpresponse", ""]
        {
            assert!(!logins.is_callback(other.as_bytes()), "{other}");
        }
    }
}
