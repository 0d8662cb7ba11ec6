//! What the server sends: frames, and how each transport wraps them.

use bytes::{BufMut, Bytes, BytesMut};

use super::page::html_file;
use super::url::Callback;

/// About what a transport adds to a frame, in bytes.
const WRAPPING: usize = 64;

/// The session begins.
pub const OPEN: &[u8] = b"o";

/// The connection lives.
pub const HEART_BEAT: &[u8] = b"h";

/// Messages that are sent together. Each is given in pieces that are the inside
/// of a JSON string already.
pub trait Messages<'a>: Iterator<Item = [&'a [u8]; 2]> + Clone {}

impl<'a, I: Iterator<Item = [&'a [u8]; 2]> + Clone> Messages<'a> for I {}

/// A frame of messages.
#[must_use]
pub fn array<'a>(messages: impl Messages<'a>) -> Bytes {
    array_within([b"", b""], messages)
}

/// The same with something before and after it, copied once.
fn array_within<'a>([before, after]: [&[u8]; 2], messages: impl Messages<'a>) -> Bytes {
    let length: usize = messages.clone().flatten().map(<[u8]>::len).sum();
    let quotes = 3 * messages.clone().count();
    let mut out = BytesMut::with_capacity(before.len() + 3 + length + quotes + after.len());
    out.put_slice(before);
    out.put_slice(b"a[");
    for (index, pieces) in messages.enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        out.put_u8(b'"');
        pieces.into_iter().for_each(|piece| out.put_slice(piece));
        out.put_u8(b'"');
    }
    out.put_u8(b']');
    out.put_slice(after);
    out.freeze()
}

/// The session is over. The reason is one of ours, without control characters.
#[must_use]
pub fn close(code: u16, reason: &str) -> Bytes {
    let mut out = BytesMut::from(format!("c[{code},\"").as_bytes());
    quote(&mut out, reason.as_bytes());
    out.put_slice(b"\"]");
    out.freeze()
}

/// Bytes that a browser wants before it hands over the first line of a long
/// response.
const XHR_STREAMING_HEAD: usize = 2048;

/// How frames are written into the response of a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// One line.
    Xhr,
    /// A line each.
    XhrStreaming,
    /// A server-sent event each.
    EventSource,
    /// A script element each, in a page that calls this function of its owner.
    HtmlFile(Callback),
    /// One script, which calls this function.
    Jsonp(Callback),
}

impl Framing {
    /// Whether a response takes more than one frame.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        match self {
            Self::XhrStreaming | Self::EventSource | Self::HtmlFile(_) => true,
            Self::Xhr | Self::Jsonp(_) => false,
        }
    }

    /// The media type of the response.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Xhr | Self::XhrStreaming | Self::Jsonp(_) => "application/javascript; charset=UTF-8",
            Self::EventSource => "text/event-stream; charset=UTF-8",
            Self::HtmlFile(_) => "text/html; charset=UTF-8",
        }
    }

    /// What comes before the first frame.
    #[must_use]
    pub fn prelude(&self) -> Bytes {
        match self {
            Self::Xhr | Self::Jsonp(_) => Bytes::new(),
            Self::XhrStreaming => {
                let mut out = BytesMut::with_capacity(XHR_STREAMING_HEAD + 1);
                out.put_bytes(b'h', XHR_STREAMING_HEAD);
                out.put_u8(b'\n');
                out.freeze()
            }
            Self::EventSource => Bytes::from_static(b"\r\n"),
            Self::HtmlFile(callback) => html_file(callback),
        }
    }

    /// One frame, wrapped.
    #[must_use]
    pub fn wrap(&self, frame: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(frame.len() + WRAPPING);
        match self {
            Self::Xhr | Self::XhrStreaming | Self::EventSource => {
                let [before, after] = self.ends();
                out.put_slice(before);
                out.put_slice(frame);
                out.put_slice(after);
            }
            Self::HtmlFile(_) => {
                out.put_slice(b"<script>\np(\"");
                quote(&mut out, frame);
                out.put_slice(b"\");\n</script>\r\n");
            }
            Self::Jsonp(callback) => {
                // The comment keeps the response from being taken for a Flash
                // file, whatever the function is called.
                out.put_slice(b"/**/");
                out.put_slice(callback.as_str().as_bytes());
                out.put_slice(b"(\"");
                quote(&mut out, frame);
                out.put_slice(b"\");\r\n");
            }
        }
        out.freeze()
    }

    /// A frame of messages, wrapped; copied once where it is not quoted again.
    #[must_use]
    pub fn wrap_array<'a>(&self, messages: impl Messages<'a>) -> Bytes {
        match self {
            Self::Xhr | Self::XhrStreaming | Self::EventSource => array_within(self.ends(), messages),
            Self::HtmlFile(_) | Self::Jsonp(_) => self.wrap(&array(messages)),
        }
    }

    /// What stands around a frame that is not quoted.
    fn ends(&self) -> [&'static [u8]; 2] {
        match self {
            Self::Xhr | Self::XhrStreaming => [b"", b"\n"],
            Self::EventSource => [b"data: ", b"\r\n\r\n"],
            Self::HtmlFile(_) | Self::Jsonp(_) => [b"", b""],
        }
    }
}

/// Writes the inside of a JSON string that can stand in a script element. A
/// frame has no control characters: those of messages are escaped already.
fn quote(out: &mut BytesMut, text: &[u8]) {
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.put_slice(&[b'\\', byte]),
            // The end of the element, or a comment, could begin with it.
            b'<' => out.put_slice(b"\\u003c"),
            _ => out.put_u8(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array_of(messages: &[[&str; 2]]) -> Bytes {
        array(messages.iter().map(|pieces| pieces.map(str::as_bytes)))
    }

    #[test]
    fn messages_share_a_frame() {
        assert_eq!(array_of(&[["x", ""]]), r#"a["x"]"#);
        assert_eq!(array_of(&[["a:", "b\\n"], ["", "c"]]), r#"a["a:b\n","c"]"#);
    }

    #[test]
    fn a_close_tells_code_and_reason() {
        assert_eq!(close(3000, "Go away!"), r#"c[3000,"Go away!"]"#);
        assert_eq!(close(1000, "\"quoted\""), r#"c[1000,"\"quoted\""]"#);
    }

    #[test]
    fn each_transport_has_its_wrapping() {
        let frame = array_of(&[["</script>\\\"", ""]]);
        let callback = Callback::try_from_query(Some("c=a.b")).unwrap();
        let wrapped = |framing: Framing| {
            let bytes = framing.wrap(&frame);
            assert_eq!(framing.wrap_array([[&b"</script>\\\""[..], &b""[..]]].into_iter()), bytes);
            String::from_utf8(bytes.into()).unwrap()
        };
        for framing in [Framing::Xhr, Framing::XhrStreaming] {
            assert_eq!(wrapped(framing), "a[\"</script>\\\"\"]\n");
        }
        assert_eq!(wrapped(Framing::EventSource), "data: a[\"</script>\\\"\"]\r\n\r\n");
        let script = wrapped(Framing::HtmlFile(callback.clone()));
        let json = script.strip_prefix("<script>\np(").unwrap().strip_suffix(");\n</script>\r\n").unwrap();
        assert!(!json.contains('<'), "{json}");
        let read: String = serde_json::from_str(json).unwrap();
        assert_eq!(read.as_bytes(), &frame[..]);
        assert_eq!(wrapped(Framing::Jsonp(callback)), format!("/**/a.b({json});\r\n"));
    }

    #[test]
    fn long_responses_begin_with_what_browsers_wait_for() {
        let head = Framing::XhrStreaming.prelude();
        assert_eq!(head, format!("{}\n", "h".repeat(2048)));
        assert_eq!(Framing::EventSource.prelude(), "\r\n");
        assert!(Framing::Xhr.prelude().is_empty());
    }
}
