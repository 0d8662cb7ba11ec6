//! The open streams of server-sent events (HTML Standard, section 9.2): who watches, and what each is sent.
//!
//! What is published is serialised once and shared by all streams. A stream holds a bounded number of pieces;
//! a reader that falls behind further is cut, counted, and comes back by itself. Nobody waits for a reader.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// Streams that are open at once.
pub(super) const MOST: usize = 16;

/// Pieces that a stream may be behind: at ten a second at most, those of the last six seconds.
const BACKLOG: usize = 64;

/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// All open streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: Vec<Stream>,
    is_over: bool,
    /// What a new stream begins with, each as it was published last.
    first: [Option<Bytes>; 2],
}

#[derive(Debug)]
struct Stream {
    pieces: mpsc::Sender<Bytes>,
    /// Ends the connection of a reader that does not read.
    cut: CancellationToken,
}

/// What new streams begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// An event `configuration`.
    Configuration,
    /// An event `tick`.
    Tick,
}

impl Streams {
    /// Opens a stream, which begins with the last configuration and tick; `cut` is cancelled if its reader is
    /// too slow. `None` if there are as many as there may be, or no more are to come.
    pub(super) fn open(&self, cut: CancellationToken) -> Option<EventStream> {
        let mut state = self.state.lock();
        state.open.retain(|stream| !stream.pieces.is_closed());
        if state.is_over || state.open.len() >= MOST {
            return None;
        }
        let (pieces, stream) = mpsc::channel(BACKLOG);
        let retry = Bytes::from(format!("retry: {}\n\n", RETRY.as_millis()));
        for piece in [Some(retry)].into_iter().chain(state.first.clone()).flatten() {
            // There is room for these.
            pieces.try_send(piece).ok()?;
        }
        state.open.push(Stream { pieces, cut });
        drop(state);
        self.opened.notify_one();
        Some(EventStream(stream))
    }

    /// Sends a piece to all, and to new streams first if it is for those, too; says how many streams were too slow
    /// for it, and are no more.
    pub(super) fn publish(&self, first: Option<First>, bytes: &Bytes) -> u64 {
        let mut state = self.state.lock();
        match (first, &mut state.first) {
            (Some(First::Configuration), [configuration, _]) => *configuration = Some(bytes.clone()),
            (Some(First::Tick), [_, tick]) => *tick = Some(bytes.clone()),
            (None, _) => {}
        }
        let mut dropped = 0;
        state.open.retain(|stream| match stream.pieces.try_send(bytes.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                stream.cut.cancel();
                dropped += 1;
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
        dropped
    }

    /// Whether anybody watches. If not, what new streams would begin with grows old, and is forgotten but for
    /// the configuration, which is replaced when it changes.
    pub(super) fn is_watched(&self) -> bool {
        let mut state = self.state.lock();
        state.open.retain(|stream| !stream.pieces.is_closed());
        if state.open.is_empty() {
            let [_, tick] = &mut state.first;
            *tick = None;
        }
        !state.open.is_empty()
    }

    /// Waits until somebody watches.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping the future.
    pub(super) async fn watched(&self) {
        while !self.is_watched() {
            self.opened.notified().await;
        }
    }

    /// Ends all streams in order; no more are opened.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.is_over = true;
        state.open.clear();
    }
}

/// The body of an answer that is a stream.
#[derive(Debug)]
pub(super) struct EventStream(mpsc::Receiver<Bytes>);

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Appends an event of one line of JSON to `out`.
pub(super) fn event(name: &str, data: &serde_json::Value, out: &mut String) {
    out.push_str("event: ");
    out.push_str(name);
    out.push_str("\ndata: ");
    out.push_str(&data.to_string());
    out.push_str("\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(stream: &mut EventStream) -> Vec<Bytes> {
        std::iter::from_fn(|| stream.0.try_recv().ok()).collect()
    }

    #[test]
    fn a_stream_begins_with_what_was_published_last() {
        let streams = Streams::default();
        for (first, text) in [
            (Some(First::Configuration), "c1"),
            (Some(First::Tick), "t1"),
            (None, "n1"),
            (Some(First::Configuration), "c2"),
        ] {
            streams.publish(first, &Bytes::from_static(text.as_bytes()));
        }
        let mut stream = streams.open(CancellationToken::new()).unwrap();
        assert_eq!(drain(&mut stream), ["retry: 2000\n\n", "c2", "t1"]);
        streams.publish(None, &Bytes::from_static(b"n2"));
        assert_eq!(drain(&mut stream), ["n2"]);
        drop(stream);
        // Nobody has watched for a while: the tick is old.
        assert!(!streams.is_watched());
        assert_eq!(drain(&mut streams.open(CancellationToken::new()).unwrap()), ["retry: 2000\n\n", "c2"]);
    }

    #[test]
    fn there_are_no_more_than_sixteen_streams() {
        let streams = Streams::default();
        let mut open: Vec<_> = (0..MOST).map(|_| streams.open(CancellationToken::new()).unwrap()).collect();
        assert!(streams.open(CancellationToken::new()).is_none());
        open.pop();
        assert!(streams.open(CancellationToken::new()).is_some());
    }

    #[test]
    fn a_slow_reader_is_cut_and_the_others_go_on() {
        let streams = Streams::default();
        let cut = CancellationToken::new();
        let (mut slow, mut other) =
            (streams.open(cut.clone()).unwrap(), streams.open(CancellationToken::new()).unwrap());
        let mut dropped = 0;
        for _ in 0..=BACKLOG {
            dropped += streams.publish(None, &Bytes::from_static(b"n"));
            drain(&mut other);
        }
        assert_eq!((dropped, cut.is_cancelled()), (1, true));
        assert_eq!(drain(&mut slow).len(), BACKLOG);
        assert!(slow.0.is_closed());
        assert!(streams.is_watched());
    }

    #[test]
    fn at_the_end_streams_end_and_no_more_are_opened() {
        let streams = Streams::default();
        let mut stream = streams.open(CancellationToken::new()).unwrap();
        streams.close();
        drain(&mut stream);
        assert!(stream.0.is_closed());
        assert!(streams.open(CancellationToken::new()).is_none());
    }
}
