//! Who a session belongs to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

/// An authenticated user: Spring's `Principal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user's name, a token's `sub`. Messages to `/user/{name}/…` reach the
    /// sessions of this name.
    pub name: String,
    /// What the user may do, a token's scopes and roles.
    pub authorities: Vec<String>,
    /// When the proof of identity expires, a token's `exp`. None: never.
    pub expires_at: Option<SystemTime>,
}

/// The client of a session as the handshake showed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address, behind trusted proxies.
    pub address: IpAddr,
    /// Who it is, when the handshake proved it. A CONNECT frame may do so later.
    pub principal: Option<Arc<Principal>>,
}
