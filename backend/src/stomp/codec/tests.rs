//! The decoder against the traps of the specification.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { frame: 1024, headers: 8, line: 128 };

fn decode_in(version: Version, portions: &[&[u8]]) -> Result<Vec<Frame>, (Vec<Frame>, DecodeError)> {
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_version(version);
    let mut frames = Vec::new();
    for portion in portions {
        decoder.extend(portion);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return Err((frames, error)),
            }
        }
    }
    Ok(frames)
}

fn decode(bytes: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    decode_in(Version::V1_2, &[bytes]).map_err(|(_, error)| error)
}

fn frame(command: Command, headers: &[(&str, &str)], body: &'static [u8]) -> Frame {
    let headers = headers.iter().copied().collect();
    Frame { command, headers, body: Bytes::from_static(body) }
}

#[track_caller]
fn check(bytes: &[u8], expected: &[Frame]) {
    assert_eq!(decode(bytes).as_deref(), Ok(expected));
}

#[track_caller]
fn fails(bytes: &[u8], expected: DecodeError) {
    assert_eq!(decode(bytes), Err(expected));
}

#[test]
fn a_frame_has_command_headers_and_body() {
    check(
        b"SEND\ndestination:/app/a\nnote:a:b\n\nhello\0",
        &[frame(Command::Send, &[("destination", "/app/a"), ("note", "a:b")], b"hello")],
    );
}

#[test]
fn carriage_returns_end_lines_too() {
    check(
        b"\r\n\nSUBSCRIBE\r\nid:1\r\ndestination:/topic/a\r\n\r\n\0\r\n",
        &[frame(Command::Subscribe, &[("id", "1"), ("destination", "/topic/a")], b"")],
    );
}

#[test]
fn several_frames_and_heart_beats_come_in_one_portion() {
    let begin = frame(Command::Disconnect, &[], b"");
    check(b"\n\nDISCONNECT\n\n\0\nDISCONNECT\n\n\0\n\n", &[begin.clone(), begin]);
    check(b"\n\r\n\n", &[]);
}

#[test]
fn a_content_length_lets_the_body_hold_nul() {
    check(
        b"SEND\ndestination:/a\ncontent-length:3\n\na\0b\0",
        &[frame(Command::Send, &[("destination", "/a"), ("content-length", "3")], b"a\0b")],
    );
}

#[test]
fn a_body_of_content_length_is_waited_for() {
    check(b"SEND\ncontent-length:10\n\nabc\0def", &[]);
}

#[test]
fn escapes_are_those_of_the_version() {
    let bytes = b"SEND\na\\cb:x\\ny\\\\z\\r\n\n\0".as_slice();
    assert_eq!(decode(bytes), Ok(vec![frame(Command::Send, &[("a:b", "x\ny\\z\r")], b"")]));
    let in_1_1 = decode_in(Version::V1_1, &[bytes]).map_err(|(_, error)| error);
    assert_eq!(in_1_1, Err(DecodeError::UndefinedEscape));
    let in_1_0 = decode_in(Version::V1_0, &[bytes]);
    assert_eq!(in_1_0, Ok(vec![frame(Command::Send, &[("a\\cb", "x\\ny\\\\z\\r")], b"")]));
}

#[test]
fn connect_is_never_unescaped() {
    check(b"CONNECT\nlogin:a\\tb\n\n\0", &[frame(Command::Connect, &[("login", "a\\tb")], b"")]);
}

#[test]
fn the_first_of_repeated_headers_counts() {
    let frames = decode(b"SEND\nfoo:World\nfoo:Hello\n\n\0").unwrap();
    assert_eq!(frames[0].headers.value("foo"), Some("World"));
    assert_eq!(frames[0].headers.len(), 2);
}

#[test]
fn blanks_around_a_value_are_its_own_but_in_1_0() {
    let sent = b"SEND\ndestination: /queue/a\t\n\nbody\0".as_slice();
    for (version, value) in
        [(Version::V1_0, "/queue/a"), (Version::V1_1, " /queue/a\t"), (Version::V1_2, " /queue/a\t")]
    {
        let frames = decode_in(version, &[sent]).unwrap();
        assert_eq!(frames[0].headers.value("destination"), Some(value), "{version:?}");
    }
    let nameless = decode_in(Version::V1_0, &[b"SEND\n :a\n\n\0"]).map_err(|(_, error)| error);
    assert_eq!(nameless, Err(DecodeError::EmptyHeaderName));
    check(b"SEND\na: b \n\n\0", &[frame(Command::Send, &[("a", " b ")], b"")]);
}

#[test]
fn what_is_no_frame_is_refused() {
    fails(b"send\n\n\0", DecodeError::UnknownCommand("send".into()));
    fails(b"SEND\nno colon\n\n\0", DecodeError::MissingColon);
    fails(b"SEND\n:value\n\n\0", DecodeError::EmptyHeaderName);
    fails(b"SEND\na:b\rc\n\n\0", DecodeError::CarriageReturn);
    fails(b"SEND\na:\\t\n\n\0", DecodeError::UndefinedEscape);
    fails(b"SEND\na:\\\n\n\0", DecodeError::UndefinedEscape);
    fails(b"SEND\na:\xff\n\n\0", DecodeError::NotUtf8);
    fails(b"SEND\na:b\0", DecodeError::TruncatedHeaders);
    fails(b"SEND\ncontent-length:-1\n\n\0", DecodeError::MalformedContentLength("-1".into()));
    fails(b"SEND\ncontent-length:x\n\n\0", DecodeError::MalformedContentLength("x".into()));
    fails(b"SEND\ncontent-length:\n\n\0", DecodeError::MalformedContentLength(String::new()));
    fails(b"SEND\ncontent-length:2\n\nabc\0", DecodeError::ContentLengthMismatch);
    fails(b"SUBSCRIBE\nid:1\n\nbody\0", DecodeError::BodyNotAllowed(Command::Subscribe));
    fails(b"\x16\x03\x01\n\n", DecodeError::UnknownCommand("\u{fffd}".repeat(3)));
}

#[test]
fn limits_hold_before_the_frame_is_complete() {
    let too_large = DecodeError::FrameTooLarge(LIMITS.frame);
    fails(&[b"SEND\n".as_slice(), &b"a:b\n".repeat(255)].concat(), too_large.clone());
    fails(
        b"SEND\ncontent-length:99999999999999999999\n\n",
        DecodeError::MalformedContentLength("99999999999999999999".into()),
    );
    fails(b"SEND\ncontent-length:18446744073709551615\n\n", too_large.clone());
    fails(&[b"SEND\n\n".as_slice(), &[b'a'; 1024]].concat(), too_large.clone());
    let fits = [b"SEND\n\n".as_slice(), &[b'a'; 1017], b"\0"].concat();
    assert_eq!(decode(&fits).map(|frames| frames.len()), Ok(1));
    let over = [b"SEND\n\n".as_slice(), &[b'a'; 1018], b"\0"].concat();
    fails(&over, too_large);
    let headers = "a:b\n".repeat(9);
    fails(format!("SEND\n{headers}\n\0").as_bytes(), DecodeError::TooManyHeaders(8));
}

#[test]
fn a_line_has_a_limit() {
    let line = |length: usize| format!("SEND\na:{}\n\n\0", "x".repeat(length));
    assert_eq!(decode(line(126).as_bytes()).map(|frames| frames.len()), Ok(1));
    let too_long = DecodeError::LineTooLong(LIMITS.line);
    fails(line(127).as_bytes(), too_long.clone());
    // Without an end, and as a command.
    fails(&[b'A'; 129], too_long.clone());
    assert_eq!(decode(&[b'A'; 128]), Ok(Vec::new()));
    fails(&[b"SEND\n".as_slice(), &[b'a'; 129]].concat(), too_long);
}

#[test]
fn a_header_that_a_version_cannot_name_is_left_out() {
    let frame = frame(Command::Message, &[("\n", "a"), ("\r", "b"), ("y:z", "e"), ("x", "c\r\nd")], b"");
    for (version, headers) in [
        (Version::V1_0, "x:c\n"),
        (Version::V1_1, "\\n:a\ny\\cz:e\nx:c\\nd\n"),
        (Version::V1_2, "\\n:a\n\\r:b\ny\\cz:e\nx:c\\r\\nd\n"),
    ] {
        assert_eq!(frame.encode(version), format!("MESSAGE\n{headers}content-length:0\n\n\0"));
    }
}

#[test]
fn no_memory_is_held_between_frames() {
    let mut decoder = Decoder::new(LIMITS);
    decoder.extend(b"SEND\ndestination:/a\n\nbody\0\n");
    assert!(decoder.next_frame().unwrap().is_some());
    assert!(decoder.next_frame().unwrap().is_none());
    assert_eq!((decoder.buffered(), decoder.buffer.capacity()), (0, 0));
}

/// A frame as the version can express it.
fn any_frame(version: Version) -> impl Strategy<Value = Frame> {
    let header = match version {
        Version::V1_0 => ("[a-z\\\\]{1,8}", "([!-~:\\\\äß]([ -~äß]{0,10}[!-~:\\\\äß])?)?"),
        Version::V1_1 => ("[a-z:\\\\\n]{1,8}", "[ -~\n:\\\\äß]{0,12}"),
        Version::V1_2 => ("[a-z:\\\\\n\r]{1,8}", "[ -~\n\r:\\\\äß]{0,12}"),
    };
    let headers = proptest::collection::vec(header, 0..4);
    let body = proptest::collection::vec(any::<u8>(), 0..40);
    (headers, body).prop_map(|(headers, body)| Frame {
        command: Command::Send,
        headers: headers.into_iter().filter(|(name, _)| name != "content-length").collect(),
        body: Bytes::from(body),
    })
}

fn any_frames() -> impl Strategy<Value = (Version, Vec<Frame>)> {
    prop::sample::select(&Version::ALL[..])
        .prop_flat_map(|version| (Just(version), proptest::collection::vec(any_frame(version), 1..4)))
}

/// Frames as they are sent, with the header that encoding adds taken off.
fn without_length(frame: Frame) -> Frame {
    let headers = frame.headers.iter().filter(|(name, _)| *name != "content-length").collect();
    Frame { headers, ..frame }
}

/// Cuts bytes at the given places.
fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut portions = Vec::new();
    let mut start = 0;
    for cut in cuts {
        portions.push(&bytes[start..cut]);
        start = cut;
    }
    portions.push(&bytes[start..]);
    portions
}

proptest! {
    #[test]
    fn frames_survive_encoding_and_any_split(
        (version, frames) in any_frames(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend_from_slice(&frame.encode(version));
            bytes.push(b'\n');
        }
        let decoded = decode_in(version, &split(&bytes, &cuts)).unwrap();
        let decoded: Vec<Frame> = decoded.into_iter().map(without_length).collect();
        prop_assert_eq!(decoded, frames);
    }

    #[test]
    fn garbage_gives_the_same_result_however_it_is_split(
        noise in "(SEND\n|ACK\n|\n|\r\n|\\PC|a:b\n|content-length:[0-9]{1,3}\n|\n\n|\u{0}|\\\\c|[a-z]{50,90}|(a:b\n){70}){0,30}",
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = decode_in(Version::V1_2, &[noise.as_bytes()]);
        let portions = decode_in(Version::V1_2, &split(noise.as_bytes(), &cuts));
        prop_assert_eq!(whole, portions);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        // The result does not matter, only that there is one.
        prop_assert!(decode(&bytes).map_or(true, |frames| frames.len() <= bytes.len()));
    }
}
