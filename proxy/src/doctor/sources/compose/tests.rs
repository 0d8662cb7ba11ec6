//! Compose files as people write them.

use super::super::tests::{application, shown, system};
use crate::doctor::{setting::human, system::Runtime};

#[test]
fn a_service_is_an_application() {
    let text = "\
services:
  web:
    image: registry.test/node:22
    command: [\"node\", \"--max-http-header-size=32768\", \"main.js\"]
    environment:
      - PORT=3000
      - WEBSOCKET_PING_TIMEOUT=${PING_TIMEOUT:-60000}
      - WEBSOCKET_PING_INTERVAL=25000
    ports: [\"127.0.0.1:8080:3000/tcp\"]
    stop_grace_period: 1m30s
    deploy: { replicas: 2 }
    healthcheck: { test: [CMD, check], interval: 15s, start_period: 60s }
";
    let application = application(&[("compose.yml", text)]);
    assert_eq!(application.runtime, Runtime::Node);
    insta::assert_snapshot!(
        [
            application.title(),
            shown(application.port.as_ref()),
            shown(application.instances.as_ref()),
            shown(application.keep_alive_timeout.as_ref()),
            shown(application.max_request_header_size.as_ref()),
            shown(application.socket_io.as_ref().map(|it| &it.ping_timeout)),
            shown(application.shutdown.stop_timeout.as_ref()),
            shown(application.startup.start_period.as_ref()),
            shown(application.startup.interval.as_ref()),
            shown(application.startup.retries.as_ref()),
        ]
        .join("\n"), @r"
    application web
    ports = 127.0.0.1:8080:3000/tcp (compose.yml:9:13)
    deploy.replicas = 2 (compose.yml:11:15)
    server.keepAliveTimeout = 5000 (default of Node.js)
    --max-http-header-size = 32768 (compose.yml:4:23)
    WEBSOCKET_PING_TIMEOUT = 60000 (compose.yml:7:9)
    stop_grace_period = 1m30s (compose.yml:10:5)
    healthcheck.start_period = 60s (compose.yml:12:55)
    healthcheck.interval = 15s (compose.yml:12:40)
    healthcheck.retries = 3 (default of Docker Compose)
    ");
}

#[test]
fn what_is_no_application_is_passed_over() {
    let text = "\
x-albeit: &albeit { image: albeit }
services:
  proxy: { <<: *albeit }
  certs: { <<: *albeit, command: [albeit, certs] }
  backend: { <<: *albeit, command: [albeit-backend, --port, 9001] }
  redis: { image: 'redis:7' }
  nginx: { image: nginx }
";
    let application = application(&[("docker-compose.yml", text)]);
    assert_eq!((application.name.as_str(), application.runtime), ("backend", Runtime::AlbeitBackend));
    assert_eq!(shown(application.port.as_ref()), "--port = 9001 (docker-compose.yml:5:53)");
    assert_eq!(
        shown(application.shutdown.stop_timeout.as_ref()),
        "stop_grace_period = 10s (default of Docker Compose)"
    );
}

#[test]
fn environment_files_lie_behind_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.env"), "KEEP_ALIVE_TIMEOUT=1000\nPORT=80\n").unwrap();
    let text = "services: { web: { image: node, env_file: [a.env, { path: gone.env, required: false }, gone.env], environment: { PORT: 81 } } }";
    let path = dir.path().join("compose.yml");
    std::fs::write(&path, text).unwrap();
    let system = super::super::read_all([path.as_path()], &|_| None).unwrap();
    let application = &system.applications[0];
    assert_eq!(human(application.keep_alive_timeout.as_ref().unwrap().value), "1 s");
    assert_eq!(application.port.as_ref().unwrap().value, 81);
    let notes: Vec<_> = system.notes.iter().map(|note| note.message.as_str()).collect();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].ends_with("gone.env: cannot be read"), "{notes:?}");
}

#[track_caller]
fn check(command: &str, expected: &[&str]) {
    let text = format!("services: {{ web: {{ image: web, command: '{command}' }} }}");
    let application = system(&[("compose.yml", &text)], &|_| None).applications.pop().unwrap();
    let beats = application.heartbeats.iter().map(|it| Some(&it.interval));
    let times = [
        application.keep_alive_timeout.as_ref(),
        application.shutdown.grace.as_ref(),
        application.longest_request.as_ref(),
    ];
    let found: Vec<_> = times
        .into_iter()
        .chain(beats)
        .map(|it| it.map_or_else(|| "-".to_owned(), |it| format!("{} {}", it.key, human(it.value))))
        .collect();
    assert_eq!(found, expected, "{command}");
}

#[test]
fn servers_of_python_are_known_by_their_command() {
    // Workers of the class sync keep no connection.
    check("gunicorn app:app", &["-", "--graceful-timeout 30 s", "--timeout 30 s"]);
    check("gunicorn --threads 4 a:b", &["--keep-alive 2 s", "--graceful-timeout 30 s", "--timeout 30 s"]);
    check(
        "exec gunicorn --keep-alive=75 -t 120 -k uvicorn.workers.UvicornWorker app:app",
        &["--keep-alive 75 s", "--graceful-timeout 30 s", "-t 120 s"],
    );
    check("python -m uvicorn app:app", &["--timeout-keep-alive 5 s", "-", "-", "--ws-ping-interval 20 s"]);
    check(
        "uvicorn app:app --timeout-keep-alive 65 --ws-ping-interval 30",
        &["--timeout-keep-alive 65 s", "-", "-", "--ws-ping-interval 30 s"],
    );
    check("node main.js", &["server.keepAliveTimeout 5 s", "-", "-"]);
    check("./server", &["-", "-", "-"]);
}
