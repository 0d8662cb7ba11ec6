//! The writer's thread: takes lines from the queue, collects them and writes them.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use super::{LogMetrics, Message, SinkSettings};
use crate::access_log::{
    LogKind,
    file::{File, Intervals, Lost, Naming, Progress},
};

/// A batch is written when it reaches this size, or the queue is empty.
const BATCH_BYTES: usize = 64 * 1024;

/// How long a full output that does not block is left alone before the next attempt.
const FULL_OUTPUT: Duration = Duration::from_millis(10);

/// The thread's side of the queue.
pub(super) struct Queue {
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
    /// The queue, for the thread that calls.
    pub(super) fn new(lines: mpsc::Receiver<Message>, queued: Arc<AtomicUsize>) -> Self {
        Self { lines, queued, waker: Waker::from(Arc::new(Unpark(thread::current()))) }
    }

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
pub(super) struct Writer {
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
    pub(super) fn new(settings: SinkSettings, metrics: LogMetrics) -> Self {
        let SinkSettings { log, destination, files, interval, copy, scope, load_balancer, .. } = settings;
        let of = load_balancer.clone();
        let file = destination.map(|destination| {
            let naming = Naming { root: destination.root(), log, scope, load_balancer, node: settings.node };
            File::new(files, Intervals { naming, length: interval, random: settings.random })
        });
        Self { log, load_balancer: of, file, copy, clock: settings.clock, failing: false, metrics }
    }

    /// Writes until told to close or until nobody can send any more.
    pub(super) fn run(mut self, mut queue: Queue) {
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
        let copied = self.write_copy(&batch.bytes);
        if self.file.is_none() && !copied {
            self.metrics.lines_dropped.inc_by(batch.lines);
        }
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

    /// Whether the lines were copied. The copy is for people: once its reader has gone, it ends, and the
    /// file goes on.
    fn write_copy(&mut self, bytes: &[u8]) -> bool {
        let Some(copy) = &mut self.copy else {
            return false;
        };
        let Err(error) = copy_all(copy, bytes) else {
            return true;
        };
        self.metrics.write_errors.inc();
        let (log, load_balancer) = (self.log.as_str(), self.load_balancer.as_str());
        tracing::error!(load_balancer, %error, "{log} is no longer copied");
        self.copy = None;
        false
    }
}

/// Writes all of `bytes`. An output that does not block, and is full, is waited for like one that does.
fn copy_all(copy: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let written =
            if bytes.is_empty() { copy.flush().map(|()| None) } else { copy.write(bytes).map(Some) };
        match written {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Some(length)) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(FULL_OUTPUT),
            Err(error) => return Err(error),
        }
    }
}
