//! How a head that the HTTP engine would refuse is made plain.

use std::borrow::Cow;

use super::{ENGINE_FIELDS, InvalidNames, RequestLine, is_valid_name, lines, split_field};
use crate::headers::host;

/// A head written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// What the engine reads.
    pub head: Vec<u8>,
    /// Further fields, name and value, for which the engine has no room or no understanding: Host lines
    /// after the first, and what follows the first hundreds of fields.
    pub further: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Writes a head anew.
///
/// - The authority of an absolute target takes the place of Host.
/// - Further Host lines are set aside.
/// - `identity` goes from Transfer-Encoding, unless it comes last of several.
/// - Fields with invalid names go, if `names` says so.
/// - HTTP/0.9 becomes HTTP/1.0; blanks after the version go.
#[must_use]
pub fn rewrite(head: &[u8], names: InvalidNames) -> Rewritten {
    let mut lines = lines(head);
    let request_line = RequestLine::of(lines.next().unwrap_or_default());
    let mut out = Rewritten { head: Vec::with_capacity(head.len() + 64), further: Vec::new() };
    out.push_line(&[request_line.method, b" ", request_line.target, b" ", request_line.version_for_engine()]);
    let authority = host::absolute_form(request_line.target).map(|(authority, _)| authority);
    if let Some(authority) = authority {
        out.push_line(&[b"Host: ", authority.as_bytes()]);
    }
    let mut has_host = authority.is_some();
    for (number, line) in lines.enumerate() {
        let Some((name, value)) = split_field(line) else {
            out.push_line(&[line]);
            continue;
        };
        if names == InvalidNames::Drop && !is_valid_name(name) {
            continue;
        }
        if name.eq_ignore_ascii_case(b"host") {
            if authority.is_some() {
                continue;
            }
            if has_host {
                out.further.push((name.to_vec(), value.trim_ascii().to_vec()));
                continue;
            }
            has_host = true;
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if let Some(codings) = without_identity(value) {
                out.push_line(&[name, b": ", &codings]);
            }
        } else if number < ENGINE_FIELDS || is_for_engine(name) {
            out.push_line(&[line]);
        } else {
            out.further.push((name.to_vec(), value.trim_ascii().to_vec()));
        }
    }
    out.push_line(&[]);
    out
}

impl Rewritten {
    fn push_line(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.head.extend_from_slice(part);
        }
        self.head.extend_from_slice(b"\r\n");
    }
}

/// Codings without `identity`, which is none (RFC 7230 section 4 removed it); `None` if nothing is left.
///
/// As the last of several it stays: whether a body that ends with it is chunked is not agreed on.
fn without_identity(codings: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_identity = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    let mut members = codings.split(|&byte| byte == b',');
    if !members.clone().any(is_identity) {
        return Some(Cow::Borrowed(codings));
    }
    if members.clone().all(is_identity) {
        return None;
    }
    if members.next_back().is_some_and(is_identity) {
        return Some(Cow::Borrowed(codings));
    }
    let kept: Vec<&[u8]> =
        codings.split(|&byte| byte == b',').filter(|coding| !is_identity(coding)).collect();
    Some(Cow::Owned(kept.join(&b',')))
}

/// Fields by which the engine frames the message and keeps the connection.
fn is_for_engine(name: &[u8]) -> bool {
    [&b"content-length"[..], b"host", b"connection", b"upgrade", b"expect"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}
