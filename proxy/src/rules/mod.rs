//! Listener rules: conditions tried in order of priority, the first match
//! gives the actions, the default action is last.
//!
//! ELB pages: "Listener rules for your Application Load Balancer",
//! "Condition types for listener rules". Pure: patterns are compiled when the
//! configuration is loaded, a request is matched without allocation unless its
//! path or query must be normalised, and nothing is looked at that no rule asks
//! for. What an action does is not here, except for the text of a redirect's
//! `Location`.

mod condition;
pub mod path;
mod query_string;
pub mod redirect;
pub mod regex_values;
pub mod transforms;
pub mod wildcard;

use std::time::Duration;

pub use self::condition::Request;
use self::{
    condition::{CompiledCondition, Subject},
    transforms::Transforms,
};
use crate::model::{
    Action, Rule,
    rule::{Actions, Forward},
};

/// The rules of one listener, compiled.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Lowest priority number first.
    rules: Vec<CompiledRule>,
    default: Actions,
}

/// The rule that a request matched.
#[derive(Debug, Clone, Copy)]
pub struct Matched<'a> {
    /// 1–50000, or 0 for the default rule: `matched_rule_priority` of the access log.
    pub priority: u16,
    /// What to rewrite before the request is forwarded.
    pub transforms: Option<&'a Transforms>,
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

    /// The same with each duration of a `TargetGroupStickinessConfig` as `scale` makes it.
    #[must_use]
    pub fn with_stickiness(mut self, scale: impl Fn(Duration) -> Duration) -> Self {
        let actions = self.rules.iter_mut().map(|rule| &mut rule.actions).chain([&mut self.default]);
        for actions in actions {
            if let Action::Forward(Forward { stickiness: Some(duration), .. }) = &mut actions.action {
                *duration = scale(*duration);
            }
        }
        self
    }

    /// The first rule that matches a request.
    #[must_use]
    pub fn evaluate(&self, request: Request<'_>) -> Matched<'_> {
        if self.rules.is_empty() {
            return self.default_rule();
        }
        let subject = Subject::new(request);
        let matched = self.rules.iter().enumerate().find(|(_, rule)| rule.matches(&subject));
        matched.map_or_else(
            || self.default_rule(),
            |(index, rule)| Matched {
                priority: rule.priority,
                transforms: rule.transforms.as_ref(),
                actions: &rule.actions,
                evaluated: index + 1,
            },
        )
    }

    const fn default_rule(&self) -> Matched<'_> {
        Matched { priority: 0, transforms: None, actions: &self.default, evaluated: self.rules.len() }
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
    transforms: Option<Transforms>,
    actions: Actions,
}

impl CompiledRule {
    fn new(rule: &Rule) -> Self {
        Self {
            priority: rule.priority,
            conditions: rule.conditions.iter().map(CompiledCondition::new).collect(),
            transforms: Transforms::compile(&rule.transforms),
            actions: rule.actions.clone(),
        }
    }

    fn matches(&self, subject: &Subject<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.matches(subject))
    }
}

#[cfg(test)]
mod tests;
