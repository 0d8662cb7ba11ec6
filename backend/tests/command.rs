//! The `albeit-backend` command: exit codes and what it says.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn backend(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_albeit-backend"));
    command.args(arguments).env_remove("RUST_LOG").stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = backend(arguments).output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// Kills what a failed test would leave behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone when the test succeeds.
        self.0.kill().unwrap_or_default();
    }
}

#[test]
fn a_wrong_file_is_named_with_its_key_and_place() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"server:\n  port: 99999\n").unwrap();
    let path = file.path().to_str().unwrap();
    let (code, said) = run(&["--config", path]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("{path}: server.port: invalid value")), "{said}");
    assert!(said.contains("at line 2 column 9"), "{said}");
}

#[test]
fn a_file_of_spring_is_checked_and_what_means_nothing_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("application.yml");
    let text = "spring.application.name: chat\nserver:\n  port: 0\n  tomcat: { threads: { max: 200 } }\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let (code, said) = run(&["--config", path, "--check-config"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("settings that mean nothing here keys=\"spring.application.name\""), "{said}");
    assert!(said.contains("without effect setting=\"server.tomcat.threads.max: there is no pool"), "{said}");
    std::fs::write(&file, "server:\n  tomcat:\n    keepalive: 3s\n").unwrap();
    let (code, said) = run(&["--config", path, "--check-config"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("server.tomcat.keepalive: ") && said.contains("at line 3 column"), "{said}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let child = backend(&["--port", "0", "--drain", "600s"]).spawn().unwrap();
    let mut process = Process(child);
    let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let (_, rest) = line.split_once("address=").unwrap();
    // Holds the drain up.
    let mut client = TcpStream::connect(rest.split(' ').next().unwrap()).unwrap();
    client.write_all(b"POST /whoami HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").unwrap();
    let pid = process.0.id().to_string();
    let signal = || assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    signal();
    assert!(lines.any(|line| line.unwrap().contains("draining")));
    signal();
    assert_eq!(process.0.wait().unwrap().code(), Some(130));
}

#[test]
fn a_missing_file_and_a_wrong_flag_exit_with_2() {
    let (code, said) = run(&["--config", "/nonexistent.yml"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("/nonexistent.yml: cannot be read: No such file"), "{said}");
    let (code, said) = run(&["--drain", "30"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("is no duration"), "{said}");
}

#[test]
fn a_taken_port_is_named_with_the_flag_that_changes_it() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let (code, said) = run(&["--port", &address.port().to_string()]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot listen on {address} (choose another with --port")));
    assert_eq!(said.matches("Address already in use").count(), 1, "{said}");
}

#[test]
fn a_malformed_request_is_one_line_and_the_process_lives() {
    let child = backend(&["--port", "0"]).spawn().unwrap();
    let mut process = Process(child);
    let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let (_, rest) = line.split_once("address=").unwrap();
    let address = rest.split(' ').next().unwrap();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(9000));
    for (request, status) in
        [("\u{16}\u{3}\u{1}\r\n\r\n", 400), (&long, 431), ("GET / HTTP/1.1\r\n\r\n", 400)]
    {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        // The message store may tell of itself in between.
        let line = lines.find_map(|line| line.ok().filter(|line| line.contains("malformed"))).unwrap();
        let remote = client.local_addr().unwrap();
        assert!(line.ends_with(&format!("malformed request remote={remote} status={status}")), "{line}");
    }
    assert_eq!(process.0.try_wait().unwrap(), None);
}

#[test]
fn it_says_where_it_listens_and_leaves_on_sigterm_with_0() {
    let child = backend(&["--port", "0", "--instance", "b7", "--drain", "5s"]).spawn().unwrap();
    let mut process = Process(child);
    let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("listening address=127.0.0.1:"), "{line}");
    assert!(line.contains("instance=b7"), "{line}");
    let pid = process.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(process.0.wait().unwrap().code(), Some(0));
    assert!(lines.any(|line| line.unwrap().contains("stopped")));
}
