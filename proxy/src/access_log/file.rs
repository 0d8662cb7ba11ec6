//! Log files: their names, their intervals, and the two ways to write them.
//!
//! ELB pages: "Access log files", "Connection log files", "Health check log
//! files". Key layout below the bucket:
//! `AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/[conn_log_|health_check_log_]ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_yyyymmddThhmmZ_NODEIP_RANDOM.log.gz`,
//! for Network Load Balancers
//! `…/[flow_log_]ACCOUNT_elasticloadbalancing_REGION_net.NAME.ID_yyyymmddThhmmZ_RANDOM.log.gz`.
//! The time in the name is the end of the interval, in UTC. As ELB does when a
//! log is enabled, a test file shows that the bucket can be written:
//! `AWSLogs/ACCOUNT/ELBAccessLogTestFile`.

mod gzip;
mod plain;

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use time::OffsetDateTime;

use super::LogKind;
use crate::model::{arn::Scope, load_balancer::LogFiles};

/// Keeps a scaled interval from becoming a busy loop.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The parts of a file's path that stay the same.
#[derive(Debug)]
pub(super) struct Naming {
    /// The directory above `AWSLogs`.
    pub(super) root: PathBuf,
    pub(super) log: LogKind,
    pub(super) scope: Scope,
    /// `app/NAME/ID` or `net/NAME/ID`.
    pub(super) load_balancer: String,
    pub(super) node: IpAddr,
}

impl Naming {
    fn account(&self) -> PathBuf {
        self.root.join("AWSLogs").join(&self.scope.account_id)
    }

    /// The path of the file whose interval ends at `end`.
    fn path(&self, end: SystemTime, random: u64, extension: &str) -> PathBuf {
        let Scope { account_id, region } = &self.scope;
        let end = OffsetDateTime::from(end);
        let (year, month, day) = (end.year(), u8::from(end.month()), end.day());
        let directory = format!("elasticloadbalancing/{region}/{year:04}/{month:02}/{day:02}");
        let load_balancer = self.load_balancer.replace('/', ".");
        let (hour, minute) = (end.hour(), end.minute());
        let node = if self.log.names_node() {
            // A colon is not allowed in file names everywhere.
            format!("{}_", self.node.to_string().replace(':', "-"))
        } else {
            String::new()
        };
        let (prefix, random) = (self.log.prefix(), random_string(random));
        let name = format!(
            "{prefix}{account_id}_elasticloadbalancing_{region}_{load_balancer}_\
             {year:04}{month:02}{day:02}T{hour:02}{minute:02}Z_{node}{random}.{extension}"
        );
        self.account().join(directory).join(name)
    }

    /// Writes the file that shows that the bucket can be written.
    pub(super) fn write_test_file(&self, now: SystemTime) -> io::Result<()> {
        let log = self.log.camel_case();
        let account = self.account();
        let name = self.load_balancer.split('/').nth(1).unwrap_or_default();
        let now = OffsetDateTime::from(now).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let now = now.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
        fs::create_dir_all(&account)?;
        fs::write(
            account.join(format!("ELB{log}TestFile")),
            format!("Enable {log} for ELB: {name} at {now}\n"),
        )
    }
}

/// Eight digits and lower case letters, as ELB has them.
fn random_string(mut random: u64) -> String {
    let mut text = String::with_capacity(8);
    for _ in 0..8 {
        let digit = u32::try_from(random % 36).unwrap_or(0);
        text.push(char::from_digit(digit, 36).unwrap_or('0'));
        random /= 36;
    }
    text
}

/// What decides when a file ends and what it is called.
#[derive(Debug)]
pub(super) struct Intervals {
    pub(super) naming: Naming,
    /// A new file begins this often.
    pub(super) length: Duration,
    /// Source of the random part of file names.
    pub(super) random: fn() -> u64,
}

impl Intervals {
    /// The end of the interval `now` lies in; ends lie on whole multiples of it since 1970.
    fn end(&self, now: SystemTime) -> SystemTime {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let length = self.length.max(SHORTEST_INTERVAL).as_nanos();
        let end = since_epoch.checked_div(length).unwrap_or(0).saturating_add(1).saturating_mul(length);
        UNIX_EPOCH + Duration::from_nanos(u64::try_from(end).unwrap_or(u64::MAX))
    }

    /// End and path of the file for a line that is written `now`.
    fn next(&self, now: SystemTime, extension: &str) -> (SystemTime, PathBuf) {
        let end = self.end(now);
        (end, self.naming.path(end, (self.random)(), extension))
    }
}

/// Lines that could not be written, and why.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) error: io::Error,
    pub(super) lines: u64,
}

/// How far lines got that were not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// They are kept in memory, or there were none.
    Kept,
    /// They, or others before them, have reached the file.
    Written,
}

/// Lines of one interval after another.
#[derive(Debug)]
pub(super) enum File {
    /// `elb`.
    Gzip(gzip::File),
    /// `plain`.
    Plain(plain::File),
}

impl File {
    pub(super) const fn new(files: LogFiles, intervals: Intervals) -> Self {
        match files {
            LogFiles::Elb => Self::Gzip(gzip::File::new(intervals)),
            LogFiles::Plain => Self::Plain(plain::File::new(intervals)),
        }
    }

    pub(super) const fn naming(&self) -> &Naming {
        match self {
            Self::Gzip(file) => file.naming(),
            Self::Plain(file) => file.naming(),
        }
    }

    /// Appends whole lines to the file of the interval that `now` lies in.
    pub(super) fn write(&mut self, now: SystemTime, bytes: &[u8], lines: u64) -> Result<Progress, Lost> {
        match self {
            Self::Gzip(file) => file.write(now, bytes, lines),
            Self::Plain(file) => {
                let written = file.write(now, bytes);
                written.map(|()| Progress::Written).map_err(|error| Lost { error, lines })
            }
        }
    }

    /// When the file must be finished although no line comes; `None` if there is nothing to finish.
    pub(super) fn deadline(&self) -> Option<SystemTime> {
        match self {
            Self::Gzip(file) => file.deadline(),
            Self::Plain(_) => None,
        }
    }

    /// Finishes a file whose interval is over.
    pub(super) fn handle_time(&mut self, now: SystemTime) -> Result<Progress, Lost> {
        match self {
            Self::Gzip(file) => file.handle_time(now),
            Self::Plain(_) => Ok(Progress::Kept),
        }
    }

    /// Finishes the file: no more lines will come.
    pub(super) fn finish(&mut self) -> Result<Progress, Lost> {
        match self {
            Self::Gzip(file) => file.finish(),
            Self::Plain(_) => Ok(Progress::Kept),
        }
    }
}

/// Opens `path` for appending after its first `length` bytes, and cuts off what is behind them.
///
/// Says how many of them there are.
fn open(path: &Path, length: u64) -> io::Result<(fs::File, u64)> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let handle = fs::OpenOptions::new().append(true).create(true).open(path)?;
    let length = length.min(handle.metadata()?.len());
    handle.set_len(length)?;
    Ok((handle, length))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests;
