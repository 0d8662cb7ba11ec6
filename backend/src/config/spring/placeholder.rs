//! `${NAME}` and `${NAME:default}`, from the environment or the file.

use serde_yaml::Value;

use super::document::Leaf;

/// Placeholders within placeholders that are followed, against circles.
const DEPTH: usize = 16;

/// Replaces the placeholders in a value and in the entries of a list.
pub(super) fn resolve_all(
    value: &Value,
    leaves: &[Leaf],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Value, String> {
    match value {
        Value::String(text) if text.contains("${") => {
            let source = Source { leaves, variable };
            source.resolve(text, DEPTH).map(Value::from)
        }
        Value::Sequence(entries) => {
            let resolved = entries.iter().map(|entry| resolve_all(entry, leaves, variable));
            resolved.collect::<Result<_, _>>().map(Value::Sequence)
        }
        value => Ok(value.clone()),
    }
}

struct Source<'a> {
    leaves: &'a [Leaf],
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Source<'_> {
    fn resolve(&self, text: &str, depth: usize) -> Result<String, String> {
        let Some((before, rest)) = text.split_once("${") else {
            return Ok(text.to_owned());
        };
        if depth == 0 {
            return Err("placeholders lead to each other".to_owned());
        }
        let (inside, after) = end(rest).ok_or_else(|| format!("{text:?} has no closing brace"))?;
        let (name, default) = match inside.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let found = self.find(name.trim()).or_else(|| default.map(str::to_owned));
        let found = found.ok_or_else(|| format!("nothing is known of the placeholder {name:?}"))?;
        Ok(format!("{before}{}{}", self.resolve(&found, depth - 1)?, self.resolve(after, depth)?))
    }

    /// The environment first, under the name and under the one that Spring
    /// gives a key there; then the file.
    fn find(&self, name: &str) -> Option<String> {
        let as_variable = name.replace('.', "_").replace('-', "").to_uppercase();
        let of_file = || {
            let leaf = self.leaves.iter().rev().find(|leaf| leaf.key == name)?;
            scalar(&leaf.value)
        };
        (self.variable)(name).or_else(|| (self.variable)(&as_variable)).or_else(of_file)
    }
}

/// A scalar as it would be written.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}

/// Splits at the brace that closes a placeholder.
fn end(text: &str) -> Option<(&str, &str)> {
    let mut open = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<String, String> {
        let leaf = |key: &str, value: &str| Leaf {
            number: 0,
            document: 0,
            key: key.to_owned(),
            value: value.into(),
        };
        let leaves = [leaf("app.host", "${REDIS_HOST}"), leaf("app.circle", "${app.circle}")];
        let variable = |name: &str| (name == "REDIS_HOST").then(|| "redis.test".to_owned());
        Source { leaves: &leaves, variable: &variable }.resolve(text, DEPTH)
    }

    #[test]
    fn names_are_replaced_from_environment_file_or_default() {
        for (text, expected) in [
            ("${REDIS_HOST}:6379", "redis.test:6379"),
            ("${redis.host:x}", "redis.test"),
            ("${app.host}", "redis.test"),
            ("${A:}", ""),
            ("${A:${B:c}}-${A:jdbc:mysql://h}", "c-jdbc:mysql://h"),
            ("$5", "$5"),
        ] {
            assert_eq!(resolve(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_or_ends_never_is_an_error() {
        assert_eq!(resolve("${A}").unwrap_err(), "nothing is known of the placeholder \"A\"");
        assert_eq!(resolve("${app.circle}").unwrap_err(), "placeholders lead to each other");
        assert!(resolve("${A").unwrap_err().ends_with("has no closing brace"));
    }
}
