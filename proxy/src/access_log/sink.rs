//! Where log lines go: a bounded queue and a thread that writes.
//!
//! ELB page: "Access logs for your Application Load Balancer" (best effort
//! delivery, a file per node every five minutes). Sending never waits: a full
//! queue loses the line and counts it. A log that cannot be written never
//! disturbs traffic: its lines are counted as lost, the trouble is logged when
//! it begins and when it ends, and the file is opened anew for the next lines.
//! The writer hands on what it has whenever its queue is empty. It is a thread
//! of its own, because disks block.

mod writer;

use std::{
    io::{self, Write},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use self::writer::{Queue, Writer};
use super::{
    LogKind,
    format::{self, LogRecord},
};
use crate::{
    metrics::{AccessLogMetrics, Counter, Metrics},
    model::{
        LogDestination,
        arn::Scope,
        load_balancer::{LogFiles, LogFormat},
    },
};

/// Lines that wait for the writer at most; what comes on top is lost.
pub const QUEUE_LINES: usize = 8192;

/// Bytes that wait for the writer at most: 32 MiB.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// A file begins this often, before time scaling.
pub const INTERVAL: Duration = Duration::from_secs(5 * 60);

/// What a sink needs to know of its load balancer.
pub struct SinkSettings {
    /// Which log it is.
    pub log: LogKind,
    /// The directory that plays the bucket's part; `None` writes no file.
    pub destination: Option<LogDestination>,
    /// How files are written.
    pub files: LogFiles,
    /// A new file begins this often: [`INTERVAL`], scaled.
    pub interval: Duration,
    /// How lines are written.
    pub format: LogFormat,
    /// Where each line goes as well, standard output as a rule.
    pub copy: Option<Box<dyn Write + Send>>,
    /// Account and region in paths and names.
    pub scope: Scope,
    /// `app/NAME/ID` or `net/NAME/ID`.
    pub load_balancer: String,
    /// This node's address in file names.
    pub node: IpAddr,
    /// Wall clock, for file names.
    pub clock: fn() -> SystemTime,
    /// Source of the random part of file names.
    pub random: fn() -> u64,
}

/// What a sink counts.
#[derive(Debug, Clone)]
pub struct LogMetrics {
    /// Lines lost because the queue was full or the log could not be written.
    pub lines_dropped: Counter,
    /// Failed attempts to write.
    pub write_errors: Counter,
}

impl LogMetrics {
    /// The counters of a load balancer's log.
    #[must_use]
    pub fn of(log: LogKind, metrics: &Metrics, load_balancer: &str) -> Self {
        let application = || metrics.load_balancer(load_balancer);
        let (lines_dropped, write_errors) = match log {
            LogKind::Access | LogKind::TlsConnection => {
                let AccessLogMetrics { lines_dropped, write_errors } = metrics.access_log(load_balancer);
                (lines_dropped, write_errors)
            }
            LogKind::Connection => {
                let of = application();
                (of.connection_log_lines_dropped.clone(), of.connection_log_write_errors.clone())
            }
            LogKind::HealthCheck => {
                let of = application();
                (of.health_check_log_lines_dropped.clone(), of.health_check_log_write_errors.clone())
            }
            LogKind::Flow => {
                let of = metrics.network_load_balancer(load_balancer);
                (of.counts.flow_log_lines_dropped.clone(), of.counts.flow_log_write_errors.clone())
            }
        };
        Self { lines_dropped, write_errors }
    }
}

/// Takes the lines of one log of one load balancer.
#[derive(Debug)]
pub struct Sink {
    queue: mpsc::Sender<Message>,
    /// Bytes in the queue.
    queued: Arc<AtomicUsize>,
    format: LogFormat,
    finished: CancellationToken,
    metrics: LogMetrics,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Close,
}

impl Sink {
    /// Starts the writer, which begins with ELB's test file: a bucket that cannot be written shows at once.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn open(settings: SinkSettings, metrics: LogMetrics) -> io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE_LINES);
        let queued = Arc::new(AtomicUsize::new(0));
        let finished = CancellationToken::new();
        let format = settings.format;
        let name = settings.log.as_str().replace(' ', "-");
        let writer = Writer::new(settings, metrics.clone());
        let (guard, taken) = (finished.clone().drop_guard(), Arc::clone(&queued));
        thread::Builder::new().name(name).spawn(move || {
            writer.run(Queue::new(lines, taken));
            drop(guard);
        })?;
        Ok(Self { queue, queued, format, finished, metrics })
    }

    /// Queues the line of a record, as [`Self::send`] does.
    pub fn record(&self, record: &impl LogRecord) {
        let mut line = Vec::with_capacity(1024);
        format::line(record, self.format, &mut line);
        self.send(line);
    }

    /// Queues a line, its line feed included. Never waits; a line that finds the queue full is lost
    /// and counted.
    pub fn send(&self, line: Vec<u8>) {
        let length = line.len();
        let before = self.queued.fetch_add(length, Ordering::Relaxed);
        let fits = before.saturating_add(length) <= QUEUE_BYTES;
        if !fits || self.queue.try_send(Message::Line(line)).is_err() {
            self.queued.fetch_sub(length, Ordering::Relaxed);
            self.metrics.lines_dropped.inc();
        }
    }

    /// Cancelled once the writer has ended, with all lines written that it was given.
    #[must_use]
    pub fn finished(&self) -> CancellationToken {
        self.finished.clone()
    }

    /// Writes what is queued and ends the writer; lines sent later are lost and counted.
    ///
    /// Returns whether everything was written within `limit`.
    ///
    /// # Cancel safety
    /// The writer ends all the same once it took the request to.
    pub async fn close(&self, limit: Duration) -> bool {
        let closing = async {
            // An error means that the writer has ended already.
            self.queue.send(Message::Close).await.unwrap_or_default();
            self.finished.cancelled().await;
        };
        timeout(limit, closing).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
