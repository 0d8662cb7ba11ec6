//! Rules of listeners: conditions and actions.

use super::settings::Settings;
use crate::{
    doctor::{
        document::Node,
        setting::Setting,
        system::{Action, Condition, ConditionField, Rule, WeightedTargetGroup},
    },
    model::{
        self,
        rule::{Actions, Authenticate, Forward, Patterns, Redirect},
    },
};

/// The rules of the listener at the path `at` in the order of their evaluation, the default rule last. `written` are
/// those of the file, in its order.
pub(super) fn convert(
    settings: &Settings<'_>,
    at: &str,
    written: &[Node],
    listener: &model::Listener,
) -> Vec<Rule> {
    let mut rules: Vec<_> = listener
        .rules
        .iter()
        .map(|rule| {
            let priority = rule.priority.to_string();
            let is_it = |node: &Node| node.get("priority").and_then(Node::text) == Some(&priority);
            // A priority from the environment is not found: then the listener's rules stand for the rule.
            let at = match written.iter().position(is_it) {
                Some(index) => format!("{at}.rules[{index}]"),
                None => format!("{at}.rules"),
            };
            let conditions = rule.conditions.iter().enumerate();
            Rule {
                priority: settings.written(rule.priority, &at, "priority").map(|it| Some(u32::from(it))),
                conditions: conditions
                    .map(|(index, it)| condition(settings, &format!("{at}.conditions[{index}]"), it))
                    .collect(),
                actions: actions(settings, &format!("{at}.actions"), &rule.actions),
            }
        })
        .collect();
    let default_at = format!("{at}.default_actions");
    rules.push(Rule {
        priority: Setting::new(None, "default_actions", "default", settings.place(&default_at)),
        conditions: Vec::new(),
        actions: actions(settings, &default_at, &listener.default_actions),
    });
    rules
}

fn condition(settings: &Settings<'_>, at: &str, condition: &model::Condition) -> Condition {
    let (field, key, values) = match condition {
        model::Condition::HostHeader(patterns) => (ConditionField::HostHeader, "host_header", of(patterns)),
        model::Condition::PathPattern(patterns) => {
            (ConditionField::PathPattern, "path_pattern", of(patterns))
        }
        model::Condition::HttpHeader { name, patterns } => {
            (ConditionField::HttpHeader(name.to_ascii_lowercase()), "http_header", of(patterns))
        }
        model::Condition::HttpRequestMethod(methods) => {
            (ConditionField::HttpRequestMethod, "http_request_method", ("", methods.clone()))
        }
        model::Condition::QueryString(patterns) => {
            let pattern = |it: &model::rule::QueryPattern| match &it.key {
                Some(key) => format!("{key}={}", it.value),
                None => it.value.clone(),
            };
            (ConditionField::QueryString, "query_string", ("", patterns.iter().map(pattern).collect()))
        }
        model::Condition::SourceIp(blocks) => {
            (ConditionField::SourceIp, "source_ip", ("", blocks.iter().map(ToString::to_string).collect()))
        }
    };
    let (kind, values) = values;
    let is_apart = !kind.is_empty() && settings.is_written(&format!("{at}.{key}.{kind}"));
    let key = if is_apart { format!("{key}.{kind}") } else { key.to_owned() };
    let setting = |(index, value): (usize, String)| {
        let place = settings.place(&format!("{at}.{key}[{index}]"));
        Setting::new(value.clone(), &key, &value, place)
    };
    Condition { field, values: values.into_iter().enumerate().map(setting).collect() }
}

/// The key below which patterns may stand, and they.
fn of(patterns: &Patterns) -> (&'static str, Vec<String>) {
    match patterns {
        Patterns::Wildcards(values) => ("values", values.clone()),
        Patterns::Regex(values) => ("regex_values", values.clone()),
    }
}

fn actions(settings: &Settings<'_>, at: &str, actions: &Actions) -> Vec<Action> {
    let authenticate = actions.authenticate.as_ref().map(|it| {
        let (kind, key) = match it {
            Authenticate::Oidc(_) => ("authenticate-oidc", "authenticate_oidc"),
            Authenticate::Jwt(_) => ("jwt-validation", "jwt_validation"),
        };
        let place = settings.place(&format!("{at}[0].{key}"));
        Action::Authenticate(Setting::new(kind.to_owned(), key, kind, place))
    });
    let at = format!("{at}[{}]", usize::from(authenticate.is_some()));
    let last = match &actions.action {
        model::Action::Forward(it) => forward(settings, &format!("{at}.forward"), it),
        model::Action::Redirect(it) => redirect(settings, &format!("{at}.redirect"), it),
        model::Action::FixedResponse(it) => {
            Action::FixedResponse(settings.written(it.status.as_u16(), &at, "fixed_response.status_code"))
        }
    };
    authenticate.into_iter().chain([last]).collect()
}

fn forward(settings: &Settings<'_>, at: &str, forward: &Forward) -> Action {
    let weighted = forward.target_groups.iter().enumerate().map(|(index, it)| {
        let name = settings.loaded.model.target_group(it.target_group).map_or("", |group| &group.name);
        let list = format!("{at}.target_groups[{index}]");
        let is_listed = settings.is_written(&list);
        WeightedTargetGroup {
            target_group: settings.written(
                name.to_owned(),
                if is_listed { &list } else { at },
                "target_group",
            ),
            weight: is_listed.then(|| settings.or_default(it.weight, &list, "weight", "ELB").map(u32::from)),
        }
    });
    let target_groups = weighted.collect();
    let key = "target_group_stickiness_config.enabled";
    let stickiness = settings
        .is_written(&format!("{at}.{key}"))
        .then(|| settings.written(forward.stickiness.is_some(), at, key));
    Action::Forward { target_groups, stickiness }
}

fn redirect(settings: &Settings<'_>, at: &str, redirect: &Redirect) -> Action {
    let said = |key: &str, value: &str| settings.is_written(&format!("{at}.{key}")).then(|| value.to_owned());
    Action::Redirect {
        protocol: settings.written(redirect.protocol.clone(), at, "protocol"),
        host: said("host", &redirect.host),
        port: said("port", &redirect.port),
        path: said("path", &redirect.path),
        query: said("query", &redirect.query),
    }
}
