//! `environment`, `env_file`, and variables in values.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::doctor::{
    document::{Node, Value},
    setting::{Place, Setting},
    sources::{Document, read_beside},
    system::Note,
};

/// The environment of a service. A file that cannot be read is noted.
pub(super) fn read(
    document: &Document<'_>,
    service: &Node,
    notes: &mut Vec<Note>,
) -> BTreeMap<String, Setting<String>> {
    let mut environment = BTreeMap::new();
    let files = service.get("env_file");
    let single = files.filter(|files| files.text().is_some()).map_or(&[][..], std::slice::from_ref);
    for node in files.map_or(&[][..], Node::items).iter().chain(single) {
        let is_needed = node.get("required").and_then(Node::text) != Some("false");
        let Some(name) = node.get("path").unwrap_or(node).text() else { continue };
        let path =
            document.path.parent().unwrap_or_else(|| Path::new("")).join(interpolated(name, document.env));
        let file: Arc<str> = path.display().to_string().into();
        match read_beside(&path, &file) {
            Ok(text) => environment.extend(of_file(&file, &text)),
            Err(_) if is_needed => {
                // By its name as it is written: variables in it may be nobody's business.
                notes.push(Note { place: node.place.clone(), message: format!("{name}: cannot be read") });
            }
            Err(_) => {}
        }
    }
    let Some(node) = service.get("environment") else { return environment };
    let known = |text: &str| interpolated(text, document.env);
    let map = node.entries().map(|(name, value)| (name.to_owned(), value.text().map(str::to_owned), value));
    let list = node.items().iter().filter_map(|item| {
        let text = item.text()?;
        Some(match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned()), item),
            None => (text.to_owned(), None, item),
        })
    });
    for (name, value, node) in map.chain(list) {
        // Without a value it is that of whoever starts the service.
        let value = match (value, &node.value) {
            (Some(value), _) => Some(known(&value)),
            (None, Value::Null | Value::Scalar(_)) => (document.env)(&name),
            (None, _) => None,
        };
        if let Some(value) = value {
            let setting = Setting::new(value.clone(), &name, &value, node.place.clone());
            environment.insert(name, setting);
        }
    }
    environment
}

/// The lines of an environment file: `NAME=value`, perhaps in quotes.
fn of_file(file: &Arc<str>, text: &str) -> Vec<(String, Setting<String>)> {
    let mut variables = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        let content = content.strip_prefix("export ").unwrap_or(content);
        let Some((name, value)) = content.split_once('=').filter(|_| !content.starts_with('#')) else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        let quoted = ['"', '\''].into_iter().find_map(|c| value.strip_prefix(c)?.split_once(c));
        let value = match quoted {
            Some((inside, _)) => inside,
            None => value.split_once(" #").map_or(value, |(value, _)| value.trim_end()),
        };
        let place = Place::File { file: Arc::clone(file), line, column: 1 };
        variables.push((name.to_owned(), Setting::new(value.to_owned(), name, value, place)));
    }
    variables
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME-default}`; `$$` is `$`. What is not known is empty,
/// as with Compose.
pub(super) fn interpolated(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            whole.push('$');
            rest = after;
        } else if let Some((inside, after)) =
            after.strip_prefix('{').and_then(|inside| inside.split_once('}'))
        {
            whole.push_str(&value(inside, env));
            rest = after;
        } else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_part(c)).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end).unwrap_or((after, ""));
            if name.is_empty() {
                whole.push('$');
            } else {
                whole.push_str(&env(name).unwrap_or_default());
            }
            rest = after;
        }
    }
    whole.push_str(rest);
    whole
}

fn value(inside: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let end = inside.find([':', '-', '?', '+']).unwrap_or(inside.len());
    let (name, rest) = inside.split_at_checked(end).unwrap_or((inside, ""));
    let known = env(name);
    if let Some(default) = rest.strip_prefix(":-") {
        known.filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
    } else if let Some(default) = rest.strip_prefix('-') {
        known.unwrap_or_else(|| default.to_owned())
    } else {
        known.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "PORT" => Some("80".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_as_by_compose() {
        for (text, expected) in [
            ("${PORT}:$PORT/tcp", "80:80/tcp"),
            ("${NONE:-a}${EMPTY:-b}${EMPTY-c}${NONE-d}", "abd"),
            ("$$PORT ${NONE} $", "$PORT  $"),
            ("${PORT", "${PORT"),
            ("${PORT:?must be set}", "80"),
        ] {
            assert_eq!(interpolated(text, &env), expected, "{text}");
        }
    }

    #[test]
    fn environment_files_have_a_variable_in_each_line() {
        let text = "# a=1\nexport B = \"2 # 3\" # 4\nC=5 # 6\n\nnothing\n";
        let read: Vec<_> = of_file(&"a.env".into(), text)
            .into_iter()
            .map(|(name, setting)| format!("{name}={} ({})", setting.value, setting.place))
            .collect();
        assert_eq!(read, ["B=2 # 3 (a.env:2:1)", "C=5 (a.env:3:1)"]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "[a-zA-Z${}:?+-]{0,40}|.{0,20}") {
            drop((interpolated(&text, &env), of_file(&"a.env".into(), &text)));
        }
    }
}
