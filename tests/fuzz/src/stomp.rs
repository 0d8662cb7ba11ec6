//! What STOMP clients send.

use std::sync::Arc;
use std::time::Duration;

use albeit_backend::stomp::session::Ending;
use albeit_backend::stomp::{
    DecodeError, Decoder, Frame, Headers, Limits, Output, Session, Settings, Version,
};
use tokio::time::Instant;

const LIMITS: Limits = Limits { frame: 512, headers: 8, line: 64 };

/// Frames, whole and in pieces, and written again. The first byte chooses the
/// version.
pub(crate) fn codec(data: &[u8]) {
    let (version, data) = match data.split_first() {
        Some((first, data)) => (Version::ALL.get(usize::from(first % 3)).copied(), data),
        None => (None, data),
    };
    let version = version.unwrap_or(Version::V1_2);
    let whole = decode(version, std::iter::once(data));
    let in_pieces = decode(version, data.chunks(1));
    assert_eq!(whole, in_pieces, "the frames depend on how the bytes come");
    for frame in whole.0 {
        if !frame.command.escapes_headers() {
            continue;
        }
        let again = decode_with(
            version,
            Limits { frame: usize::MAX, headers: 9, line: 1024 },
            [&*frame.encode(version)],
        );
        let first = again.0.first().map(|again| (again.command, without_length(&again.headers), &again.body));
        assert_eq!(first, Some((frame.command, without_length(&frame.headers), &frame.body)));
    }
}

fn decode<'a>(
    version: Version,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>) {
    decode_with(version, LIMITS, pieces)
}

fn decode_with<'a>(
    version: Version,
    limits: Limits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>) {
    let mut decoder = Decoder::new(limits);
    decoder.set_version(version);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.extend(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// Encoding adds a `content-length`. In 1.0 and 1.1 it leaves out what they cannot
/// express, a carriage return.
fn without_length(headers: &Headers) -> Vec<(String, String)> {
    let plain = |text: &str| text.replace('\r', "");
    let own = headers.iter().filter(|(name, _)| *name != "content-length");
    own.map(|(name, value)| (plain(name), plain(value))).filter(|(name, _)| !name.is_empty()).collect()
}

/// A session whose owner rejects a frame now and then, as the first byte says.
pub(crate) fn session(data: &[u8]) {
    let settings = Settings {
        limits: LIMITS,
        subscription_limit: 4,
        transaction_size_limit: 256,
        heart_beat: (Duration::from_secs(10), Duration::from_secs(10)),
        time_to_first_message: Duration::from_secs(60),
        ping_interval: Duration::from_secs(25),
        server: "server".to_owned(),
    };
    let mut now = Instant::now();
    let mut session = Session::new(Arc::new(settings), "s", now);
    let every = data.first().map_or(0, |first| usize::from(first % 8));
    let mut asked = 0;
    let mut ended: Option<Ending> = None;
    for piece in data.get(1..).unwrap_or_default().chunks(16) {
        now += Duration::from_secs(1);
        session.handle_bytes(now, piece);
        session.handle_timeout(now);
        while let Some(output) = session.poll_output() {
            assert_eq!(ended, None, "{output:?} after the end");
            match output {
                Output::Write(bytes) => {
                    session.handle_written(now);
                    assert!(&*bytes == b"\n" || bytes.ends_with(b"\0"), "{bytes:?} is no frame");
                    continue;
                }
                Output::Ping => continue,
                Output::Close(ending) => {
                    ended = Some(ending);
                    continue;
                }
                Output::Received
                | Output::Connect(_)
                | Output::Subscribe { .. }
                | Output::Unsubscribe(_)
                | Output::Send(_)
                | Output::Settle(..) => {}
            }
            assert_eq!(session.poll_output(), None, "the answer to {output:?} is waited for");
            asked += 1;
            match output {
                _ if every > 0 && asked % (8 * every) == 0 => session.reject("refused", ""),
                Output::Received => session.admit(),
                Output::Connect(_) => session.accept_connect(now, Some("user")),
                _ => session.accept(now),
            }
        }
    }
    assert_eq!(session.poll_timeout().is_none(), ended.is_some(), "a session that is over has no timer");
}
