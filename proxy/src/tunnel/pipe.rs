//! Pipes to splice through, kept by each worker for the next direction that needs one.

use std::{
    cell::RefCell,
    os::fd::OwnedFd,
    sync::atomic::{AtomicUsize, Ordering},
};

use rustix::{
    io,
    pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice},
};
use tokio::{io::Interest, net::TcpStream};

/// Bytes a pipe is asked to hold. The system's default is 64 KiB, and it stays with that for a
/// user whose pipes take too much memory.
const CAPACITY: usize = 256 * 1024;

/// Bytes a pipe holds if nothing else was agreed on.
const DEFAULT_CAPACITY: usize = 64 * 1024;

/// Empty pipes that a worker keeps.
const KEPT_MAX: usize = 16;

/// Pipes of the whole process, in use or kept: two descriptors each. Directions that get none copy.
const OPEN_MAX: usize = 256;

static OPEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static KEPT: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub(super) struct Pipe {
    write: OwnedFd,
    read: OwnedFd,
    capacity: usize,
    held: usize,
}

impl Pipe {
    /// An empty pipe, if there may be one more.
    pub(super) fn take() -> Option<Self> {
        KEPT.with_borrow_mut(Vec::pop).or_else(Self::open)
    }

    fn open() -> Option<Self> {
        let may = |open| (open < OPEN_MAX).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may).ok()?;
        let Ok((read, write)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        let capacity = fcntl_setpipe_size(&write, CAPACITY).unwrap_or(DEFAULT_CAPACITY);
        Some(Self { write, read, capacity, held: 0 })
    }

    /// Keeps the pipe for the next one, or closes it if it holds bytes or enough are kept.
    pub(super) fn give_back(self) {
        KEPT.with_borrow_mut(|kept| {
            if self.held == 0 && kept.len() < KEPT_MAX {
                kept.push(self);
            }
        });
    }

    /// Bytes that are in the pipe.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Moves bytes that `reader` has into the pipe, which must be empty: a full pipe looks like a
    /// reader without bytes. `Ok(0)`: the reader has ended.
    pub(super) fn try_fill(&mut self, reader: &TcpStream) -> std::io::Result<usize> {
        let read = reader.try_io(Interest::READABLE, || {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            let splice = || splice(reader, None, &self.write, None, self.capacity, flags);
            Ok(io::retry_on_intr(splice)?)
        })?;
        self.held += read;
        Ok(read)
    }

    /// Moves bytes from the pipe to `writer`.
    pub(super) fn try_drain(&mut self, writer: &TcpStream) -> std::io::Result<usize> {
        let written = writer.try_io(Interest::WRITABLE, || {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            let splice = || splice(&self.read, None, writer, None, self.held, flags);
            Ok(io::retry_on_intr(splice)?)
        })?;
        self.held = self.held.saturating_sub(written);
        Ok(written)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pipes that some direction of this process owns; right while one thread has made all of them.
#[cfg(test)]
pub(super) fn owned() -> usize {
    OPEN.load(Ordering::Relaxed) - kept()
}

/// Keeps something that cannot be spliced to.
#[cfg(test)]
pub(super) fn keep_unusable() {
    let file = || OwnedFd::from(std::fs::File::options().read(true).write(true).open("/dev/null").unwrap());
    OPEN.fetch_add(1, Ordering::Relaxed);
    Pipe { write: file(), read: file(), capacity: CAPACITY, held: 0 }.give_back();
}

/// Pipes this thread keeps.
#[cfg(test)]
pub(super) fn kept() -> usize {
    KEPT.with_borrow(Vec::len)
}
