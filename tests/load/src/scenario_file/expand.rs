//! `${NAME}` and `${NAME:-default}` in values, as a shell has them.

/// Why a text cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpandError {
    /// It names a variable that is not set and gives no default.
    #[error("the environment variable {0} is not set (`${{{0}:-value}}` gives a default)")]
    Unset(String),
    /// A name begins and does not end.
    #[error("`${{` has no `}}`")]
    Open,
}

/// The text with variables in it replaced. The default also stands in for an
/// empty variable; `$${` is a literal `${`.
pub(crate) fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded += before;
            expanded += "${";
            rest = after;
            continue;
        }
        expanded += before;
        let (name, after) = after.split_once('}').ok_or(ExpandError::Open)?;
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        match (variable(name), default) {
            (Some(value), None) => expanded += &value,
            (Some(value), Some(_)) if !value.is_empty() => expanded += &value,
            (_, Some(default)) => expanded += default,
            (None, None) => return Err(ExpandError::Unset(name.to_owned())),
        }
        rest = after;
    }
    Ok(expanded + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, ExpandError>) {
        let variable = |name: &str| match name {
            "HOST" => Some("lb.example.test".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(expand(text, &variable), expected.map(str::to_owned));
    }

    #[test]
    fn variables_are_expanded_as_in_a_shell() {
        check("wss://${HOST}/ws", Ok("wss://lb.example.test/ws"));
        check("${PORT:-8080}${EMPTY:-x}${EMPTY}", Ok("8080x"));
        check("${URL:-http://a/}", Ok("http://a/"));
        check("no $HOST, $${HOST}", Ok("no $HOST, ${HOST}"));
        check("${PORT}", Err(ExpandError::Unset("PORT".to_owned())));
        check("${HOST", Err(ExpandError::Open));
    }
}
