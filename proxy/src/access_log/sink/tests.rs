use std::{fs, path::Path};

use parking_lot::{Condvar, Mutex};
use tempfile::TempDir;

use super::*;
use crate::metrics::{Counter, Metrics};

const LIMIT: Duration = Duration::from_secs(20);

fn metrics() -> LogMetrics {
    LogMetrics::of(LogKind::Access, &Metrics::try_new().unwrap(), "app/edge/1")
}

#[test]
fn each_log_counts_in_series_of_its_own() {
    for (log, load_balancer, series) in [
        (LogKind::Access, "app/edge/1", "albeit_access_log"),
        (LogKind::Connection, "app/edge/1", "albeit_connection_log"),
        (LogKind::HealthCheck, "app/edge/1", "albeit_health_check_log"),
        (LogKind::TlsConnection, "net/edge/1", "albeit_access_log"),
        (LogKind::Flow, "net/edge/1", "albeit_flow_log"),
    ] {
        let metrics = Metrics::try_new().unwrap();
        let of = LogMetrics::of(log, &metrics, load_balancer);
        of.lines_dropped.inc_by(2);
        of.write_errors.inc_by(3);
        let text = metrics.render().unwrap();
        let mut counted: Vec<&str> =
            text.lines().filter(|line| line.ends_with(" 2") || line.ends_with(" 3")).collect();
        counted.retain(|line| line.starts_with("albeit_"));
        let label = format!("{{load_balancer=\"{load_balancer}\"}}");
        let expected = [
            format!("{series}_lines_dropped_total{label} 2"),
            format!("{series}_write_errors_total{label} 3"),
        ];
        assert_eq!(counted, expected);
    }
}

fn settings(bucket: Option<&Path>, copy: Option<Box<dyn Write + Send>>) -> SinkSettings {
    SinkSettings {
        log: LogKind::Access,
        files: LogFiles::Plain,
        interval: INTERVAL,
        format: LogFormat::Elb,
        destination: bucket
            .map(|bucket| LogDestination { bucket: bucket.to_owned(), prefix: "prefix".to_owned() }),
        copy,
        scope: Scope::default(),
        load_balancer: "app/edge/1".to_owned(),
        node: IpAddr::from([127, 0, 0, 1]),
        clock: || SystemTime::UNIX_EPOCH + Duration::from_secs(1_399_247_000),
        random: || 1,
    }
}

fn text(bucket: &TempDir) -> String {
    let day = bucket.path().join("prefix/AWSLogs/000000000000/elasticloadbalancing/local/2014/05/04");
    let files: Vec<_> = fs::read_dir(day).into_iter().flatten().map(|file| file.unwrap().path()).collect();
    assert!(files.len() <= 1, "{files:?}");
    files.first().map(|file| fs::read_to_string(file).unwrap()).unwrap_or_default()
}

/// Waits for the writer's thread: it runs beside the test and has no clock to pause.
async fn eventually(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(LIMIT, waiting).await.is_ok(), "{what}");
}

fn dropped_and_errors(metrics: &LogMetrics) -> [u64; 2] {
    [&metrics.lines_dropped, &metrics.write_errors].map(Counter::get)
}

/// Collects what is written, but only while it is not stuck.
#[derive(Clone, Default)]
struct Copy(Arc<Mutex<Vec<u8>>>, Arc<(Mutex<bool>, Condvar)>);

impl Copy {
    fn set_stuck(&self, stuck: bool) {
        *self.1.0.lock() = stuck;
        self.1.1.notify_all();
    }
}

impl Write for Copy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.1.wait_while(&mut self.1.0.lock(), |stuck| *stuck);
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_line_is_in_the_file_at_once_and_copied() {
    let (bucket, copy, metrics) = (tempfile::tempdir().unwrap(), Copy::default(), metrics());
    let sink =
        Sink::open(settings(Some(bucket.path()), Some(Box::new(copy.clone()))), metrics.clone()).unwrap();
    sink.send(b"one\n".to_vec());
    eventually("the first line is flushed", || text(&bucket) == "one\n").await;
    sink.send(b"two\n".to_vec());
    eventually("the second line is flushed", || text(&bucket) == "one\ntwo\n").await;
    assert!(sink.close(LIMIT).await);
    assert_eq!(copy.0.lock().as_slice(), b"one\ntwo\n");
    assert_eq!(dropped_and_errors(&metrics), [0, 0]);
}

#[tokio::test]
async fn closing_writes_what_is_queued_and_counts_what_comes_later() {
    let (bucket, metrics) = (tempfile::tempdir().unwrap(), metrics());
    let sink = Sink::open(settings(Some(bucket.path()), None), metrics.clone()).unwrap();
    let lines: String = (0..5000).map(|line| format!("line {line}\n")).collect();
    lines.split_inclusive('\n').for_each(|line| sink.send(line.as_bytes().to_vec()));
    assert!(sink.close(LIMIT).await);
    assert_eq!(text(&bucket), lines);
    sink.send(b"late\n".to_vec());
    assert!(sink.close(LIMIT).await, "closing twice is harmless");
    assert_eq!(dropped_and_errors(&metrics), [1, 0]);
}

#[tokio::test]
async fn a_full_queue_loses_lines_and_counts_them_without_waiting() {
    let (copy, metrics) = (Copy::default(), metrics());
    let sink = Sink::open(settings(None, Some(Box::new(copy.clone()))), metrics.clone()).unwrap();
    let total = 10 * QUEUE_LINES;
    copy.set_stuck(true);
    (0..total).for_each(|_| sink.send(vec![b'\n'; 64]));
    assert!(!sink.close(Duration::from_millis(50)).await, "a stuck writer does not hold up shutdown");
    copy.set_stuck(false);
    assert!(sink.close(LIMIT).await);
    let written = copy.0.lock().len() / 64;
    let [dropped, errors] = dropped_and_errors(&metrics);
    assert!(dropped > 0);
    assert_eq!((written + usize::try_from(dropped).unwrap(), errors), (total, 0));
}

#[tokio::test]
async fn a_queue_of_long_lines_is_bounded_in_bytes() {
    let (copy, metrics) = (Copy::default(), metrics());
    let sink = Sink::open(settings(None, Some(Box::new(copy.clone()))), metrics.clone()).unwrap();
    copy.set_stuck(true);
    // One is being written, and the next collected, while the queue fills.
    (0..100).for_each(|_| sink.send(vec![b'\n'; 1 << 20]));
    let [dropped, _] = dropped_and_errors(&metrics);
    assert!((60..=68).contains(&dropped), "{dropped}");
    copy.set_stuck(false);
    assert!(sink.close(LIMIT).await);
    assert_eq!(copy.0.lock().len() >> 20, 100 - usize::try_from(dropped).unwrap());
}

#[tokio::test]
async fn a_compressed_file_comes_by_itself_and_the_last_one_at_the_end() {
    let (bucket, metrics) = (tempfile::tempdir().unwrap(), metrics());
    let settings = SinkSettings {
        files: LogFiles::Elb,
        interval: Duration::from_secs(1),
        clock: SystemTime::now,
        random: rand::random,
        ..settings(Some(bucket.path()), None)
    };
    let sink = Sink::open(settings, metrics.clone()).unwrap();
    sink.send(b"one\n".to_vec());
    eventually("the first file, though no line follows", || gzip_files(bucket.path()) == 1).await;
    sink.send(b"two\n".to_vec());
    assert!(sink.close(LIMIT).await);
    // Whether it is the same interval or another, no line waits for its end.
    assert!((1..=2).contains(&gzip_files(bucket.path())));
    assert!(bucket.path().join("prefix/AWSLogs/000000000000/ELBAccessLogTestFile").is_file());
    assert_eq!(dropped_and_errors(&metrics), [0, 0]);
}

/// How many `.log.gz` files are below the directory; nothing else may be but the test file.
fn gzip_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                gzip_files(&path)
            } else {
                usize::from(name.ends_with(".log.gz") && !name.starts_with('.'))
            }
        })
        .sum()
}

#[tokio::test]
async fn records_are_written_in_the_format_of_the_sink() {
    let copy = Copy::default();
    let settings = SinkSettings { format: LogFormat::Json, ..settings(None, Some(Box::new(copy.clone()))) };
    let sink = Sink::open(settings, metrics()).unwrap();
    sink.record(&crate::access_log::HealthCheckRecord {
        kind: "http",
        time: SystemTime::UNIX_EPOCH,
        latency: Duration::ZERO,
        target_addr: "10.0.0.1:80".parse().unwrap(),
        target_group_id: "web",
        status_code: Some(200),
        reason_code: None,
        elb: "app/edge/1",
        ip_address: IpAddr::from([127, 0, 0, 1]),
    });
    assert!(sink.close(LIMIT).await);
    assert!(copy.0.lock().starts_with(b"{\"type\":\"http\",\"time\":"));
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_counted_and_comes_back() {
    let (bucket, metrics) = (tempfile::tempdir().unwrap(), metrics());
    let blocker = bucket.path().join("prefix");
    fs::write(&blocker, "in the way").unwrap();
    let sink = Sink::open(settings(Some(bucket.path()), None), metrics.clone()).unwrap();
    eventually("the trouble shows before any line does", || dropped_and_errors(&metrics) == [0, 1]).await;
    sink.send(b"lost\n".to_vec());
    eventually("the loss is counted", || dropped_and_errors(&metrics) == [1, 2]).await;
    fs::remove_file(&blocker).unwrap();
    sink.send(b"kept\n".to_vec());
    assert!(sink.close(LIMIT).await);
    assert_eq!(text(&bucket), "kept\n");
    assert_eq!(dropped_and_errors(&metrics), [1, 2]);
}

#[tokio::test]
async fn a_full_disk_does_not_stop_the_copy() {
    let (bucket, copy, metrics) = (tempfile::tempdir().unwrap(), Copy::default(), metrics());
    fs::write(bucket.path().join("prefix"), "in the way").unwrap();
    let sink =
        Sink::open(settings(Some(bucket.path()), Some(Box::new(copy.clone()))), metrics.clone()).unwrap();
    sink.send(b"one\n".to_vec());
    assert!(sink.close(LIMIT).await);
    assert_eq!(copy.0.lock().as_slice(), b"one\n");
    assert_eq!(dropped_and_errors(&metrics), [1, 2]);
}

/// Refuses now and then, as an output that does not block does, and for good after `last` writes.
struct Refusing {
    taken: Arc<Mutex<Vec<u8>>>,
    calls: usize,
    last: usize,
}

impl Write for Refusing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls > self.last {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.calls % 3 {
            1 => Err(io::ErrorKind::WouldBlock.into()),
            2 => Err(io::ErrorKind::Interrupted.into()),
            _ => {
                let some = bytes.len().min(2);
                self.taken.lock().extend_from_slice(&bytes[..some]);
                Ok(some)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_output_is_waited_for() {
    let (taken, metrics) = (Arc::<Mutex<Vec<u8>>>::default(), metrics());
    let copy = Refusing { taken: Arc::clone(&taken), calls: 0, last: usize::MAX };
    let sink = Sink::open(settings(None, Some(Box::new(copy))), metrics.clone()).unwrap();
    sink.send(b"three\n".to_vec());
    sink.send(b"four\n".to_vec());
    assert!(sink.close(LIMIT).await);
    assert_eq!(taken.lock().as_slice(), b"three\nfour\n");
    assert_eq!(dropped_and_errors(&metrics), [0, 0]);
}

#[tokio::test]
async fn lines_that_only_a_broken_output_would_get_are_counted() {
    for (has_file, dropped) in [(false, 2), (true, 0)] {
        let (bucket, metrics) = (tempfile::tempdir().unwrap(), metrics());
        let copy = Refusing { taken: Arc::default(), calls: 0, last: 0 };
        let bucket = has_file.then(|| bucket.path());
        let sink = Sink::open(settings(bucket, Some(Box::new(copy))), metrics.clone()).unwrap();
        sink.send(b"one\n".to_vec());
        eventually("the failure", || dropped_and_errors(&metrics)[1] == 1).await;
        sink.send(b"two\n".to_vec());
        assert!(sink.close(LIMIT).await);
        assert_eq!(dropped_and_errors(&metrics), [dropped, 1], "{has_file}");
    }
}
