//! What Spring's keys mean here.

/// What becomes of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is the setting of this path.
    Setting(String, Kind),
    /// It is Spring's or the application's own.
    Ignored,
    /// It cannot be ignored, for this reason.
    Refused(&'static str),
}

/// How Spring writes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As we do.
    Plain,
    /// Milliseconds when there is no unit, or ISO 8601.
    Duration,
    /// With commas, or as a list.
    List,
    /// The address of a database.
    Jdbc,
    /// `never`, `when-authorized`, `always`.
    ShowDetails,
}

/// Sections of our own file.
const SECTIONS: [&str; 14] = [
    "drain",
    "instance",
    "limits",
    "management",
    "presence",
    "relay",
    "security",
    "server",
    "shutdown",
    "socket-io",
    "sockjs",
    "stomp",
    "store",
    "websocket",
];

/// Spring's keys and our paths; an empty one is the same.
const SHARED: [(&str, &str, Kind); 24] = [
    ("management.endpoint.health.cache.time-to-live", "", Kind::Duration),
    ("management.endpoint.health.group.readiness.include", "", Kind::List),
    ("management.endpoint.health.show-details", "", Kind::ShowDetails),
    ("management.health.optional", "", Kind::List),
    ("server.connection-timeout", "server.tomcat.connection-timeout", Kind::Duration),
    ("server.proxy-protocol.trusted-peers", "", Kind::List),
    ("server.tomcat.connection-timeout", "", Kind::Duration),
    ("server.tomcat.host-header", "server.tomcat.remoteip.host-header", Kind::Plain),
    ("server.tomcat.internal-proxies", "server.tomcat.remoteip.internal-proxies", Kind::Plain),
    ("server.tomcat.keep-alive-timeout", "", Kind::Duration),
    ("server.tomcat.max-threads", "server.tomcat.threads.max", Kind::Plain),
    ("server.tomcat.min-spare-threads", "server.tomcat.threads.min-spare", Kind::Plain),
    ("server.tomcat.port-header", "server.tomcat.remoteip.port-header", Kind::Plain),
    ("server.tomcat.protocol-header", "server.tomcat.remoteip.protocol-header", Kind::Plain),
    (
        "server.tomcat.protocol-header-https-value",
        "server.tomcat.remoteip.protocol-header-https-value",
        Kind::Plain,
    ),
    ("server.tomcat.remote-ip-header", "server.tomcat.remoteip.remote-ip-header", Kind::Plain),
    ("spring.datasource.password", "store.password", Kind::Plain),
    ("spring.datasource.url", "store.url", Kind::Jdbc),
    ("spring.datasource.username", "store.username", Kind::Plain),
    ("spring.lifecycle.timeout-per-shutdown-phase", "drain", Kind::Duration),
    ("websocket.allowed-origins", "", Kind::List),
    ("websocket.close-timeout", "", Kind::Duration),
    ("websocket.ping-interval", "", Kind::Duration),
    ("drain", "", Kind::Duration),
];

/// Where Spring Boot keeps Redis, in versions 3 and 2.
const REDIS: [&str; 2] = ["spring.data.redis.", "spring.redis."];

/// Keys below those, which the relay has under the same name but for the
/// `relay.redis` before it.
const REDIS_KEYS: [(&str, &str, Kind); 11] = [
    ("cluster.nodes", "cluster.nodes", Kind::List),
    ("connect-timeout", "connect-timeout", Kind::Duration),
    ("database", "database", Kind::Plain),
    ("host", "host", Kind::Plain),
    ("password", "password", Kind::Plain),
    ("port", "port", Kind::Plain),
    ("ssl", "ssl.enabled", Kind::Plain),
    ("ssl.enabled", "ssl.enabled", Kind::Plain),
    ("timeout", "timeout", Kind::Duration),
    ("url", "url", Kind::Plain),
    ("username", "username", Kind::Plain),
];

/// Spring's own below sections that we have, too.
const SPRINGS: [&str; 35] = [
    "management.auditevents",
    "management.defaults",
    "management.endpoint.health.access",
    "management.endpoint.health.enabled",
    "management.endpoint.health.group",
    "management.endpoint.health.probes",
    "management.endpoint.health.roles",
    "management.endpoint.health.show-components",
    "management.endpoint.health.status",
    "management.endpoint.health.validate-group-membership",
    "management.endpoints",
    "management.httpexchanges",
    "management.info",
    "management.logging",
    "management.metrics",
    "management.observations",
    "management.otlp",
    "management.prometheus",
    "management.server",
    "management.tracing",
    "management.zipkin",
    "server.compression",
    "server.error",
    "server.http2",
    "server.jetty",
    "server.max-http-post-size",
    "server.netty",
    "server.reactive",
    "server.server-header",
    "server.servlet",
    "server.tomcat.accesslog",
    "server.tomcat.mbeanregistry",
    "server.tomcat.resource",
    "server.tomcat.use-apr",
    "server.undertow",
];

/// Tomcat's own that have no further keys.
const TOMCATS: [&str; 14] = [
    "additional-tld-skip-patterns",
    "background-processor-delay",
    "basedir",
    "max-http-form-post-size",
    "max-http-post-size",
    "max-http-response-header-size",
    "max-parameter-count",
    "max-part-count",
    "max-part-header-size",
    "max-swallow-size",
    "processor-cache",
    "redirect-context-root",
    "reject-illegal-header",
    "uri-encoding",
];

/// Parts of a Java key store, which would leave the port without TLS.
const KEY_STORES: [&str; 4] =
    ["server.ssl.key-store", "server.ssl.trust-store", "server.ssl.bundle", "server.ssl.key-alias"];

/// What becomes of a key.
pub(super) fn meaning(key: &str) -> Meaning {
    if let Some((_, path, kind)) = SHARED.into_iter().find(|(shared, ..)| *shared == key) {
        let path = if path.is_empty() { key } else { path };
        return Meaning::Setting(path.to_owned(), kind);
    }
    if let Some(rest) = below_redis(key) {
        let shared = REDIS_KEYS.into_iter().find(|(shared, ..)| *shared == rest);
        return shared.map_or(Meaning::Ignored, |(_, path, kind)| {
            Meaning::Setting(format!("relay.redis.{path}"), kind)
        });
    }
    if KEY_STORES.iter().any(|start| key.starts_with(start)) {
        return Meaning::Refused(
            "Java key stores are not read: write server.ssl.certificate and \
             server.ssl.certificate-private-key, which are PEM files",
        );
    }
    let section = key.split('.').next().unwrap_or_default();
    if !SECTIONS.contains(&section) || is_springs(key) {
        return Meaning::Ignored;
    }
    Meaning::Setting(key.to_owned(), Kind::Plain)
}

/// Whether a key tells where Redis is.
pub(super) fn names_redis(key: &str) -> bool {
    below_redis(key).is_some_and(|rest| matches!(rest, "host" | "url" | "cluster.nodes"))
}

fn below_redis(key: &str) -> Option<&str> {
    REDIS.into_iter().find_map(|start| key.strip_prefix(start))
}

fn is_springs(key: &str) -> bool {
    let is_below = |start: &str| {
        key.strip_prefix(start).is_some_and(|rest| matches!(rest.get(..1), None | Some("." | "[")))
    };
    if SPRINGS.into_iter().any(is_below) {
        return true;
    }
    if let Some(rest) = key.strip_prefix("server.tomcat.") {
        return TOMCATS.contains(&rest) || rest.starts_with("relaxed-");
    }
    // `management.health.redis.enabled`, `management.endpoint.info.enabled`.
    let is_switch = key.ends_with(".enabled") || key.ends_with(".access");
    is_switch && (key.starts_with("management.health.") || key.starts_with("management.endpoint."))
}
