//! Which target answered, as far as the answer tells.

use super::answer::Answer;

/// Header fields that servers name themselves in, the likeliest first.
const FIELDS: [&str; 8] = [
    "x-instance",
    "x-instance-id",
    "x-served-by",
    "x-backend",
    "x-backend-server",
    "x-server",
    "x-hostname",
    "x-pod-name",
];

/// Members of a JSON object that servers name themselves in, the likeliest first.
const MEMBERS: [&str; 7] = ["instance", "instanceId", "serverId", "hostname", "host", "pod", "server"];

/// The target's name of itself. `told_by` names the header field or JSON member that has it; without it the
/// usual ones are looked at.
pub(super) fn told_target(answer: &Answer, told_by: Option<&str>) -> Option<String> {
    let named = told_by.map(|name| vec![name]);
    let fields = named.clone().unwrap_or_else(|| FIELDS.to_vec());
    let members = named.unwrap_or_else(|| MEMBERS.to_vec());
    let field = fields.iter().find_map(|name| answer.field(name)).map(str::to_owned);
    field.or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        members.iter().find_map(|name| match body.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::answer::{Reading, Stream, read};

    #[track_caller]
    fn check(head: &str, body: &str, told_by: Option<&str>, expected: Option<&str>) {
        let bytes = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let Reading::Whole(answer, _) = read(bytes.as_bytes(), Stream::Open) else { panic!("{bytes}") };
        assert_eq!(told_target(&answer, told_by).as_deref(), expected);
    }

    #[test]
    fn a_header_or_a_member_names_the_target() {
        check("X-Served-By: a-1\r\n", "", None, Some("a-1"));
        check("", r#"{"instance":"a-2","ip":"127.0.0.1"}"#, None, Some("a-2"));
        check("X-Node: a-3\r\n", r#"{"instance":"a-2"}"#, Some("x-node"), Some("a-3"));
        check("", r#"{"node":4}"#, Some("node"), Some("4"));
    }

    #[test]
    fn an_answer_that_names_nobody_is_none() {
        check("X-Node: a-3\r\n", "hello", None, None);
        check("X-Served-By: a-1\r\n", "", Some("x-node"), None);
        check("", r#"{"instance":null}"#, None, None);
    }
}
