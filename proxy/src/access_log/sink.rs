//! Where access log lines go: a bounded queue and a thread that writes.
//!
//! ELB page: "Access logs for your Application Load Balancer" (best effort
//! delivery, a file per node every five minutes). Sending never waits: a full
//! queue loses the line and counts it. A log that cannot be written never
//! disturbs traffic: the batch is counted as lost, the trouble is logged when
//! it begins and when it ends, and the file is opened anew for the next batch.
//! The writer flushes whenever its queue is empty. It is a thread of its own,
//! because disks block.

use std::{
    io::{self, Write},
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::file::{File, Naming};
use crate::{
    metrics::LoadBalancerMetrics,
    model::{LogDestination, arn::Scope},
};

/// Lines that wait for the writer at most; what comes on top is lost.
pub const QUEUE_LINES: usize = 8192;

/// A batch is written when it reaches this size, or the queue is empty.
const BATCH_BYTES: usize = 64 * 1024;

/// What a sink needs to know of its load balancer.
pub struct SinkSettings {
    /// The directory that plays the bucket's part; `None` writes no file.
    pub destination: Option<LogDestination>,
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

/// Takes the access log lines of one load balancer.
#[derive(Debug)]
pub struct Sink {
    queue: mpsc::Sender<Message>,
    finished: CancellationToken,
    metrics: Arc<LoadBalancerMetrics>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Close,
}

impl Sink {
    /// Starts the writer. Files are opened with the first line.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn open(settings: SinkSettings, metrics: Arc<LoadBalancerMetrics>) -> io::Result<Self> {
        let (queue, lines) = mpsc::channel(QUEUE_LINES);
        let finished = CancellationToken::new();
        let writer = Writer::new(settings, Arc::clone(&metrics));
        let guard = finished.clone().drop_guard();
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            writer.run(lines);
            drop(guard);
        })?;
        Ok(Self { queue, finished, metrics })
    }

    /// Queues a line, its line feed included. Never waits; a line that finds the queue full is lost
    /// and counted.
    pub fn send(&self, line: Vec<u8>) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.metrics.access_log_lines_dropped.inc();
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

/// The thread's side.
struct Writer {
    load_balancer: String,
    file: Option<File>,
    copy: Option<Box<dyn Write + Send>>,
    clock: fn() -> SystemTime,
    failing: bool,
    metrics: Arc<LoadBalancerMetrics>,
}

/// Lines collected for one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl Writer {
    fn new(settings: SinkSettings, metrics: Arc<LoadBalancerMetrics>) -> Self {
        let SinkSettings { destination, copy, scope, load_balancer, node, clock, random } = settings;
        let of = load_balancer.clone();
        let file = destination.map(|destination| {
            File::new(Naming { root: destination.root(), scope, load_balancer, node }, random)
        });
        Self { load_balancer: of, file, copy, clock, failing: false, metrics }
    }

    /// Writes until told to close or until nobody can send any more.
    fn run(mut self, mut lines: mpsc::Receiver<Message>) {
        let mut batch = Batch::default();
        while let Some(message) = lines.blocking_recv() {
            let mut next = Ok(message);
            loop {
                match next {
                    Ok(Message::Line(line)) => {
                        batch.bytes.extend_from_slice(&line);
                        batch.lines += 1;
                    }
                    Ok(Message::Close) => lines.close(),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
                if batch.bytes.len() >= BATCH_BYTES {
                    self.write(&mut batch);
                }
                next = lines.try_recv();
            }
            self.write(&mut batch);
        }
    }

    fn write(&mut self, batch: &mut Batch) {
        if batch.lines == 0 {
            return;
        }
        let now = (self.clock)();
        let result = self.file.as_mut().map_or(Ok(()), |file| file.write(now, &batch.bytes));
        self.write_copy(&batch.bytes);
        if let Err(error) = &result {
            self.metrics.access_log_write_errors.inc();
            self.metrics.access_log_lines_dropped.inc_by(batch.lines);
            if !self.failing {
                tracing::error!(load_balancer = self.load_balancer, %error, "access log cannot be written, lines are lost");
            }
        } else if self.failing {
            tracing::info!(load_balancer = self.load_balancer, "access log is written again");
        }
        self.failing = result.is_err();
        batch.bytes.clear();
        batch.lines = 0;
    }

    /// The copy is for people: once its reader has gone, it ends, and the file goes on.
    fn write_copy(&mut self, bytes: &[u8]) {
        let Some(copy) = &mut self.copy else {
            return;
        };
        if let Err(error) = copy.write_all(bytes).and_then(|()| copy.flush()) {
            self.metrics.access_log_write_errors.inc();
            tracing::warn!(load_balancer = self.load_balancer, %error, "access log is no longer copied");
            self.copy = None;
        }
    }
}

#[cfg(test)]
mod tests;
