//! The body of a request on its way to the target.

use std::{future::poll_fn, sync::atomic::Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use h2::SendStream;
use pingora::protocols::http::v2::server::HttpSession;

use super::Activity;
use crate::alb::error::Cause;

/// Pieces of a request's body that are shorter than this are joined.
const SMALL: usize = 256;
/// Bytes up to which they are (16 KiB).
const JOINED: usize = 16 * 1024;

/// The request's body on its way to the target. What it has in hand outlives a dropped [`Self::run`].
pub(super) struct Upload {
    target: SendStream<Bytes>,
    pending: Bytes,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes may still come from the client.
    Running,
    /// What is pending is the last of it.
    Last,
    /// All of it has been sent, or the target takes no more.
    Over,
}

impl Upload {
    pub(super) fn new(target: SendStream<Bytes>, has_body: bool) -> Self {
        Self { target, pending: Bytes::new(), state: if has_body { State::Running } else { State::Over } }
    }

    /// Whether nothing moves because the client sends nothing.
    pub(super) fn waits_for_client(&self) -> bool {
        self.state == State::Running && self.pending.is_empty()
    }

    /// Sends the body to its end, then waits for the client to leave, which is what ends this.
    pub(super) async fn run_and_watch(&mut self, session: &mut HttpSession, activity: &Activity) -> Cause {
        if let Err(cause) = self.run(session, activity).await {
            return cause;
        }
        // However it leaves: the stream is gone.
        drop(session.idle().await);
        Cause::ClientClosedRequest
    }

    /// Joins what has come after a small piece: targets take a flood of small frames for an attack and close
    /// the connection, which is not the client's alone.
    fn join(&mut self, session: &mut HttpSession) -> Result<(), Cause> {
        let mut joined = BytesMut::new();
        while self.state == State::Running && joined.len() < JOINED {
            match session.read_body_bytes().now_or_never() {
                Some(Ok(Some(more))) => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&self.pending);
                    }
                    joined.extend_from_slice(&more);
                    if session.is_body_done() {
                        self.state = State::Last;
                    }
                }
                Some(Ok(None)) => self.state = State::Last,
                Some(Err(_)) => return Err(Cause::ClientClosedBody),
                None => break,
            }
        }
        if !joined.is_empty() {
            self.pending = joined.freeze();
        }
        Ok(())
    }

    /// Sends the body to its end. Cancel safe.
    pub(super) async fn run(&mut self, session: &mut HttpSession, activity: &Activity) -> Result<(), Cause> {
        while self.state != State::Over {
            if self.waits_for_client() {
                let body = session.read_body_bytes().await.map_err(|_| Cause::ClientClosedBody)?;
                if body.is_none() || session.is_body_done() {
                    self.state = State::Last;
                }
                self.pending = body.unwrap_or_default();
                if self.pending.len() < SMALL {
                    self.join(session)?;
                }
                activity.received.fetch_add(self.pending.len(), Ordering::Relaxed);
                activity.note();
            }
            let is_last = self.state == State::Last;
            // The target may have answered before it refused the rest: its response tells.
            if send(&mut self.target, &mut self.pending, is_last, activity).await.is_err() || is_last {
                self.state = State::Over;
            }
        }
        Ok(())
    }
}

/// Sends `pending` as the stream's window opens, and with the last of it the stream's end if `is_last`.
/// Cancel safe: what has not been sent stays in `pending`.
pub(super) async fn send(
    stream: &mut SendStream<Bytes>,
    pending: &mut Bytes,
    is_last: bool,
    activity: &Activity,
) -> Result<(), ()> {
    while !pending.is_empty() {
        stream.reserve_capacity(pending.len());
        if stream.capacity() == 0 {
            match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(()),
            }
        }
        let piece = pending.split_to(stream.capacity().min(pending.len()));
        if piece.is_empty() {
            continue;
        }
        activity.note();
        let ends = is_last && pending.is_empty();
        stream.send_data(piece, ends).map_err(|_| ())?;
        if ends {
            return Ok(());
        }
    }
    if is_last { stream.send_data(Bytes::new(), true).map_err(|_| ()) } else { Ok(()) }
}
