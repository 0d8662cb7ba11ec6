//! The health of one component.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

/// Spring's health statuses, the gravest first: the order in which they count
/// when several are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It fails.
    Down,
    /// It is not to be used for now.
    OutOfService,
    /// It works.
    Up,
    /// Nobody can tell.
    Unknown,
}

impl Status {
    /// 503 for `DOWN` and `OUT_OF_SERVICE`, else 200.
    #[must_use]
    pub fn code(self) -> StatusCode {
        match self {
            Self::Down | Self::OutOfService => StatusCode::SERVICE_UNAVAILABLE,
            Self::Up | Self::Unknown => StatusCode::OK,
        }
    }
}

/// What a component says of itself: a status, and details for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    status: Status,
    #[serde(skip_serializing_if = "Map::is_empty")]
    details: Map<String, Value>,
}

impl Health {
    /// A status without details.
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self { status, details: Map::new() }
    }

    /// `UP`.
    #[must_use]
    pub fn up() -> Self {
        Self::new(Status::Up)
    }

    /// `DOWN`, with the detail `error`.
    #[must_use]
    pub fn down(error: impl std::fmt::Display) -> Self {
        Self::new(Status::Down).with("error", error.to_string())
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The same without details.
    pub(super) fn bare(&self) -> Self {
        Self::new(self.status)
    }
}
