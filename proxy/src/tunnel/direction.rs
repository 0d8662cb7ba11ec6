//! One direction of a tunnel: read, write, flush, end.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes read at once. One TLS record's plaintext.
pub(super) const SCRATCH_LEN: usize = 16 * 1024;

/// Steps that one direction may take before the other has its turn.
const TRANSFERS: usize = 16;

/// Bytes after which the other direction, and other tasks of the worker, have their turn.
const TURN_BYTES: u64 = 512 * 1024;

thread_local! {
    /// Where bytes are read to. Borrowed only inside one `poll`, which never waits.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_LEN].into_boxed_slice());
}

/// What one call of [`Direction::poll`] came to.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing moved.
    Idle,
    /// At least one byte was read or written.
    Moved,
    /// The reader's end of stream was seen just now.
    Ended,
    /// Reading failed.
    ReadFailed(io::Error),
    /// Writing, flushing or shutting down failed.
    WriteFailed(io::Error),
}

/// A way past the scratch buffer for a direction that has much to move.
pub(super) trait Bulk<R, W> {
    /// Takes in how many bytes an ordinary read has given.
    fn note_read(&mut self, read: usize);

    /// Moves bytes from the reader to the writer and adds to `passed` what was written.
    ///
    /// `None`: it is for an ordinary read to move them. Bytes that were read and not written stay
    /// here, and then this waits for the writer only.
    fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        reader: &R,
        writer: &W,
        passed: &mut u64,
    ) -> Option<Poll<Progress>>;

    /// Whether bytes that were read and not written are here.
    fn holds_bytes(&self) -> bool;
}

/// There is no other way: all bytes go through the scratch buffer.
#[derive(Debug)]
pub(super) struct Copying;

impl<R, W> Bulk<R, W> for Copying {
    fn note_read(&mut self, _: usize) {}

    fn poll_transfer(&mut self, _: &mut Context<'_>, _: &R, _: &W, _: &mut u64) -> Option<Poll<Progress>> {
        None
    }

    fn holds_bytes(&self) -> bool {
        false
    }
}

/// The state of one direction.
#[derive(Debug)]
pub(super) struct Direction<B> {
    bulk: B,
    /// Bytes read but not yet written, from `written` on.
    pending: Vec<u8>,
    written: usize,
    /// Bytes written since [`Direction::take_passed`].
    passed: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes may come.
    Open,
    /// Bytes were written and may sit in the writer's own buffer.
    Flushing,
    /// The reader has ended; the writer must be told.
    ShuttingDown,
    /// The writer was told.
    Done,
}

impl<B> Direction<B> {
    pub(super) fn new(early: Vec<u8>, bulk: B) -> Self {
        Self { bulk, pending: early, written: 0, passed: 0, state: State::Open }
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the reader is what this direction waits for.
    pub(super) fn waits_for_reader<R, W>(&self) -> bool
    where
        B: Bulk<R, W>,
    {
        self.state == State::Open && self.pending.is_empty() && !self.bulk.holds_bytes()
    }

    /// Bytes that were written since this was last asked.
    pub(super) fn take_passed(&mut self) -> u64 {
        std::mem::take(&mut self.passed)
    }

    /// Moves as many bytes as can be moved without waiting.
    pub(super) fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Progress
    where
        R: AsyncRead,
        W: AsyncWrite,
        B: Bulk<R, W>,
    {
        let mut progress = Progress::Idle;
        for _ in 0..TRANSFERS {
            if self.passed >= TURN_BYTES {
                break;
            }
            match self.poll_drain(cx, writer.as_mut()) {
                Poll::Ready(Ok(0)) => {}
                Poll::Ready(Ok(_)) => progress = Progress::Moved,
                Poll::Ready(Err(error)) => return Progress::WriteFailed(error),
                Poll::Pending => return progress,
            }
            match self.state {
                State::Done => return progress,
                State::Flushing => match writer.as_mut().poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.state = State::Open,
                    Poll::Ready(Err(error)) => return Progress::WriteFailed(error),
                    Poll::Pending => return progress,
                },
                State::ShuttingDown => {
                    return match writer.as_mut().poll_shutdown(cx) {
                        Poll::Ready(Ok(())) => {
                            self.state = State::Done;
                            progress
                        }
                        // The writer has gone already: what was to be told is known.
                        Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                            self.state = State::Done;
                            progress
                        }
                        Poll::Ready(Err(error)) => Progress::WriteFailed(error),
                        Poll::Pending => progress,
                    };
                }
                State::Open => match self.poll_transfer(cx, reader.as_mut(), writer.as_mut()) {
                    Poll::Ready(Progress::Ended) => {
                        self.state = State::ShuttingDown;
                        // Tell the writer in this same call, but report the end first seen here.
                        let told = self.poll(cx, reader.as_mut(), writer.as_mut());
                        return match told {
                            Progress::WriteFailed(error) => Progress::WriteFailed(error),
                            _ => Progress::Ended,
                        };
                    }
                    Poll::Ready(Progress::Moved) => progress = Progress::Moved,
                    Poll::Ready(other) => return other,
                    Poll::Pending => return progress,
                },
            }
        }
        // More to do, after the other direction had its turn.
        cx.waker().wake_by_ref();
        progress
    }

    /// Writes what is pending. `Ready(Ok(n))`: `n` bytes were written and nothing is left.
    fn poll_drain<W: AsyncWrite>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match writer.as_mut().poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => {
                    self.written += n;
                    self.passed += n as u64;
                    total += n;
                    self.state = State::Flushing;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.written > 0 {
            // Give the memory back: an idle direction owns none.
            self.pending = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(total))
    }

    /// Moves what the reader has, in bulk, or through the scratch buffer: one read, and as much of it
    /// written as the writer takes.
    fn poll_transfer<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<Progress>
    where
        R: AsyncRead,
        W: AsyncWrite,
        B: Bulk<R, W>,
    {
        if let Some(moved) = self.bulk.poll_transfer(cx, &reader, &writer, &mut self.passed) {
            return moved;
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            match reader.poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Progress::ReadFailed(error)),
                Poll::Ready(Ok(())) => {}
            }
            let mut rest = buf.filled();
            if rest.is_empty() {
                return Poll::Ready(Progress::Ended);
            }
            self.bulk.note_read(rest.len());
            self.state = State::Flushing;
            while !rest.is_empty() {
                match writer.as_mut().poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Progress::WriteFailed(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(n)) => {
                        self.passed += n as u64;
                        rest = rest.get(n..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Progress::WriteFailed(error)),
                    Poll::Pending => {
                        self.pending = rest.to_vec();
                        break;
                    }
                }
            }
            Poll::Ready(Progress::Moved)
        })
    }
}
