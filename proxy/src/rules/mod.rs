//! Listener rules: conditions tried in order of priority, the first match
//! gives the actions, the default action is last.
//!
//! ELB pages: "Listener rules for your Application Load Balancer",
//! "Condition types for listener rules". Pure: patterns are compiled when the
//! configuration is loaded, a request is matched without allocation unless its
//! path must be normalised. What an action does is not here, except for the
//! text of a redirect's `Location`.

pub mod path;
pub mod redirect;
pub mod wildcard;

use self::wildcard::{Case, Pattern};
use crate::model::{
    Condition, Rule,
    rule::{Actions, Patterns},
};

/// The rules of one listener, compiled.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Lowest priority number first.
    rules: Vec<CompiledRule>,
    default: Actions,
}

/// The rule that a request matched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matched<'a> {
    /// 1–50000, or 0 for the default rule: `matched_rule_priority` of the access log.
    pub priority: u16,
    /// What to do with the request.
    pub actions: &'a Actions,
    /// Rules that were looked at, the default rule not counted (metric `RuleEvaluations`).
    pub evaluated: usize,
}

impl RuleSet {
    /// Compiles a listener's rules; their order in the slice does not matter, priorities do.
    #[must_use]
    pub fn compile(rules: &[Rule], default: &Actions) -> Self {
        let mut rules: Vec<CompiledRule> = rules.iter().map(CompiledRule::new).collect();
        rules.sort_by_key(|rule| rule.priority);
        Self { rules, default: default.clone() }
    }

    /// The first rule that matches a request.
    ///
    /// `host` is the Host header or `:authority`, with or without a port; `path` is the request
    /// target's path as received. A query string, if there is one, is ignored.
    #[must_use]
    pub fn evaluate(&self, host: &str, path: &str) -> Matched<'_> {
        if self.rules.is_empty() {
            return self.default_rule();
        }
        let host = without_port(host);
        let path = path::normalise(path);
        let matched = self.rules.iter().enumerate().find(|(_, rule)| rule.matches(host, &path));
        matched.map_or_else(
            || self.default_rule(),
            |(index, rule)| Matched { priority: rule.priority, actions: &rule.actions, evaluated: index + 1 },
        )
    }

    const fn default_rule(&self) -> Matched<'_> {
        Matched { priority: 0, actions: &self.default, evaluated: self.rules.len() }
    }
}

/// The name in a Host header, without its port. An IPv6 literal keeps its brackets.
#[must_use]
pub fn without_port(host: &str) -> &str {
    let end_of_literal = host.rfind(']').map_or(0, |bracket| bracket + 1);
    match host.get(end_of_literal..).and_then(|rest| rest.find(':')) {
        Some(colon) => host.get(..end_of_literal + colon).unwrap_or(host),
        None => host,
    }
}

#[derive(Debug, Clone)]
struct CompiledRule {
    priority: u16,
    conditions: Vec<CompiledCondition>,
    actions: Actions,
}

impl CompiledRule {
    fn new(rule: &Rule) -> Self {
        Self {
            priority: rule.priority,
            conditions: rule.conditions.iter().map(CompiledCondition::new).collect(),
            actions: rule.actions.clone(),
        }
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        self.conditions.iter().all(|condition| condition.matches(host, path))
    }
}

/// A condition: its values are alternatives.
#[derive(Debug, Clone)]
enum CompiledCondition {
    HostHeader(Vec<Pattern>),
    PathPattern(Vec<Pattern>),
}

impl CompiledCondition {
    fn new(condition: &Condition) -> Self {
        let compile =
            |values: &[String], case| values.iter().map(|value| Pattern::new(value, case)).collect();
        match condition {
            Condition::HostHeader(Patterns::Wildcards(values)) => {
                Self::HostHeader(compile(values, Case::Insensitive))
            }
            Condition::PathPattern(Patterns::Wildcards(values)) => {
                Self::PathPattern(compile(values, Case::Sensitive))
            }
            // Refused by `config`.
            _ => Self::PathPattern(Vec::new()),
        }
    }

    fn matches(&self, host: &str, path: &str) -> bool {
        let (patterns, subject) = match self {
            Self::HostHeader(patterns) => (patterns, host),
            Self::PathPattern(patterns) => (patterns, path),
        };
        patterns.iter().any(|pattern| pattern.matches(subject.as_bytes()))
    }
}

#[cfg(test)]
mod tests;
