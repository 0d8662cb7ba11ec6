//! SockJS frames in the responses of HTTP requests, the request's side.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Duration, sleep};

use crate::broker::Item;
use crate::config::SockJsConfig;
use crate::link::{Attached, Taken};
use crate::sock_js::frame::{self, Framing};

use super::session::Session;

/// A request that waits for frames. Dropped before its end it closes the
/// session: what it took may not have arrived.
#[derive(Debug)]
pub struct Receiver {
    session: Arc<Session>,
    framing: Framing,
    heart_beat: Duration,
    stage: Stage,
    /// Bytes after which the response ends.
    left: usize,
}

#[derive(Debug)]
enum Stage {
    /// Nothing is written. None: another request is open.
    Begun(Option<Attached<Item>>),
    /// Another request is open.
    Refused,
    Attached(Attached<Item>),
    Over,
}

/// What comes next.
enum Frame {
    Open,
    HeartBeat,
    Messages(Vec<Item>),
    /// The last one.
    Close(u16, String),
}

impl Receiver {
    /// Becomes the session's receiver, if it has none.
    #[must_use]
    pub fn new(session: Arc<Session>, framing: Framing, config: &SockJsConfig) -> Self {
        Self {
            stage: Stage::Begun(session.link.attach().ok()),
            session,
            framing,
            heart_beat: config.heartbeat_time,
            left: config.stream_bytes_limit,
        }
    }

    /// The next part of the response; none at its end.
    pub async fn next(&mut self) -> Option<Bytes> {
        if let Stage::Begun(attached) = &mut self.stage {
            self.stage = attached.take().map_or(Stage::Refused, Stage::Attached);
            let prelude = self.framing.prelude();
            if !prelude.is_empty() {
                return Some(prelude);
            }
        }
        let frame = match &mut self.stage {
            Stage::Refused => Frame::Close(2010, "Another connection still open".to_owned()),
            Stage::Attached(attached) => {
                next_frame(attached, &self.session, self.left, self.heart_beat).await
            }
            Stage::Begun(_) | Stage::Over => return None,
        };
        let wrapped = match &frame {
            Frame::Open => self.framing.wrap(frame::OPEN),
            Frame::HeartBeat => self.framing.wrap(frame::HEART_BEAT),
            Frame::Messages(items) => {
                self.framing.wrap_array(items.iter().map(|item| [&item.head[..], &item.tail[..]]))
            }
            Frame::Close(code, reason) => self.framing.wrap(&frame::close(*code, reason)),
        };
        self.left = self.left.saturating_sub(wrapped.len());
        let is_last = matches!(frame, Frame::Close(..));
        if (is_last || !self.framing.is_streaming() || self.left == 0)
            && let Stage::Attached(attached) = std::mem::replace(&mut self.stage, Stage::Over)
        {
            attached.finish();
        }
        Some(wrapped)
    }
}

async fn next_frame(
    attached: &mut Attached<Item>,
    session: &Session,
    bytes: usize,
    heart_beat: Duration,
) -> Frame {
    if session.greet() {
        return Frame::Open;
    }
    let taken = tokio::select! {
        taken = attached.next(bytes) => taken,
        () = heart_beat_due(session, heart_beat) => return Frame::HeartBeat,
    };
    match taken {
        Taken::Messages(items) => Frame::Messages(items),
        Taken::Closed(close) => {
            session.told.cancel();
            Frame::Close(close.code, close.reason)
        }
    }
}

/// Nothing was sent for as long as `interval`, or STOMP asks for a sign of life.
async fn heart_beat_due(session: &Session, interval: Duration) {
    loop {
        tokio::select! {
            () = sleep(interval) => if session.has_heart_beats() {
                return;
            },
            () = session.ping.notified() => return,
        }
    }
}
