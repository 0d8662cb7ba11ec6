//! Moves the bytes of a bulk flow from socket to socket inside the kernel.
//!
//! A direction whose reads fill the scratch buffer is bulk: its bytes go through
//! a pipe by `splice(2)` and are not copied. One that has less than a scratch
//! buffer's worth to say each time is not: a read and a write cost less. The
//! pipe is drained before it is filled again, and given back as soon as it is
//! empty, so that only a direction whose writer is full owns one.

use std::{
    io,
    task::{Context, Poll, ready},
};

use tokio::net::TcpStream;

use super::{
    direction::{Bulk, Progress, SCRATCH_LEN},
    pipe::Pipe,
};

/// One direction's way through pipes.
#[derive(Debug, Default)]
pub(super) struct Splicing {
    /// Holds bytes that the writer has not taken yet.
    pipe: Option<Pipe>,
    pace: Pace,
    /// Bytes read since the reader had none.
    burst: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Few bytes at a time: not worth a pipe.
    #[default]
    Calm,
    /// Many bytes at a time.
    Bulk,
    /// The system does not splice these sockets.
    NeverBulk,
}

impl Bulk<TcpStream, TcpStream> for Splicing {
    fn note_read(&mut self, read: usize) {
        if read == SCRATCH_LEN && self.pace == Pace::Calm {
            self.pace = Pace::Bulk;
            self.burst = read;
        }
    }

    fn poll_transfer(
        &mut self,
        cx: &mut Context<'_>,
        reader: &TcpStream,
        writer: &TcpStream,
        passed: &mut u64,
    ) -> Option<Poll<Progress>> {
        let (mut pipe, filled) = match self.pipe.take() {
            Some(pipe) => (pipe, false),
            None if self.pace == Pace::Bulk => match self.poll_fill(cx, reader)? {
                Poll::Ready(Ok(pipe)) => (pipe, true),
                Poll::Ready(Err(ended)) => return Some(Poll::Ready(ended)),
                Poll::Pending => return Some(Poll::Pending),
            },
            None => return None,
        };
        let before = *passed;
        let drained = poll_drain(cx, &mut pipe, writer, passed);
        if pipe.held() == 0 {
            pipe.give_back();
        } else {
            self.pipe = Some(pipe);
        }
        Some(match drained {
            Poll::Ready(Err(error)) => Poll::Ready(Progress::WriteFailed(error)),
            Poll::Pending if !filled && *passed == before => Poll::Pending,
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Progress::Moved),
        })
    }

    fn holds_bytes(&self) -> bool {
        self.pipe.is_some()
    }
}

impl Splicing {
    /// A pipe with bytes of the reader in it; `Err`: why there are none; `None`: copy.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        reader: &TcpStream,
    ) -> Option<Poll<Result<Pipe, Progress>>> {
        loop {
            match reader.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(Progress::ReadFailed(error)))),
                Poll::Pending => {
                    self.end_burst();
                    return Some(Poll::Pending);
                }
            }
            let Some(mut pipe) = Pipe::take() else {
                self.pace = Pace::Calm;
                return None;
            };
            let filled = pipe.try_fill(reader);
            return match filled {
                Ok(0) => {
                    pipe.give_back();
                    Some(Poll::Ready(Err(Progress::Ended)))
                }
                Ok(read) => {
                    self.burst = self.burst.saturating_add(read);
                    Some(Poll::Ready(Ok(pipe)))
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        // The readiness was spurious, and is cleared now.
                        pipe.give_back();
                        continue;
                    }
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => {
                        self.pace = Pace::NeverBulk;
                        None
                    }
                    _ => Some(Poll::Ready(Err(Progress::ReadFailed(error)))),
                },
            };
        }
    }

    /// The reader has no more for now: was it much?
    fn end_burst(&mut self) {
        if (1..SCRATCH_LEN).contains(&self.burst) {
            self.pace = Pace::Calm;
        }
        self.burst = 0;
    }
}

/// Moves all bytes of the pipe to the writer, and adds to `passed` how many it took.
fn poll_drain(
    cx: &mut Context<'_>,
    pipe: &mut Pipe,
    writer: &TcpStream,
    passed: &mut u64,
) -> Poll<io::Result<()>> {
    while pipe.held() > 0 {
        ready!(writer.poll_write_ready(cx))?;
        match pipe.try_drain(writer) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => *passed += written as u64,
            // Cleared the readiness: the next turn waits for it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
