//! `albeit-backend` as it is configured, and its defaults as they are documented.

use super::{
    super::tests::{application, shown},
    DEFAULTS,
};
use crate::doctor::system::Runtime;

#[test]
fn defaults_are_those_that_the_documentation_tells() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/backend.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    for (key, default) in DEFAULTS {
        let row = format!("| `{key}` | `{default}` |");
        assert!(docs.contains(&row), "no {row} in docs/backend.md");
    }
}

#[test]
fn an_empty_backend_has_its_defaults() {
    let application = application(&[("backend.yaml", "instance: b1\n")]);
    assert_eq!((application.runtime, application.name.as_str()), (Runtime::AlbeitBackend, "b1"));
    let beats: Vec<_> = application
        .heartbeats
        .iter()
        .map(|it| format!("{}: {}", it.what, shown(Some(&it.interval))))
        .collect();
    assert_eq!(application.max_keep_alive_requests.as_ref().unwrap().value, None);
    insta::assert_snapshot!(
        [
            shown(application.port.as_ref()),
            shown(application.keep_alive_timeout.as_ref()),
            shown(application.max_request_header_size.as_ref()),
            shown(application.shutdown.graceful.as_ref()),
            shown(application.shutdown.grace.as_ref()),
            shown(application.proxy_protocol.as_ref()),
            shown(application.tls.as_ref()),
            shown(application.forwarded_headers.as_ref()),
            shown(application.relay.as_ref()),
            shown(application.sock_js.as_ref().and_then(|it| it.disconnect_delay.as_ref())),
            shown(application.socket_io.as_ref().map(|it| &it.ping_timeout)),
            beats.join("\n"),
        ]
        .join("\n"), @r"
    server.port = 8080 (default of albeit-backend)
    server.tomcat.keep-alive-timeout = 70s (default of albeit-backend)
    server.tomcat.max-http-header-size = 8192 (default of albeit-backend)
    server.shutdown = graceful (default of albeit-backend)
    drain = 30s (default of albeit-backend)
    server.proxy-protocol.mode = off (default of albeit-backend)
    server.ssl.certificate = none (default of albeit-backend)
    server.forward-headers-strategy = native (default of albeit-backend)
    relay.mode = memory (default of albeit-backend)
    sockjs.disconnect-delay = 30s (default of albeit-backend)
    socket-io.ping-timeout = 60s (default of albeit-backend)
    STOMP heart-beat: stomp.heart-beat = [10s, 10s] (default of albeit-backend)
    WebSocket ping: websocket.ping-interval = 25s (default of albeit-backend)
    SockJS heartbeat: sockjs.heartbeat-time = 25s (default of albeit-backend)
    Engine.IO ping: socket-io.ping-interval = 25s (default of albeit-backend)
    heartbeat: socket-io.heartbeat-interval = 30s (default of albeit-backend)
    ");
}

#[test]
fn flags_and_variables_count_more_than_the_file() {
    let file = "\
server:
  port: 9001
  tomcat: { keep-alive-timeout: 20s }
  proxy-protocol: { mode: required, trusted-peers: [10.0.0.0/8] }
socket-io: { ping-interval: 20s }
stomp: { heart-beat: [0s, 10s] }
drain: 45s
";
    let alone = application(&[("conf/backend.yaml", file)]);
    assert_eq!(
        shown(alone.keep_alive_timeout.as_ref()),
        "server.tomcat.keep-alive-timeout = 20s (conf/backend.yaml:3:13)"
    );
    assert_eq!(shown(alone.shutdown.grace.as_ref()), "drain = 45s (conf/backend.yaml:7:1)");
    assert!(alone.proxy_protocol.as_ref().unwrap().value);
    assert!(alone.heartbeats[0].interval.value.is_zero(), "{:?}", alone.heartbeats);
    let compose = "\
services:
  web:
    command: albeit-backend --config backend.yaml --keep-alive-timeout 75s
    environment: { WEBSOCKET_PING_INTERVAL: 15000, SERVER_PORT: 8081 }
";
    let both = application(&[("conf/backend.yaml", file), ("compose.yml", compose)]);
    assert_eq!(shown(both.keep_alive_timeout.as_ref()), "--keep-alive-timeout = 75s (compose.yml:3:5)");
    let socket_io = both.socket_io.as_ref().unwrap();
    assert_eq!(shown(Some(&socket_io.ping_interval)), "WEBSOCKET_PING_INTERVAL = 15000 (compose.yml:4:20)");
    assert_eq!(both.port.as_ref().unwrap().value, 8081);
}
