//! How bytes are written for a carrier: plain, or as the inside of a JSON
//! string.
//!
//! SockJS packs messages into a JSON array of strings. What goes into a string
//! is escaped where it is made: a message for many receivers once for all of
//! them. Escaped are what JSON demands, and the characters that the SockJS
//! protocol (0.3.3) lists because old browsers lose them.

use bytes::{BufMut, Bytes, BytesMut};

use super::carrier::Encoding;

/// What to do at a byte of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Copy it.
    Plain,
    /// Write a backslash and this.
    Short(u8),
    /// Write it as `\u00` and two digits.
    Control,
    /// The first of three bytes that may be a listed character.
    Lead,
}

const CLASSES: [Class; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "checked by the compiler, which runs it")]
const fn classes() -> [Class; 256] {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 0x20 {
        classes[byte] = Class::Control;
        byte += 1;
    }
    classes[b'"' as usize] = Class::Short(b'"');
    classes[b'\\' as usize] = Class::Short(b'\\');
    classes[b'\n' as usize] = Class::Short(b'n');
    classes[b'\r' as usize] = Class::Short(b'r');
    classes[b'\t' as usize] = Class::Short(b't');
    classes[0xe2] = Class::Lead;
    classes[0xef] = Class::Lead;
    classes
}

impl Encoding {
    /// The bytes in this encoding, which must be UTF-8 unless it is plain.
    #[must_use]
    pub fn encode(self, text: Bytes) -> Bytes {
        match self {
            Self::Plain => text,
            Self::Json => {
                let mut out = BytesMut::with_capacity(text.len() + text.len() / 8 + 8);
                put_escaped(&mut out, &text);
                out.freeze()
            }
        }
    }
}

/// Appends UTF-8 as the inside of a JSON string.
pub fn put_escaped(out: &mut BytesMut, text: &[u8]) {
    let mut rest = text;
    loop {
        let special = rest.iter().position(|&byte| class(byte) != Class::Plain);
        let (plain, tail) = rest.split_at_checked(special.unwrap_or(rest.len())).unwrap_or_default();
        out.extend_from_slice(plain);
        let Some((&byte, after)) = tail.split_first() else {
            return;
        };
        rest = after;
        match class(byte) {
            Class::Short(letter) => out.extend_from_slice(&[b'\\', letter]),
            Class::Control => put_unit(out, u16::from(byte)),
            Class::Plain => out.put_u8(byte),
            Class::Lead => match (listed(tail), tail.get(3..)) {
                (Some(unit), Some(after)) => {
                    put_unit(out, unit);
                    rest = after;
                }
                _ => out.put_u8(byte),
            },
        }
    }
}

fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Plain)
}

/// The character at the start of UTF-8, if SockJS wants it escaped.
fn listed(text: &[u8]) -> Option<u16> {
    let &[lead, middle @ 0x80..=0xbf, last @ 0x80..=0xbf, ..] = text else {
        return None;
    };
    let unit = u16::from(lead & 0x0f) << 12 | u16::from(middle & 0x3f) << 6 | u16::from(last & 0x3f);
    matches!(unit, 0x200c..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xfff0..).then_some(unit)
}

fn put_unit(out: &mut BytesMut, unit: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |shift: u16| DIGITS.get(usize::from(unit >> shift & 0xf)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        String::from_utf8(Encoding::Json.encode(Bytes::copy_from_slice(text.as_bytes())).to_vec()).unwrap()
    }

    #[test]
    fn what_json_and_sockjs_demand_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("", ""),
            ("plain, é € 😀", "plain, é € 😀"),
            ("a\"b\\c/d", "a\\\"b\\\\c/d"),
            ("\0\u{1}\u{8}\u{1f}\n\r\t\u{7f}", "\\u0000\\u0001\\u0008\\u001f\\n\\r\\t\u{7f}"),
            ("\u{200b}\u{200c}\u{200f}\u{2010}", "\u{200b}\\u200c\\u200f\u{2010}"),
            ("\u{2027}\u{2028}\u{202f}\u{2030}", "\u{2027}\\u2028\\u202f\u{2030}"),
            ("\u{205f}\u{2060}\u{206f}\u{2070}", "\u{205f}\\u2060\\u206f\u{2070}"),
            ("\u{ffef}\u{fff0}\u{ffff}\u{10000}", "\u{ffef}\\ufff0\\uffff\u{10000}"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    #[test]
    fn plain_bytes_are_not_copied() {
        let bytes = Bytes::from_static(b"\n");
        assert_eq!(Encoding::Plain.encode(bytes.clone()).as_ptr(), bytes.as_ptr());
    }

    proptest! {
        #[test]
        fn json_gives_the_text_back(text in "(\\PC|[\u{0}-\u{1f}\"\\\\]|[\u{2000}-\u{2070}]|[\u{ffe0}-\u{ffff}]){0,40}") {
            let read: String = serde_json::from_str(&format!("\"{}\"", escaped(&text))).unwrap();
            prop_assert_eq!(read, text);
        }

        #[test]
        fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut out = BytesMut::new();
            put_escaped(&mut out, &bytes);
            prop_assert!(out.len() >= bytes.len());
        }
    }
}
