//! Text in log lines: escaping.

use std::{fmt::Display, io::Write as _, time::SystemTime};

use super::{Format, MAX_FIELD, number};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The inside of a field that is text.
#[derive(Debug)]
pub struct Text<'a> {
    out: &'a mut Vec<u8>,
    format: Format,
}

/// How much was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Length in ELB's format.
    pub bytes: usize,
    /// Whether something was left out at the end.
    pub cut: bool,
}

impl<'a> Text<'a> {
    pub(super) const fn new(out: &'a mut Vec<u8>, format: Format) -> Self {
        Self { out, format }
    }

    /// Bytes that need no escaping.
    pub fn plain(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Bytes from outside, cut after [`MAX_FIELD`].
    pub fn foreign(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(..MAX_FIELD).unwrap_or(bytes);
        match self.format {
            Format::Elb => escape(self.out, bytes, b' '),
            Format::Json => escape_json(self.out, bytes),
        }
    }

    /// Bytes from outside that must be one word.
    pub(super) fn word(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(..MAX_FIELD).unwrap_or(bytes);
        match self.format {
            // An empty field would be none.
            Format::Elb if bytes.is_empty() => self.plain(b"-"),
            Format::Elb => escape(self.out, bytes, b'!'),
            Format::Json => escape_json(self.out, bytes),
        }
    }

    /// A whole number.
    pub fn decimal(&mut self, value: u64) {
        number::decimal(self.out, value);
    }

    /// Something whose text needs no escaping.
    pub fn display(&mut self, value: impl Display) {
        // Writing to a Vec does not fail.
        write!(self.out, "{value}").unwrap_or_default();
    }

    /// A double quote that belongs to the text.
    pub fn quote(&mut self) {
        match self.format {
            Format::Elb => self.out.push(b'"'),
            Format::Json => escape_json(self.out, b"\""),
        }
    }

    /// Bytes from outside, URL-encoded: what is neither unreserved (RFC 3986, 2.3) nor a slash becomes
    /// `%HH`. Ends before a byte for which there is no room among `most` bytes.
    pub fn url_encoded(&mut self, bytes: &[u8], most: usize) -> Written {
        let begin = self.out.len();
        for &byte in bytes {
            let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
            let length = if plain { 1 } else { 3 };
            if self.out.len() - begin + length > most {
                return Written { bytes: self.out.len() - begin, cut: true };
            }
            if plain {
                self.out.push(byte);
            } else {
                let [high, low] = hex(byte).map(|digit| digit.to_ascii_uppercase());
                self.out.extend_from_slice(&[b'%', high, low]);
            }
        }
        Written { bytes: self.out.len() - begin, cut: false }
    }

    pub(super) fn seconds(&mut self, time: SystemTime) {
        number::whole_seconds(self.out, time);
    }

    pub(super) fn timestamp(&mut self, time: SystemTime) {
        number::timestamp(self.out, time);
    }
}

/// Two hexadecimal digits, in lower case.
fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xf].map(|value| HEX.get(usize::from(value)).copied().unwrap_or(b'0'))
}

/// Copies runs of harmless bytes, `first` to `~`, at once and escapes the others as `\xHH`.
fn escape(out: &mut Vec<u8>, bytes: &[u8], first: u8) {
    let harmless = |byte: u8| (first..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    let mut rest = bytes;
    while !rest.is_empty() {
        let run = rest.iter().position(|&byte| !harmless(byte)).unwrap_or(rest.len());
        let (plain, other) = rest.split_at(run);
        out.extend_from_slice(plain);
        rest = match other.split_first() {
            Some((&byte, rest)) => {
                let [high, low] = hex(byte);
                out.extend_from_slice(&[b'\\', b'x', high, low]);
                rest
            }
            None => other,
        };
    }
}

/// RFC 8259: what is not UTF-8 becomes U+FFFD, control characters, quotes and backslashes are escaped.
fn escape_json(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                control @ '\0'..='\x1f' => {
                    write!(out, "\\u{:04x}", u32::from(control)).unwrap_or_default();
                }
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
