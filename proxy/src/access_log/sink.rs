//! Where log lines go: a bounded queue and a thread that writes.
//!
//! ELB page: "Access logs for your Application Load Balancer" (best effort
//! delivery, a file per node every five minutes). Sending never waits: a full
//! queue loses the line and counts it. A log that cannot be written never
//! disturbs traffic: its lines are counted as lost, the trouble is logged when
//! it begins and when it ends, and the file is opened anew for the next lines.
//! The writer hands on what it has whenever its queue is empty. It is a thread
//! of its own, because disks block.

use std::{
    io::{self, Write},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    LogKind,
    file::{File, Intervals, Lost, Naming, Progress},
    format::{self, LogRecord},
};
use crate::{
    metrics::{Counter, LoadBalancerMetrics},
    model::{
        LogDestination,
        arn::Scope,
        load_balancer::{AccessLogFormat, LogFiles},
    },
};

/// Lines that wait for the writer at most; what comes on top is lost.
pub const QUEUE_LINES: usize = 8192;

/// Bytes that wait for the writer at most: 32 MiB.
pub const QUEUE_BYTES: usize = 32 * 1024 * 1024;

/// A batch is written when it reaches this size, or the queue is empty.
const BATCH_BYTES: usize = 64 * 1024;

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
    pub format: AccessLogFormat,
    /// Where each line goes as well, standard output as a rule.
    pub copy: Option<Box<dyn Write + Send>>,
    /// Account and region in paths and names.
    pub scope: Scope,
    /// `app/NAME/ID`.
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
    pub fn of(log: LogKind, metrics: &LoadBalancerMetrics) -> Self {
        let (lines_dropped, write_errors) = match log {
            LogKind::Access => (&metrics.access_log_lines_dropped, &metrics.access_log_write_errors),
            LogKind::Connection => {
                (&metrics.connection_log_lines_dropped, &metrics.connection_log_write_errors)
            }
            LogKind::HealthCheck => {
                (&metrics.health_check_log_lines_dropped, &metrics.health_check_log_write_errors)
            }
        };
        Self { lines_dropped: lines_dropped.clone(), write_errors: write_errors.clone() }
    }
}

/// Takes the lines of one log of one load balancer.
#[derive(Debug)]
pub struct Sink {
    queue: mpsc::Sender<Message>,
    /// Bytes in the queue.
    queued: Arc<AtomicUsize>,
    format: AccessLogFormat,
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
            writer.run(Queue {
                lines,
                queued: taken,
                waker: Waker::from(Arc::new(Unpark(thread::current()))),
            });
            drop(guard);
        })?;
        Ok(Self { queue, queued, format, finished, metrics })
    }

    /// Queues the line of a record, as [`Self::send`] does.
    pub fn record(&self, record: &impl LogRecord) {
        let mut line = Vec::with_capacity(512);
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

/// The thread's side of the queue.
struct Queue {
    lines: mpsc::Receiver<Message>,
    queued: Arc<AtomicUsize>,
    waker: Waker,
}

/// What the queue had for the writer.
enum Received {
    Line(Vec<u8>),
    /// Nothing for now.
    Empty,
    /// Nothing any more.
    Ended,
}

/// Wakes the writer's thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

impl Queue {
    fn receive(&mut self) -> Received {
        loop {
            match self.lines.poll_recv(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(Some(Message::Line(line))) => {
                    self.queued.fetch_sub(line.len(), Ordering::Relaxed);
                    return Received::Line(line);
                }
                Poll::Ready(Some(Message::Close)) => self.lines.close(),
                Poll::Ready(None) => return Received::Ended,
                Poll::Pending => return Received::Empty,
            }
        }
    }
}

/// The thread's side.
struct Writer {
    log: LogKind,
    load_balancer: String,
    file: Option<File>,
    copy: Option<Box<dyn Write + Send>>,
    clock: fn() -> SystemTime,
    failing: bool,
    metrics: LogMetrics,
}

/// Lines collected for one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Writer {
    fn new(settings: SinkSettings, metrics: LogMetrics) -> Self {
        let SinkSettings { log, destination, files, interval, copy, scope, load_balancer, .. } = settings;
        let of = load_balancer.clone();
        let file = destination.map(|destination| {
            let naming = Naming { root: destination.root(), log, scope, load_balancer, node: settings.node };
            File::new(files, Intervals { naming, length: interval, random: settings.random })
        });
        Self { log, load_balancer: of, file, copy, clock: settings.clock, failing: false, metrics }
    }

    /// Writes until told to close or until nobody can send any more.
    fn run(mut self, mut queue: Queue) {
        self.write_test_file();
        let mut batch = Batch::default();
        loop {
            match queue.receive() {
                Received::Line(line) => {
                    batch.bytes.extend_from_slice(&line);
                    batch.lines += 1;
                    if batch.bytes.len() < BATCH_BYTES {
                        continue;
                    }
                    self.write(&mut batch);
                }
                // Written first: a line that comes meanwhile has unparked the thread.
                Received::Empty if batch.lines > 0 => self.write(&mut batch),
                Received::Empty => self.wait(),
                Received::Ended => {
                    self.write(&mut batch);
                    break;
                }
            }
        }
        if let Some(file) = &mut self.file {
            let finished = file.finish();
            self.judge(finished);
        }
    }

    /// Sleeps until a line comes or a file is to be finished.
    fn wait(&mut self) {
        let Some(file) = &mut self.file else {
            return thread::park();
        };
        let now = (self.clock)();
        match file.deadline() {
            None => thread::park(),
            Some(end) => match end.duration_since(now) {
                Ok(left) if !left.is_zero() => thread::park_timeout(left),
                _ => {
                    let finished = file.handle_time(now);
                    self.judge(finished);
                }
            },
        }
    }

    fn write_test_file(&mut self) {
        if let Some(file) = &self.file {
            let written = file.naming().write_test_file((self.clock)());
            let written = written.map(|()| Progress::Written);
            self.judge(written.map_err(|error| Lost { error, lines: 0 }));
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        if batch.lines == 0 {
            return;
        }
        let now = (self.clock)();
        if let Some(file) = &mut self.file {
            let written = file.write(now, &batch.bytes, batch.lines);
            self.judge(written);
        }
        self.write_copy(&batch.bytes);
        batch.bytes.clear();
        batch.lines = 0;
    }

    /// Counts what was lost, and tells when trouble begins and ends.
    fn judge(&mut self, result: Result<Progress, Lost>) {
        let (log, load_balancer) = (self.log.as_str(), self.load_balancer.as_str());
        match result {
            Err(Lost { error, lines }) => {
                self.metrics.write_errors.inc();
                self.metrics.lines_dropped.inc_by(lines);
                if !self.failing {
                    tracing::error!(load_balancer, %error, "{log} cannot be written, lines are lost");
                }
                self.failing = true;
            }
            Ok(Progress::Written) if self.failing => {
                tracing::info!(load_balancer, "{log} is written again");
                self.failing = false;
            }
            Ok(Progress::Written | Progress::Kept) => {}
        }
    }

    /// The copy is for people: once its reader has gone, it ends, and the file goes on.
    fn write_copy(&mut self, bytes: &[u8]) {
        let Some(copy) = &mut self.copy else {
            return;
        };
        if let Err(error) = copy.write_all(bytes).and_then(|()| copy.flush()) {
            self.metrics.write_errors.inc();
            tracing::warn!(load_balancer = self.load_balancer, %error, "access log is no longer copied");
            self.copy = None;
        }
    }
}

#[cfg(test)]
mod tests;
