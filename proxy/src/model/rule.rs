//! Rule: conditions by priority, and the action that is taken.
//!
//! ELB pages: "Listener rules", "Condition types for listener rules",
//! "Action types for listener rules".

use http::StatusCode;

use super::TargetGroupIndex;

/// A listener rule other than the default one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// 1–50000; the lowest number is tried first.
    pub priority: u16,
    /// All must match. Values inside one condition are alternatives.
    pub conditions: Vec<Condition>,
    /// The terminal action.
    pub action: Action,
}

/// A condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `host-header`: `*` and `?` wildcards, case-insensitive, the request's port is ignored.
    HostHeader(Vec<String>),
    /// `path-pattern`: `*` and `?` wildcards, case-sensitive, on the path without query.
    PathPattern(Vec<String>),
}

/// The action that ends the handling of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send the request to a target group.
    Forward(Forward),
    /// Answer 301 or 302.
    Redirect(Redirect),
    /// Answer with a fixed status and body.
    FixedResponse(FixedResponse),
}

/// `forward`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The target group.
    pub target_group: TargetGroupIndex,
}

/// `redirect`. Placeholders `#{protocol}`, `#{host}`, `#{port}`, `#{path}`, `#{query}` stand in the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}`. Default `#{protocol}`.
    pub protocol: String,
    /// Default `#{host}`.
    pub host: String,
    /// Default `#{port}`.
    pub port: String,
    /// With a leading slash. Default `/#{path}`.
    pub path: String,
    /// Without a leading question mark. Default `#{query}`.
    pub query: String,
    /// 301 or 302.
    pub status: StatusCode,
}

/// `fixed-response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2XX, 4XX or 5XX.
    pub status: StatusCode,
    /// One of the five types ELB takes. `None` leaves the header out.
    pub content_type: Option<String>,
    /// Up to 1024 characters; may be empty.
    pub message_body: String,
}
