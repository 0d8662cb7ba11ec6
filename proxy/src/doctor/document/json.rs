//! JSON (RFC 8259): one document or several back to back, as calls of `aws` leave them in one file.

use std::{iter::Peekable, str::Chars, sync::Arc};

use super::{MOST_VALUES, Node, SyntaxError, Value, yaml::DEEPEST};
use crate::doctor::setting::Place;

/// Reads the documents of a JSON file.
///
/// # Errors
/// The text is no JSON, or is nested too deep or has too many values.
pub fn json(file: &Arc<str>, text: &str) -> Result<Vec<Node>, SyntaxError> {
    bounded(file, text, MOST_VALUES)
}

fn bounded(file: &Arc<str>, text: &str, left: usize) -> Result<Vec<Node>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { chars: text.chars().peekable(), line: 1, column: 1, file, left };
    let mut documents = Vec::new();
    while reader.peek().is_some() {
        documents.push(reader.node(0)?);
    }
    Ok(documents)
}

struct Reader<'a, 'f> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    column: usize,
    file: &'f Arc<str>,
    /// Values that may still come.
    left: usize,
}

impl Reader<'_, '_> {
    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        while self.chars.next_if(char::is_ascii_whitespace).map(|space| self.pass(space)).is_some() {}
        self.chars.peek().copied()
    }

    /// The next character, white space or not.
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        self.pass(next);
        Some(next)
    }

    const fn pass(&mut self, character: char) {
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        if depth > DEEPEST {
            return Err(self.error("is nested too deep"));
        }
        let first = self.peek();
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error("has too many values"))?;
        let place = self.place();
        let value = match first {
            Some('{') => self.map(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Value::Scalar(self.string()?.into()),
            _ => self.word()?,
        };
        Ok(Node { value, place })
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.next();
        let mut items = Vec::new();
        if self.peek() == Some(']') {
            self.next();
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            if self.ends(']')? {
                return Ok(Value::List(items));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.next();
        let mut entries = Vec::new();
        if self.peek() == Some('}') {
            self.next();
            return Ok(Value::Map(entries));
        }
        loop {
            if self.peek() != Some('"') {
                return Err(self.error("a key in quotes is missing"));
            }
            let place = self.place();
            let key = self.string()?;
            if self.peek() != Some(':') {
                return Err(self.error("a colon is missing"));
            }
            self.next();
            let node = self.node(depth + 1)?;
            entries.push((key.into(), Node { value: node.value, place }));
            if self.ends('}')? {
                return Ok(Value::Map(entries));
            }
        }
    }

    /// Passes a comma, or the end of a list or map: says whether it was the end.
    fn ends(&mut self, end: char) -> Result<bool, SyntaxError> {
        match self.peek() {
            Some(',') => {
                self.next();
                Ok(false)
            }
            Some(found) if found == end => {
                self.next();
                Ok(true)
            }
            _ => Err(self.error(&format!("a comma or '{end}' is missing"))),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Value, SyntaxError> {
        let place = (self.line, self.column);
        let mut word = String::new();
        while let Some(next) =
            self.chars.next_if(|next| next.is_ascii_alphanumeric() || ['+', '-', '.'].contains(next))
        {
            self.pass(next);
            word.push(next);
        }
        match word.as_str() {
            "null" => Ok(Value::Null),
            "true" | "false" => Ok(Value::Scalar(word.into())),
            _ if word.starts_with(|first: char| first.is_ascii_digit() || first == '-')
                && word.parse::<f64>().is_ok() =>
            {
                Ok(Value::Scalar(word.into()))
            }
            _ => {
                (self.line, self.column) = place;
                Err(self.error("a value is missing"))
            }
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some('\n') | None => return Err(self.error("a quote is missing")),
                Some(plain) => text.push(plain),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, SyntaxError> {
        match self.next() {
            Some(plain @ ('"' | '\\' | '/')) => Ok(plain),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let mut units = vec![self.hexadecimal()?];
                let mut ahead = self.chars.clone();
                if units.iter().all(|first| (0xd800..0xdc00).contains(first))
                    && ahead.next() == Some('\\')
                    && ahead.next() == Some('u')
                {
                    self.next();
                    self.next();
                    units.push(self.hexadecimal()?);
                }
                let decoded = char::decode_utf16(units).next().and_then(Result::ok);
                Ok(decoded.unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => Err(self.error("a backslash before nothing it can escape")),
        }
    }

    fn hexadecimal(&mut self) -> Result<u16, SyntaxError> {
        let digits: String = (0..4).filter_map(|_| self.next()).collect();
        u16::from_str_radix(&digits, 16).map_err(|_| self.error("four hexadecimal digits are missing"))
    }

    fn place(&self) -> Place {
        Place::File { file: Arc::clone(self.file), line: self.line, column: self.column }
    }

    fn error(&self, message: &str) -> SyntaxError {
        SyntaxError {
            file: Arc::clone(self.file),
            line: self.line,
            column: self.column,
            message: message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let documents = json(&"a.json".into(), text).unwrap();
        let written: Vec<_> = documents.iter().map(|node| format!("{} {node}", node.place)).collect();
        assert_eq!(written, expected);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert_eq!(json(&"a.json".into(), text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn documents_stand_back_to_back() {
        check(
            "{\"a\": 1}\n{\"b\": [true, null]}{}",
            &["a.json:1:1 {a: 1}", "a.json:2:1 {b: [true, null]}", "a.json:2:20 {}"],
        );
        check(" \n", &[]);
    }

    #[test]
    fn a_value_knows_the_place_of_its_key() {
        let documents = json(&"a.json".into(), "{}\n{\n\t\"a\": {\"b\": 60}\n}").unwrap();
        assert_eq!(documents[1].at(&["a", "b"]).unwrap().place.to_string(), "a.json:3:8");
    }

    #[test]
    fn escapes_are_understood() {
        check(
            r#"["\"\\\/\n\u00e9\ud83d\ude00", "\ud83d"]"#,
            &["a.json:1:1 [\"\\/\n\u{e9}\u{1f600}, \u{fffd}]"],
        );
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        refused("{\"a\": 1\n \"b\": 2}", "a.json:2:2: a comma or '}' is missing");
        refused("{a: 1}", "a.json:1:2: a key in quotes is missing");
        refused("[1, ]", "a.json:1:5: a value is missing");
        refused("[\"a", "a.json:1:4: a quote is missing");
        refused(&"[".repeat(100_000), "a.json:1:66: is nested too deep");
    }

    #[test]
    fn values_are_counted() {
        let read = |left| bounded(&"a.json".into(), "[1, 2, 3]", left).map(|documents| documents.len());
        assert_eq!(read(4), Ok(1));
        assert_eq!(read(3).unwrap_err().to_string(), "a.json:1:8: has too many values");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in r#"[\[\]{}:,"\\u0-9a-f \n\t-]{0,60}"#) {
            drop(json(&"a.json".into(), &text));
        }
    }
}
