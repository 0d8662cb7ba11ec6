//! Conditions of rules.
//!
//! ELB page: "Condition types for listener rules".

use super::{
    condition_value::{self as value, Problem},
    context::Context,
    path::Path,
    raw::{List, RawCondition, RawHttpHeader, RawPatterns, RawQueryString},
    scalar::Text,
};
use crate::{
    model::{
        Condition,
        rule::{Patterns, QueryPattern},
    },
    rules::wildcard::{self, Escapes},
};

/// Values in one condition.
const MOST_VALUES: usize = 3;
/// Values in all conditions of a rule.
const MOST_VALUES_OF_RULE: usize = 5;
/// Wildcards in all conditions of a rule.
///
/// ELB's pages differ, five or six: the file is read by the more generous.
const MOST_WILDCARDS_OF_RULE: usize = 6;

/// Every kind of condition.
const KINDS: [&str; 6] =
    ["host_header", "path_pattern", "http_header", "http_request_method", "query_string", "source_ip"];

/// Converts the conditions of a rule.
pub(super) fn convert_all(raw: List<RawCondition>, at: &Path, cx: &mut Context<'_>) -> Vec<Condition> {
    let Some(raw) = raw else {
        cx.report.missing(at);
        return Vec::new();
    };
    if raw.is_empty() {
        cx.report.mistake(at, "a rule needs at least one condition");
    }
    let mut rule = Tally::default();
    let mut conditions = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        match raw {
            Some(raw) => conditions.extend(one(raw, &at, &mut rule, cx)),
            None => cx.report.missing(&at),
        }
    }
    rule.check(at, cx);
    conditions
}

/// What a rule has so far.
#[derive(Default)]
struct Tally {
    kinds: Vec<&'static str>,
    values: usize,
    wildcards: usize,
}

impl Tally {
    fn check(&self, at: &Path, cx: &mut Context<'_>) {
        if self.values > MOST_VALUES_OF_RULE {
            let message =
                format!("a rule can have up to {MOST_VALUES_OF_RULE} condition values, not {}", self.values);
            cx.report.mistake(at, message);
        }
        if self.wildcards > MOST_WILDCARDS_OF_RULE {
            let message =
                format!("a rule can have up to {MOST_WILDCARDS_OF_RULE} wildcards, not {}", self.wildcards);
            cx.report.mistake(at, message);
        }
    }

    /// A rule has at most one condition of these kinds.
    fn once(&mut self, kind: &'static str, at: &Path, cx: &mut Context<'_>) {
        if self.kinds.contains(&kind) {
            cx.report.mistake(at, format!("a rule can have only one {kind} condition"));
        }
        self.kinds.push(kind);
    }
}

fn one(raw: RawCondition, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) -> Option<Condition> {
    let given = [
        raw.host_header.is_some(),
        raw.path_pattern.is_some(),
        raw.http_header.is_some(),
        raw.http_request_method.is_some(),
        raw.query_string.is_some(),
        raw.source_ip.is_some(),
    ];
    if given.iter().filter(|given| **given).count() != 1 {
        if !cx.report.is_reported_within(at) {
            cx.report.mistake(at, format!("must have exactly one of {}", KINDS.join(", ")));
        }
        return None;
    }
    if let Some(raw) = raw.host_header {
        let at = at.key("host_header");
        rule.once("host_header", &at, cx);
        patterns(raw, &at, &at, value::host, rule, cx).map(Condition::HostHeader)
    } else if let Some(raw) = raw.path_pattern {
        let at = at.key("path_pattern");
        rule.once("path_pattern", &at, cx);
        patterns(raw, &at, &at, value::path, rule, cx).map(Condition::PathPattern)
    } else if let Some(raw) = raw.http_header {
        http_header(raw, &at.key("http_header"), rule, cx)
    } else if let Some(raw) = raw.http_request_method {
        let at = at.key("http_request_method");
        rule.once("http_request_method", &at, cx);
        let methods = values(raw, &at, rule, cx);
        for (value, at) in &methods {
            value::check(value, value::method, at, cx);
        }
        Some(Condition::HttpRequestMethod(methods.into_iter().map(|(method, _)| method).collect()))
    } else if let Some(raw) = raw.query_string {
        Some(query_string(raw, &at.key("query_string"), rule, cx))
    } else if let Some(raw) = raw.source_ip {
        let at = at.key("source_ip");
        rule.once("source_ip", &at, cx);
        let ranges = values(raw, &at, rule, cx);
        for (value, at) in &ranges {
            value::check(value, value::cidr, at, cx);
        }
        Some(Condition::SourceIp(ranges.iter().filter_map(|(range, _)| range.parse().ok()).collect()))
    } else {
        None
    }
}

/// Wildcards or regular expressions. `values_at` is where the former stand.
fn patterns(
    raw: RawPatterns,
    at: &Path,
    values_at: &Path,
    problem: Problem,
    rule: &mut Tally,
    cx: &mut Context<'_>,
) -> Option<Patterns> {
    match (raw.values, raw.regex_values) {
        (Some(_), Some(_)) => {
            cx.report.mistake(at, "must have either values or regex_values, not both");
            None
        }
        (None, Some(raw)) => {
            let expressions = values(raw, &at.key("regex_values"), rule, cx);
            for (value, at) in &expressions {
                value::check_regex(value, at, cx);
            }
            Some(Patterns::Regex(expressions.into_iter().map(|(value, _)| value).collect()))
        }
        (raw, None) => {
            let found = values(raw.unwrap_or_default(), values_at, rule, cx);
            for (value, at) in &found {
                value::check(value, problem, at, cx);
                rule.wildcards += wildcard::count_wildcards(value, Escapes::None);
            }
            Some(Patterns::Wildcards(found.into_iter().map(|(value, _)| value).collect()))
        }
    }
}

/// The values of one condition with their places; counts them.
fn values(raw: Vec<Option<Text>>, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) -> Vec<(String, Path)> {
    count(raw.len(), at, rule, cx);
    let mut values = Vec::new();
    for (index, value) in raw.into_iter().enumerate() {
        let at = at.index(index);
        values.extend(cx.required(value, &at).map(|value| (value, at)));
    }
    values
}

fn count(number: usize, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) {
    rule.values += number;
    if number == 0 {
        cx.report.mistake(at, "a condition needs at least one value");
    } else if number > MOST_VALUES {
        cx.report.mistake(at, format!("a condition can have up to {MOST_VALUES} values, not {number}"));
    }
}

fn http_header(raw: RawHttpHeader, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) -> Option<Condition> {
    let name_at = at.key("name");
    let name = cx.required(raw.name, &name_at);
    if let Some(name) = &name {
        value::check_header_name(name, &name_at, cx);
    }
    let raw = RawPatterns { values: raw.values, regex_values: raw.regex_values };
    let patterns = patterns(raw, at, &at.key("values"), value::printable, rule, cx);
    Some(Condition::HttpHeader { name: name?, patterns: patterns? })
}

fn query_string(
    raw: Vec<Option<RawQueryString>>,
    at: &Path,
    rule: &mut Tally,
    cx: &mut Context<'_>,
) -> Condition {
    count(raw.len(), at, rule, cx);
    let mut patterns = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let (key_at, value_at) = (at.key("key"), at.key("value"));
        let key = raw.key.map(|Text(text)| text);
        let value = cx.required(raw.value, &value_at);
        for (at, text) in [(&key_at, &key), (&value_at, &value)] {
            let Some(text) = text else { continue };
            rule.wildcards += wildcard::count_wildcards(text, Escapes::Backslash);
            value::check(text, value::printable, at, cx);
        }
        patterns.extend(value.map(|value| QueryPattern { key, value }));
    }
    Condition::QueryString(patterns)
}
