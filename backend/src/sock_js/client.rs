//! What a client sends: a JSON array of strings.
//!
//! A reader of its own, since a JavaScript string may hold half a surrogate
//! pair, which JSON carries as an escape and a Rust string cannot: it becomes
//! U+FFFD, where JSON libraries refuse the whole text.

use bytes::Bytes;

/// Why a text of a client cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// There is none.
    #[error("Payload expected.")]
    Missing,
    /// It is no array of strings.
    #[error("Broken JSON encoding.")]
    Broken,
}

/// Messages of a request: an array of strings, each of which is UTF-8.
///
/// # Errors
///
/// There is nothing in it, or something else.
pub fn array(text: &[u8]) -> Result<Vec<Bytes>, PayloadError> {
    let mut reader = Reader { rest: text };
    if reader.peek().is_none() {
        return Err(PayloadError::Missing);
    }
    let messages = reader.array().ok_or(PayloadError::Broken)?;
    reader.end(messages)
}

/// Messages of a WebSocket message: an array, a bare string, or nothing.
///
/// # Errors
///
/// It is something else.
pub fn array_or_string(text: &[u8]) -> Result<Vec<Bytes>, PayloadError> {
    let mut reader = Reader { rest: text };
    let messages = match reader.peek() {
        None => Some(Vec::new()),
        Some(b'"') => reader.string().map(|message| vec![message]),
        Some(_) => reader.array(),
    };
    reader.end(messages.ok_or(PayloadError::Broken)?)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    /// Takes the next byte if it is this one.
    fn take(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        (*first == byte).then(|| self.rest = rest)
    }

    fn end(mut self, messages: Vec<Bytes>) -> Result<Vec<Bytes>, PayloadError> {
        if self.peek().is_none() { Ok(messages) } else { Err(PayloadError::Broken) }
    }

    fn array(&mut self) -> Option<Vec<Bytes>> {
        self.take(b'[')?;
        let mut messages = Vec::new();
        if self.peek()? == b']' {
            self.take(b']')?;
            return Some(messages);
        }
        loop {
            self.peek()?;
            messages.push(self.string()?);
            if self.peek()? == b']' {
                self.take(b']')?;
                return Some(messages);
            }
            self.take(b',')?;
        }
    }

    fn string(&mut self) -> Option<Bytes> {
        self.take(b'"')?;
        let mut text = Vec::new();
        loop {
            let plain = self.rest.iter().position(|&b| matches!(b, b'"' | b'\\' | 0..0x20))?;
            let (before, rest) = self.rest.split_at_checked(plain)?;
            text.extend_from_slice(before);
            let (mark, rest) = rest.split_first()?;
            self.rest = rest;
            match mark {
                b'"' => return Some(utf8(text)),
                b'\\' => self.escape(&mut text)?,
                _ => return None,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let (mark, rest) = self.rest.split_first()?;
        self.rest = rest;
        let character = match mark {
            b'"' | b'\\' | b'/' => char::from(*mark),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return None,
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    /// The character of one `\u` escape, or of two that are a surrogate pair.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) {
            let alone = self.rest;
            if self.take(b'\\').and_then(|()| self.take(b'u')).is_some()
                && let Some(low @ 0xdc00..0xe000) = self.hex()
            {
                return char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            }
            // Whatever follows is for itself.
            self.rest = alone;
        }
        Some(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
    }
}

/// Bytes that are no UTF-8 become U+FFFD as well.
fn utf8(text: Vec<u8>) -> Bytes {
    match String::from_utf8(text) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let expected: Vec<Bytes> = expected.iter().map(|text| Bytes::from((*text).to_owned())).collect();
        assert_eq!(array(text.as_bytes()).as_ref(), Ok(&expected), "{text}");
        assert_eq!(array_or_string(text.as_bytes()).as_ref(), Ok(&expected), "{text}");
    }

    #[test]
    fn arrays_of_strings_are_read() {
        check("[]", &[]);
        check(" [ \"a\" ,\n\"b\"\t]\r\n", &["a", "b"]);
        check(r#"["\"\\\/\b\f\n\r\t\u0000\u00e4ä"]"#, &["\"\\/\u{8}\u{c}\n\r\t\0ää"]);
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        check(r#"["\ud83d\ude00"]"#, &["\u{1f600}"]);
        check(r#"["\ud800"]"#, &["\u{fffd}"]);
        check(r#"["\ud800x\udc00"]"#, &["\u{fffd}x\u{fffd}"]);
        check(r#"["\ud800\u0041\ud800\n"]"#, &["\u{fffd}A\u{fffd}\n"]);
        check(r#"["\ud800\ud83d\ude00"]"#, &["\u{fffd}\u{1f600}"]);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(array(b"[\"a\xff\"]"), Ok(vec![Bytes::from("a\u{fffd}")]));
    }

    #[test]
    fn a_web_socket_also_takes_a_string_and_nothing() {
        assert_eq!(array_or_string(br#" "a" "#), Ok(vec![Bytes::from("a")]));
        assert_eq!(array_or_string(b""), Ok(Vec::new()));
        assert_eq!(array(br#""a""#), Err(PayloadError::Broken));
        assert_eq!(array(b" \n"), Err(PayloadError::Missing));
    }

    #[test]
    fn everything_else_is_broken() {
        for text in [
            "[\"a\"",
            "[\"a",
            "\"a",
            "[\"a\",]",
            "[,]",
            "[1]",
            "[null]",
            "[[\"a\"]]",
            "{}",
            "x",
            "[\"a\"]x",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\\u12g4\"]",
            "[\"\n\"]",
            "[\"a\" \"b\"]",
            "[\"\\",
            "[\"\\u+123\"]",
        ] {
            assert_eq!(array(text.as_bytes()), Err(PayloadError::Broken), "{text}");
            assert_eq!(array_or_string(text.as_bytes()), Err(PayloadError::Broken), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read_as_it_was(messages in proptest::collection::vec(".*", 0..5)) {
            let text = serde_json::to_vec(&messages).unwrap();
            let read = array(&text).unwrap();
            let expected: Vec<Bytes> = messages.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = [b"[\"", &bytes[..], b"\"]"].concat();
            for read in [array(&bytes), array(&text), array_or_string(&bytes)].into_iter().flatten() {
                for message in read {
                    prop_assert!(std::str::from_utf8(&message).is_ok());
                }
            }
        }
    }
}
