//! From text to a tree of values, with the place of each.
//!
//! One pass over the YAML parser's events: expands environment variables,
//! refuses duplicate keys, and keeps going after both so that they are
//! reported together with what the later stages find. Depth and size are
//! bounded, aliases included.

use std::{borrow::Cow, collections::HashMap};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use super::{
    environment::{self, Lookup},
    error::{Position, Report},
    path::Path,
};

/// How deep lists and maps may be nested.
const DEEPEST: usize = 64;
/// How many values a file may have, those repeated by aliases included.
const MOST_VALUES: usize = 100_000;

/// Reads `text`. `None` if it is no YAML; what is wrong is in the report either way.
pub(super) fn read(text: &str, env: Lookup<'_>, report: &mut Report) -> Option<Value> {
    report.place(&Path::root(), Position { line: 1, column: 1 });
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parser = Parser::new_from_str(text);
    let mut loader = Loader { parser, env, report, anchors: HashMap::new(), values: 0 };
    match loader.document() {
        Ok(value) => Some(value),
        Err(Stop { position, message }) => {
            report.mistake_at(position, &Path::root(), message);
            None
        }
    }
}

/// Why reading cannot go on.
struct Stop {
    position: Position,
    message: String,
}

impl From<ScanError> for Stop {
    fn from(error: ScanError) -> Self {
        Self { position: position(error.marker()), message: format!("invalid YAML: {}", error.info()) }
    }
}

type Step<'a> = (Event<'a>, Position);

struct Loader<'a, 'r> {
    parser: Parser<'a, StrInput<'a>>,
    env: Lookup<'r>,
    report: &'r mut Report,
    anchors: HashMap<usize, Value>,
    values: usize,
}

impl<'a> Loader<'a, '_> {
    fn document(&mut self) -> Result<Value, Stop> {
        let mut root = None;
        loop {
            let (event, position) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root.unwrap_or(Value::Null)),
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                _ if root.is_some() => {
                    return Err(Stop { position, message: "only one document is allowed".to_owned() });
                }
                event => root = Some(self.value((event, position), &Path::root())?),
            }
        }
    }

    fn next(&mut self) -> Result<Step<'a>, Stop> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, position(&start))),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, Position { line: 1, column: 1 })),
        }
    }

    fn value(&mut self, (event, position): Step<'a>, at: &Path) -> Result<Value, Stop> {
        self.values += 1;
        self.bound(at.depth(), position)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                (anchor, self.scalar(&text, style, at))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                (anchor, self.list(at)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), at);
                (anchor, self.map(at)?)
            }
            Event::Alias(anchor) => return self.alias(anchor, position, at),
            _ => return Err(Stop { position, message: "invalid YAML: a value is missing".to_owned() }),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: &Path) -> Value {
        match environment::expand(text, self.env) {
            Ok(Cow::Borrowed(text)) if style == ScalarStyle::Plain => plain(text),
            Ok(Cow::Borrowed(text)) => Value::from(text),
            Ok(Cow::Owned(text)) => number_or_bool(&text).unwrap_or(Value::String(text)),
            Err(error) => {
                self.report.mistake(at, error.to_string());
                Value::Null
            }
        }
    }

    fn list(&mut self, at: &Path) -> Result<Value, Stop> {
        let mut list = Vec::new();
        loop {
            let (event, position) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::Array(list));
            }
            let at = at.index(list.len());
            self.report.place(&at, position);
            list.push(self.value((event, position), &at)?);
        }
    }

    fn map(&mut self, at: &Path) -> Result<Value, Stop> {
        let mut map = Map::new();
        loop {
            let (event, position) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(Value::Object(map)),
                Event::Scalar(key, ..) => key,
                _ => return Err(Stop { position, message: "a key must be plain text".to_owned() }),
            };
            let at = at.key(&key);
            let twice = map.contains_key(key.as_ref());
            if twice {
                self.report.mistake_at(position, &at, "is there twice");
            } else {
                self.report.place(&at, position);
            }
            let step = self.next()?;
            let value = self.value(step, &at)?;
            if !twice {
                map.insert(key.into_owned(), value);
            }
        }
    }

    fn alias(&mut self, anchor: usize, position: Position, at: &Path) -> Result<Value, Stop> {
        let Some(value) = self.anchors.get(&anchor).cloned() else {
            return Err(Stop { position, message: "an alias cannot stand inside its own anchor".to_owned() });
        };
        let (values, depth) = measure(&value);
        self.values += values;
        self.bound(at.depth() + depth, position)?;
        Ok(value)
    }

    fn bound(&self, depth: usize, position: Position) -> Result<(), Stop> {
        if depth > DEEPEST {
            return Err(Stop { position, message: format!("nested more than {DEEPEST} levels deep") });
        }
        if self.values > MOST_VALUES {
            return Err(Stop { position, message: format!("more than {MOST_VALUES} values") });
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tagged: bool, at: &Path) {
        if tagged {
            self.report.mistake(at, "YAML tags are not supported");
        }
    }
}

/// A value without quotes: nothing, true, false, a whole number, else text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => Value::Null,
        _ => number_or_bool(text).unwrap_or_else(|| Value::from(text)),
    }
}

/// Only spellings that turn back into the same text, so that text settings lose nothing.
fn number_or_bool(text: &str) -> Option<Value> {
    match text {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(Value::from),
    }
}

/// How many values `value` has, and how deep it is.
fn measure(value: &Value) -> (usize, usize) {
    let children: Vec<_> = match value {
        Value::Array(list) => list.iter().map(measure).collect(),
        Value::Object(map) => map.values().map(measure).collect(),
        _ => Vec::new(),
    };
    let values = children.iter().map(|(values, _)| values).sum::<usize>();
    let depth = children.iter().map(|(_, depth)| depth + 1).max().unwrap_or(0);
    (values + 1, depth)
}

/// The parser counts columns from 0.
fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}
