//! Java's `.properties` files, and the `#---` by which Spring Boot puts several documents into one.
//!
//! <https://docs.oracle.com/en/java/javase/21/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)>

use std::{iter::Peekable, str::Chars, sync::Arc};

use super::{MOST_VALUES, Node, SyntaxError, Value};
use crate::doctor::setting::Place;

/// White space within a line.
const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

/// Reads the documents of a `.properties` file: maps with one level, keys as they are written.
///
/// # Errors
/// A `\u` is not followed by four hexadecimal digits, or there are too many lines.
pub fn properties(file: &Arc<str>, text: &str) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)));
    let start = Place::File { file: Arc::clone(file), line: 1, column: 1 };
    let mut documents = Vec::new();
    let mut entries = Vec::new();
    while let Some((number, line)) = lines.next() {
        let content = line.trim_start_matches(BLANK);
        if let Some(comment) = content.strip_prefix(['#', '!']) {
            if comment.trim_end() == "---" {
                documents.push(std::mem::take(&mut entries));
            }
            continue;
        }
        if content.is_empty() {
            continue;
        }
        let column = line.chars().count() - content.chars().count() + 1;
        let mut logical = content.to_owned();
        while is_continued(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(BLANK));
        }
        let read = if number <= MOST_VALUES { entry(&logical) } else { Err("has too many lines") };
        let (key, value) = read.map_err(|message| SyntaxError {
            file: Arc::clone(file),
            line: number,
            column,
            message: message.to_owned(),
        })?;
        let place = Place::File { file: Arc::clone(file), line: number, column };
        entries.push((key.into(), Node { value: Value::Scalar(value.into()), place }));
    }
    documents.push(entries);
    Ok(documents
        .into_iter()
        .map(|entries| Node { value: Value::Map(entries), place: start.clone() })
        .collect())
}

/// Whether a line goes on in the next one: it ends in an odd number of backslashes.
fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1
}

/// Key and value of a logical line.
fn entry(line: &str) -> Result<(String, String), &'static str> {
    let mut chars = line.chars().peekable();
    let mut key = String::new();
    while let Some(c) = chars.next_if(|c| !BLANK.contains(c) && !matches!(c, '=' | ':')) {
        key.push(unescaped(c, &mut chars)?);
    }
    skip_blanks(&mut chars);
    if chars.next_if(|c| matches!(c, '=' | ':')).is_some() {
        skip_blanks(&mut chars);
    }
    let mut value = String::new();
    while let Some(c) = chars.next() {
        value.push(unescaped(c, &mut chars)?);
    }
    Ok((key, value))
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| BLANK.contains(c)).is_some() {}
}

/// What a character stands for; after a backslash, with those behind it.
fn unescaped(c: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, &'static str> {
    if c != '\\' {
        return Ok(c);
    }
    Ok(match rest.next() {
        Some('t') => '\t',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('f') => '\u{c}',
        Some('u') => {
            let digits: String = rest.by_ref().take(4).collect();
            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
            // Half of a pair of surrogates is no character, and no setting that anybody looks for has one.
            code.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
                .ok_or("\\u needs four hexadecimal digits")?
        }
        Some(other) => other,
        None => '\\',
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let documents = properties(&"a.properties".into(), text).unwrap();
        let entries: Vec<_> =
            documents.iter().flat_map(Node::entries).map(|(key, node)| (key, node.text().unwrap())).collect();
        assert_eq!(entries, expected, "{text:?}");
    }

    #[test]
    fn keys_end_at_an_equals_sign_a_colon_or_a_blank() {
        check(
            "a=1\nb : 2\nc 3\nd\n e.f\t=\t4 ",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e.f", "4 ")],
        );
        check("a==1\nb=:2\nc = d = e", &[("a", "=1"), ("b", ":2"), ("c", "d = e")]);
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        check("# a=1\n  ! b=2\n\n \t\r\nc=#3", &[("c", "#3")]);
    }

    #[test]
    fn a_backslash_at_the_end_goes_on_in_the_next_line() {
        check("a=1,\\\r\n    2,\\\n\t3\nb=4\\\\\nc=5\\", &[("a", "1,2,3"), ("b", "4\\"), ("c", "5")]);
    }

    #[test]
    fn escapes_stand_for_other_characters() {
        check("a\\ b\\=c\\:d=\\u00e9\\t\\q\\n", &[("a b=c:d", "\u{e9}\tq\n")]);
        check("\\ud83d=1", &[("\u{fffd}", "1")]);
        let error = properties(&"a.properties".into(), "a=1\n  b=\\u12g4").unwrap_err();
        assert_eq!(error.to_string(), "a.properties:2:3: \\u needs four hexadecimal digits");
    }

    #[test]
    fn a_value_knows_the_place_of_its_key_and_its_document() {
        let documents = properties(&"a.properties".into(), "a=\\\n 1\n#---\n  b=2\n").unwrap();
        let places: Vec<_> = documents
            .iter()
            .map(|document| document.entries().map(|(_, node)| node.place.to_string()).collect::<Vec<_>>())
            .collect();
        assert_eq!(places, [["a.properties:1:1"], ["a.properties:4:3"]]);
    }

    /// As Java's `store` writes it.
    fn written(text: &str) -> String {
        text.chars()
            .flat_map(|c| match c {
                '\n' => vec!['\\', 'n'],
                '\r' => vec!['\\', 'r'],
                '=' | ':' | '#' | '!' | '\\' | ' ' | '\t' | '\u{c}' => vec!['\\', c],
                c => vec![c],
            })
            .collect::<String>()
            .replace("\\\t", "\\t")
            .replace("\\\u{c}", "\\f")
    }

    proptest! {
        #[test]
        fn what_java_writes_is_read_again(entries in prop::collection::vec(("[^\u{feff}]{1,12}", ".{0,12}|[\\\\ \t=:#!\r\n]{0,6}"), 0..6)) {
            let text: String =
                entries.iter().map(|(key, value)| format!("{}={}\n", written(key), written(value))).collect();
            let documents = properties(&"a.properties".into(), &text).unwrap();
            let read: Vec<_> = documents
                .iter()
                .flat_map(Node::entries)
                .map(|(key, node)| (key.to_owned(), node.text().unwrap().to_owned()))
                .collect();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn no_text_is_too_much(text in "(?s).{0,200}|[a\\\\u=: \t\r\n#!-]{0,60}") {
            drop(properties(&"a.properties".into(), &text));
        }
    }
}
