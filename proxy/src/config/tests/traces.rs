//! `traces`: what it means and what is wrong with it.

use std::time::Duration;

use super::{load, shown};
use crate::{
    config::summary,
    model::traces::{Sampler, Traces},
};

const REST: &str = "\
load_balancers:
  - name: edge
    listeners:
      - { protocol: HTTP, port: 80, default_actions: [{ fixed_response: { status_code: 404 } }] }
";

fn traces(section: &str) -> Option<Traces> {
    load(&format!("{REST}{section}")).unwrap().model.traces
}

#[test]
fn requests_are_not_traced_unless_the_file_says_so() {
    assert_eq!(traces(""), None);
    assert_eq!(traces("traces: { endpoint: http://127.0.0.1:4318, enabled: false }\n"), None);
}

#[test]
fn all_but_the_endpoint_has_a_default() {
    let traces = traces("traces: { endpoint: http://127.0.0.1:4318 }\n").unwrap();
    assert_eq!(traces.endpoint, "http://127.0.0.1:4318/v1/traces");
    assert_eq!((traces.sampler, traces.sampling_ratio), (Sampler::ParentBasedTraceIdRatio, 1.0));
    assert_eq!((traces.service_name.as_str(), traces.timeout), ("albeit", Duration::from_secs(10)));
    assert!(traces.propagate && traces.headers.is_empty() && traces.resource_attributes.is_empty());
}

#[test]
fn every_setting_is_taken() {
    let traces = traces(
        "\
traces:
  enabled: true
  endpoint: https://collector.example.com/otlp/v1/traces?tenant=a
  headers: { Api-Key: s3cret, X-Scope: 1 }
  sampler: traceidratio
  sampling_ratio: 0.1
  service_name: edge
  resource_attributes: { deployment.environment.name: test }
  timeout: 2500ms
  propagate: false
",
    )
    .unwrap();
    assert_eq!(traces.endpoint, "https://collector.example.com/otlp/v1/traces?tenant=a");
    let headers: Vec<_> = traces.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert_eq!(headers, ["api-key: Sensitive", "x-scope: Sensitive"], "values are not shown");
    assert_eq!((traces.sampler, traces.sampling_ratio), (Sampler::TraceIdRatio, 0.1));
    assert_eq!(traces.service_name, "edge");
    assert_eq!(traces.resource_attributes["deployment.environment.name"], "test");
    assert_eq!((traces.timeout, traces.propagate), (Duration::from_millis(2500), false));
}

#[test]
fn mistakes_are_shown_with_their_places() {
    insta::assert_snapshot!(shown(&format!("{REST}{}", "\
traces:
  headers: { Content-Type: text/plain, \"a b\": x, Key: 1, key: 2 }
  sampler: always_on
  sampling_ratio: 1.1
  service_name: \"\"
  resource_attributes: { team: ~ }
  timeout: 61s
  propagate: maybe
  protocol: grpc
")), @r#"
    alb.yaml:5:1: traces.endpoint: is missing
    alb.yaml:6:14: traces.headers.Content-Type: is set by the exporter
    alb.yaml:6:40: traces.headers.a b: is not a header field
    alb.yaml:6:58: traces.headers.key: is there twice, whatever the case of its letters
    alb.yaml:7:3: traces.sampler: sampler 'always_on' must be one of 'parentbased_traceidratio, traceidratio'
    alb.yaml:8:3: traces.sampling_ratio: '1.1' is not a number from 0 to 1, such as 0.1
    alb.yaml:9:3: traces.service_name: must not be empty
    alb.yaml:10:26: traces.resource_attributes.team: is missing
    alb.yaml:11:3: traces.timeout: must be between 1ms and 60s
    alb.yaml:12:3: traces.propagate: invalid type: string "maybe", expected a boolean
    alb.yaml:13:3: traces.protocol: unknown key "protocol", expected one of "enabled", "endpoint", "headers", "sampler", "sampling_ratio", "service_name", "resource_attributes", "timeout", "propagate"
    11 errors in alb.yaml
    "#);
}

#[test]
fn the_summary_names_the_host_alone() {
    let loaded = load(&format!("{REST}traces: {{ endpoint: http://collector:4318/key?s3cret }}\n")).unwrap();
    assert!(summary(&loaded.model).ends_with("traces to collector:4318\n"));
}

#[track_caller]
fn check(endpoint: &str, expected: Option<&str>) {
    let text = format!("{REST}traces: {{ endpoint: \"{endpoint}\" }}\n");
    let found = load(&text).ok().and_then(|loaded| loaded.model.traces);
    assert_eq!(found.map(|traces| traces.endpoint.to_string()).as_deref(), expected, "{endpoint}");
}

#[test]
fn an_endpoint_is_a_web_address_without_a_password() {
    check("http://[::1]:4318/", Some("http://[::1]:4318/v1/traces"));
    check("http://collector/", Some("http://collector/v1/traces"));
    check("http://collector/x", Some("http://collector/x"));
    for bad in [
        "",
        "collector:4318",
        "grpc://collector",
        "/v1/traces",
        "http://",
        "http://me:pw@collector",
        "http://a b",
    ] {
        check(bad, None);
    }
}
