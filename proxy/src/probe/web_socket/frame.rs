//! Frames of a WebSocket (RFC 6455 section 5), as far as a probe needs them:
//! it sends pings and pongs, and looks at what comes without keeping data.

/// The most payload of a control frame.
const CONTROL_MOST: usize = 125;

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    /// Text, binary or a continuation; the payload follows and is to be skipped.
    Data,
    Ping(Vec<u8>),
    Pong,
    Close {
        code: Option<u16>,
        reason: String,
    },
}

/// How far the bytes of a frame have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Partial,
    /// A frame of so many bytes, of which more may have to come: those are skipped.
    Whole(Frame, u64),
    Malformed,
}

/// Reads the frame at the start of `bytes`, which come from a server and are not masked.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let &[first, second, ref rest @ ..] = bytes else { return Reading::Partial };
    let is_masked = second & 0x80 != 0;
    if is_masked || first & 0x70 != 0 {
        return Reading::Malformed;
    }
    let (length, head, rest) = match (second & 0x7f, rest) {
        (126, &[a, b, ref rest @ ..]) => (u64::from(u16::from_be_bytes([a, b])), 4, rest),
        (127, &[a, b, c, d, e, f, g, h, ref rest @ ..]) => {
            (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10, rest)
        }
        (126 | 127, _) => return Reading::Partial,
        (short, rest) => (u64::from(short), 2, rest),
    };
    let Some(whole) = length.checked_add(head) else { return Reading::Malformed };
    let opcode = first & 0x0f;
    if opcode <= 0x2 {
        return Reading::Whole(Frame::Data, whole);
    }
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= CONTROL_MOST) else {
        return Reading::Malformed;
    };
    let Some(payload) = rest.get(..length) else { return Reading::Partial };
    match opcode {
        0x8 => Reading::Whole(close(payload), whole),
        0x9 => Reading::Whole(Frame::Ping(payload.to_vec()), whole),
        0xa => Reading::Whole(Frame::Pong, whole),
        _ => Reading::Malformed,
    }
}

fn close(payload: &[u8]) -> Frame {
    match payload {
        &[a, b, ref reason @ ..] => Frame::Close {
            code: Some(u16::from_be_bytes([a, b])),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        _ => Frame::Close { code: None, reason: String::new() },
    }
}

const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// A ping without payload.
pub(super) fn ping(mask: [u8; 4]) -> Vec<u8> {
    control(PING, &[], mask)
}

/// The pong to a ping.
pub(super) fn pong(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    control(PONG, payload, mask)
}

/// A control frame; clients mask what they send.
fn control(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let payload = payload.get(..CONTROL_MOST).unwrap_or(payload);
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let mut frame = vec![first, 0x80 | length];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: &Reading) {
        assert_eq!(read(bytes), *expected);
        for end in 0..bytes.len() {
            let prefix = read(&bytes[..end]);
            assert!(prefix == Reading::Partial || matches!(prefix, Reading::Whole(Frame::Data, _)), "{end}");
        }
    }

    #[test]
    fn control_frames_are_read_whole() {
        check(&[0x89, 2, b'h', b'i'], &Reading::Whole(Frame::Ping(b"hi".to_vec()), 4));
        check(&[0x8a, 0], &Reading::Whole(Frame::Pong, 2));
        let close = Frame::Close { code: Some(1001), reason: "bye".to_owned() };
        check(&[0x88, 5, 0x03, 0xe9, b'b', b'y', b'e'], &Reading::Whole(close, 7));
        let bare = Frame::Close { code: None, reason: String::new() };
        check(&[0x88, 0], &Reading::Whole(bare, 2));
    }

    #[test]
    fn data_is_told_by_its_head() {
        check(&[0x81, 3, b'a', b'b', b'c'], &Reading::Whole(Frame::Data, 5));
        assert_eq!(read(&[0x82, 126, 0x01, 0x00]), Reading::Whole(Frame::Data, 260));
        let long = [0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(read(&long), Reading::Whole(Frame::Data, 65_546));
    }

    #[test]
    fn what_no_server_may_send_is_malformed() {
        let cases: [&[u8]; 4] = [&[0x81, 0x80], &[0xf1, 0], &[0x89, 126, 1, 0], &[0x83, 0]];
        for bytes in cases {
            assert_eq!(read(bytes), Reading::Malformed, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_sent_is_masked() {
        assert_eq!(ping([1, 2, 3, 4]), [0x89, 0x80, 1, 2, 3, 4]);
        assert_eq!(pong(b"\x01\x02", [1, 2, 3, 4]), [0x8a, 0x82, 1, 2, 3, 4, 0, 0]);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            drop(read(&bytes));
        }
    }
}
