//! Configuration: defaults, units, and errors that say where.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let config = Config::parse(text, Path::new("backend.yml")).map_err(|e| e.to_string())?;
    config.validate().map_err(|e| e.to_string())?;
    Ok(config)
}

#[track_caller]
fn fails_with(text: &str, expected: &str) {
    assert_eq!(parse(text).expect_err("the text is wrong"), expected);
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("# nothing\n"), Ok(Config::default()));
}

#[test]
fn the_default_is_valid() {
    Config::default().validate().unwrap();
}

#[test]
fn spring_keys_are_read() {
    let config = parse(
        "instance: b1\n\
         server:\n  port: 9001\n  address: 0.0.0.0\n  tomcat:\n    keep-alive-timeout: 20s\n    \
         connection-timeout: 500ms\n    max-http-header-size: 16KB\n    remoteip:\n      \
         internal-proxies: [10.0.0.0/8]\n\
         stomp: { heart-beat: [5s, 0s], client-publish-to-topic: allow }\n\
         drain: 1m\n",
    )
    .unwrap();
    assert_eq!(config.server.port, 9001);
    assert_eq!(config.server.tomcat.keep_alive_timeout, Duration::from_secs(20));
    assert_eq!(config.server.tomcat.connection_timeout, Duration::from_millis(500));
    assert_eq!(config.server.tomcat.max_http_header_size, 16 * 1024);
    assert_eq!(config.stomp.heart_beat.send, Duration::from_secs(5));
    assert_eq!(config.stomp.heart_beat.receive, Duration::ZERO);
    assert_eq!(config.stomp.client_publish_to_topic, ClientPublish::Allow);
    assert_eq!(config.drain, Duration::from_secs(60));
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let error = parse("server:\n  tomcat:\n    keepalive: 3s\n").unwrap_err();
    assert!(error.starts_with("backend.yml: server.tomcat.keepalive: unknown field"), "{error}");
    assert!(error.ends_with("at line 3 column 5"), "{error}");
}

#[test]
fn a_duration_needs_its_unit() {
    fails_with(
        "drain: 30\n",
        "backend.yml: drain: \"30\" is no duration: write a number and one of ms, s, m, h, \
         like 20s at line 1 column 8",
    );
}

#[test]
fn every_invalid_value_is_reported_at_once() {
    fails_with(
        "instance: a b\nserver: { tomcat: { max-connections: 0 } }\n\
         websocket: { allowed-origins: [example.com] }\n",
        "instance: must be 1 to 64 printable characters without blanks\n\
         server.tomcat.max-connections: must be from 1 to 1000000\n\
         websocket.allowed-origins[0]: \"example.com\" is no origin, write scheme://host[:port]",
    );
}

#[test]
fn a_timer_of_zero_is_no_way_to_switch_it_off() {
    fails_with(
        "stomp: { time-to-first-message: 0s }\n\
         websocket: { ping-interval: 0s, close-timeout: 0s }\n",
        "websocket.ping-interval: must be above zero\n\
         websocket.close-timeout: must be above zero\n\
         stomp.time-to-first-message: must be above zero",
    );
}

#[test]
fn stomp_limits_have_bounds() {
    fails_with(
        "stomp: { message-size-limit: 1, header-count-limit: 1, header-size-limit: 1, subscription-limit: 0, \
         send-buffer-size-limit: 0, ack-window: 0, transaction-size-limit: 65MiB }",
        "stomp.message-size-limit: must be from 1KiB to 64MiB\n\
         stomp.header-count-limit: must be from 8 to 10000\n\
         stomp.header-size-limit: must be from 256 bytes to 64MiB\n\
         stomp.subscription-limit: must be from 1 to 100000\n\
         stomp.ack-window: must be from 1 to 10000\n\
         stomp.transaction-size-limit: must not be above 64MiB\n\
         stomp.send-buffer-size-limit: must not be below stomp.message-size-limit",
    );
}

#[test]
fn a_wrong_network_is_named() {
    let error = parse("server: { tomcat: { remoteip: { internal-proxies: [ten] } } }\n");
    let error = error.unwrap_err();
    assert!(error.contains("server.tomcat.remoteip.internal-proxies"), "{error}");
    assert!(error.contains("\"ten\" is no network"), "{error}");
}

#[test]
fn tls_is_on_when_there_is_a_certificate() {
    let files = |text: &str| parse(text).unwrap().server.ssl.files().is_some();
    let both = "certificate: c.pem, certificate-private-key: k.pem";
    assert!(!files(""));
    assert!(files(&format!("server: {{ ssl: {{ {both} }} }}")));
    assert!(files(&format!("server: {{ ssl: {{ enabled: true, {both} }} }}")));
    assert!(!files(&format!("server: {{ ssl: {{ enabled: false, {both} }} }}")));
    assert!(!files("server: { ssl: { enabled: false, certificate: c.pem } }"));
}

#[test]
fn half_of_the_tls_settings_is_an_error() {
    fails_with(
        "server: { ssl: { certificate: c.pem } }",
        "server.ssl.certificate-private-key: must be set with server.ssl.certificate",
    );
    fails_with(
        "server: { ssl: { certificate-private-key: k.pem } }",
        "server.ssl.certificate: must be set with server.ssl.certificate-private-key",
    );
    fails_with(
        "server: { ssl: { enabled: true } }",
        "server.ssl.certificate: must be set with server.ssl.enabled",
    );
}

#[test]
fn the_proxy_protocol_needs_peers_to_trust() {
    let read = |text: &str| parse(text).map(|config| config.server.proxy_protocol);
    assert_eq!(read("").unwrap().mode, ProxyProtocolMode::Off);
    let set = read("server: { proxy-protocol: { mode: required, trusted-peers: [10.0.0.0/8] } }").unwrap();
    assert_eq!(set.mode, ProxyProtocolMode::Required);
    assert!(set.is_trusted("::ffff:10.1.2.3".parse().unwrap()));
    assert!(!set.is_trusted("127.0.0.1".parse().unwrap()));
    for mode in ["optional", "required"] {
        fails_with(
            &format!("server: {{ proxy-protocol: {{ mode: {mode} }} }}"),
            "server.proxy-protocol.trusted-peers: must name the balancers' networks, like [10.0.0.0/8], \
             unless server.proxy-protocol.mode is off",
        );
    }
    let error = read("server:\n  proxy-protocol: { mode: maybe }\n").unwrap_err();
    assert!(error.starts_with("backend.yml: server.proxy-protocol.mode: unknown variant `maybe`"), "{error}");
}

#[test]
fn the_flags_for_tls_and_the_proxy_protocol_override_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "server: { ssl: { certificate: c.pem, certificate-private-key: k.pem } }")
        .unwrap();
    let path = file.path().to_str().unwrap();
    let arguments = <Arguments as clap::Parser>::try_parse_from([
        "albeit-backend",
        "--config",
        path,
        "--ssl-certificate=d.pem",
        "--proxy-protocol=optional",
        "--proxy-protocol-trusted-peers=10.0.0.0/8,::1/128",
    ]);
    let server = arguments.unwrap().into_config().unwrap().server;
    assert_eq!(server.ssl.files(), Some((Path::new("d.pem"), Path::new("k.pem"))));
    assert_eq!(server.proxy_protocol.mode, ProxyProtocolMode::Optional);
    assert_eq!(server.proxy_protocol.trusted_peers.len(), 2);
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let page = include_str!("../../../docs/backend.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let server = parse(example).unwrap().server;
    assert!(server.ssl.files().is_some());
    assert_eq!(server.proxy_protocol.mode, ProxyProtocolMode::Required);
}

#[test]
fn the_file_for_production_is_valid() {
    let config = parse(include_str!("../../../conf/backend-production.yaml")).unwrap();
    assert!(config.without_effect().is_empty());
    assert_eq!(config.security.required, Some(true));
    assert!(config.security.jwt.jwk_set_file.is_some());
    assert_eq!(config.relay.mode, RelayMode::Redis);
    assert!(config.relay.redis.ssl.enabled);
    assert!(config.store.url.0.starts_with("mysql:"));
}

#[test]
fn the_documentation_has_every_flag() {
    let page = include_str!("../../../docs/backend.md");
    for argument in <Arguments as clap::CommandFactory>::command().get_arguments() {
        let flag = format!("--{}", argument.get_long().unwrap());
        assert!(page.contains(&flag), "{flag}");
        if let Some(variable) = argument.get_env() {
            let variable = format!("`{}`", variable.to_str().unwrap());
            assert!(page.contains(&variable), "{variable}");
        }
    }
}

#[test]
fn durations_and_sizes_parse() {
    for (text, millis) in [("20s", 20_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000)] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "s", "5", "5 s", "-1s", "1.5s", "99999999999999999999s"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
    for (text, bytes) in [("8192", 8192), ("64KiB", 65_536), ("1MB", 1 << 20), ("7B", 7)] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    for text in ["", "KiB", "1GB", "-1"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
}

#[test]
fn the_time_scale_divides_every_timer_and_keeps_zero() {
    let mut config = Config::default();
    config.stomp.heart_beat.receive = Duration::ZERO;
    let config = config.scaled(100);
    assert_eq!(config.server.tomcat.keep_alive_timeout, Duration::from_millis(700));
    assert_eq!(config.stomp.heart_beat.send, Duration::from_millis(100));
    assert_eq!(config.stomp.heart_beat.receive, Duration::ZERO);
}

#[test]
fn flags_override_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "server: { port: 1 }\ndrain: 3s\n").unwrap();
    let arguments = Arguments {
        config: Some(file.path().to_owned()),
        port: Some(0),
        time_scale: 1,
        ..Arguments::default()
    };
    let config = arguments.into_config().unwrap();
    assert_eq!((config.server.port, config.drain), (0, Duration::from_secs(3)));
}
