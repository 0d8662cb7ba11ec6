//! Looks at the raw head of a request for what the HTTP library hides:
//! Content-Length together with Transfer-Encoding, the mark of request
//! smuggling (RFC 9112, section 6.3), which it resolves silently.

/// Longest header name looked for.
const NAME: usize = 17;

/// Watches the bytes of one head as they come, in any portions.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// Start of the current line.
    line: [u8; NAME],
    /// Bytes of the current line so far.
    length: usize,
    content_length: bool,
    transfer_encoding: bool,
    progress: Progress,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Progress {
    #[default]
    Reading,
    Finished,
}

impl HeadScan {
    /// Takes the next bytes; those after the head are ignored.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.progress == Progress::Finished {
                return;
            }
            match byte {
                b'\n' => {
                    // Leading empty lines are skipped, one ends the head.
                    if self.length == 0 && self.line != [0; NAME] {
                        self.progress = Progress::Finished;
                    }
                    self.length = 0;
                }
                b'\r' => {}
                _ => {
                    if let Some(slot) = self.line.get_mut(self.length) {
                        *slot = byte.to_ascii_lowercase();
                    }
                    self.length += 1;
                    if byte == b':' {
                        self.note_name();
                    }
                }
            }
        }
    }

    fn note_name(&mut self) {
        match self.line.get(..self.length.saturating_sub(1)) {
            Some(b"content-length") => self.content_length = true,
            Some(b"transfer-encoding") => self.transfer_encoding = true,
            _ => {}
        }
    }

    /// Whether the length of the body was given in two ways.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.content_length && self.transfer_encoding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: bool) {
        let mut whole = HeadScan::default();
        whole.read(head.as_bytes());
        assert_eq!(whole.is_ambiguous(), expected, "{head:?}");
        let mut split = HeadScan::default();
        for byte in head.bytes() {
            split.read(&[byte]);
        }
        assert_eq!(split.is_ambiguous(), expected, "{head:?} byte by byte");
    }

    #[test]
    fn both_lengths_in_one_head_are_found() {
        check("GET / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: chunked\r\n\r\n", true);
        check("GET / HTTP/1.1\nTRANSFER-ENCODING: x\nCONTENT-LENGTH: 3\n\n", true);
    }

    #[test]
    fn one_length_or_a_name_elsewhere_is_not_ambiguous() {
        check("GET / HTTP/1.1\r\nContent-Length: 3\r\nx: transfer-encoding: chunked\r\n\r\n", false);
        check("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\ntransfer-encoding: a", false);
        check("GET / HTTP/1.1\r\nContent-Lengthy: 3\r\nTransfer-Encoding: chunked\r\n\r\n", false);
        check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", false);
    }
}
