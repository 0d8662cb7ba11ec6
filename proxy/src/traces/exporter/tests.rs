use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::*;
use crate::metrics::Metrics;

/// A collector that answers as it is told, and `Taken` when nothing is left.
#[derive(Debug, Clone, Default)]
struct Scripted {
    answers: Arc<Mutex<Vec<Answer>>>,
    /// When each batch came and how many spans it had.
    batches: Arc<Mutex<Vec<(Instant, usize)>>>,
}

impl Collect for Scripted {
    async fn send(&self, body: bytes::Bytes) -> Answer {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let spans = request.resource_spans[0].scope_spans[0].spans.len();
        self.batches.lock().push((Instant::now(), spans));
        self.answers.lock().pop().unwrap_or_else(|| Answer::Taken { rejected: 0, message: String::new() })
    }
}

struct Running {
    sender: mpsc::Sender<Vec<Span>>,
    collector: Scripted,
    metrics: TraceMetrics,
    closing: CancellationToken,
    tracker: TaskTracker,
    began: Instant,
}

impl Running {
    /// A running exporter whose collector gives these answers first.
    fn start(answers: &[Answer]) -> Self {
        let collector = Scripted::default();
        collector.answers.lock().extend(answers.iter().rev().cloned());
        let metrics = Metrics::try_new().unwrap().traces().clone();
        let (sender, queue) = mpsc::channel(2048);
        let closing = CancellationToken::new();
        let exporter = Exporter {
            queue,
            collector: collector.clone(),
            resource: Resource::default(),
            metrics: metrics.clone(),
            scale: TimeScale::default(),
            closing: closing.clone(),
            is_failing: false,
        };
        let tracker = TaskTracker::new();
        tracker.spawn(exporter.run());
        tracker.close();
        Self { sender, collector, metrics, closing, tracker, began: Instant::now() }
    }

    fn send(&self, requests: usize) {
        for _ in 0..requests {
            self.sender.try_send(vec![Span::default(); 2]).unwrap();
        }
    }

    /// Ends by closing the queue; the batches: seconds since the start, and spans.
    async fn end(self) -> (Vec<(u64, usize)>, [u64; 3]) {
        let Self { sender, collector, metrics, tracker, began, .. } = self;
        drop(sender);
        tracker.wait().await;
        let batches = collector.batches.lock();
        let batches = batches.iter().map(|(at, spans)| ((*at - began).as_secs(), *spans)).collect();
        let counts = [&metrics.spans_exported, &metrics.spans_dropped, &metrics.export_errors];
        (batches, counts.map(prometheus::IntCounter::get))
    }
}

fn later(after: Option<u64>) -> Answer {
    Answer::Later { reason: "503".to_owned(), after: after.map(Duration::from_secs) }
}

#[tokio::test(start_paused = true)]
async fn spans_wait_for_others_but_not_longer_than_the_delay() {
    let running = Running::start(&[]);
    running.send(3);
    sleep(Duration::from_secs(7)).await;
    running.send(1);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(running.end().await, (vec![(5, 6), (12, 2)], [8, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_at_once() {
    let running = Running::start(&[]);
    running.send(BATCH);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(running.end().await, (vec![(0, BATCH), (0, BATCH)], [2 * BATCH as u64, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_when_the_collector_asks_for_it() {
    let running = Running::start(&[later(Some(30)), later(Some(10))]);
    running.send(1);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(running.end().await, (vec![(5, 2), (35, 2), (45, 2)], [2, 0, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_up_after_five_attempts_and_the_next_is_tried() {
    let running = Running::start(&[later(None), later(None), later(None), later(None), later(None)]);
    running.send(1);
    sleep(Duration::from_secs(100)).await;
    running.send(2);
    let (batches, counts) = running.end().await;
    assert_eq!(batches.iter().map(|(_, spans)| *spans).collect::<Vec<_>>(), [2, 2, 2, 2, 2, 4]);
    assert_eq!(counts, [4, 2, 5]);
    // 1 + 2 + 4 + 8 s, each from half to one and a half, after the delay of 5 s.
    let last = batches[4].0;
    assert!((12..=28).contains(&last), "{last}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_lost_at_once() {
    let refused = Answer::Refused { reason: "400".to_owned() };
    let partly = Answer::Taken { rejected: 3, message: "too old".to_owned() };
    let running = Running::start(&[refused, partly]);
    running.send(1);
    sleep(Duration::from_secs(6)).await;
    running.send(2);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(running.end().await, (vec![(5, 2), (11, 4)], [1, 5, 0]));
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_is_queued_and_tries_nothing_again() {
    let running = Running::start(&[later(None)]);
    running.send(BATCH);
    running.closing.cancel();
    running.tracker.wait().await;
    let spans = BATCH as u64;
    assert_eq!(running.end().await, (vec![(0, BATCH), (0, BATCH)], [spans, spans, 1]));
}

#[tokio::test(start_paused = true)]
async fn closing_cuts_a_pause_short_and_sends_once_more() {
    let running = Running::start(&[later(Some(60))]);
    running.send(1);
    sleep(Duration::from_secs(8)).await;
    running.closing.cancel();
    assert_eq!(running.end().await, (vec![(5, 2), (8, 2)], [2, 0, 1]));
}
