use super::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn naming(root: &Path) -> Naming {
    Naming {
        root: root.to_owned(),
        scope: Scope { account_id: "123456789012".to_owned(), region: "us-east-2".to_owned() },
        load_balancer: "app/my-loadbalancer/1234567890abcdef".to_owned(),
        node: IpAddr::from([172, 160, 1, 192]),
    }
}

/// All files below `root`, by path.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn paths_have_the_bucket_layout_with_the_intervals_end() {
    let path = naming(Path::new("/bucket/prefix")).path(at(1_399_248_000), 0x2a);
    assert_eq!(
        path.to_str().unwrap(),
        "/bucket/prefix/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2014/05/05/\
         123456789012_elasticloadbalancing_us-east-2_app.my-loadbalancer.1234567890abcdef_\
         20140505T0000Z_172.160.1.192_0000002a.log"
    );
}

#[test]
fn intervals_end_on_whole_five_minutes() {
    for (now, end) in [(0, 300), (299, 300), (300, 600), (1_399_247_999, 1_399_248_000)] {
        assert_eq!(interval_end(at(now)), at(end), "{now}");
    }
}

#[test]
fn lines_of_one_interval_share_a_file_and_the_next_begins_another() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = File::new(naming(directory.path()), || 7);
    file.write(at(10), b"one\n").unwrap();
    file.write(at(299), b"two\n").unwrap();
    file.write(at(300), b"three\n").unwrap();
    let contents: Vec<_> = files(directory.path()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(contents, ["one\ntwo\n", "three\n"]);
}

#[test]
fn a_removed_directory_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = File::new(naming(directory.path()), || 7);
    file.write(at(10), b"one\n").unwrap();
    fs::remove_dir_all(directory.path().join("AWSLogs")).unwrap();
    file.write(at(11), b"two\n").unwrap();
    assert_eq!(files(directory.path())[0].1, "two\n");
}

#[test]
fn a_line_torn_by_a_failed_write_is_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = File::new(naming(directory.path()), || 7);
    file.write(at(10), b"one\n").unwrap();
    // What a full disk leaves: half a line, and the handle given up.
    let interval = file.interval.as_mut().unwrap();
    interval.handle.take().unwrap().write_all(b"tor").unwrap();
    file.write(at(11), b"two\n").unwrap();
    assert_eq!(files(directory.path())[0].1, "one\ntwo\n");
}

#[test]
fn trouble_is_reported_and_passes_when_its_cause_does() {
    let directory = tempfile::tempdir().unwrap();
    let blocker = directory.path().join("AWSLogs");
    fs::write(&blocker, "in the way").unwrap();
    let mut file = File::new(naming(directory.path()), || 7);
    assert!(file.write(at(10), b"one\n").is_err());
    fs::remove_file(&blocker).unwrap();
    file.write(at(11), b"two\n").unwrap();
    assert_eq!(files(directory.path())[0].1, "two\n");
}
