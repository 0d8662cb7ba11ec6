//! Conditions and transforms of rules.
//!
//! ELB pages: "Condition types for listener rules", "Transforms for listener rules".

use ipnet::IpNet;

use super::{
    context::Context,
    path::Path,
    raw::{List, RawCondition, RawHttpHeader, RawPatterns, RawQueryString, RawTransform},
    scalar::Text,
};
use crate::model::{Condition, rule::Patterns};

/// Values in one condition.
const MOST_VALUES: usize = 3;
/// Values in all conditions of a rule.
const MOST_VALUES_OF_RULE: usize = 5;
/// Wildcards in all conditions of a rule.
const MOST_WILDCARDS_OF_RULE: usize = 6;
/// Characters in a value or regular expression.
const LONGEST_VALUE: usize = 128;
/// Characters in a header's or method's name.
const LONGEST_NAME: usize = 40;
/// Characters in a transform's regular expression or replacement.
const LONGEST_TRANSFORM: usize = 1024;

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
        return patterns(raw, &at, host_problem, rule, cx)
            .map(|values| Condition::HostHeader(Patterns::Wildcards(values)));
    }
    if let Some(raw) = raw.path_pattern {
        let at = at.key("path_pattern");
        rule.once("path_pattern", &at, cx);
        return patterns(raw, &at, path_problem, rule, cx)
            .map(|values| Condition::PathPattern(Patterns::Wildcards(values)));
    }
    if let Some(raw) = raw.http_header {
        http_header(raw, &at.key("http_header"), rule, cx);
    } else if let Some(raw) = raw.http_request_method {
        let at = at.key("http_request_method");
        rule.once("http_request_method", &at, cx);
        values(Some(raw), &at, method_problem, rule, cx);
        cx.report.not_yet(&at, "the condition http_request_method");
    } else if let Some(raw) = raw.query_string {
        query_string(raw, &at.key("query_string"), rule, cx);
    } else if let Some(raw) = raw.source_ip {
        let at = at.key("source_ip");
        rule.once("source_ip", &at, cx);
        values(Some(raw), &at, cidr_problem, rule, cx);
        cx.report.not_yet(&at, "the condition source_ip");
    }
    None
}

/// Why a value is not allowed.
type Problem = fn(&str) -> Option<String>;

fn patterns(
    raw: RawPatterns,
    at: &Path,
    problem: Problem,
    rule: &mut Tally,
    cx: &mut Context<'_>,
) -> Option<Vec<String>> {
    if raw.regex_values.is_some() {
        let at = at.key("regex_values");
        values(raw.regex_values, &at, length_problem, rule, cx);
        cx.report.not_yet(&at, "regular expressions in conditions");
        return None;
    }
    values(raw.values, at, problem, rule, cx)
}

/// Checks the values of one condition and counts them. `None` if one is wrong.
fn values(
    raw: List<Text>,
    at: &Path,
    problem: Problem,
    rule: &mut Tally,
    cx: &mut Context<'_>,
) -> Option<Vec<String>> {
    let raw = raw.unwrap_or_default();
    count(raw.len(), at, rule, cx);
    let mut values = Vec::new();
    for (index, value) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let value = cx.required(value, &at)?;
        if let Some(problem) = length_problem(&value).or_else(|| problem(&value)) {
            cx.report.mistake(&at, format!("Condition value '{value}' {problem}"));
        }
        rule.wildcards += wildcards(&value);
        values.push(value);
    }
    Some(values)
}

fn count(number: usize, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) {
    rule.values += number;
    if number == 0 {
        cx.report.mistake(at, "a condition needs at least one value");
    } else if number > MOST_VALUES {
        cx.report.mistake(at, format!("a condition can have up to {MOST_VALUES} values, not {number}"));
    }
}

fn wildcards(value: &str) -> usize {
    value.bytes().filter(|byte| matches!(byte, b'*' | b'?')).count()
}

fn length_problem(value: &str) -> Option<String> {
    (value.chars().count() > LONGEST_VALUE)
        .then(|| format!("cannot be longer than {LONGEST_VALUE} characters"))
}

fn host_problem(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.*?".contains(&byte);
    let Some((_, last)) = value.rsplit_once('.') else {
        return Some("must have at least one '.'".to_owned());
    };
    if !value.bytes().all(allowed) {
        return Some("can only contain letters, digits and '-.*?'".to_owned());
    }
    let letters = last.bytes().all(|byte| byte.is_ascii_alphabetic() || b"*?".contains(&byte));
    (last.is_empty() || !letters).then(|| "can only have letters after the last '.'".to_owned())
}

fn path_problem(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$/~\"'@:+&*?".contains(&byte);
    (!value.bytes().all(allowed)).then(|| "can only contain letters, digits and _-.$/~\"'@:+&*?".to_owned())
}

fn method_problem(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || b"-_".contains(&byte);
    (value.len() > LONGEST_NAME || !value.bytes().all(allowed))
        .then(|| format!("can only have up to {LONGEST_NAME} capital letters, '-' and '_'"))
}

fn cidr_problem(value: &str) -> Option<String> {
    (value.parse::<IpNet>().is_err() || value == "255.255.255.255/32")
        .then(|| "must be an address range in CIDR form".to_owned())
}

fn http_header(raw: RawHttpHeader, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) {
    let name_at = at.key("name");
    if let Some(name) = cx.required(raw.name, &name_at) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-!#$%&'+.^_`|~".contains(&byte);
        if name.eq_ignore_ascii_case("host") {
            cx.report.mistake(&name_at, "the Host header has its own condition, host_header");
        } else if name.len() > LONGEST_NAME || !name.bytes().all(token) {
            cx.report.mistake(
                &name_at,
                format!("'{name}' is not a header name of up to {LONGEST_NAME} characters"),
            );
        }
    }
    let (key, raw) =
        if raw.regex_values.is_some() { ("regex_values", raw.regex_values) } else { ("values", raw.values) };
    values(raw, &at.key(key), |_| None, rule, cx);
    cx.report.not_yet(at, "the condition http_header");
}

fn query_string(raw: Vec<Option<RawQueryString>>, at: &Path, rule: &mut Tally, cx: &mut Context<'_>) {
    count(raw.len(), at, rule, cx);
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let value_at = at.key("value");
        let value = cx.required(raw.value, &value_at);
        let key = raw.key.map(|Text(text)| text);
        for (at, text) in [(at.key("key"), key), (value_at, value)] {
            let Some(text) = text else { continue };
            rule.wildcards += wildcards(&text);
            if let Some(problem) = length_problem(&text) {
                cx.report.mistake(&at, format!("Condition value '{text}' {problem}"));
            }
        }
    }
    cx.report.not_yet(at, "the condition query_string");
}

/// Checks the transforms of a rule and refuses them.
pub(super) fn refuse_transforms(raw: List<RawTransform>, at: &Path, cx: &mut Context<'_>) {
    let Some(raw) = raw else { return };
    let mut kinds = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let at = at.index(index);
        let Some(raw) = raw else {
            cx.report.missing(&at);
            continue;
        };
        let (key, rewrite) = match (raw.host_header_rewrite, raw.url_rewrite) {
            (Some(rewrite), None) => ("host_header_rewrite", rewrite),
            (None, Some(rewrite)) => ("url_rewrite", rewrite),
            _ => {
                cx.report.mistake(&at, "must have exactly one of host_header_rewrite, url_rewrite");
                continue;
            }
        };
        let at = at.key(key);
        if kinds.contains(&key) {
            cx.report.mistake(&at, format!("a rule can have only one {key}"));
        }
        kinds.push(key);
        for (at, text) in [(at.key("regex"), rewrite.regex), (at.key("replace"), rewrite.replace)] {
            if let Some(text) = cx.required(text, &at)
                && text.chars().count() > LONGEST_TRANSFORM
            {
                cx.report.mistake(&at, format!("cannot be longer than {LONGEST_TRANSFORM} characters"));
            }
        }
        cx.report.not_yet(&at, "transforms");
    }
}
