//! YAML as a tree that knows where everything stands.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

/// How deep lists and maps may be nested.
const DEEPEST: usize = 16;
/// How many values a file may have, those repeated by aliases included.
const MOST: usize = 20_000;

/// A place in a file, counted from one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value and where it stands; in a map, where its key does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a value is. Numbers and truth are text here: the command line reads text, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads the one document of a file.
///
/// # Errors
///
/// It is no YAML, is empty or has several documents, or is too deep or too large.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), values: 0 };
    let mut document = None;
    loop {
        let (event, place) = reader.next()?;
        match event {
            Event::StreamEnd => {
                return document
                    .ok_or_else(|| SyntaxError { place, message: "the file is empty".to_owned() });
            }
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => return Err(error(place, "a file has one document, without `---`")),
            event => document = Some(reader.node(event, place, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, place(start))),
            Some(Err(wrong)) => Err(syntax(&wrong)),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, SyntaxError> {
        self.values += 1;
        let before = self.values;
        if depth > DEEPEST || self.values > MOST {
            return Err(error(place, "nested too deep or too large"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null");
                (anchor, if null { Value::Null } else { Value::Scalar(text.into_owned()) })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let (node, size) =
                    self.anchors.get(&anchor).cloned().ok_or_else(|| error(place, "an alias of nothing"))?;
                self.values += size;
                return Ok(Node { place, ..node });
            }
            _ => return Err(error(place, "a value is missing")),
        };
        let node = Node { place, value };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.values - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            items.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(error(place, "a key must be plain text")),
            };
            if entries.iter().any(|(other, _)| *other == key) {
                return Err(error(place, &format!("{key:?} stands here twice")));
            }
            let (event, _) = self.next()?;
            entries.push((key, self.node(event, place, depth + 1)?));
        }
    }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

fn syntax(wrong: &ScanError) -> SyntaxError {
    error(place(*wrong.marker()), wrong.info())
}

fn error(place: Place, message: &str) -> SyntaxError {
    SyntaxError { place, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: (usize, usize, &str)) {
        let SyntaxError { place, message } = parse(text).expect_err("an error");
        assert_eq!((place.line, place.column, message.as_str()), expected);
    }

    #[test]
    fn a_value_knows_the_place_of_its_key() {
        let Value::Map(entries) = parse("# first\na:\n  b: 60s\n").unwrap().value else { panic!("a map") };
        let Value::Map(inner) = &entries[0].1.value else { panic!("a map") };
        assert_eq!(
            inner[0].1,
            Node { place: Place { line: 3, column: 3 }, value: Value::Scalar("60s".into()) }
        );
    }

    #[test]
    fn what_is_no_tree_is_refused_with_its_place() {
        check("", (1, 1, "the file is empty"));
        check("a: 1\na: 2\n", (2, 1, "\"a\" stands here twice"));
        check("a: 1\n---\nb: 1\n", (3, 1, "a file has one document, without `---`"));
        check("[a]: 1\n", (1, 1, "a key must be plain text"));
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for number in 1..9 {
            let items = [format!("*a{}", number - 1).as_str(); 10].join(", ");
            text += &format!("a{number}: &a{number} [{items}]\n");
        }
        assert_eq!(parse(&text).unwrap_err().message, "nested too deep or too large");
    }
}
