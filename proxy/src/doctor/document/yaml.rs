//! YAML, and JSON as far as it is YAML: one tree for each document of the file.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::{Node, SyntaxError, Value};
use crate::doctor::setting::Place;

/// How deep lists and maps may be nested.
pub(super) const DEEPEST: usize = 64;
/// How many values a file may have, those repeated by aliases included.
const MOST_VALUES: usize = 500_000;

/// Reads the documents of a YAML or JSON file.
///
/// # Errors
/// The text is neither, or is nested too deep or too large.
pub fn yaml(file: &Arc<str>, text: &str) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, file, anchors: HashMap::new(), values: 0, deepest: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (event, at) => {
                let place = reader.place(at);
                documents.push(reader.node(event, place, 0)?);
            }
        }
    }
}

struct Reader<'a, 'f> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'f Arc<str>,
    anchors: HashMap<usize, Anchored>,
    values: usize,
    /// How deep the deepest value so far lies.
    deepest: usize,
}

/// What an alias stands for.
#[derive(Clone)]
struct Anchored {
    node: Node,
    /// How many values it has.
    size: usize,
    /// How many levels it has below it.
    height: usize,
}

impl<'a> Reader<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Marker), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start)),
            Some(Err(error)) => Err(self.invalid(&error)),
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, SyntaxError> {
        let before = self.values;
        self.count(1, depth, &place)?;
        // That of this value alone, until it is read.
        let deepest = std::mem::replace(&mut self.deepest, depth);
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let null = style == ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null");
                (anchor, if null { Value::Null } else { Value::Scalar(text.as_ref().into()) })
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.error(&place, "an alias of nothing"));
                };
                self.count(known.size, depth + known.height, &place)?;
                self.deepest = deepest.max(depth + known.height);
                return Ok(Node { value: known.node.value, place });
            }
            _ => return Err(self.error(&place, "a value is missing")),
        };
        let node = Node { value, place };
        if anchor != 0 {
            let (size, height) = (self.values - before, self.deepest - depth);
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, height });
        }
        self.deepest = self.deepest.max(deepest);
        Ok(node)
    }

    /// Counts values of which the deepest lies at `depth`.
    fn count(&mut self, values: usize, depth: usize, place: &Place) -> Result<(), SyntaxError> {
        self.values += values;
        if depth > DEEPEST || self.values > MOST_VALUES {
            return Err(self.error(place, "is nested too deep or too large"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(items));
            }
            let place = self.place(at);
            items.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut entries = Vec::new();
        loop {
            let (event, at) = self.next()?;
            let place = self.place(at);
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(entries)),
                Event::Scalar(key, ..) => Arc::from(key.as_ref()),
                _ => return Err(self.error(&place, "a key must be plain text")),
            };
            let (event, _) = self.next()?;
            let node = self.node(event, place, depth + 1)?;
            if &*key == "<<" {
                merge(&mut entries, node);
            } else {
                entries.push((key, node));
            }
        }
    }

    fn place(&self, at: Marker) -> Place {
        Place::File { file: Arc::clone(self.file), line: at.line(), column: at.col() + 1 }
    }

    fn invalid(&self, error: &ScanError) -> SyntaxError {
        let place = self.place(*error.marker());
        self.error(&place, error.info())
    }

    fn error(&self, place: &Place, message: &str) -> SyntaxError {
        let (line, column) =
            if let Place::File { line, column, .. } = place { (*line, *column) } else { (1, 1) };
        SyntaxError { file: Arc::clone(self.file), line, column, message: message.to_owned() }
    }
}

/// The entries of a merged map (`<<: *defaults`), behind those that stand there.
fn merge(entries: &mut Vec<(Arc<str>, Node)>, merged: Node) {
    match merged.value {
        Value::Map(more) => {
            let own: HashSet<_> = entries.iter().map(|(key, _)| Arc::clone(key)).collect();
            entries.extend(more.into_iter().filter(|(key, _)| !own.contains(key)));
        }
        Value::List(maps) => maps.into_iter().for_each(|map| merge(entries, map)),
        Value::Null | Value::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> Vec<Node> {
        yaml(&"a.yaml".into(), text).unwrap()
    }

    #[test]
    fn a_value_knows_the_place_of_its_key() {
        let [node] = read("a:\n  b: 60s\n").try_into().unwrap();
        let setting = node.at(&["a", "b"]).unwrap().setting("a.b").unwrap();
        assert_eq!(setting.value, "60s");
        assert_eq!(setting.place.to_string(), "a.yaml:2:3");
    }

    #[test]
    fn json_is_read_as_well() {
        let [node] = read("{\"Attributes\": [{\"Key\": \"k\",\n \"Value\": \"60\"}]}").try_into().unwrap();
        let value = node.get("Attributes").unwrap().items()[0].get("Value").unwrap();
        assert_eq!((value.text(), value.place.to_string()), (Some("60"), "a.yaml:2:2".to_owned()));
    }

    #[test]
    fn every_document_of_a_file_is_a_tree() {
        assert_eq!(read("a: 1\n---\na: 2\n").len(), 2);
    }

    #[test]
    fn merged_maps_lie_behind_what_stands_there() {
        let [node] = read("x: &x { a: 1, b: 2 }\ny:\n  a: 3\n  <<: *x\n").try_into().unwrap();
        assert_eq!(node.get("y").unwrap().to_string(), "{a: 3, b: 2}");
    }

    #[test]
    fn what_is_no_yaml_is_refused_with_its_place() {
        let error = yaml(&"a.yaml".into(), "a: [1, 2\nb: 3").unwrap_err();
        assert!(error.to_string().starts_with("a.yaml:2:"), "{error}");
    }

    #[test]
    fn aliases_cannot_grow_without_bound() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for number in 1..9 {
            let before = format!("*a{}", number - 1);
            let items = [before.as_str(); 10].join(", ");
            text.push_str(&format!("a{number}: &a{number} [{items}]\n"));
        }
        assert!(yaml(&"a.yaml".into(), &text).is_err());
    }

    #[test]
    fn aliases_cannot_be_nested_without_bound() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            yaml(&"a.yaml".into(), &format!("a: &a {open}x{close}\nb: &b {open}*a{close}\nc: [*b]\n")).is_ok()
        };
        assert!(nested(DEEPEST / 2 - 1));
        assert!(!nested(DEEPEST / 2));
    }
}
