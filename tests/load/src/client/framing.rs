//! Where the body of an answer ends (RFC 9112, section 6.3).

use bytes::{Buf, Bytes, BytesMut};

use super::failure::Failure;
use super::http::{Head, says};

/// Longest line between chunks, in bytes.
const MAX_LINE: usize = 4096;

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Nothing.
    Done,
    /// So many bytes.
    Length(u64),
    /// So many bytes of a chunk and its line end, then more chunks.
    Chunk(u64),
    /// A line with the size of a chunk.
    ChunkSize,
    /// Lines up to an empty one.
    Trailers,
    /// All until the connection ends.
    UntilClose,
}

impl Framing {
    /// Of the answer to a request of this method.
    pub(super) fn of(head: &Head, method: &str) -> Result<Self, Failure> {
        if method == "HEAD" || matches!(head.status, 100..200 | 204 | 304) {
            return Ok(Self::Done);
        }
        if says(head, "transfer-encoding", "chunked") {
            return Ok(Self::ChunkSize);
        }
        match head.header("content-length").map(str::parse) {
            Some(Ok(0)) => Ok(Self::Done),
            Some(Ok(length)) => Ok(Self::Length(length)),
            Some(Err(_)) => Err(Failure::protocol("a content-length that is no number")),
            None => Ok(Self::UntilClose),
        }
    }

    /// Takes the next piece of the body, if it was read.
    pub(super) fn take(&mut self, read: &mut BytesMut) -> Result<Option<Bytes>, Failure> {
        loop {
            match *self {
                Self::Done => return Ok(None),
                Self::UntilClose => return Ok((!read.is_empty()).then(|| read.split().freeze())),
                Self::Length(left) => {
                    let piece = up_to(left, read);
                    let left = left - piece.len() as u64;
                    *self = if left == 0 { Self::Done } else { Self::Length(left) };
                    return Ok((!piece.is_empty()).then_some(piece));
                }
                Self::Chunk(0) => match line(read)? {
                    Some(rest) if rest.is_empty() => *self = Self::ChunkSize,
                    Some(_) => return Err(Failure::protocol("a chunk longer than it said")),
                    None => return Ok(None),
                },
                Self::Chunk(left) => {
                    let piece = up_to(left, read);
                    *self = Self::Chunk(left - piece.len() as u64);
                    return Ok((!piece.is_empty()).then_some(piece));
                }
                Self::ChunkSize => match line(read)? {
                    Some(size) => *self = chunk(&size)?,
                    None => return Ok(None),
                },
                Self::Trailers => match line(read)? {
                    Some(end) if end.is_empty() => *self = Self::Done,
                    Some(_) => {}
                    None => return Ok(None),
                },
            }
        }
    }
}

fn up_to(limit: u64, read: &mut BytesMut) -> Bytes {
    let count = usize::try_from(limit).unwrap_or(usize::MAX).min(read.len());
    read.split_to(count).freeze()
}

/// The next line, without its end.
fn line(read: &mut BytesMut) -> Result<Option<Bytes>, Failure> {
    let Some(end) = memchr::memchr(b'\n', read) else {
        return if read.len() > MAX_LINE {
            Err(Failure::protocol("an endless chunk line"))
        } else {
            Ok(None)
        };
    };
    let mut line = read.split_to(end).freeze();
    read.advance(1);
    if line.ends_with(b"\r") {
        line.truncate(line.len() - 1);
    }
    Ok(Some(line))
}

fn chunk(line: &[u8]) -> Result<Framing, Failure> {
    // Extensions follow a semicolon.
    let size = str::from_utf8(line).ok().and_then(|line| line.split(';').next()).map(str::trim);
    match size.map(|size| u64::from_str_radix(size, 16)) {
        Some(Ok(0)) => Ok(Framing::Trailers),
        Some(Ok(size)) => Ok(Framing::Chunk(size)),
        _ => Err(Failure::protocol("a chunk without its size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(framing: Framing, sent: &str, expected: Option<&str>) {
        // However the bytes are split, the same body comes out.
        for step in [1, 2, 3, sent.len()] {
            let (mut framing, mut read, mut body) = (framing, BytesMut::new(), Vec::new());
            let mut take = |read: &mut BytesMut| -> Result<(), Failure> {
                while let Some(piece) = framing.take(read)? {
                    body.extend_from_slice(&piece);
                }
                Ok(())
            };
            let outcome = sent.as_bytes().chunks(step).try_for_each(|bytes| {
                read.extend_from_slice(bytes);
                take(&mut read)
            });
            match expected {
                Some(expected) => {
                    assert_eq!((outcome, framing), (Ok(()), Framing::Done));
                    assert_eq!(String::from_utf8(body).unwrap(), expected);
                }
                None => assert!(outcome.is_err() || framing != Framing::Done),
            }
        }
    }

    #[test]
    fn bodies_end_where_they_say() {
        check(Framing::Length(5), "hello", Some("hello"));
        check(Framing::Length(5), "hell", None);
        check(Framing::ChunkSize, "5\r\nhello\r\n0\r\n\r\n", Some("hello"));
        check(
            Framing::ChunkSize,
            "5;x=y\r\nhello\r\nA\r\n, everyone\r\n0\r\nt: 1\r\n\r\n",
            Some("hello, everyone"),
        );
        check(Framing::ChunkSize, "5\nhello\n0\n\n", Some("hello"));
    }

    #[test]
    fn broken_chunks_are_refused() {
        check(Framing::ChunkSize, "x\r\n", None);
        check(Framing::ChunkSize, "3\r\nhello\r\n0\r\n\r\n", None);
        check(Framing::ChunkSize, "5\r\nhello\r\n", None);
        check(Framing::ChunkSize, "fffffffffffffffff\r\n", None);
    }
}
