//! Files as ELB delivers them: compressed, and there only when they are complete.
//!
//! A file grows under a hidden name (`.NAME.log.gz.tmp`) and gets its own when
//! its interval ends. It consists of gzip members (RFC 1952, section 2.2), each
//! of which was written whole or is cut off again, so that a full disk loses the
//! lines of one member and never the file. A process that is killed leaves the
//! hidden file, without its last member.

use std::{
    fs,
    io::{self, Write as _},
    mem,
    path::PathBuf,
    time::SystemTime,
};

use flate2::{Compression, write::GzEncoder};

use super::{Intervals, Lost, Naming, Progress, is_there, open};

/// A member is written when it holds this many bytes of lines, or at the end of the interval.
const MEMBER_BYTES: usize = 1024 * 1024;

/// Collects lines and delivers `.log.gz` files.
#[derive(Debug)]
pub(in crate::access_log) struct File {
    intervals: Intervals,
    interval: Option<Interval>,
}

/// One interval's file.
#[derive(Debug)]
struct Interval {
    path: PathBuf,
    temporary: PathBuf,
    end: SystemTime,
    /// The member that is being filled, and what is in it.
    member: GzEncoder<Vec<u8>>,
    pending: Lines,
    /// The members written whole: their compressed length, and how many lines are in them.
    length: u64,
    written: u64,
    /// Lines that somebody removed with the hidden file, not yet reported.
    removed: u64,
    /// `None` before the first write and after a failed one.
    handle: Option<fs::File>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    bytes: usize,
    count: u64,
}

impl File {
    pub(super) const fn new(intervals: Intervals) -> Self {
        Self { intervals, interval: None }
    }

    pub(super) const fn naming(&self) -> &Naming {
        &self.intervals.naming
    }

    pub(super) fn deadline(&self) -> Option<SystemTime> {
        self.interval.as_ref().map(|interval| interval.end)
    }

    /// Takes whole lines in. The hidden file is opened at once, so that a log that cannot be written
    /// is noticed with its first line; one that was removed is made again.
    pub(super) fn write(&mut self, now: SystemTime, bytes: &[u8], count: u64) -> Result<Progress, Lost> {
        let finished = self.handle_time(now);
        let intervals = &self.intervals;
        let interval = self.interval.get_or_insert_with(|| Interval::new(intervals, now));
        both(finished, interval.write(bytes, count))
    }

    pub(super) fn handle_time(&mut self, now: SystemTime) -> Result<Progress, Lost> {
        match self.deadline() {
            Some(end) if end <= now => self.finish(),
            _ => Ok(Progress::Kept),
        }
    }

    pub(super) fn finish(&mut self) -> Result<Progress, Lost> {
        self.interval.take().map_or(Ok(Progress::Kept), Interval::finish)
    }
}

impl Interval {
    fn new(intervals: &Intervals, now: SystemTime) -> Self {
        let (end, path) = intervals.next(now, "log.gz");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            temporary: path.with_file_name(format!(".{name}.tmp")),
            path,
            end,
            member: member(),
            pending: Lines::default(),
            length: 0,
            written: 0,
            removed: 0,
            handle: None,
        }
    }

    fn write(&mut self, bytes: &[u8], count: u64) -> Result<Progress, Lost> {
        let taken = self.take(bytes, count);
        both(taken, self.report_removed())
    }

    fn take(&mut self, bytes: &[u8], count: u64) -> Result<Progress, Lost> {
        let taken = self.open().and_then(|()| self.member.write_all(bytes));
        taken.map_err(|error| Lost { error, lines: count })?;
        self.pending.bytes += bytes.len();
        self.pending.count += count;
        if self.pending.bytes < MEMBER_BYTES { Ok(Progress::Kept) } else { self.flush() }
    }

    fn report_removed(&mut self) -> Result<Progress, Lost> {
        match mem::take(&mut self.removed) {
            0 => Ok(Progress::Kept),
            lines => Err(Lost { error: io::Error::other("the file was removed while it grew"), lines }),
        }
    }

    /// Makes sure that the hidden file is open and ends with a whole member.
    fn open(&mut self) -> io::Result<()> {
        if self.handle.is_some() && is_there(&self.temporary) {
            return Ok(());
        }
        self.handle = None;
        let (handle, length) = open(&self.temporary, self.length)?;
        if length < self.length {
            // Somebody removed it, with the lines in it.
            handle.set_len(0)?;
            self.removed += mem::take(&mut self.written);
            self.length = 0;
        }
        self.handle = Some(handle);
        Ok(())
    }

    /// Ends the member and writes it, or loses its lines.
    fn flush(&mut self) -> Result<Progress, Lost> {
        let pending = mem::take(&mut self.pending);
        let done = mem::replace(&mut self.member, member()).finish().and_then(|bytes| self.append(&bytes));
        done.map_err(|error| Lost { error, lines: pending.count })?;
        self.written += pending.count;
        Ok(Progress::Written)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.open()?;
        let Some(mut handle) = self.handle.take() else {
            return Ok(());
        };
        // On failure the handle is gone: the next opening cuts the torn member off.
        handle.write_all(bytes)?;
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.handle = Some(handle);
        Ok(())
    }

    /// Writes what is left and gives the file its name.
    fn finish(mut self) -> Result<Progress, Lost> {
        let flushed = if self.pending.count > 0 { self.flush() } else { Ok(Progress::Kept) };
        let named = self.name().map_err(|error| Lost { error, lines: self.written });
        both(both(flushed, named), self.report_removed())
    }

    /// Gives the file its name. One without lines is removed.
    fn name(&mut self) -> io::Result<Progress> {
        if self.length > 0 {
            self.open()?;
        }
        if self.length == 0 {
            // It may never have been there.
            fs::remove_file(&self.temporary).unwrap_or_default();
            return Ok(Progress::Kept);
        }
        fs::rename(&self.temporary, &self.path)?;
        Ok(Progress::Written)
    }
}

fn member() -> GzEncoder<Vec<u8>> {
    GzEncoder::new(Vec::new(), Compression::default())
}

/// What was lost altogether, with the first reason; else the better progress.
fn both(first: Result<Progress, Lost>, second: Result<Progress, Lost>) -> Result<Progress, Lost> {
    match (first, second) {
        (Err(first), Err(second)) => Err(Lost { lines: first.lines + second.lines, ..first }),
        (Err(lost), Ok(_)) | (Ok(_), Err(lost)) => Err(lost),
        (Ok(Progress::Written), Ok(_)) => Ok(Progress::Written),
        (Ok(Progress::Kept), second) => second,
    }
}
