//! What a value of a condition may look like.
//!
//! ELB page: "Condition types for listener rules".

use http::HeaderName;
use ipnet::IpNet;

use super::{context::Context, path::Path};
use crate::rules::{regex_values, wildcard::Case};

/// Characters in a value or regular expression.
const LONGEST_VALUE: usize = 128;
/// Characters in a header's or method's name.
const LONGEST_NAME: usize = 40;

/// Why a value is not allowed.
pub(super) type Problem = fn(&str) -> Option<String>;

/// Reports a value that is too long, or for which `problem` has a reason.
pub(super) fn check(value: &str, problem: Problem, at: &Path, cx: &mut Context<'_>) {
    if let Some(problem) = length(value).or_else(|| problem(value)) {
        cx.report.mistake(at, format!("Condition value '{value}' {problem}"));
    }
}

/// Reports a regular expression that is too long or does not compile.
pub(super) fn check_regex(value: &str, at: &Path, cx: &mut Context<'_>) {
    let compiled = || regex_values::compile(value, Case::Insensitive).err();
    let problem = length(value).or_else(|| Some(format!("is not a regular expression: {}", compiled()?)));
    if let Some(problem) = problem {
        cx.report.mistake(at, format!("Regex value '{value}' {problem}"));
    }
}

fn length(value: &str) -> Option<String> {
    (value.chars().count() > LONGEST_VALUE)
        .then(|| format!("cannot be longer than {LONGEST_VALUE} characters"))
}

pub(super) fn host(value: &str) -> Option<String> {
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

pub(super) fn path(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.$/~\"'@:+&*?".contains(&byte);
    (!value.bytes().all(allowed)).then(|| "can only contain letters, digits and _-.$/~\"'@:+&*?".to_owned())
}

pub(super) fn method(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || b"-_".contains(&byte);
    (value.len() > LONGEST_NAME || !value.bytes().all(allowed))
        .then(|| format!("can only have up to {LONGEST_NAME} capital letters, '-' and '_'"))
}

pub(super) fn cidr(value: &str) -> Option<String> {
    if value.parse::<IpNet>().is_err() {
        return Some("must be an address range in CIDR form".to_owned());
    }
    (value == "255.255.255.255/32").then(|| "is not allowed".to_owned())
}

/// Of a header or of a query string.
pub(super) fn printable(value: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (!value.bytes().all(allowed)).then(|| "can only contain printable ASCII characters".to_owned())
}

/// Reports a name that no header can have, or that has a condition of its own.
pub(super) fn check_header_name(name: &str, at: &Path, cx: &mut Context<'_>) {
    if name.eq_ignore_ascii_case("host") {
        cx.report.mistake(at, "the Host header has its own condition, host_header");
    } else if name.len() > LONGEST_NAME || HeaderName::from_bytes(name.as_bytes()).is_err() {
        cx.report.mistake(at, format!("'{name}' is not a header name of up to {LONGEST_NAME} characters"));
    }
}
