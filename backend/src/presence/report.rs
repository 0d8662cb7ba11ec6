//! What clients read, as JSON.

use serde::Serialize;

use super::Instance;

/// Who is in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The room.
    pub destination: String,
    /// Sessions on all instances.
    pub sessions: u64,
    /// Those of them without a user.
    pub anonymous: u64,
    /// The instances with sessions in the room.
    pub instances: Vec<OnInstance>,
}

/// Who is in a room on one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnInstance {
    /// What the instance is called.
    pub instance: String,
    /// Its sessions.
    pub sessions: u64,
    /// Those of them without a user.
    pub anonymous: u64,
    /// Users by name; of many, the first ones.
    pub users: Vec<User>,
}

/// A user in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name.
    pub name: String,
    /// How many of the instance's sessions are the user's.
    pub sessions: u64,
}

/// What happened in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The room.
    pub destination: String,
    /// Sessions on all instances, now.
    pub sessions: u64,
    /// Those of them without a user.
    pub anonymous: u64,
    /// Users who had no session on the instance before; of many, some.
    pub joined: Vec<UserOn>,
    /// Users who have none there any more; of many, some.
    pub left: Vec<UserOn>,
}

/// A user on an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserOn {
    /// The user's name.
    pub name: String,
    /// What the instance is called.
    pub instance: String,
}

impl UserOn {
    pub(super) fn new(name: String, instance: &Instance) -> Self {
        Self { name, instance: instance.name.clone() }
    }
}

impl Report {
    /// As JSON; empty in the case, which there is not, that a value has no JSON
    /// form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Change {
    /// As JSON; empty in the case, which there is not, that a value has no JSON
    /// form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}
