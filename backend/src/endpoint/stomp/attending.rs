//! Tells the application which sessions there are.

use std::sync::Arc;

use crate::auth::Principal;

use crate::endpoint::Services;

/// A session that has connected; dropping it ends it.
pub(super) struct Attending {
    services: Arc<Services>,
    session: Arc<str>,
    principal: Option<Arc<Principal>>,
}

impl Attending {
    /// The session of this id connected, as whom.
    pub(super) fn new(
        services: &Arc<Services>,
        session: &Arc<str>,
        principal: Option<Arc<Principal>>,
    ) -> Self {
        services.application.connected(session, principal.as_deref());
        Self { services: Arc::clone(services), session: Arc::clone(session), principal }
    }
}

impl Drop for Attending {
    fn drop(&mut self) {
        self.services.application.disconnected(&self.session, self.principal.as_deref());
    }
}
