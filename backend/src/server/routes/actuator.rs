//! `/actuator/prometheus` and `/actuator/metrics`, besides the `/metrics` of
//! everybody else.

use http::{StatusCode, Uri};

use crate::endpoint::Services;
use crate::server::response::{self, Answer};

use super::health::ACTUATOR;

/// Text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers a path of metrics, if it is one.
pub(super) fn respond(uri: &Uri, services: &Services) -> Option<Answer> {
    let metrics = &services.metrics;
    let json = match uri.path() {
        "/metrics" | "/actuator/prometheus" => {
            return Some(match metrics.render() {
                Ok(body) => response::content(StatusCode::OK, PROMETHEUS, body),
                Err(error) => super::internal(&error),
            });
        }
        "/actuator/metrics" => metrics.meter_names(),
        path => metrics.meter(path.strip_prefix("/actuator/metrics/")?, &tags(uri.query()))?,
    };
    Some(response::content(StatusCode::OK, ACTUATOR, json))
}

/// `tag=uri:/health&tag=status:200`.
fn tags(query: Option<&str>) -> Vec<(String, String)> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let tags = pairs.filter(|(name, _)| name == "tag");
    tags.filter_map(|(_, tag)| tag.split_once(':').map(|(tag, value)| (tag.into(), value.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_the_query() {
        let pair = |tag: &str, value: &str| (tag.to_owned(), value.to_owned());
        assert_eq!(
            tags(Some("tag=uri:%2Fhealth&x=1&tag=status:200")),
            [pair("uri", "/health"), pair("status", "200")]
        );
        assert_eq!(tags(Some("tag=uri")), []);
        assert_eq!(tags(None), []);
    }
}
