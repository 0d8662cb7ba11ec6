//! Metrics in the JSON of Spring Boot's `/actuator/metrics`, for the scripts
//! that read one number, as those that scale by `websocket.connections.active`.

use std::collections::{BTreeMap, BTreeSet};

use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde::Serialize;

use super::Metrics;

/// What Prometheus appends to a name and Micrometer does not.
const SUFFIXES: [&str; 3] = ["", "_total", "_seconds"];

/// One metric, summed up over the tags that were not asked for.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Meter<'a> {
    name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_unit: Option<&'static str>,
    measurements: Vec<Measurement>,
    available_tags: Vec<Tag<'a>>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Measurement {
    statistic: &'static str,
    value: f64,
}

#[derive(Debug, PartialEq, Serialize)]
struct Tag<'a> {
    tag: &'a str,
    values: BTreeSet<&'a str>,
}

impl Metrics {
    /// All names, dotted: `{"names":["http.server.requests",…]}`.
    #[must_use]
    pub fn meter_names(&self) -> String {
        let families = self.gather();
        let names: BTreeSet<_> = families.iter().map(|family| dotted(family.name())).collect();
        json(&BTreeMap::from([("names", names)]))
    }

    /// The metric of this name, as `websocket.connections.active`, of the
    /// series with all these tags; None if there is no such one.
    #[must_use]
    pub fn meter(&self, name: &str, tags: &[(String, String)]) -> Option<String> {
        let families = self.gather();
        let spelled = name.replace(['.', '-'], "_");
        let find = |suffix: &str| {
            let wanted = format!("{spelled}{suffix}");
            families.iter().find(|family| family.name() == wanted)
        };
        let family = SUFFIXES.into_iter().find_map(find)?;
        let series: Vec<_> = family.get_metric().iter().filter(|series| has(series, tags)).collect();
        if series.is_empty() {
            return None;
        }
        let mut measurements = measurements(family, &series);
        if let Some(max) = find("_seconds_max").and_then(|family| family.get_metric().first()) {
            measurements.push(Measurement { statistic: "MAX", value: max.get_gauge().get_value() });
        }
        Some(json(&Meter {
            name,
            description: family.help(),
            base_unit: family.name().ends_with("_seconds").then_some("seconds"),
            measurements,
            available_tags: available(&series, tags),
        }))
    }
}

fn has(series: &Metric, tags: &[(String, String)]) -> bool {
    tags.iter().all(|(tag, value)| series.get_label().iter().any(|l| l.name() == tag && l.value() == value))
}

fn measurements(family: &MetricFamily, series: &[&Metric]) -> Vec<Measurement> {
    let sum = |statistic, value: fn(&Metric) -> f64| Measurement {
        statistic,
        value: series.iter().map(|series| value(series)).sum(),
    };
    match family.get_field_type() {
        MetricType::COUNTER => vec![sum("COUNT", |series| series.get_counter().get_value())],
        MetricType::HISTOGRAM => vec![
            sum("COUNT", |series| to_f64(series.get_histogram().get_sample_count())),
            sum("TOTAL_TIME", |series| series.get_histogram().get_sample_sum()),
        ],
        MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => {
            vec![sum("VALUE", |series| series.get_gauge().get_value())]
        }
    }
}

/// The tags that tell the series apart, besides those asked for.
fn available<'a>(series: &[&'a Metric], asked: &[(String, String)]) -> Vec<Tag<'a>> {
    let mut tags = BTreeMap::<&str, BTreeSet<&str>>::new();
    for label in series.iter().flat_map(|series| series.get_label()) {
        if asked.iter().all(|(tag, _)| tag != label.name()) {
            tags.entry(label.name()).or_default().insert(label.value());
        }
    }
    tags.into_iter().map(|(tag, values)| Tag { tag, values }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "JSON numbers are no more exact")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// `http_server_requests_seconds` as `http.server.requests`.
fn dotted(name: &str) -> String {
    name.strip_suffix("_seconds").unwrap_or(name).replace('_', ".")
}

fn json(value: &impl Serialize) -> String {
    // All keys are strings: there is nothing to fail.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use tokio::time::Instant;

    use super::*;

    fn value(json: Option<String>) -> serde_json::Value {
        serde_json::from_str(&json.expect("a meter")).unwrap()
    }

    #[test]
    fn a_gauge_and_a_counter_are_one_number() {
        let metrics = Metrics::try_new().unwrap();
        metrics.websocket_connections_active.set(3);
        metrics.websocket_messages_received.inc_by(7);
        assert_eq!(
            metrics.meter("websocket.connections.active", &[]).unwrap(),
            r#"{"name":"websocket.connections.active","description":"Open WebSockets","#.to_owned()
                + r#""measurements":[{"statistic":"VALUE","value":3.0}],"availableTags":[]}"#
        );
        for name in ["websocket.messages.received", "websocket.messages.received.total"] {
            let meter = value(metrics.meter(name, &[]));
            assert_eq!(meter["measurements"][0], serde_json::json!({ "statistic": "COUNT", "value": 7.0 }));
        }
        assert_eq!(metrics.meter("websocket.nothing", &[]), None);
        assert!(metrics.meter_names().contains(r#""websocket.message.processing.time","#));
    }

    #[test]
    fn a_timer_is_summed_up_and_told_apart_by_tags() {
        let metrics = Metrics::try_new().unwrap();
        for uri in ["/a", "/a", "/b"] {
            drop(metrics.http.request(Instant::now(), &Method::GET, StatusCode::OK, uri));
        }
        let all = value(metrics.meter("http.server.requests", &[]));
        assert_eq!(all["baseUnit"], "seconds");
        assert_eq!(all["measurements"][0], serde_json::json!({ "statistic": "COUNT", "value": 3.0 }));
        assert_eq!(all["availableTags"][3], serde_json::json!({ "tag": "uri", "values": ["/a", "/b"] }));
        let tag = |uri: &str| [("uri".to_owned(), uri.to_owned())];
        let one = value(metrics.meter("http.server.requests", &tag("/a")));
        assert_eq!(one["measurements"][0]["value"], 2.0);
        assert_eq!(one["availableTags"].as_array().unwrap().len(), 3);
        assert_eq!(metrics.meter("http.server.requests", &tag("/c")), None);
        let timer = value(metrics.meter("websocket.message.processing.time", &[]));
        assert_eq!(timer["measurements"][2]["statistic"], "MAX");
    }
}
