//! Normalises a request's path before rules look at it.
//!
//! ELB page: "Condition types for listener rules" (path conditions match the
//! normalised URI). The steps are those of RFC 3986 section 6.2.2: percent
//! encodings of unreserved characters are decoded, the other encodings get
//! upper-case digits, then dot segments are removed. Decoding first means that
//! `%2e%2e` is a dot segment like `..`, as it is for the targets behind.
//! Reserved characters such as `%2F` stay encoded; empty segments (`//`) stay.
//! Only rules see the result: a target gets the path as the client sent it.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// The normalised path, without the query. Borrows when there is nothing to change.
#[must_use]
pub fn normalise(target: &str) -> Cow<'_, str> {
    let path = target.split_once('?').map_or(target, |(path, _query)| path);
    let decoded = match memchr(b'%', path.as_bytes()) {
        Some(_) => Cow::Owned(decode_unreserved(path)),
        None => Cow::Borrowed(path),
    };
    if memmem::find(decoded.as_bytes(), b"/.").is_some() {
        Cow::Owned(remove_dot_segments(&decoded))
    } else {
        decoded
    }
}

/// RFC 3986 sections 6.2.2.1 and 6.2.2.2. A `%` without two hex digits stays as it is.
pub(super) fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        match after.get(..2).map(|digits| (digits, u8::from_str_radix(digits, 16))) {
            Some((digits, Ok(byte))) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                if is_unreserved(byte) {
                    out.push(char::from(byte));
                } else {
                    out.push('%');
                    out.push_str(&digits.to_ascii_uppercase());
                }
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push('%');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 section 5.2.4 for a path that begins with a slash; others (`*`) are left alone.
fn remove_dot_segments(path: &str) -> String {
    let Some(relative) = path.strip_prefix('/') else { return path.to_owned() };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = relative.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(normalise(path), expected, "{path}");
    }

    #[test]
    fn dot_segments_go_away() {
        check("/a/b/c/./../../g", "/a/g");
        check("/a/./b", "/a/b");
        check("/a/..", "/");
        check("/a/.", "/a/");
        check("/../../x", "/x");
        check("/..", "/");
        check("/.hidden/..x/...", "/.hidden/..x/...");
        check("/a//../b", "/a/b");
    }

    #[test]
    fn unreserved_characters_are_decoded_and_others_keep_their_encoding() {
        check("/%7Euser/%61%2d%5F", "/~user/a-_");
        check("/a%2fb%3f", "/a%2Fb%3F");
        check("/%2e%2E/x", "/x");
        check("/%", "/%");
        check("/%4", "/%4");
        check("/%+1%zz", "/%+1%zz");
        check("/%25%32%65", "/%252e");
        check("/%é1", "/%é1");
    }

    #[test]
    fn the_query_is_cut_off_and_plain_paths_are_borrowed() {
        check("/a?b=/../c", "/a");
        check("*", "*");
        check("", "");
        assert!(matches!(normalise("/chat/room.1?x"), Cow::Borrowed("/chat/room.1")));
    }

    proptest! {
        #[test]
        fn a_normalised_path_has_no_dot_segment_and_stays_absolute(path in "/[a./%2eE5]{0,24}") {
            let once = normalise(&path);
            prop_assert!(once.starts_with('/'));
            prop_assert!(once.split('/').all(|segment| segment != "." && segment != ".."));
        }

        #[test]
        fn normalising_again_changes_nothing_and_nothing_grows(target in "(/|\\PC|%[0-9a-fA-F]{2}|\\.){0,24}") {
            let once = normalise(&target);
            prop_assert_eq!(normalise(&once), once.as_ref());
            prop_assert!(once.len() <= target.len().max(1));
        }
    }
}
