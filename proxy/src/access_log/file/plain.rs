//! Files of plain text that are read while they are written.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    time::SystemTime,
};

use super::{Intervals, Naming, is_there, open};

/// Appends lines to `.log` files at once.
#[derive(Debug)]
pub(in crate::access_log) struct File {
    intervals: Intervals,
    interval: Option<Interval>,
}

/// One interval's file.
#[derive(Debug)]
struct Interval {
    path: PathBuf,
    end: SystemTime,
    /// Length of the lines written whole.
    length: u64,
    /// `None` before the first write and after a failed one.
    handle: Option<fs::File>,
}

impl File {
    pub(super) const fn new(intervals: Intervals) -> Self {
        Self { intervals, interval: None }
    }

    pub(super) const fn naming(&self) -> &Naming {
        &self.intervals.naming
    }

    /// Appends whole lines. A finished interval begins a new file; a file that was removed is made
    /// again; after a failed write the file is opened anew and the torn line cut off.
    pub(super) fn write(&mut self, now: SystemTime, bytes: &[u8]) -> io::Result<()> {
        let interval = match &mut self.interval {
            Some(interval) if now < interval.end => interval,
            finished => {
                let (end, path) = self.intervals.next(now, "log");
                finished.insert(Interval { path, end, length: 0, handle: None })
            }
        };
        interval.write(bytes)
    }

    /// Gives the handle away, as a failed write does.
    #[cfg(test)]
    pub(super) fn take_handle(&mut self) -> Option<fs::File> {
        self.interval.as_mut()?.handle.take()
    }
}

impl Interval {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut handle = match self.handle.take().filter(|_| is_there(&self.path)) {
            Some(handle) => handle,
            None => {
                let (handle, length) = open(&self.path, self.length)?;
                self.length = length;
                handle
            }
        };
        handle.write_all(bytes)?;
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.handle = Some(handle);
        Ok(())
    }
}
