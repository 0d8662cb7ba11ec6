//! Which sessions a user has: Spring's `SimpUserRegistry`.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// The sessions of this instance by their user.
#[derive(Debug, Default)]
pub struct Users {
    sessions: RwLock<HashMap<Box<str>, Vec<Arc<str>>>>,
}

/// A session of a user; dropping it ends it.
#[derive(Debug)]
pub struct UserSession {
    users: Arc<Users>,
    name: Box<str>,
    session: Arc<str>,
}

impl Users {
    /// Adds a session to a user.
    #[must_use]
    pub fn add(self: &Arc<Self>, name: &str, session: Arc<str>) -> UserSession {
        self.sessions.write().entry(name.into()).or_default().push(Arc::clone(&session));
        UserSession { users: Arc::clone(self), name: name.into(), session }
    }

    /// The sessions of a user. A session without a user stands for itself, under
    /// its id.
    #[must_use]
    pub fn sessions(&self, name: &str) -> Vec<Arc<str>> {
        self.sessions.read().get(name).cloned().unwrap_or_default()
    }

    /// How many users have a session.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.read().len()
    }

    /// Whether nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for UserSession {
    fn drop(&mut self) {
        let mut users = self.users.sessions.write();
        if let Some(sessions) = users.get_mut(&self.name) {
            sessions.retain(|session| *session != self.session);
            if sessions.is_empty() {
                users.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_its_sessions_while_they_live() {
        let users = Arc::new(Users::default());
        let first = users.add("ann", "s1".into());
        let second = users.add("ann", "s2".into());
        let (one, two): (Arc<str>, Arc<str>) = ("s1".into(), "s2".into());
        assert_eq!(users.sessions("ann"), [one, Arc::clone(&two)]);
        drop(first);
        assert_eq!(users.sessions("ann"), [two]);
        drop(second);
        assert!(users.is_empty());
    }
}
