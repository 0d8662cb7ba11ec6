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

/// Empty pipes that a worker keeps, two descriptors each. A tunnel that is not stalled needs one at a time.
const KEPT_MAX: usize = 4;

/// Pipes of the whole process that are in use: two descriptors each. Directions that get none copy.
pub(super) const IN_USE_MAX: usize = 256;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static KEPT: RefCell<Vec<Ends>> = const { RefCell::new(Vec::new()) };
}

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub(super) struct Pipe {
    ends: Ends,
    held: usize,
    _place: Place,
}

#[derive(Debug)]
struct Ends {
    write: OwnedFd,
    read: OwnedFd,
    capacity: usize,
}

/// A place among the pipes in use.
#[derive(Debug)]
struct Place(());

impl Pipe {
    /// An empty pipe, if there may be one more.
    pub(super) fn take() -> Option<Self> {
        let place = Place::take()?;
        let ends = KEPT.with_borrow_mut(Vec::pop).or_else(Ends::open)?;
        Some(Self { ends, held: 0, _place: place })
    }

    /// Keeps the pipe for the next one, or closes it if it holds bytes or enough are kept.
    pub(super) fn give_back(self) {
        KEPT.with_borrow_mut(|kept| {
            if self.held == 0 && kept.len() < KEPT_MAX {
                kept.push(self.ends);
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
            let splice = || splice(reader, None, &self.ends.write, None, self.ends.capacity, flags);
            Ok(io::retry_on_intr(splice)?)
        })?;
        self.held += read;
        Ok(read)
    }

    /// Moves bytes from the pipe to `writer`.
    pub(super) fn try_drain(&mut self, writer: &TcpStream) -> std::io::Result<usize> {
        let written = writer.try_io(Interest::WRITABLE, || {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            let splice = || splice(&self.ends.read, None, writer, None, self.held, flags);
            Ok(io::retry_on_intr(splice)?)
        })?;
        self.held = self.held.saturating_sub(written);
        Ok(written)
    }
}

impl Ends {
    fn open() -> Option<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        let capacity = fcntl_setpipe_size(&write, CAPACITY).unwrap_or(DEFAULT_CAPACITY);
        Some(Self { write, read, capacity })
    }
}

impl Place {
    fn take() -> Option<Self> {
        let may = |in_use| (in_use < IN_USE_MAX).then_some(in_use + 1);
        IN_USE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may).ok().map(|_| Self(()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        IN_USE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pipes that some direction of this process owns.
#[cfg(test)]
pub(super) fn owned() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Keeps something that cannot be spliced to.
#[cfg(test)]
pub(super) fn keep_unusable() {
    let file = || OwnedFd::from(std::fs::File::options().read(true).write(true).open("/dev/null").unwrap());
    KEPT.with_borrow_mut(|kept| kept.push(Ends { write: file(), read: file(), capacity: CAPACITY }));
}

/// Pipes this thread keeps.
#[cfg(test)]
pub(super) fn kept() -> usize {
    KEPT.with_borrow(Vec::len)
}
