//! Rule: conditions by priority, and the action that is taken.
//!
//! ELB pages: "Listener rules", "Condition types for listener rules",
//! "Action types for listener rules".

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::StatusCode;
use ipnet::IpNet;

use super::TargetGroupIndex;

/// A listener rule other than the default one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// ARN-like name.
    pub arn: String,
    /// 1–50000; the lowest number is tried first.
    pub priority: u16,
    /// All must match. Values inside one condition are alternatives.
    pub conditions: Vec<Condition>,
    /// What is rewritten once the rule has matched.
    pub transforms: Transforms,
    /// What is done, in order.
    pub actions: Actions,
}

/// A condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `host-header`: case-insensitive, the request's port is ignored.
    HostHeader(Patterns),
    /// `path-pattern`: case-sensitive, on the path without query.
    PathPattern(Patterns),
    /// `http-header`: the values of one header, case-insensitive.
    HttpHeader {
        /// The header's name, case-insensitive, without wildcards.
        name: String,
        /// Patterns of its value.
        patterns: Patterns,
    },
    /// `http-request-method`: exact, case-sensitive.
    HttpRequestMethod(Vec<String>),
    /// `query-string`: case-insensitive.
    QueryString(Vec<QueryPattern>),
    /// `source-ip`: the TCP peer, never a header.
    SourceIp(Vec<IpNet>),
}

/// How the values of a condition are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patterns {
    /// `Values`: `*` stands for any number of characters, `?` for exactly one.
    Wildcards(Vec<String>),
    /// `RegexValues`: regular expressions, found anywhere in the subject.
    Regex(Vec<String>),
}

/// A pattern of `query-string`, with wildcards; `\*`, `\?` and `\\` stand for the characters themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPattern {
    /// The key; `None` is any.
    pub key: Option<String>,
    /// The value.
    pub value: String,
}

/// The transforms of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transforms {
    /// `host-header-rewrite`.
    pub host_header_rewrite: Option<Rewrite>,
    /// `url-rewrite`: path and query.
    pub url_rewrite: Option<Rewrite>,
}

impl Transforms {
    /// Whether nothing is rewritten.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.host_header_rewrite.is_none() && self.url_rewrite.is_none()
    }
}

/// `RewriteConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The regular expression, up to 1024 characters.
    pub regex: String,
    /// What its match is replaced with; `$1` to `$9` stand for its groups. Up to 1024 characters.
    pub replace: String,
}

/// The actions of a rule or default rule, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Actions {
    /// `authenticate-oidc` or `jwt-validation`, done first.
    pub authenticate: Option<Authenticate>,
    /// The action that ends the rule.
    pub action: Action,
}

impl From<Action> for Actions {
    fn from(action: Action) -> Self {
        Self { authenticate: None, action }
    }
}

/// An action that a request must pass before the rule's last one.
#[derive(Debug, Clone, PartialEq)]
pub enum Authenticate {
    /// `authenticate-oidc`.
    Oidc(Arc<AuthenticateOidc>),
    /// `jwt-validation`.
    Jwt(Arc<JwtValidation>),
}

/// `authenticate-oidc`.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthenticateOidc {
    /// Issuer of the ID token, as an https URL.
    pub issuer: String,
    /// Where users log in.
    pub authorization_endpoint: String,
    /// Where codes are exchanged for tokens.
    pub token_endpoint: String,
    /// Where claims are fetched.
    pub user_info_endpoint: String,
    /// OAuth 2.0 client id.
    pub client_id: String,
    /// OAuth 2.0 client secret.
    pub client_secret: String,
    /// Default `AWSELBAuthSessionCookie`.
    pub session_cookie_name: String,
    /// Space-separated. Default `openid`.
    pub scope: String,
    /// 1–604800 s, default 604800 s.
    pub session_timeout: Duration,
    /// Up to ten further parameters of the login request.
    pub authentication_request_extra_params: BTreeMap<String, String>,
    /// What happens to a request without a session.
    pub on_unauthenticated_request: OnUnauthenticatedRequest,
}

impl std::fmt::Debug for AuthenticateOidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the client secret.
        f.debug_struct("AuthenticateOidc")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// `OnUnauthenticatedRequest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUnauthenticatedRequest {
    /// `authenticate`, the default: the user is sent to log in.
    Authenticate,
    /// `allow`: the request goes on without claims.
    Allow,
    /// `deny`: 401.
    Deny,
}

/// `jwt-validation`: an RS256 token in `Authorization: Bearer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtValidation {
    /// Where the keys are, as an https URL.
    pub jwks_endpoint: String,
    /// What the claim `iss` must be.
    pub issuer: String,
    /// Up to ten further claims.
    pub additional_claims: Vec<AdditionalClaim>,
}

/// A claim that a token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdditionalClaim {
    /// Its name.
    pub name: String,
    /// How its value is written.
    pub format: ClaimFormat,
    /// Values of which the claim must have one.
    pub values: Vec<String>,
}

/// `Format` of an additional claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimFormat {
    /// `single-string`.
    SingleString,
    /// `string-array`.
    StringArray,
    /// `space-separated-values`.
    SpaceSeparatedValues,
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

impl Action {
    /// The target groups the action can forward to.
    pub fn target_groups(&self) -> impl Iterator<Item = TargetGroupIndex> {
        let groups = match self {
            Self::Forward(forward) => forward.target_groups.as_slice(),
            Self::Redirect(_) | Self::FixedResponse(_) => &[],
        };
        groups.iter().map(|group| group.target_group)
    }
}

/// `forward`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// One to five target groups with their weights.
    pub target_groups: Vec<WeightedTargetGroup>,
    /// `TargetGroupStickinessConfig`: how long AWSALBTG binds a client to a group, 1–604800 s. `None`: off.
    ///
    /// Network load balancers bind a client by its address and know no duration: [`Duration::MAX`].
    pub stickiness: Option<Duration>,
}

impl Forward {
    /// Everything to one group.
    #[must_use]
    pub fn to(target_group: TargetGroupIndex) -> Self {
        Self { target_groups: vec![WeightedTargetGroup { target_group, weight: 1 }], stickiness: None }
    }
}

/// A target group of a forward action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// The target group.
    pub target_group: TargetGroupIndex,
    /// 0–999; 0 means no requests.
    pub weight: u16,
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
    pub message_body: Bytes,
}
