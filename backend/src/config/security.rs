//! `security.*`: who may connect, and as whom.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::auth::{self, Access, Action, JwtSettings, KeySources, Policy, Rule, Rules, Sources};
use crate::broker::Pattern;

use super::{Secret, units};

/// Most that clocks may differ.
const CLOCK_SKEW_LIMIT: Duration = Duration::from_secs(30);

/// Who may connect, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SecurityConfig {
    /// Whether everybody must be named by a token, at the latest in CONNECT.
    /// Default: when there are keys. With `false` and keys a client without a
    /// token is anonymous, and one with a bad token is refused all the same.
    pub required: Option<bool>,
    /// Allows what is only good for development: `*` in
    /// `websocket.allowed-origins`. Default false.
    pub development: bool,
    /// How long a client that must be named and was not by its handshake has for
    /// CONNECT; `stomp.time-to-first-message` if that is shorter. Default
    /// `10s`.
    #[serde(deserialize_with = "units::duration")]
    pub unauthenticated_timeout: Duration,
    /// JSON Web Tokens.
    pub jwt: JwtConfig,
    /// Where handshakes carry tokens besides `Authorization: Bearer`.
    pub token: TokenConfig,
    /// Pages whose Origin is `null`: sandboxed or local ones. Default `deny`.
    #[serde(deserialize_with = "policy")]
    pub null_origin: Policy,
    /// Requests without Origin, which come from no browser. Default `allow`.
    #[serde(deserialize_with = "policy")]
    pub missing_origin: Policy,
    /// Who may send and subscribe to what, the first rule that matches decides.
    /// Default none: everybody who is connected may everything.
    pub rules: Vec<RuleConfig>,
}

/// JSON Web Tokens: keys, all of which are in force together, and what tokens
/// must say. Without any key nobody is asked for a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JwtConfig {
    /// Secret for HS256, at least 32 bytes. Better from the environment,
    /// `JWT_SECRET`, or from a file. Default none.
    pub secret: Option<Secret>,
    /// File with a secret for HS256 in each line, so that the old one can stay in
    /// force beside the new. Read again when it changes, and on SIGHUP, as the
    /// other files. Default none.
    pub secret_file: Option<PathBuf>,
    /// PEM file with a public key: RSA for RS256, or P-256 for ES256, P-384 for
    /// ES384. Default none.
    pub public_key_location: Option<PathBuf>,
    /// JWK set (RFC 7517): the `kid` of a token chooses the key. Default none.
    pub jwk_set_file: Option<PathBuf>,
    /// The `iss` that tokens must have. Default any, or none.
    pub issuer: Option<String>,
    /// Tokens must be for one of these, `aud`. Default any, or none.
    pub audiences: Vec<String>,
    /// By how much clocks may differ, for `exp` and `nbf`; not divided by
    /// `--time-scale`. From `0s` to `30s`. Default `30s`.
    #[serde(deserialize_with = "units::duration")]
    pub clock_skew: Duration,
    /// The claim with the user's name. Default `sub`.
    pub principal_claim_name: String,
    /// The claims with authorities, as arrays or as words in one text. Default
    /// `[scope, scp, roles, authorities]`.
    pub authorities_claim_names: Vec<String>,
    /// What is put before each authority (Spring's is `SCOPE_`). Default
    /// nothing.
    pub authority_prefix: String,
}

/// Where handshakes carry tokens, since a browser's WebSocket sends no header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// Name of a cookie. Default none.
    pub cookie: Option<String>,
    /// Name of a query parameter; a token in an address ends up in the logs of
    /// whatever is in between. Default none.
    pub query_parameter: Option<String>,
}

/// One rule: either `send` or `subscribe`, and either `authority` or `access`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleConfig {
    /// Ant pattern of destinations of SEND.
    pub send: Option<String>,
    /// Ant pattern of destinations of SUBSCRIBE.
    pub subscribe: Option<String>,
    /// Users with this authority may.
    pub authority: Option<String>,
    /// `anyone`, `authenticated` or `nobody` may.
    pub access: Option<AccessConfig>,
}

/// Who may, whatever authorities they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessConfig {
    /// Everybody who is connected.
    Anyone,
    /// Everybody whom a token named.
    Authenticated,
    /// Nobody.
    Nobody,
}

impl Default for SecurityConfig {
    fn default() -> Self {
        Self {
            required: None,
            development: false,
            unauthenticated_timeout: Duration::from_secs(10),
            jwt: JwtConfig::default(),
            token: TokenConfig::default(),
            null_origin: Policy::Deny,
            missing_origin: Policy::Allow,
            rules: Vec::new(),
        }
    }
}

impl Default for JwtConfig {
    fn default() -> Self {
        let names = ["scope", "scp", "roles", "authorities"];
        Self {
            secret: None,
            secret_file: None,
            public_key_location: None,
            jwk_set_file: None,
            issuer: None,
            audiences: Vec::new(),
            clock_skew: CLOCK_SKEW_LIMIT,
            principal_claim_name: "sub".to_owned(),
            authorities_claim_names: names.map(str::to_owned).to_vec(),
            authority_prefix: String::new(),
        }
    }
}

impl JwtConfig {
    /// Where the keys are.
    #[must_use]
    pub fn sources(&self) -> KeySources {
        KeySources {
            secret: self.secret.as_ref().map(|secret| auth::Secret::new(secret.reveal())),
            secret_file: self.secret_file.clone(),
            public_key: self.public_key_location.clone(),
            jwk_set: self.jwk_set_file.clone(),
        }
    }

    /// What tokens must say.
    #[must_use]
    pub fn settings(&self) -> JwtSettings {
        JwtSettings {
            issuer: self.issuer.clone(),
            audiences: self.audiences.clone(),
            clock_skew: self.clock_skew,
            principal_claim: self.principal_claim_name.clone(),
            authorities_claims: self.authorities_claim_names.clone(),
            authority_prefix: self.authority_prefix.clone(),
        }
    }
}

impl TokenConfig {
    /// The same, for whoever looks for tokens.
    #[must_use]
    pub fn sources(&self) -> Sources {
        Sources { cookie: self.cookie.clone(), query_parameter: self.query_parameter.clone() }
    }
}

impl RuleConfig {
    fn rule(&self) -> Result<Rule, String> {
        let (action, pattern) = match (&self.send, &self.subscribe) {
            (Some(pattern), None) => (Action::Send, pattern),
            (None, Some(pattern)) => (Action::Subscribe, pattern),
            _ => return Err("must have either send or subscribe".to_owned()),
        };
        let access = match (&self.authority, self.access) {
            (Some(authority), None) => Access::Authority(authority.clone()),
            (None, Some(AccessConfig::Anyone)) => Access::Anyone,
            (None, Some(AccessConfig::Authenticated)) => Access::Authenticated,
            (None, Some(AccessConfig::Nobody)) => Access::Nobody,
            _ => return Err("must have either authority or access".to_owned()),
        };
        if !pattern.starts_with('/') {
            return Err(format!("{pattern:?}: a destination begins with a slash"));
        }
        let pattern = Pattern::try_new(pattern).map_err(|error| format!("{pattern:?}: {error}"))?;
        Ok(Rule { action, pattern, access })
    }
}

impl SecurityConfig {
    /// Who may send and subscribe to what. Rules with problems are left out.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules(self.rules.iter().filter_map(|rule| rule.rule().ok()).collect())
    }

    /// What the types cannot say, one line each.
    pub(super) fn problems(&self) -> Vec<String> {
        let jwt = &self.jwt;
        let mut problems = Vec::new();
        if self.unauthenticated_timeout.is_zero() {
            problems.push("security.unauthenticated-timeout: must be above zero".to_owned());
        }
        if jwt.clock_skew > CLOCK_SKEW_LIMIT {
            problems.push("security.jwt.clock-skew: must be at most 30s".to_owned());
        }
        if jwt.principal_claim_name.is_empty() {
            problems.push("security.jwt.principal-claim-name: must not be empty".to_owned());
        }
        for (index, rule) in self.rules.iter().enumerate() {
            problems.extend(rule.rule().err().map(|problem| format!("security.rules[{index}]: {problem}")));
        }
        problems
    }

    /// What `websocket.allowed-origins` may not hold with these settings.
    pub(super) fn origin_problems(&self, origins: &[String]) -> Vec<String> {
        let any = |origin: &&String| !self.development && is_any(origin);
        let problem = |origin| {
            format!(
                "websocket.allowed-origins: {origin:?} lets every page act for its visitors, list the origins \
                 (for development: security.development: true)"
            )
        };
        origins.iter().filter(any).map(problem).collect()
    }

    /// Every timer, to be scaled.
    pub(super) fn timers(&mut self) -> Vec<&mut Duration> {
        vec![&mut self.unauthenticated_timeout]
    }
}

/// Whether an entry allows every origin.
fn is_any(origin: &str) -> bool {
    origin == "*"
}

/// `deserialize_with` for `allow` or `deny`.
fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Name {
        Allow,
        Deny,
    }
    Ok(match Name::deserialize(deserializer)? {
        Name::Allow => Policy::Allow,
        Name::Deny => Policy::Deny,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    /// What `validate` says of a text.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let config = Config::parse(text, Path::new("backend.yml")).unwrap();
        let problems = config.validate().map_err(|error| error.to_string());
        let expected = if expected.is_empty() { Ok(()) } else { Err(expected.join("\n")) };
        assert_eq!(problems, expected);
    }

    #[test]
    fn every_origin_is_for_development() {
        check(
            "websocket: { allowed-origins: [\"*\"] }",
            &["websocket.allowed-origins: \"*\" lets every page act for its visitors, list the origins \
               (for development: security.development: true)"],
        );
        check("{ websocket: { allowed-origins: [\"*\"] }, security: { development: true } }", &[]);
        check("websocket: { allowed-origins: [\"https://*.example.com\", \"http://localhost:*\"] }", &[]);
    }

    #[test]
    fn a_rule_has_one_pattern_and_one_who_may() {
        check(
            "security:\n  rules:\n\
             \x20   - { send: /app/a, subscribe: /topic/a, authority: x }\n\
             \x20   - { send: /app/a }\n\
             \x20   - { send: /app/a, authority: x, access: nobody }\n\
             \x20   - { subscribe: \"/topic/{a\", access: authenticated }\n\
             \x20   - { subscribe: topic, access: anyone }\n\
             \x20   - { subscribe: \"/topic/**\", access: anyone }\n",
            &[
                "security.rules[0]: must have either send or subscribe",
                "security.rules[1]: must have either authority or access",
                "security.rules[2]: must have either authority or access",
                "security.rules[3]: \"/topic/{a\": a brace is not closed, or not opened",
                "security.rules[4]: \"topic\": a destination begins with a slash",
            ],
        );
    }

    #[test]
    fn values_out_of_range_are_told() {
        check(
            "security: { unauthenticated-timeout: 0s, jwt: { clock-skew: 31s, principal-claim-name: \"\" } }\n\
             limits: { messages-burst: 0, handshakes-per-second: 1, handshakes-burst: 0 }",
            &[
                "security.unauthenticated-timeout: must be above zero",
                "security.jwt.clock-skew: must be at most 30s",
                "security.jwt.principal-claim-name: must not be empty",
                "limits.messages-burst: must be above zero where there is a rate",
                "limits.handshakes-burst: must be above zero where there is a rate",
            ],
        );
    }

    #[test]
    fn a_secret_is_not_printed_and_clocks_are_not_scaled() {
        let text = "security: { jwt: { secret: hidden-hidden-hidden-hidden-hidden } }";
        let config = Config::parse(text, Path::new("backend.yml")).unwrap().scaled(10);
        assert!(!format!("{config:?}").contains("hidden"));
        assert_eq!(config.security.jwt.clock_skew, Duration::from_secs(30));
        assert_eq!(config.security.unauthenticated_timeout, Duration::from_secs(1));
        assert_eq!(config.limits.messages_per_second, 10_000);
    }
}
