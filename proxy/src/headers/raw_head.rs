//! An HTTP/1 request head as the client sent it: where it ends, and how it is
//! made plain for the HTTP engine, which refuses some of what ELB takes.
//!
//! RFC 9112 sections 2 to 5; ELB pages "HTTP headers and Application Load
//! Balancers" (host header preservation) and "Application Load Balancers"
//! (`routing.http.drop_invalid_header_fields.enabled`). Most heads are plain
//! and are only looked at; one that is not is written anew with the one
//! meaning it has here. What has no single meaning (folded lines, lines without
//! a colon, names that are no token) is left for the engine to refuse. Pure.

mod rewrite;

pub use self::rewrite::{Rewritten, rewrite};

/// Header lines that the HTTP engine reads; the others are handed to it later.
const ENGINE_FIELDS: usize = 200;

/// Whether a request, or the empty lines before it, may begin with this byte; TLS does not.
#[must_use]
pub const fn begins_request(first: u8) -> bool {
    is_token_byte(first) || matches!(first, b'\r' | b'\n')
}

/// Finds the end of a head in bytes that come piece by piece.
///
/// A head ends with its empty line. What has no version in its request line, as HTTP/0.9 has none, or
/// is no request, ends with that line.
#[derive(Debug, Clone, Copy, Default)]
pub struct EndOfHead {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Bytes that have been searched for the end of that line.
    searched: usize,
    has_request_line: bool,
}

impl EndOfHead {
    /// The end of the head in `bytes`, which must begin with what was given before; `None` if it is not there yet.
    ///
    /// Empty lines before the request line count as a part of the head (RFC 9112 section 2.2).
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let from = self.searched.max(self.line);
            let Some(at) = memchr::memchr(b'\n', bytes.get(from..)?) else {
                self.searched = bytes.len();
                return None;
            };
            let end = from + at + 1;
            let line = without_line_end(bytes.get(self.line..end)?);
            self.line = end;
            if self.has_request_line {
                if line.is_empty() {
                    return Some(end);
                }
            } else if !line.is_empty() {
                self.has_request_line = true;
                if !names_version(line) {
                    return Some(end);
                }
            }
        }
    }
}

fn names_version(request_line: &[u8]) -> bool {
    RequestLine::of(request_line).version.starts_with(b"HTTP/")
}

/// How a request's version stands to what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 or 1.1, or something that the engine finds out to be none at all.
    Usual,
    /// HTTP/0.9: GET and a path, no version, no header fields, and a response without a head.
    Simple,
    /// HTTP/0.9 by name: served as HTTP/1.0.
    Old,
    /// Another version: 505.
    Unserved,
}

/// What is to be done with names that have other characters than letters, digits and hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidNames {
    /// They are forwarded (the default).
    Forward,
    /// Their fields are removed (`routing.http.drop_invalid_header_fields.enabled`).
    Drop,
}

/// A head that has been looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Survey {
    /// Its version.
    pub version: Version,
    /// Whether a field's name has other characters than letters, digits and hyphens.
    pub has_invalid_names: bool,
    /// Whether one of them is not even a token, so that servers may read another name into it.
    pub has_broken_names: bool,
    /// Whether all of it is as RFC 9112 wants it and nothing in it, Content-Length for example, can raise a
    /// doubt: most requests without a body are like this.
    pub is_ordinary: bool,
    is_plain: bool,
}

impl Survey {
    /// Looks at a head, given with or without the empty lines before it.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let mut lines = lines(head);
        let request_line = RequestLine::of(lines.next().unwrap_or_default());
        let version = request_line.served();
        let mut survey = Self {
            version,
            has_invalid_names: false,
            has_broken_names: false,
            is_ordinary: request_line.is_exact()
                && request_line.is_ordinary()
                && has_only_proper_line_ends(head),
            is_plain: request_line.target.first() == Some(&b'/') && request_line.is_exact(),
        };
        let (mut fields, mut hosts) = (0, 0);
        for line in lines {
            fields += 1;
            let Some((name, value)) = split_field(line) else {
                survey.is_ordinary = false;
                continue;
            };
            survey.is_ordinary &= !may_look_like_framing(name);
            if !is_valid_name(name) {
                survey.is_ordinary = false;
                survey.has_invalid_names = true;
                survey.has_broken_names |= name.is_empty() || !name.iter().copied().all(is_token_byte);
            }
            if name.eq_ignore_ascii_case(b"host") {
                hosts += 1;
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                survey.is_plain &= value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            }
        }
        survey.is_plain &= fields <= ENGINE_FIELDS && hosts <= 1;
        survey
    }

    /// Whether the head must be written anew before the engine reads it.
    #[must_use]
    pub fn needs_rewriting(&self, names: InvalidNames) -> bool {
        !self.is_plain || (self.has_invalid_names && names == InvalidNames::Drop)
    }
}

/// Method, target and version of a request line.
#[derive(Debug, Clone, Copy)]
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    version: &'a [u8],
    trailing: usize,
}

impl<'a> RequestLine<'a> {
    fn of(line: &'a [u8]) -> Self {
        let trimmed = line.trim_ascii_end();
        let trailing = line.len() - trimmed.len();
        let first = memchr::memchr(b' ', trimmed).unwrap_or(trimmed.len());
        let (method, rest) = trimmed.split_at(first);
        let rest = rest.strip_prefix(b" ").unwrap_or_default();
        let (target, version) = match memchr::memrchr(b' ', rest) {
            Some(last) => (rest.get(..last).unwrap_or_default(), rest.get(last + 1..).unwrap_or_default()),
            None => (rest, &b""[..]),
        };
        Self { method, target, version, trailing }
    }

    fn served(&self) -> Version {
        match self.version {
            b"HTTP/1.1" | b"HTTP/1.0" => Version::Usual,
            b"HTTP/0.9" => Version::Old,
            b"" if self.method == b"GET" && !self.target.is_empty() => Version::Simple,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                Version::Unserved
            }
            _ => Version::Usual,
        }
    }

    /// Whether the engine reads the line as it is.
    fn is_exact(&self) -> bool {
        matches!(self.version, b"HTTP/1.1" | b"HTTP/1.0") && self.trailing == 0
    }

    fn is_ordinary(&self) -> bool {
        self.method.iter().copied().all(is_token_byte)
            && !self.method.is_empty()
            && !self.target.is_empty()
            && memchr::memchr(b' ', self.target).is_none()
    }

    fn version_for_engine(&self) -> &'a [u8] {
        match self.served() {
            Version::Simple | Version::Old => b"HTTP/1.0",
            Version::Usual | Version::Unserved => self.version,
        }
    }
}

/// What [`Survey::is_ordinary`] says, for the parts of a request of HTTP/2.
#[must_use]
pub fn are_ordinary<'a>(
    method: &'a [u8],
    target: &'a [u8],
    mut names: impl Iterator<Item = &'a [u8]>,
) -> bool {
    let request_line = RequestLine { method, target, version: b"", trailing: 0 };
    request_line.is_ordinary()
        && target.iter().all(u8::is_ascii_graphic)
        && names.all(|name| is_valid_name(name) && !may_look_like_framing(name))
}

/// The lines of a head without their ends; the empty ones before it and at its end are left out.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        (!line.is_empty()).then(|| without_line_end(line))
    })
    .filter(|line| !line.is_empty())
}

/// A head from its request line on.
#[must_use]
pub fn without_leading_lines(head: &[u8]) -> &[u8] {
    let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let begin = head.iter().position(|byte| !is_line_end(byte)).unwrap_or(head.len());
    head.get(begin..).unwrap_or_default()
}

/// Method and target of a request of HTTP/0.9, which has nothing else.
#[must_use]
pub fn simple_request(head: &[u8]) -> (&[u8], &[u8]) {
    let request_line = RequestLine::of(lines(head).next().unwrap_or_default());
    (request_line.method, request_line.target)
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Name and value of a header line; `None` for a folded line and one without a colon.
fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return None;
    }
    let colon = memchr::memchr(b':', line)?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}

/// Whether CR and LF come in pairs only, and no other control character comes at all.
fn has_only_proper_line_ends(head: &[u8]) -> bool {
    // Counted in bytes and by pieces that cannot overflow them: so it is done with vectors.
    let controls = head.chunks(u8::MAX.into()).map(|piece| {
        usize::from(piece.iter().map(|&byte| u8::from(byte < b' ') + u8::from(byte == 0x7f)).sum::<u8>())
    });
    let following = head.get(1..).unwrap_or_default();
    let ends = head.chunks(u8::MAX.into()).zip(following.chunks(u8::MAX.into())).map(|(piece, following)| {
        let pairs = piece.iter().zip(following);
        usize::from(pairs.map(|(&a, &b)| u8::from(a == b'\r') & u8::from(b == b'\n')).sum::<u8>())
    });
    controls.sum::<usize>() == 2 * ends.sum::<usize>()
}

/// Whether a name could be taken for Content-Length or Transfer-Encoding by somebody who passes over what
/// is no letter: it is as long, and begins like them or with a hyphen.
fn may_look_like_framing(name: &[u8]) -> bool {
    name.len() >= "content-length".len()
        && name.first().is_some_and(|first| matches!(first, b'c' | b'C' | b't' | b'T' | b'-'))
}

/// Whether a field's name is `[-A-Za-z0-9]+`.
#[must_use]
pub fn is_valid_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// `tchar` of RFC 9110 section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

#[cfg(test)]
mod tests;
