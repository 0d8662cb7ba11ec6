//! What Spring Boot's settings mean, and what holds where nothing is set.
//!
//! Spring Boot, "Common Application Properties: Server Properties"; Apache
//! Tomcat, "The HTTP Connector".

use std::time::Duration;

use crate::doctor::{
    setting::Setting,
    sources::{
        fill,
        properties::{Properties, Variable},
        units::{Unit, size, spring_duration},
        web_socket,
    },
    system::{Application, Runtime},
};

const SPRING: &str = "Spring Boot";
const TOMCAT: &str = "Tomcat in Spring Boot";

/// Tomcat keeps an idle connection for its keepAliveTimeout, which is its connectionTimeout if nobody sets it, which
/// is 60 s: the 20 s that many know stand in the server.xml of the distribution, which Spring Boot does not read.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// `server.tomcat.max-keep-alive-requests`.
const MAX_KEEP_ALIVE_REQUESTS: u64 = 100;
/// `server.max-http-request-header-size`.
const MAX_REQUEST_HEADER_SIZE: u64 = 8 * 1024;
/// `server.tomcat.max-connections`.
const MAX_CONNECTIONS: u64 = 8192;
/// `spring.lifecycle.timeout-per-shutdown-phase`.
const SHUTDOWN_PHASE: Duration = Duration::from_secs(30);
/// `server.servlet.session.timeout`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// `server.port`.
const PORT: u16 = 8080;

/// Fills in what configuration, environment and command line of a Spring Boot application say, and its defaults.
pub(in crate::doctor::sources) fn interpret(application: &mut Application, variable: Variable<'_>) {
    let properties = Properties::of(application, variable);
    // A container has a name already.
    if application.image.is_none()
        && application.environment.is_empty()
        && let Some(name) = properties.text("spring.application.name")
    {
        application.name = name.value;
    }
    application.runtime = Runtime::Spring;
    port_and_tls(application, &properties);
    connections(application, &properties);
    forwarded_headers(application, &properties);
    shutdown(application, &properties);
    sessions(application, &properties);
    health(application, &properties);
    let slow = properties.duration(&["spring.mvc.async.request-timeout"], None);
    fill(&mut application.longest_request, slow);
    web_socket::interpret(application, &properties.all_of_files());
}

/// A default of Tomcat in the key's own words.
fn tomcat<T>(key: &str, value: T, written: &str) -> Option<Setting<T>> {
    Some(Setting::default_of(TOMCAT, value, key, written))
}

fn port_and_tls(application: &mut Application, properties: &Properties<'_>) {
    let default = Setting::default_of(SPRING, PORT, "server.port", "8080");
    let port = |text: &str| text.parse().ok().filter(|port| *port != 0);
    fill(&mut application.port, properties.understood(&["server.port"], port, Some(default)));
    let enabled = properties.understood(&["server.ssl.enabled"], |text| text.parse().ok(), None);
    let given = properties.below(&["server.ssl.key-store", "server.ssl.certificate", "server.ssl.bundle"]);
    // Without a key there is no TLS, whatever `enabled` says.
    let tls = match given {
        Some(key) => enabled.or_else(|| Some(key.map(|_| true))),
        None => Some(Setting::default_of(SPRING, false, "server.ssl.key-store", "none")),
    };
    fill(&mut application.tls, tls);
}

/// Keep-alive, sizes and numbers, under the names of the server that is embedded.
fn connections(application: &mut Application, properties: &Properties<'_>) {
    let never = |key: &str| Setting::default_of("Netty", None, key, "no limit");
    let requests = |text: &str| match text.parse::<i64>().ok()? {
        below if below < 0 => Some(None),
        number => u64::try_from(number).ok().map(Some),
    };
    let (keep_alive, max_requests) = if properties.below(&["server.undertow"]).is_some() {
        // Undertow: NO_REQUEST_TIMEOUT.
        let default = Setting::default_of(
            "Undertow",
            Duration::from_secs(60),
            "server.undertow.no-request-timeout",
            "60s",
        );
        (properties.duration(&["server.undertow.no-request-timeout"], Some(default)), None)
    } else if properties.below(&["server.jetty"]).is_some() {
        // Jetty: idleTimeout of a connector.
        let default = Setting::default_of(
            "Jetty",
            Duration::from_secs(30),
            "server.jetty.connection-idle-timeout",
            "30s",
        );
        (properties.duration(&["server.jetty.connection-idle-timeout"], Some(default)), None)
    } else if properties.below(&["server.netty"]).is_some() {
        let key = "server.netty.max-keep-alive-requests";
        let max = properties.understood(&[key], requests, Some(never(key)));
        (properties.duration(&["server.netty.idle-timeout"], None), max)
    } else {
        let keys = [
            "server.tomcat.keep-alive-timeout",
            "server.tomcat.connection-timeout",
            "server.connection-timeout",
        ];
        let default = tomcat("server.tomcat.keep-alive-timeout", KEEP_ALIVE_TIMEOUT, "60s");
        let max = "server.tomcat.max-keep-alive-requests";
        let max = properties.understood(&[max], requests, tomcat(max, Some(MAX_KEEP_ALIVE_REQUESTS), "100"));
        let connections = "server.tomcat.max-connections";
        let most = tomcat(connections, MAX_CONNECTIONS, "8192");
        fill(
            &mut application.max_connections,
            properties.understood(&[connections], |text| text.parse().ok(), most),
        );
        (properties.duration(&keys, default), max)
    };
    fill(&mut application.keep_alive_timeout, keep_alive);
    fill(&mut application.max_keep_alive_requests, max_requests);
    let keys = [
        "server.max-http-request-header-size",
        "server.max-http-header-size",
        "server.tomcat.max-http-header-size",
    ];
    let default =
        Setting::default_of(SPRING, MAX_REQUEST_HEADER_SIZE, "server.max-http-request-header-size", "8KB");
    fill(&mut application.max_request_header_size, properties.understood(&keys, size, Some(default)));
}

fn forwarded_headers(application: &mut Application, properties: &Properties<'_>) {
    let key = "server.forward-headers-strategy";
    let strategy = |text: &str| match text.to_ascii_lowercase().as_str() {
        "none" => Some(false),
        "native" | "framework" => Some(true),
        _ => None,
    };
    // Tomcat's valve is there when one of its headers is named.
    let by_valve = || {
        let names = ["server.tomcat.remoteip.remote-ip-header", "server.tomcat.remoteip.protocol-header"];
        let names_before = ["server.tomcat.remote-ip-header", "server.tomcat.protocol-header"];
        names.iter().chain(&names_before).find_map(|key| properties.text(key)).map(|it| it.map(|_| true))
    };
    // Kubernetes and a few other platforms are found out, and there it is `native`.
    let default = || Some(Setting::default_of(SPRING, false, key, "none"));
    let found = match properties.first(&[key]) {
        Some(given) => given.filter_map(|text| strategy(text.trim())),
        None => {
            let older =
                properties.understood(&["server.use-forward-headers"], |text| text.parse().ok(), None);
            older.or_else(by_valve).or_else(default)
        }
    };
    fill(&mut application.forwarded_headers, found);
}

/// Whether `graceful` holds when nothing is set depends on the version: since 3.4 it does.
fn shutdown(application: &mut Application, properties: &Properties<'_>) {
    let mode = |text: &str| match text.to_ascii_lowercase().as_str() {
        "graceful" => Some(true),
        "immediate" => Some(false),
        _ => None,
    };
    let graceful = properties.understood(&["server.shutdown"], mode, None);
    let key = "spring.lifecycle.timeout-per-shutdown-phase";
    let is_graceful = graceful.as_ref().is_some_and(|setting| setting.value);
    let default = is_graceful.then(|| Setting::default_of(SPRING, SHUTDOWN_PHASE, key, "30s"));
    fill(&mut application.shutdown.graceful, graceful);
    fill(&mut application.shutdown.grace, properties.duration(&[key], default));
}

/// Sessions of servlets live in the process unless Spring Session keeps them elsewhere.
fn sessions(application: &mut Application, properties: &Properties<'_>) {
    let store = properties.text("spring.session.store-type");
    let in_process = match store {
        Some(store) => {
            let is_memory = matches!(uniform_word(&store.value).as_str(), "none" | "hashmap" | "simple");
            is_memory.then_some(store)
        }
        None if properties.below(&["spring.session"]).is_some() => None,
        None => properties.below(&["server.servlet.session", "server.session"]),
    };
    if in_process.is_some() {
        let key = "server.servlet.session.timeout";
        let default = Setting::default_of(SPRING, SESSION_TIMEOUT, key, "30m");
        let seconds = |text: &str| spring_duration(text, Unit::Seconds);
        let timeout = properties.understood(&[key, "server.session.timeout"], seconds, Some(default));
        fill(&mut application.session_timeout, timeout);
    }
    fill(&mut application.sessions, in_process);
}

fn uniform_word(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The actuator's path, if anything says that there is one.
fn health(application: &mut Application, properties: &Properties<'_>) {
    let Some(sign) = properties.below(&["management"]) else { return };
    let text =
        |key: &str, default: &str| properties.text(key).map_or_else(|| default.to_owned(), |it| it.value);
    let is_apart = properties.text("management.server.port").is_some();
    let context = if is_apart { String::new() } else { text("server.servlet.context-path", "") };
    let base = text("management.endpoints.web.base-path", "/actuator");
    let name = text("management.endpoints.web.path-mapping.health", "health");
    let path = [&context, &base, &name]
        .into_iter()
        .map(|part| part.trim_matches('/'))
        .filter(|part| !part.is_empty())
        .fold(String::new(), |path, part| path + "/" + part);
    fill(&mut application.health_path, Some(Setting { value: path, ..sign }));
}
