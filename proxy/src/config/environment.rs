//! `${NAME}` and `${NAME:-default}` in values.
//!
//! As in a shell, the default also stands in for an empty variable. `$${` is a
//! literal `${`.

use std::borrow::Cow;

use thiserror::Error;

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a value cannot be expanded.
#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum ExpandError {
    #[error("the environment variable {0} is not set (write ${{{0}:-value}} to give a default)")]
    Unset(String),
    #[error("'${{' has no '}}'")]
    Unterminated,
    #[error("'{0}' is not the name of an environment variable")]
    BadName(String),
}

/// Replaces each variable in `text`; borrowed if there is none.
pub(super) fn expand<'a>(text: &'a str, env: Lookup<'_>) -> Result<Cow<'a, str>, ExpandError> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(literal) = before.strip_suffix('$') {
            expanded.push_str(literal);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        expanded.push_str(before);
        let (variable, after) = after.split_once('}').ok_or(ExpandError::Unterminated)?;
        expanded.push_str(&value_of(variable, env)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(Cow::Owned(expanded))
}

fn value_of(variable: &str, env: Lookup<'_>) -> Result<String, ExpandError> {
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(ExpandError::BadName(name.to_owned()));
    }
    match (env(name), default) {
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (Some(empty), None) => Ok(empty),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, ExpandError>) {
        let env = |name: &str| match name {
            "PORT" => Some("8443".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand(text, &env).as_deref().map_err(|_| ()), expected.as_ref().copied().map_err(|_| ()));
        assert_eq!(expand(text, &env).err(), expected.err());
    }

    #[test]
    fn variables_are_replaced() {
        check("plain $5 {x}", Ok("plain $5 {x}"));
        check("${PORT}", Ok("8443"));
        check("a:${PORT}/${PORT}!", Ok("a:8443/8443!"));
        check("${EMPTY}", Ok(""));
    }

    #[test]
    fn a_default_stands_in_for_an_unset_or_empty_variable() {
        check("${NONE:-127.0.0.1:9901}", Ok("127.0.0.1:9901"));
        check("${EMPTY:-x}", Ok("x"));
        check("${PORT:-1}", Ok("8443"));
        check("${NONE:-}", Ok(""));
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        check("$${PORT}", Ok("${PORT}"));
    }

    #[test]
    fn what_cannot_be_expanded_is_an_error() {
        check("x${NONE}", Err(ExpandError::Unset("NONE".to_owned())));
        check("${PORT", Err(ExpandError::Unterminated));
        check("${1}", Err(ExpandError::BadName("1".to_owned())));
        check("${}", Err(ExpandError::BadName(String::new())));
    }
}
