//! The file, flags and variables of `albeit-backend`.
//!
//! What it does without any is in `docs/backend.md`, and in [`DEFAULTS`] as
//! far as it matters here: a test compares both.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{
    Document, SourceError, command, fill,
    properties::{Properties, Variable},
    units::{Unit, size, spring_duration},
};
use crate::doctor::{
    configuration::{self, Configuration, Holds, flatten},
    document::Node,
    setting::Setting,
    system::{Application, Heartbeat, Runtime, SockJs, SocketIo, System},
};

/// Whose defaults hold.
const BACKEND: &str = "albeit-backend";

/// Sections of the file that Spring Boot's has, too.
const SHARED: [&str; 2] = ["management", "server"];
/// Its own sections and keys.
const SECTIONS: [&str; 12] = [
    "drain",
    "instance",
    "limits",
    "presence",
    "relay",
    "security",
    "shutdown",
    "socket-io",
    "sockjs",
    "stomp",
    "store",
    "websocket",
];

/// What holds where nothing is set.
const DEFAULTS: [(&str, &str); 20] = [
    ("server.port", "8080"),
    ("server.shutdown", "graceful"),
    ("server.forward-headers-strategy", "native"),
    ("server.proxy-protocol.mode", "off"),
    ("server.tomcat.keep-alive-timeout", "70s"),
    ("server.tomcat.max-keep-alive-requests", "-1"),
    ("server.tomcat.max-http-header-size", "8192"),
    ("server.tomcat.max-connections", "10000"),
    ("drain", "30s"),
    ("relay.mode", "memory"),
    ("stomp.heart-beat", "[10s, 10s]"),
    ("websocket.ping-interval", "25s"),
    ("sockjs.path", "/ws"),
    ("sockjs.heartbeat-time", "25s"),
    ("sockjs.disconnect-delay", "30s"),
    ("socket-io.enabled", "true"),
    ("socket-io.path", "/socket.io"),
    ("socket-io.ping-interval", "25s"),
    ("socket-io.ping-timeout", "60s"),
    ("socket-io.heartbeat-interval", "30s"),
];

/// Flags with the keys that they are laid over.
const FLAGS: [(&str, &str); 8] = [
    ("--port", "server.port"),
    ("--keep-alive-timeout", "server.tomcat.keep-alive-timeout"),
    ("--drain", "drain"),
    ("--proxy-protocol", "server.proxy-protocol.mode"),
    ("--ssl-certificate", "server.ssl.certificate"),
    ("--socket-io-ping-interval", "socket-io.ping-interval"),
    ("--socket-io-ping-timeout", "socket-io.ping-timeout"),
    ("--socket-io-heartbeat-interval", "socket-io.heartbeat-interval"),
];

/// Variables, likewise.
const VARIABLES: [(&str, &str); 6] = [
    ("SERVER_PORT", "server.port"),
    ("SERVER_PROXYPROTOCOL_MODE", "server.proxy-protocol.mode"),
    ("SERVER_SSL_CERTIFICATE", "server.ssl.certificate"),
    ("WEBSOCKET_PING_INTERVAL", "socket-io.ping-interval"),
    ("WEBSOCKET_PING_TIMEOUT", "socket-io.ping-timeout"),
    ("WEBSOCKET_HEARTBEAT_INTERVAL", "socket-io.heartbeat-interval"),
];

/// Adds what a configuration of `albeit-backend` says.
pub(super) fn read(document: &Document<'_>, system: &mut System) -> Result<bool, SourceError> {
    let [tree] = document.trees.as_slice() else { return Ok(false) };
    let name = document.path.file_name().unwrap_or_default().to_string_lossy();
    let is_springs = name.starts_with("application") || name.starts_with("bootstrap");
    let section = |key: &str| key.split(['.', '[']).next().unwrap_or_default().to_owned();
    let sections: Vec<_> = tree.entries().map(|(key, _)| section(key)).collect();
    let is_own = |name: &String| SECTIONS.contains(&name.as_str());
    let is_known = |name: &String| is_own(name) || SHARED.contains(&name.as_str());
    // What both could have is ours only by the name of the file.
    let is_ours = sections.iter().any(is_own) || (name.contains("backend") && !sections.is_empty());
    if is_springs || !is_ours || !sections.iter().all(is_known) {
        return Ok(false);
    }
    let family = document.path.to_owned();
    let properties = flatten(tree);
    let name =
        tree.get("instance").and_then(Node::text).map_or_else(|| family.display().to_string(), str::to_owned);
    system.applications.push(Application {
        name,
        runtime: Runtime::AlbeitBackend,
        target_groups: document.tied_to.to_vec(),
        configuration: Some(Configuration {
            family,
            documents: vec![configuration::Document { holds: Holds::Always, properties }],
        }),
        ..Application::default()
    });
    Ok(true)
}

/// Fills in what file, variables and flags of an `albeit-backend` say, and its defaults.
pub(super) fn interpret(application: &mut Application, variable: Variable<'_>) {
    let mut properties = Properties::of_files(application, variable);
    for (name, key) in VARIABLES {
        if let Some(setting) = application.environment.get(name) {
            properties.set(key, setting.clone());
        }
    }
    for (flag, key) in FLAGS {
        if let Some(setting) = command::flag(&application.command, &[flag]) {
            properties.set(key, setting);
        }
    }
    let backend = Backend { properties };
    application.runtime = Runtime::AlbeitBackend;
    backend.server(application);
    backend.shutdown(application);
    backend.long_connections(application);
    let path = "/actuator/health";
    fill(&mut application.health_path, Some(Setting::default_of(BACKEND, path.to_owned(), "health", path)));
}

struct Backend<'a> {
    properties: Properties<'a>,
}

impl Backend<'_> {
    /// The first of some keys that is set; else the default of the last.
    fn of(&self, keys: &[&str]) -> Setting<String> {
        self.properties.first(keys).unwrap_or_else(|| {
            let key = keys.last().copied().unwrap_or_default();
            let default = DEFAULTS.iter().find(|(known, _)| *known == key).map_or("", |(_, default)| default);
            Setting::default_of(BACKEND, default.to_owned(), key, default)
        })
    }

    fn duration(&self, keys: &[&str]) -> Option<Setting<Duration>> {
        self.of(keys).filter_map(|text| spring_duration(&text, Unit::Milliseconds))
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<Setting<T>> {
        self.of(&[key]).filter_map(|text| text.trim().parse().ok())
    }

    fn server(&self, application: &mut Application) {
        fill(&mut application.port, self.number("server.port").filter(|port| port.value != 0));
        fill(&mut application.keep_alive_timeout, self.duration(&["server.tomcat.keep-alive-timeout"]));
        let requests = self.number::<i64>("server.tomcat.max-keep-alive-requests");
        fill(
            &mut application.max_keep_alive_requests,
            requests.map(|it| it.map(|most| u64::try_from(most).ok())),
        );
        let sizes = [
            "server.max-http-request-header-size",
            "server.max-http-header-size",
            "server.tomcat.max-http-header-size",
        ];
        fill(&mut application.max_request_header_size, self.of(&sizes).filter_map(|text| size(&text)));
        fill(&mut application.max_connections, self.number("server.tomcat.max-connections"));
        let mode = self.of(&["server.proxy-protocol.mode"]).filter_map(|mode| match mode.as_str() {
            "off" | "false" => Some(false),
            "required" => Some(true),
            // With a header or without one.
            _ => None,
        });
        fill(&mut application.proxy_protocol, mode);
        let strategy = "server.forward-headers-strategy";
        let believed = self.of(&["server.use-forward-headers", strategy]);
        let believed = match self.properties.first(&[strategy]) {
            Some(given) => given.map(|strategy| strategy != "none"),
            None => believed.map(|text| text != "false"),
        };
        fill(&mut application.forwarded_headers, Some(believed));
        let enabled = self.properties.understood(&["server.ssl.enabled"], |text| text.parse().ok(), None);
        let tls = match self.properties.text("server.ssl.certificate") {
            Some(certificate) => enabled.or_else(|| Some(certificate.map(|_| true))),
            None => Some(Setting::default_of(BACKEND, false, "server.ssl.certificate", "none")),
        };
        fill(&mut application.tls, tls);
    }

    /// Within `drain` the process has left.
    fn shutdown(&self, application: &mut Application) {
        let graceful = self.of(&["server.shutdown"]).map(|mode| mode != "immediate");
        fill(&mut application.shutdown.graceful, Some(graceful));
        let drain = self.duration(&["spring.lifecycle.timeout-per-shutdown-phase", "drain"]);
        fill(&mut application.shutdown.grace, drain);
    }

    fn long_connections(&self, application: &mut Application) {
        let heart_beat = self.of(&["stomp.heart-beat[0]", "stomp.heart-beat"]);
        let first = |text: String| {
            let first = text.trim_matches(['[', ']']).split(',').next()?;
            spring_duration(first, Unit::Milliseconds)
        };
        let mut beat = |what, interval: Option<Setting<Duration>>| {
            application.heartbeats.extend(interval.map(|interval| Heartbeat { what, interval }));
        };
        beat("STOMP heart-beat", heart_beat.filter_map(first));
        // To those who asked for no heart-beats.
        beat("WebSocket ping", self.duration(&["websocket.ping-interval"]));
        beat("SockJS heartbeat", self.duration(&["sockjs.heartbeat-time"]));
        let is_on = self.of(&["socket-io.enabled"]).value != "false";
        let times = (self.duration(&["socket-io.ping-interval"]), self.duration(&["socket-io.ping-timeout"]));
        if let (true, (Some(ping_interval), Some(ping_timeout))) = (is_on, times) {
            beat("Engine.IO ping", Some(ping_interval.clone()));
            beat("heartbeat", self.duration(&["socket-io.heartbeat-interval"]));
            let polling = Setting::default_of(BACKEND, true, "socket-io", "polling, websocket");
            fill(&mut application.socket_io, Some(SocketIo { ping_interval, ping_timeout, polling }));
            application.web_socket_paths.push(self.of(&["socket-io.path"]));
        }
        let path = self.of(&["sockjs.path"]);
        let disconnect_delay = self.duration(&["sockjs.disconnect-delay"]);
        fill(
            &mut application.sock_js,
            Some(SockJs { enabled: path.clone().map(|_| true), disconnect_delay }),
        );
        application.web_socket_paths.push(path);
        let mut mode = self.of(&["relay.mode"]);
        if !mode.place.is_file()
            && let Some(redis) = self.properties.below(&["spring.data.redis", "spring.redis"])
        {
            mode = redis.map(|_| "redis".to_owned());
        }
        fill(&mut application.relay, Some(mode));
    }
}
