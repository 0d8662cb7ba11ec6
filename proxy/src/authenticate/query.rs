//! Query strings and forms: `application/x-www-form-urlencoded`.
//!
//! WHATWG URL, section "application/x-www-form-urlencoded".

/// Appends `text` with everything percent-encoded but letters, digits and `-._~`.
pub fn encode(text: &str, into: &mut String) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `name=value&…` of `pairs`, encoded.
#[must_use]
pub fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

/// The decoded value of the first parameter with this name. `None` if it is missing or no UTF-8.
#[must_use]
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    decode(value)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match escaped(after) {
                Some((byte, after)) => {
                    bytes.push(byte);
                    rest = after;
                }
                None => bytes.push(b'%'),
            },
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&[high, low], after) = text.split_first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_found_and_decoded() {
        let query = "code=a%2Fb+c&state=&error&code=second";
        assert_eq!(parameter(query, "code").as_deref(), Some("a/b c"));
        assert_eq!(parameter(query, "state").as_deref(), Some(""));
        assert_eq!(parameter(query, "error").as_deref(), Some(""));
        assert_eq!(parameter(query, "cod"), None);
        assert_eq!(parameter("a=%zz%4", "a").as_deref(), Some("%zz%4"));
        assert_eq!(parameter("a=%FF", "a"), None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(name in "[a-z]{1,5}", value in "\\PC{0,40}") {
            prop_assert_eq!(parameter(&form([(name.as_str(), value.as_str())]), &name), Some(value));
        }

        #[test]
        fn no_query_makes_it_panic(query in "\\PC{0,60}") {
            drop(parameter(&query, "code"));
        }
    }
}
