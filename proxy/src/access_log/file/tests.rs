use std::io::{Read as _, Write as _};

use flate2::read::MultiGzDecoder;
use tempfile::TempDir;

use super::*;

const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn naming(root: &Path) -> Naming {
    Naming {
        root: root.to_owned(),
        log: LogKind::Access,
        scope: Scope { account_id: "123456789012".to_owned(), region: "us-east-2".to_owned() },
        load_balancer: "app/my-loadbalancer/1234567890abcdef".to_owned(),
        node: IpAddr::from([172, 160, 1, 192]),
    }
}

fn intervals(root: &Path) -> Intervals {
    Intervals { naming: naming(root), length: FIVE_MINUTES, random: || 7 }
}

fn plain(directory: &TempDir) -> plain::File {
    plain::File::new(intervals(directory.path()))
}

fn gzip(directory: &TempDir) -> gzip::File {
    gzip::File::new(intervals(directory.path()))
}

/// All files below the directory, by path.
fn paths(directory: &TempDir) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![directory.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// What is in the files below the directory, as a reader of complete files sees them.
fn contents(directory: &TempDir) -> Vec<String> {
    let visible = |path: &PathBuf| !path.file_name().unwrap().to_str().unwrap().starts_with('.');
    let read = |path: PathBuf| {
        let mut text = String::new();
        let mut file = fs::File::open(&path).unwrap();
        match path.extension().unwrap().to_str() {
            Some("gz") => MultiGzDecoder::new(file).read_to_string(&mut text).unwrap(),
            _ => file.read_to_string(&mut text).unwrap(),
        };
        text
    };
    paths(directory).into_iter().filter(visible).map(read).collect()
}

#[test]
fn paths_have_the_bucket_layout_with_the_intervals_end() {
    for (log, prefix) in [
        (LogKind::Access, ""),
        (LogKind::Connection, "conn_log_"),
        (LogKind::HealthCheck, "health_check_log_"),
    ] {
        let naming = Naming { log, ..naming(Path::new("/bucket/prefix")) };
        let path = naming.path(at(1_399_248_000), 36 * 36 + 10, "log.gz");
        assert_eq!(
            path.to_str().unwrap(),
            format!(
                "/bucket/prefix/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2014/05/05/\
                 {prefix}123456789012_elasticloadbalancing_us-east-2_app.my-loadbalancer.1234567890abcdef_\
                 20140505T0000Z_172.160.1.192_a0100000.log.gz"
            )
        );
    }
}

#[test]
fn files_of_network_load_balancers_do_not_name_the_node() {
    for (log, prefix) in [(LogKind::TlsConnection, ""), (LogKind::Flow, "flow_log_")] {
        let load_balancer = "net/my-loadbalancer/1234567890abcdef".to_owned();
        let naming = Naming { log, load_balancer, ..naming(Path::new("/my-bucket/prefix")) };
        let path = naming.path(at(1_588_291_200), 36 * 36 + 10, "log.gz");
        assert_eq!(
            path.to_str().unwrap(),
            format!(
                "/my-bucket/prefix/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2020/05/01/\
                 {prefix}123456789012_elasticloadbalancing_us-east-2_net.my-loadbalancer.1234567890abcdef_\
                 20200501T0000Z_a0100000.log.gz"
            )
        );
    }
}

#[test]
fn intervals_end_on_whole_multiples() {
    let intervals = intervals(Path::new(""));
    for (now, end) in [(0, 300), (299, 300), (300, 600), (1_399_247_999, 1_399_248_000)] {
        assert_eq!(intervals.end(at(now)), at(end), "{now}");
    }
    let scaled = Intervals { length: Duration::from_millis(2500), ..intervals };
    assert_eq!(scaled.end(at(5)), UNIX_EPOCH + Duration::from_millis(7500));
    let tiny = Intervals { length: Duration::from_nanos(1), ..scaled };
    assert_eq!(tiny.end(at(5)), at(5) + SHORTEST_INTERVAL);
}

#[test]
fn the_test_file_is_that_of_elb() {
    for (log, name) in [
        (LogKind::HealthCheck, "HealthCheckLog"),
        (LogKind::TlsConnection, "AccessLog"),
        (LogKind::Flow, "FlowLog"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let naming = Naming { log, ..naming(directory.path()) };
        naming.write_test_file(at(1_399_248_000)).unwrap();
        let file = directory.path().join(format!("AWSLogs/123456789012/ELB{name}TestFile"));
        assert_eq!(
            fs::read_to_string(file).unwrap(),
            format!("Enable {name} for ELB: my-loadbalancer at 2014-05-05T00:00:00Z\n")
        );
    }
}

#[test]
fn lines_of_one_interval_share_a_file_and_the_next_begins_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = plain(&directory);
    file.write(at(10), b"one\n").unwrap();
    file.write(at(299), b"two\n").unwrap();
    file.write(at(300), b"three\n").unwrap();
    assert_eq!(contents(&directory), ["one\ntwo\n", "three\n"]);
}

#[test]
fn a_compressed_file_is_there_when_its_interval_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = gzip(&directory);
    assert_eq!(file.deadline(), None);
    assert_eq!(file.write(at(10), b"one\n", 1).unwrap(), Progress::Kept);
    file.write(at(299), b"two\n", 1).unwrap();
    assert_eq!(file.deadline(), Some(at(300)));
    assert_eq!(file.handle_time(at(299)).unwrap(), Progress::Kept);
    assert!(contents(&directory).is_empty(), "a reader sees nothing of it yet");
    // The next line comes two intervals later: the one between has no file.
    assert_eq!(file.write(at(900), b"three\n", 1).unwrap(), Progress::Written);
    assert_eq!(contents(&directory), ["one\ntwo\n"]);
    file.handle_time(at(1200)).unwrap();
    assert_eq!(contents(&directory), ["one\ntwo\n", "three\n"]);
    assert_eq!(file.deadline(), None);
    assert!(paths(&directory).iter().all(|path| path.to_str().unwrap().ends_with("_70000000.log.gz")));
}

#[test]
fn logs_of_network_load_balancers_begin_a_file_every_five_minutes() {
    for (log, prefix) in [(LogKind::TlsConnection, "0"), (LogKind::Flow, "flow_log_0")] {
        let directory = tempfile::tempdir().unwrap();
        let load_balancer = "net/edge/1".to_owned();
        let scope = Scope::default();
        let naming = Naming { log, load_balancer, scope, ..naming(directory.path()) };
        let intervals = Intervals { naming, ..intervals(directory.path()) };
        let mut file = File::new(LogFiles::Elb, intervals);
        file.write(at(299), b"one\n", 1).unwrap();
        file.write(at(300), b"two\n", 1).unwrap();
        file.handle_time(at(600)).unwrap();
        assert_eq!(contents(&directory), ["one\n", "two\n"]);
        let names: Vec<String> = paths(&directory)
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let name = |end| {
            format!(
                "{prefix}00000000000_elasticloadbalancing_local_net.edge.1_19700101T00{end}Z_70000000.log.gz"
            )
        };
        assert_eq!(names, [name("05"), name("10")]);
    }
}

#[test]
fn the_last_compressed_file_is_finished_early() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = gzip(&directory);
    file.write(at(10), b"one\n", 1).unwrap();
    file.finish().unwrap();
    file.finish().unwrap();
    assert_eq!(contents(&directory), ["one\n"]);
}

#[test]
fn a_compressed_file_may_have_many_members() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = gzip(&directory);
    let mut expected = String::new();
    for number in 0..30 {
        let line = format!("{number} {}\n", "x".repeat(100_000));
        file.write(at(10), line.as_bytes(), 1).unwrap();
        expected.push_str(&line);
    }
    file.finish().unwrap();
    assert!(contents(&directory) == [expected]);
}

#[test]
fn a_removed_directory_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let (mut file, mut compressed) = (plain(&directory), gzip(&directory));
    file.write(at(10), b"one\n").unwrap();
    compressed.write(at(10), b"one\n", 1).unwrap();
    fs::remove_dir_all(directory.path().join("AWSLogs")).unwrap();
    file.write(at(11), b"two\n").unwrap();
    compressed.write(at(11), b"two\n", 1).unwrap();
    compressed.finish().unwrap();
    // What had not reached the compressed file is still in it.
    assert_eq!(contents(&directory), ["two\n", "one\ntwo\n"]);
}

#[test]
fn lines_that_went_with_a_removed_file_are_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = gzip(&directory);
    let remove = || fs::remove_dir_all(directory.path().join("AWSLogs")).unwrap();
    let member = vec![b'\n'; 2 << 20];
    assert_eq!(file.write(at(10), &member, 2).unwrap(), Progress::Written);
    remove();
    let lost = file.write(at(11), b"kept\n", 1).unwrap_err();
    assert_eq!(lost.lines, 2, "the line that came meanwhile is not among them");
    file.finish().unwrap();
    assert_eq!(contents(&directory), ["kept\n"]);

    // Removed with nothing to follow, it is missed at the end.
    remove();
    file.write(at(300), &member, 3).unwrap();
    remove();
    assert_eq!(file.finish().unwrap_err().lines, 3);
}

#[test]
fn a_line_torn_by_a_failed_write_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = plain(&directory);
    file.write(at(10), b"one\n").unwrap();
    // What a full disk leaves: half a line, and the handle given up.
    file.take_handle().unwrap().write_all(b"tor").unwrap();
    file.write(at(11), b"two\n").unwrap();
    assert_eq!(contents(&directory), ["one\ntwo\n"]);
}

#[test]
fn a_file_that_cannot_get_its_name_loses_all_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = gzip(&directory);
    file.write(at(10), &vec![b'\n'; 2 << 20], 2).unwrap();
    file.write(at(10), b"pending\n", 1).unwrap();
    let (_, path) = intervals(directory.path()).next(at(10), "log.gz");
    fs::create_dir(path).unwrap();
    let lost = file.handle_time(at(300)).unwrap_err();
    assert_eq!(lost.lines, 3);
}

#[test]
fn trouble_is_reported_and_passes_when_its_cause_does() {
    let directory = tempfile::tempdir().unwrap();
    let blocker = directory.path().join("AWSLogs");
    fs::write(&blocker, "in the way").unwrap();
    let (mut file, mut compressed) = (plain(&directory), gzip(&directory));
    assert!(file.write(at(10), b"one\n").is_err());
    assert_eq!(compressed.write(at(10), b"one\n", 1).unwrap_err().lines, 1);
    fs::remove_file(&blocker).unwrap();
    file.write(at(11), b"two\n").unwrap();
    compressed.write(at(11), b"two\n", 1).unwrap();
    compressed.finish().unwrap();
    assert_eq!(contents(&directory), ["two\n", "two\n"]);
}
