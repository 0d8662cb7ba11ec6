use std::{collections::BTreeMap, time::Duration};

use http::Uri;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};

use tokio::sync::mpsc;

use super::*;
use crate::{
    access_log::record::{ActionExecuted, ChosenCertificate, ConnTraceId, Kind, TargetAttempt},
    metrics::Metrics,
    model::traces::{Sampler, Traces},
    traces::{Tracer, sampler::Sampling},
};

fn at(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + milliseconds)
}

fn target() -> SocketAddr {
    "10.0.1.10:9001".parse().unwrap()
}

/// A GET that a target has answered with 200.
fn record(targets: &[TargetAttempt]) -> Record<'_> {
    Record {
        kind: Kind::Https,
        time: at(250),
        elb: "app/edge/1",
        client: "192.0.2.7:5001".parse().unwrap(),
        targets,
        request_processing_time: Some(Duration::from_millis(1)),
        target_processing_time: Some(Duration::from_millis(200)),
        response_processing_time: None,
        elb_status_code: Some(200),
        received_bytes: 120,
        sent_bytes: 3400,
        request: RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Https,
            host: b"shop.example.com:8443",
            port: 443,
            path_and_query: b"/cart?token=secret",
            version: Version::Http11,
        },
        user_agent: Some(b"curl/8.5.0"),
        ssl_cipher: Some("TLS_AES_128_GCM_SHA256"),
        ssl_protocol: Some("TLSv1.3"),
        target_group_arn: Some("arn:tg"),
        trace_id: Some(b"Root=1-5759e988-bd862e3fe1be46a994272793"),
        domain_name: None,
        chosen_cert: ChosenCertificate::None,
        matched_rule: MatchedRule::Priority(10),
        request_creation_time: at(0),
        actions_executed: &[ActionExecuted::Forward],
        redirect_url: None,
        error_reason: None,
        classification: None,
        classification_reason: None,
        conn_trace_id: ConnTraceId(0xab),
        transformed_host: None,
        transformed_uri: None,
        request_transform_status: None,
        ip_address: None,
    }
}

fn trace() -> Trace {
    Trace {
        trace_id: TraceId::new([0x11; 16]).unwrap(),
        parent_id: SpanId::new([0x22; 8]),
        span_id: SpanId::new([0x33; 8]).unwrap(),
        trace_state: "vendor=1".to_owned(),
    }
}

fn attempt(status_code: Option<u16>, cause: Option<&'static str>) -> Attempt {
    Attempt {
        span_id: SpanId::new([0x44; 8]).unwrap(),
        target: target(),
        scheme: Scheme::Http,
        version: "1.1",
        began: at(1),
        ended: at(250),
        status_code,
        cause,
    }
}

fn made(record: &Record<'_>, attempts: &[Attempt], cause: Option<&'static str>) -> Vec<Span> {
    let trace = trace();
    let load_balancer_arn = "arn:lb";
    spans(&Finished { trace: &trace, record, load_balancer_arn, cause, attempts, websocket: None })
}

fn shown(attributes: &[KeyValue]) -> String {
    let line = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()).unwrap() {
        Value::StringValue(text) => format!("{}: {text}", pair.key),
        Value::IntValue(number) => format!("{}: {number}", pair.key),
        other => format!("{}: {other:?}", pair.key),
    };
    attributes.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Code and message of the status, and `error.type`.
fn outcome(span: &Span) -> String {
    let Status { message, code } = span.status.clone().unwrap();
    let error = span.attributes.iter().find(|pair| pair.key == "error.type").cloned();
    let error = error.map_or_else(|| "-".to_owned(), |pair| shown(&[pair]));
    format!("{code} '{message}' {error}")
}

#[test]
fn a_request_is_told_by_the_conventions_and_without_its_query() {
    let targets = [TargetAttempt { addr: target(), status_code: Some(200) }];
    let spans = made(&record(&targets), &[attempt(Some(200), None)], None);
    let [server, client] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((server.name.as_str(), server.kind()), ("GET", SpanKind::Server));
    assert_eq!((client.name.as_str(), client.kind()), ("GET", SpanKind::Client));
    assert_eq!((&server.trace_id[..], &server.parent_span_id[..]), (&[0x11; 16][..], &[0x22; 8][..]));
    assert_eq!((&client.trace_id[..], &client.parent_span_id[..]), (&[0x11; 16][..], &[0x33; 8][..]));
    assert_eq!((server.flags, client.flags), (0x301, 0x101));
    assert_eq!(server.trace_state, "vendor=1");
    assert_eq!(server.end_time_unix_nano - server.start_time_unix_nano, 250_000_000);
    assert_eq!(client.start_time_unix_nano - server.start_time_unix_nano, 1_000_000);
    insta::assert_snapshot!(shown(&server.attributes), @"
    http.request.method: GET
    url.scheme: https
    url.path: /cart
    server.address: shop.example.com
    server.port: 8443
    network.protocol.version: 1.1
    client.address: 192.0.2.7
    client.port: 5001
    user_agent.original: curl/8.5.0
    tls.cipher: TLS_AES_128_GCM_SHA256
    tls.protocol.version: 1.3
    http.response.status_code: 200
    albeit.type: https
    albeit.load_balancer_arn: arn:lb
    albeit.target_group_arn: arn:tg
    albeit.matched_rule_priority: 10
    albeit.target: 10.0.1.10:9001
    albeit.target_status_code: 200
    albeit.elb_status_code: 200
    albeit.conn_trace_id: TID_000000000000000000000000000000ab
    albeit.trace_id: Root=1-5759e988-bd862e3fe1be46a994272793
    albeit.request_processing_time: DoubleValue(0.001)
    albeit.target_processing_time: DoubleValue(0.2)
    albeit.received_bytes: 120
    albeit.sent_bytes: 3400
    ");
    insta::assert_snapshot!(shown(&client.attributes), @"
    http.request.method: GET
    url.full: http://10.0.1.10:9001/cart
    server.address: 10.0.1.10
    server.port: 9001
    network.peer.address: 10.0.1.10
    network.peer.port: 9001
    network.protocol.version: 1.1
    http.response.status_code: 200
    albeit.target_group_arn: arn:tg
    ");
    assert_eq!([outcome(server), outcome(client)], ["0 '' -", "0 '' -"]);
}

#[track_caller]
fn check(elb: Option<u16>, target_status: Option<u16>, cause: Option<&'static str>, expected: [&str; 2]) {
    let targets = [TargetAttempt { addr: target(), status_code: target_status }];
    let mut record = record(&targets);
    record.elb_status_code = elb;
    let spans = made(&record, &[attempt(target_status, cause)], cause);
    assert_eq!([outcome(&spans[0]), outcome(&spans[1])], expected);
}

#[test]
fn errors_are_those_of_the_side_that_the_span_stands_for() {
    check(Some(404), Some(404), None, ["0 '' -", "2 '' error.type: 404"]);
    check(Some(503), Some(503), None, ["2 '' error.type: 503", "2 '' error.type: 503"]);
    let closed = "2 'target_closed' error.type: target_closed";
    check(Some(502), None, Some("target_closed"), [closed, closed]);
    // Cut in the middle of a 200, by the target and by the client.
    check(Some(200), Some(200), Some("target_closed"), [closed, closed]);
    let left = "error.type: client_closed_request";
    let (server, client) = (format!("0 '' {left}"), format!("2 'client_closed_request' {left}"));
    check(Some(200), Some(200), Some("client_closed_request"), [&server, &client]);
    check(Some(460), None, Some("client_closed_request"), [&server, &client]);
}

#[test]
fn what_no_client_can_have_seen_is_no_response() {
    let mut record = record(&[]);
    let sees = |record: &Record<'_>| shown(&made(record, &[], None)[0].attributes).contains("http.response.");
    for (status, expected) in
        [(Some(200), true), (Some(463), true), (Some(460), false), (Some(0), false), (None, false)]
    {
        record.elb_status_code = status;
        assert_eq!(sees(&record), expected, "{status:?}");
    }
}

#[test]
fn methods_of_a_clients_invention_name_no_span() {
    let mut record = record(&[]);
    record.request = RequestLine::Readable {
        method: "get",
        scheme: Scheme::Http,
        host: b"[2001:db8::1]",
        port: 80,
        path_and_query: b"/",
        version: Version::Http20,
    };
    let span = made(&record, &[], None).remove(0);
    assert_eq!(span.name, "HTTP");
    let text = shown(&span.attributes);
    for line in [
        "http.request.method: _OTHER",
        "http.request.method_original: get",
        "server.address: 2001:db8::1",
        "server.port: 80",
        "network.protocol.version: 2",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in {text}");
    }
    record.request = RequestLine::Unreadable { scheme: Scheme::Http, local: "192.0.2.1:80".parse().unwrap() };
    let span = made(&record, &[], None).remove(0);
    assert_eq!(span.name, "HTTP");
    assert!(shown(&span.attributes).contains("server.address: 192.0.2.1"));
}

#[test]
fn a_second_attempt_says_that_it_is_one() {
    let targets = [TargetAttempt { addr: target(), status_code: Some(200) }];
    let attempts = [attempt(None, Some("target_closed")), attempt(Some(200), None)];
    let spans = made(&record(&targets), &attempts, None);
    let resends: Vec<bool> =
        spans.iter().map(|span| shown(&span.attributes).contains("http.request.resend_count: 1")).collect();
    assert_eq!(resends, [false, false, true]);
    assert!(outcome(&spans[1]).contains("target_closed"));
    assert_eq!([outcome(&spans[0]), outcome(&spans[2])], ["0 '' -", "0 '' -"]);
}

#[test]
fn a_websocket_has_events_of_its_beginning_and_end() {
    let (trace, mut record) = (trace(), record(&[]));
    record.elb_status_code = Some(101);
    let websocket = Some(WebSocket { upgraded: at(10), reason: "idle_timeout" });
    let span = spans(&Finished {
        trace: &trace,
        record: &record,
        load_balancer_arn: "arn:lb",
        cause: None,
        attempts: &[],
        websocket,
    })
    .remove(0);
    let events: Vec<(&str, u64)> = span
        .events
        .iter()
        .map(|it| (it.name.as_str(), it.time_unix_nano - span.start_time_unix_nano))
        .collect();
    assert_eq!(events, [("upgraded", 10_000_000), ("closed", 250_000_000)]);
    let closed = shown(&span.events[1].attributes);
    assert_eq!(
        closed,
        "albeit.close_reason: idle_timeout\nalbeit.received_bytes: 120\nalbeit.sent_bytes: 3400"
    );
}

#[test]
fn what_finds_the_queue_full_is_lost_and_counted() {
    let metrics = Metrics::try_new().unwrap().traces().clone();
    let (queue, mut waiting) = mpsc::channel(1);
    let settings = Traces {
        endpoint: Uri::from_static("http://127.0.0.1:4318/v1/traces"),
        headers: Vec::new(),
        sampler: Sampler::TraceIdRatio,
        sampling_ratio: 1.0,
        service_name: "albeit".to_owned(),
        resource_attributes: BTreeMap::new(),
        timeout: Duration::from_secs(10),
        propagate: true,
    };
    let sampling = Sampling::new(&settings);
    let tracer = Tracer { sampling, propagate: true, queue, metrics: metrics.clone() };
    let (trace, record, attempts) = (trace(), record(&[]), [attempt(Some(200), None)]);
    let load_balancer_arn = "arn:lb";
    let finished = Finished {
        trace: &trace,
        record: &record,
        load_balancer_arn,
        cause: None,
        attempts: &attempts,
        websocket: None,
    };
    for _ in 0..3 {
        tracer.record(&finished);
    }
    assert_eq!(metrics.spans_dropped.get(), 4);
    assert_eq!(waiting.try_recv().unwrap().len(), 2);
    tracer.record(&finished);
    assert_eq!(metrics.spans_dropped.get(), 4, "there is room again");
}

#[test]
fn hosts_are_taken_apart() {
    let check = |host: &'static str, address: &str, port: Option<u16>| {
        assert_eq!(split_host(host.as_bytes()), (address.as_bytes(), port), "{host}");
    };
    check("a.test", "a.test", None);
    check("a.test:81", "a.test", Some(81));
    check("[::1]:81", "::1", Some(81));
    check("[::1]", "::1", None);
    check("a.test:x", "a.test:x", None);
}
