//! The present access log file: its name, its interval, its reopening.
//!
//! ELB page: "Access log files". Key layout below the bucket:
//! `AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_yyyymmddThhmmZ_NODEIP_RANDOM.log`.
//! The time in the name is the end of the interval, in UTC. Five-minute
//! intervals are wall-clock facts and not scaled. Files are plain text.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::OffsetDateTime;

use crate::model::arn::Scope;

/// A new file begins this often.
const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// The parts of a file's path that stay the same.
#[derive(Debug)]
pub(super) struct Naming {
    /// The directory above `AWSLogs`.
    pub(super) root: PathBuf,
    pub(super) scope: Scope,
    /// `app/NAME/ID`.
    pub(super) load_balancer: String,
    pub(super) node: IpAddr,
}

impl Naming {
    /// The path of the file whose interval ends at `end`.
    pub(super) fn path(&self, end: SystemTime, random: u64) -> PathBuf {
        let Scope { account_id, region } = &self.scope;
        let end = OffsetDateTime::from(end);
        let (year, month, day) = (end.year(), u8::from(end.month()), end.day());
        let directory =
            format!("AWSLogs/{account_id}/elasticloadbalancing/{region}/{year:04}/{month:02}/{day:02}");
        let load_balancer = self.load_balancer.replace('/', ".");
        let (hour, minute) = (end.hour(), end.minute());
        // A colon is not allowed in file names everywhere.
        let node = self.node.to_string().replace(':', "-");
        let name = format!(
            "{account_id}_elasticloadbalancing_{region}_{load_balancer}_\
             {year:04}{month:02}{day:02}T{hour:02}{minute:02}Z_{node}_{random:08x}.log"
        );
        self.root.join(directory).join(name)
    }
}

/// Appends lines to the file of the interval that `now` lies in.
#[derive(Debug)]
pub(super) struct File {
    naming: Naming,
    random: fn() -> u64,
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
    pub(super) const fn new(naming: Naming, random: fn() -> u64) -> Self {
        Self { naming, random, interval: None }
    }

    /// Appends whole lines. A finished interval begins a new file; a file that was removed is made
    /// again; after a failed write the file is opened anew and the torn line cut off.
    pub(super) fn write(&mut self, now: SystemTime, lines: &[u8]) -> io::Result<()> {
        let naming = &self.naming;
        let random = self.random;
        let interval = match &mut self.interval {
            Some(interval) if now < interval.end => interval,
            finished => finished.insert(Interval::new(naming, interval_end(now), random())),
        };
        interval.write(lines)
    }
}

impl Interval {
    fn new(naming: &Naming, end: SystemTime, random: u64) -> Self {
        let path = naming.path(end, random & 0xffff_ffff);
        Self { path, end, length: 0, handle: None }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut handle = match self.handle.take().filter(|_| is_there(&self.path)) {
            Some(handle) => handle,
            None => self.open()?,
        };
        handle.write_all(lines)?;
        self.length += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.handle = Some(handle);
        Ok(())
    }

    fn open(&mut self) -> io::Result<fs::File> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let handle = OpenOptions::new().append(true).create(true).open(&self.path)?;
        self.length = self.length.min(handle.metadata()?.len());
        handle.set_len(self.length)?;
        Ok(handle)
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// The end of the interval `now` lies in; ends lie on whole multiples of it since 1970.
fn interval_end(now: SystemTime) -> SystemTime {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let interval = INTERVAL.as_secs();
    let begun = since_epoch.checked_div(interval).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(begun.saturating_add(1).saturating_mul(interval))
}

#[cfg(test)]
mod tests;
