//! The label `uri` of requests: Micrometer's templates, never the path as a
//! client wrote it.

use std::borrow::Cow;

use http::StatusCode;

use crate::config::Config;

use super::sock_js;

/// Paths that are their own template.
const FIXED: [&str; 14] = [
    "/",
    "/actuator/health",
    "/actuator/health/liveness",
    "/actuator/health/readiness",
    "/actuator/metrics",
    "/actuator/prometheus",
    "/assets/stomp.umd.min.js",
    "/assets/stomp.umd.min.js.LICENSE",
    "/echo",
    "/health",
    "/health/websocket",
    "/metrics",
    "/socket.io/",
    "/whoami",
];

/// Beginnings, and what follows them: one segment or more.
const VARIABLE: [(&str, &str); 3] = [
    ("/actuator/health/", "/actuator/health/{*path}"),
    ("/actuator/metrics/", "/actuator/metrics/{requiredMetricName}"),
    ("/rooms/", "/rooms/{id}/messages"),
];

/// The last segment of a SockJS address.
const TRANSPORTS: [&str; 8] =
    ["eventsource", "htmlfile", "jsonp", "jsonp_send", "websocket", "xhr", "xhr_send", "xhr_streaming"];

/// The template of a path that was answered with `status`.
pub(in crate::server) fn template<'a>(path: &'a str, status: StatusCode, config: &'a Config) -> Cow<'a, str> {
    if status == StatusCode::NOT_FOUND {
        return "NOT_FOUND".into();
    }
    if let Some(rest) = sock_js::under(path, &config.sockjs) {
        return under_sock_js(&config.sockjs.path, rest);
    }
    if let Some(fixed) = FIXED.into_iter().find(|fixed| *fixed == path) {
        return fixed.into();
    }
    let variable = VARIABLE.into_iter().find(|(start, _)| path.starts_with(start));
    variable.map_or("UNKNOWN", |(_, template)| template).into()
}

fn under_sock_js<'a>(base: &'a str, rest: &str) -> Cow<'a, str> {
    let segments: Vec<_> = rest.split('/').skip(1).collect();
    match *segments.as_slice() {
        [] | [""] => base.into(),
        ["info"] => format!("{base}/info").into(),
        ["websocket"] => format!("{base}/websocket").into(),
        [iframe] if iframe.starts_with("iframe") => format!("{base}/iframe.html").into(),
        [_, _, last] => match TRANSPORTS.into_iter().find(|transport| *transport == last) {
            Some(transport) => format!("{base}/{{server}}/{{session}}/{transport}").into(),
            None => "UNKNOWN".into(),
        },
        _ => "UNKNOWN".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        assert_eq!(template(path, StatusCode::OK, &Config::default()), expected, "{path}");
    }

    #[test]
    fn paths_become_templates() {
        check("/health", "/health");
        check("/actuator/health/readiness", "/actuator/health/readiness");
        check("/actuator/health/redis", "/actuator/health/{*path}");
        check("/rooms/7/messages", "/rooms/{id}/messages");
        check("/ws", "/ws");
        check("/ws/info", "/ws/info");
        check("/ws/iframe-1.0.html", "/ws/iframe.html");
        check("/ws/000/abcdefgh/xhr_send", "/ws/{server}/{session}/xhr_send");
        check("/ws/000/abcdefgh/made-up", "UNKNOWN");
        check("/made-up", "UNKNOWN");
        assert_eq!(template("/made-up", StatusCode::NOT_FOUND, &Config::default()), "NOT_FOUND");
    }
}
