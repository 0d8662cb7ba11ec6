//! Reading an HTTP/1 answer (RFC 9112 sections 2 to 7) from bytes.
//!
//! An answer to a GET; bodies are read to their end, so that what follows is
//! idle time, and are kept as far as they may name the target.

use std::time::Duration;

/// The longest head that is read.
const HEAD_MOST: usize = 256 * 1024;
/// The longest body that is read.
const BODY_MOST: usize = 1024 * 1024;
/// The most header fields of an answer.
const FIELDS_MOST: usize = 256;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Whether the connection may carry another request (RFC 9112 section 9.3).
    pub(super) persists: bool,
    fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// All values of a header field, in order.
    pub(super) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        let name = name.to_owned();
        let found = self.fields.iter().filter(move |(field, _)| field.eq_ignore_ascii_case(&name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first value of a header field.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    /// The time of `Keep-Alive: timeout=…`: for so long the peer promises to keep an idle connection.
    pub(super) fn announced_keep_alive(&self) -> Option<Duration> {
        let value = self.field("keep-alive")?;
        let seconds = value.split(',').find_map(|item| item.trim().strip_prefix("timeout="))?;
        seconds.trim_matches('"').parse().ok().map(Duration::from_secs)
    }
}

/// How far the bytes of an answer have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// More bytes are needed.
    Partial,
    /// An answer, made of so many bytes.
    Whole(Answer, usize),
    /// Not an answer of HTTP/1, or one beyond all bounds.
    Malformed,
}

/// What the end of the peer's stream means for the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// More may come.
    Open,
    /// These are all.
    Ended,
}

/// The most bytes that are kept of a peer: those of an answer, interim answers before it included.
pub(super) const MOST: usize = HEAD_MOST + BODY_MOST;

/// Reads the answer at the start of `bytes`. Interim answers but 101 are passed over.
pub(super) fn read(bytes: &[u8], stream: Stream) -> Reading {
    let mut start = 0;
    if bytes.len() > MOST {
        return Reading::Malformed;
    }
    loop {
        let rest = bytes.get(start..).unwrap_or_default();
        match read_one(rest, stream) {
            Reading::Whole(answer, length) if (100..200).contains(&answer.status) && answer.status != 101 => {
                start += length;
            }
            Reading::Whole(answer, length) => return Reading::Whole(answer, start + length),
            other => return other,
        }
    }
}

fn read_one(bytes: &[u8], stream: Stream) -> Reading {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MOST];
    let mut head = httparse::Response::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() <= HEAD_MOST => return Reading::Partial,
        Ok(httparse::Status::Partial) | Err(_) => return Reading::Malformed,
    };
    let fields = head
        .headers
        .iter()
        .map(|field| (field.name.to_owned(), String::from_utf8_lossy(field.value).into_owned()))
        .collect();
    let mut answer =
        Answer { status: head.code.unwrap_or_default(), persists: true, fields, body: Vec::new() };
    let is_old = head.version == Some(0);
    let rest = bytes.get(length..).unwrap_or_default();
    let framing = framing(&answer);
    answer.persists = framing != Framing::UntilEnd && persists(&answer, is_old);
    match framing.take(rest, stream) {
        Body::Partial if rest.len() <= BODY_MOST => Reading::Partial,
        Body::Partial | Body::Malformed => Reading::Malformed,
        Body::Whole(body, body_length) => {
            answer.body = body;
            Reading::Whole(answer, length + body_length)
        }
    }
}

fn persists(answer: &Answer, is_old: bool) -> bool {
    let mut options = answer.fields("connection").flat_map(|value| value.split(',')).map(str::trim);
    if is_old {
        options.any(|option| option.eq_ignore_ascii_case("keep-alive"))
    } else {
        !options.any(|option| option.eq_ignore_ascii_case("close"))
    }
}

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilEnd,
}

fn framing(answer: &Answer) -> Framing {
    if matches!(answer.status, 100..200 | 204 | 304) {
        return Framing::Length(0);
    }
    let mut codings = answer.fields("transfer-encoding").flat_map(|value| value.split(','));
    if codings.any(|coding| coding.trim().eq_ignore_ascii_case("chunked")) {
        return Framing::Chunked;
    }
    let length = answer.field("content-length").and_then(|length| length.trim().parse().ok());
    length.map_or(Framing::UntilEnd, Framing::Length)
}

enum Body {
    Partial,
    Malformed,
    Whole(Vec<u8>, usize),
}

impl Framing {
    fn take(self, bytes: &[u8], stream: Stream) -> Body {
        match self {
            Self::Length(length) if length > BODY_MOST => Body::Malformed,
            Self::Length(length) => {
                bytes.get(..length).map_or(Body::Partial, |body| Body::Whole(body.to_vec(), length))
            }
            Self::UntilEnd if stream == Stream::Ended => Body::Whole(bytes.to_vec(), bytes.len()),
            Self::UntilEnd => Body::Partial,
            Self::Chunked => chunks(bytes),
        }
    }
}

fn chunks(bytes: &[u8]) -> Body {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (head, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((head, size))) => {
                (head, usize::try_from(size).unwrap_or(usize::MAX))
            }
            Ok(httparse::Status::Partial) => return Body::Partial,
            Err(_) => return Body::Malformed,
        };
        if size > BODY_MOST {
            return Body::Malformed;
        }
        at += head;
        if size == 0 {
            return trailers(bytes, at).map_or(Body::Partial, |end| Body::Whole(body, end));
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Body::Partial };
        body.extend_from_slice(data.get(..size).unwrap_or_default());
        at += size + 2;
    }
}

/// Where the trailer section that begins at `start` ends.
fn trailers(bytes: &[u8], start: usize) -> Option<usize> {
    let rest = bytes.get(start..)?;
    if rest.starts_with(b"\r\n") {
        return Some(start + 2);
    }
    let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(start + end + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn whole(bytes: &str, stream: Stream) -> (Answer, usize) {
        match read(bytes.as_bytes(), stream) {
            Reading::Whole(answer, length) => (answer, length),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(bytes: &str, stream: Stream, expected: (u16, &str, bool)) {
        let (answer, length) = whole(bytes, stream);
        let body = String::from_utf8(answer.body).unwrap();
        assert_eq!((answer.status, body.as_str(), answer.persists), expected);
        assert_eq!(length, bytes.len());
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Stream::Open, (200, "ok", true));
        check("HTTP/1.1 204 No Content\r\n\r\n", Stream::Open, (204, "", true));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\n\r\n";
        check(chunked, Stream::Open, (200, "ok!", true));
        let trailer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n";
        check(trailer, Stream::Open, (200, "", true));
        check("HTTP/1.1 200 OK\r\n\r\nall", Stream::Ended, (200, "all", false));
    }

    #[test]
    fn interim_answers_are_passed_over_and_101_is_not() {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        check(hints, Stream::Open, (200, "", true));
        check(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
            Stream::Open,
            (101, "", true),
        );
    }

    #[test]
    fn every_prefix_of_an_answer_is_partial() {
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n";
        for end in 0..answer.len() {
            assert_eq!(read(&answer.as_bytes()[..end], Stream::Open), Reading::Partial, "{end}");
        }
    }

    #[test]
    fn what_is_not_http_or_too_long_is_malformed() {
        assert_eq!(read(b"SSH-2.0-x\r\n", Stream::Open), Reading::Malformed);
        let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(read(huge, Stream::Open), Reading::Malformed);
    }

    #[test]
    fn interim_answers_without_end_are_malformed() {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
        assert_eq!(read(hints.repeat(10).as_bytes(), Stream::Open), Reading::Partial);
        assert_eq!(read(hints.repeat(MOST / hints.len() + 1).as_bytes(), Stream::Open), Reading::Malformed);
    }

    #[test]
    fn a_connection_persists_as_version_and_options_say() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", true),
        ];
        for (bytes, expected) in cases {
            assert_eq!(whole(bytes, Stream::Open).0.persists, expected, "{bytes}");
        }
    }

    #[test]
    fn the_announced_time_is_read() {
        let head = "HTTP/1.1 200 OK\r\nKeep-Alive: max=100, timeout=5\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(whole(head, Stream::Open).0.announced_keep_alive(), Some(Duration::from_secs(5)));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, is_open: bool) {
            let stream = if is_open { Stream::Open } else { Stream::Ended };
            drop(read(&bytes, stream));
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            answer.extend_from_slice(&bytes);
            drop(read(&answer, stream));
        }
    }
}
