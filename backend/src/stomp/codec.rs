//! The incremental decoder: bytes in, frames out.
//!
//! The same frames come out however the bytes are split. Line ends between
//! frames, which are heart-beats, are skipped. The decoder keeps at most one
//! frame of at most [`Limits::frame`] bytes and holds no memory between frames.

use bytes::{Buf, BytesMut};

use super::frame::{Command, Frame, Headers, Version};

/// Bounds that keep a hostile frame small.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a whole frame with its NUL.
    pub frame: usize,
    /// Headers of a frame.
    pub headers: usize,
    /// Bytes of a command or header line, without its line feed.
    pub line: usize,
}

/// A fault in the bytes; the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is larger than [`Limits::frame`].
    #[error("frame exceeds {0} bytes")]
    FrameTooLarge(usize),
    /// The frame has more than [`Limits::headers`].
    #[error("frame has more than {0} headers")]
    TooManyHeaders(usize),
    /// A header line is longer than [`Limits::line`].
    #[error("header line exceeds {0} bytes")]
    LineTooLong(usize),
    /// The command is none of STOMP's.
    #[error("unknown command {0:?}")]
    UnknownCommand(String),
    /// A NUL before the blank line that ends the headers.
    #[error("frame ends within its headers")]
    TruncatedHeaders,
    /// A header line without a colon.
    #[error("header line without a colon")]
    MissingColon,
    /// A carriage return within a header line, which 1.2 forbids.
    #[error("carriage return within a header line")]
    CarriageReturn,
    /// A header line that starts with its colon.
    #[error("header without a name")]
    EmptyHeaderName,
    /// Command and headers are UTF-8.
    #[error("header is not UTF-8")]
    NotUtf8,
    /// An escape that the negotiated version does not define.
    #[error("undefined escape in a header")]
    UndefinedEscape,
    /// A `content-length` that is no number.
    #[error("malformed content-length {0:?}")]
    MalformedContentLength(String),
    /// The octet after a body of `content-length` is not NUL.
    #[error("body is longer than its content-length")]
    ContentLengthMismatch,
    /// A body in a frame that must have none.
    #[error("{0} must not have a body")]
    BodyNotAllowed(Command),
}

/// What the decoder is waiting for.
#[derive(Debug)]
enum State {
    /// The blank line that ends the headers.
    Head {
        /// Where the current line starts.
        line: usize,
        /// Up to where there is no line end.
        scanned: usize,
    },
    /// The NUL that ends the body.
    Body {
        command: Command,
        headers: Headers,
        /// Bytes the head took.
        head: usize,
        /// From the `content-length` header.
        length: Option<usize>,
        /// Up to where there is no NUL.
        scanned: usize,
    },
}

const START: State = State::Head { line: 0, scanned: 0 };

/// Turns bytes into frames.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    state: State,
    limits: Limits,
    version: Version,
}

impl Decoder {
    /// A decoder that knows no version yet and reads escapes as in 1.2.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { buffer: BytesMut::new(), state: START, limits, version: Version::V1_2 }
    }

    /// Reads the escapes of later frames as this version defines them.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Adds bytes as they came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame, or `None` until more bytes come.
    ///
    /// # Errors
    ///
    /// The bytes are no STOMP frame or exceed a limit. The decoder is of no
    /// more use then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        loop {
            match &mut self.state {
                State::Head { .. } => {
                    if !self.head()? {
                        break;
                    }
                }
                State::Body { .. } => {
                    let frame = self.body()?;
                    if frame.is_some() {
                        return Ok(frame);
                    }
                    break;
                }
            }
        }
        if self.buffer.is_empty() {
            // Give the memory back: most sessions idle most of the time.
            self.buffer = BytesMut::new();
        }
        Ok(None)
    }

    /// Looks for the end of the headers; true when the state is now `Body`.
    fn head(&mut self) -> Result<bool, DecodeError> {
        let State::Head { line, scanned } = &mut self.state else {
            return Ok(true);
        };
        if *line == 0 {
            let skipped = leading_line_ends(&self.buffer);
            self.buffer.advance(skipped);
            *scanned = scanned.saturating_sub(skipped);
        }
        loop {
            let rest = self.buffer.get(*scanned..).unwrap_or_default();
            let found = memchr::memchr2(b'\n', 0, rest);
            let end = *scanned + found.unwrap_or(rest.len());
            self.limits.check_line(*line, end)?;
            let Some(found) = found else {
                *scanned = end;
                return Ok(false);
            };
            if rest.get(found) == Some(&0) {
                return Err(DecodeError::TruncatedHeaders);
            }
            let text = self.buffer.get(*line..end).unwrap_or_default();
            if text.is_empty() || text == b"\r" {
                break self.finish_head(end + 1).map(|()| true);
            }
            *line = end + 1;
            *scanned = end + 1;
        }
    }

    /// Parses the head of `length` bytes and takes it off the buffer.
    fn finish_head(&mut self, length: usize) -> Result<(), DecodeError> {
        let head = self.buffer.split_to(length);
        let mut lines = head.as_ref().split(|&byte| byte == b'\n').map(strip_carriage_return);
        let name = lines.next().unwrap_or_default();
        let command = Command::from_bytes(name).ok_or_else(|| DecodeError::UnknownCommand(shown(name)))?;
        let version = if command.escapes_headers() { self.version } else { Version::V1_0 };
        let mut headers = Headers::default();
        for line in lines.take_while(|line| !line.is_empty()) {
            if headers.len() == self.limits.headers {
                return Err(DecodeError::TooManyHeaders(self.limits.headers));
            }
            if version == Version::V1_2 && memchr::memchr(b'\r', line).is_some() {
                return Err(DecodeError::CarriageReturn);
            }
            let colon = memchr::memchr(b':', line).ok_or(DecodeError::MissingColon)?;
            let (name, value) = line.split_at_checked(colon).unwrap_or_default();
            let value = value.get(1..).unwrap_or_default();
            // STOMP 1.0 knows no rule; its clients write `name: value`.
            let (name, value) = match self.version {
                Version::V1_0 => (name.trim_ascii(), value.trim_ascii()),
                Version::V1_1 | Version::V1_2 => (name, value),
            };
            if name.is_empty() {
                return Err(DecodeError::EmptyHeaderName);
            }
            headers.push(unescape(name, version)?, unescape(value, version)?);
        }
        let body_length = headers.value("content-length").map(content_length).transpose()?;
        if let Some(body) = body_length {
            self.limits.check_frame(length.saturating_add(body).saturating_add(1))?;
        }
        self.state = State::Body { command, headers, head: length, length: body_length, scanned: 0 };
        Ok(())
    }

    /// Looks for the end of the body.
    fn body(&mut self) -> Result<Option<Frame>, DecodeError> {
        let State::Body { command, headers, head, length, scanned } = &mut self.state else {
            return Ok(None);
        };
        let end = match *length {
            Some(length) => match self.buffer.get(length) {
                None => return Ok(None),
                Some(0) => length,
                Some(_) => return Err(DecodeError::ContentLengthMismatch),
            },
            None => {
                let rest = self.buffer.get(*scanned..).unwrap_or_default();
                if let Some(found) = memchr::memchr(0, rest) {
                    *scanned + found
                } else {
                    *scanned = self.buffer.len();
                    let size = *head + self.buffer.len();
                    return self.limits.check_frame(size).map(|()| None);
                }
            }
        };
        let (command, headers, size) = (*command, std::mem::take(headers), *head + end + 1);
        self.limits.check_frame(size)?;
        if end > 0 && !command.may_have_body() {
            return Err(DecodeError::BodyNotAllowed(command));
        }
        let body = self.buffer.split_to(end).freeze();
        self.buffer.advance(1);
        self.state = START;
        Ok(Some(Frame { command, headers, body }))
    }
}

impl Limits {
    fn check_frame(&self, size: usize) -> Result<(), DecodeError> {
        if size > self.frame {
            return Err(DecodeError::FrameTooLarge(self.frame));
        }
        Ok(())
    }

    /// Checks a line that starts at `line` and reaches at least to `end`. The
    /// limit that was exceeded first is reported, however the bytes came.
    fn check_line(&self, line: usize, end: usize) -> Result<(), DecodeError> {
        let longest = line.saturating_add(self.line);
        if end > longest && longest < self.frame {
            return Err(DecodeError::LineTooLong(self.line));
        }
        // A NUL, at least, comes after the line.
        self.check_frame(end.saturating_add(1))
    }
}

/// Bytes of the line ends that the buffer starts with.
fn leading_line_ends(buffer: &[u8]) -> usize {
    let mut skipped = 0;
    loop {
        match buffer.get(skipped..) {
            Some([b'\n', ..]) => skipped += 1,
            Some([b'\r', b'\n', ..]) => skipped += 2,
            _ => return skipped,
        }
    }
}

fn strip_carriage_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A short printable form of bytes, for an error message.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(32).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn content_length(text: &str) -> Result<usize, DecodeError> {
    let malformed = || DecodeError::MalformedContentLength(shown(text.as_bytes()));
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    text.parse().map_err(|_| malformed())
}

fn unescape(bytes: &[u8], version: Version) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)?;
    if version == Version::V1_0 || !text.contains('\\') {
        return Ok(text.to_owned());
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('c') => ':',
                Some('\\') => '\\',
                Some('r') if version >= Version::V1_2 => '\r',
                _ => return Err(DecodeError::UndefinedEscape),
            },
            c => c,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests;
