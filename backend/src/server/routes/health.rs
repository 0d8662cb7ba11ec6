//! `/health`, `/actuator/health/**` and `/health/websocket`.

use http::header::{ACCEPT, HeaderMap};

use crate::endpoint::Services;
use crate::health::{Check, Connections, Report, WebSocketHealth};
use crate::server::response::{self, Answer, JSON};

/// Media type of Spring Boot's actuator.
pub(super) const ACTUATOR: &str = "application/vnd.spring-boot.actuator.v3+json";

/// The one before.
const ACTUATOR_V2: &str = "application/vnd.spring-boot.actuator.v2+json";

/// Answers a path of health, if it is one.
pub(super) async fn respond(path: &str, headers: &HeaderMap, services: &Services) -> Option<Answer> {
    let (check, media_type) = match path {
        "/health/websocket" => return Some(answer(web_socket(services), JSON)),
        "/health" => (Check::Overall, JSON),
        "/actuator/health" => (Check::Overall, media_type(headers)),
        _ => {
            let check = match path.strip_prefix("/actuator/health/")? {
                "readiness" => Check::Readiness,
                "liveness" => Check::Liveness,
                name => Check::Component(name),
            };
            (check, media_type(headers))
        }
    };
    let report = services.health.report(check, &services.lifecycle).await?;
    Some(answer(report, media_type))
}

fn answer(report: Report, media_type: &'static str) -> Answer {
    response::content(report.code, media_type, report.body)
}

/// The actuator's own, unless the client asks for JSON by another name.
fn media_type(headers: &HeaderMap) -> &'static str {
    let accepted = headers.get_all(ACCEPT).into_iter().filter_map(|line| line.to_str().ok());
    let named = accepted.flat_map(|line| line.split(',')).filter_map(|entry| {
        let name = entry.split(';').next().unwrap_or_default().trim();
        [ACTUATOR, ACTUATOR_V2, JSON].into_iter().find(|known| name.eq_ignore_ascii_case(known))
    });
    named.into_iter().next().unwrap_or(ACTUATOR)
}

fn web_socket(services: &Services) -> Report {
    let metrics = &services.metrics;
    let connections = Connections {
        websocket: metrics.websocket_connections_active.get(),
        tcp: metrics.http_connections_active.get(),
        max: services.config.server.tomcat.max_connections,
    };
    let instance = &services.config.instance;
    WebSocketHealth { endpoint: "/chat", instance, connections }.report(&services.lifecycle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: &str) {
        let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
        assert_eq!(media_type(&headers), expected, "{accept}");
    }

    #[test]
    fn json_is_sent_to_those_who_ask_for_it() {
        check("*/*", ACTUATOR);
        check("text/html", ACTUATOR);
        check("application/json", JSON);
        check("text/html, Application/JSON;q=0.9, */*", JSON);
        check(ACTUATOR_V2, ACTUATOR_V2);
        assert_eq!(media_type(&HeaderMap::new()), ACTUATOR);
    }
}
