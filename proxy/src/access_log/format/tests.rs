use std::net::IpAddr;

use proptest::prelude::*;
use time::OffsetDateTime;

use super::{
    super::record::{
        ActionExecuted, ChosenCertificate, Classification, ConnTraceId, Kind, MatchedRule, RequestLine,
        Scheme, TargetAttempt, Version,
    },
    *,
};

const FORWARD: &[ActionExecuted] = &[ActionExecuted::Forward];

/// Splits a line the way log readers do: at spaces outside double quotes, which are kept.
pub(in crate::access_log) fn fields(line: &str) -> Vec<&str> {
    let line = line.strip_suffix('\n').expect("a line feed at the end");
    assert!(!line.contains('\n'), "one line: {line}");
    let mut quoted = false;
    line.split(|character| {
        quoted ^= character == '"';
        character == ' ' && !quoted
    })
    .collect()
}

fn line(record: &Record<'_>) -> String {
    line_in(Format::Elb, record)
}

/// The line of any record.
pub(in crate::access_log) fn line_in(format: Format, record: &impl LogRecord) -> String {
    let mut out = Vec::new();
    super::line(record, format, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

pub(in crate::access_log) fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
}

fn attempt(addr: &str, status_code: Option<u16>) -> TargetAttempt {
    TargetAttempt { addr: addr.parse().unwrap(), status_code }
}

/// A plain request that reached a target and was answered, apart from `targets`.
pub(in crate::access_log) fn record(targets: &[TargetAttempt]) -> Record<'_> {
    Record {
        kind: Kind::Http,
        time: at(1_530_570_180_186_641),
        elb: "app/my-loadbalancer/50dc6c495c0c9188",
        client: "192.168.131.39:2817".parse().unwrap(),
        targets,
        request_processing_time: Some(Duration::ZERO),
        target_processing_time: Some(Duration::from_micros(1_999)),
        response_processing_time: Some(Duration::ZERO),
        elb_status_code: Some(200),
        received_bytes: 34,
        sent_bytes: 366,
        request: RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Http,
            host: b"www.example.com",
            port: 80,
            path_and_query: b"/",
            version: Version::Http11,
        },
        user_agent: Some(b"curl/7.46.0"),
        ssl_cipher: None,
        ssl_protocol: None,
        target_group_arn: Some(
            "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067",
        ),
        trace_id: Some(b"Root=1-58337262-36d228ad5d99923122bbe354"),
        domain_name: None,
        chosen_cert: ChosenCertificate::None,
        matched_rule: MatchedRule::Default,
        request_creation_time: at(1_530_570_168_364_000),
        actions_executed: FORWARD,
        redirect_url: None,
        error_reason: None,
        classification: None,
        classification_reason: None,
        conn_trace_id: ConnTraceId(0x3180_a730_13c8_ca4b_ac2f_7311_59d4_b0fe),
        transformed_host: None,
        transformed_uri: None,
        request_transform_status: None,
        ip_address: Some(IpAddr::from([10, 0, 0, 5])),
    }
}

#[track_caller]
fn check(record: &Record<'_>, expected: &str) {
    let line = line(record);
    assert_eq!(line, format!("{expected}\n"));
    assert_eq!(fields(&line).len(), 34, "{line}");
}

#[test]
fn an_http_request_reads_like_the_documented_example() {
    check(
        &record(&[attempt("10.0.0.1:80", Some(200))]),
        "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 \
         10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \"GET http://www.example.com:80/ HTTP/1.1\" \
         \"curl/7.46.0\" - - \
         arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 \
         \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2018-07-02T22:22:48.364000Z \"forward\" \
         \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_3180a73013c8ca4bac2f731159d4b0fe \"-\" \"-\" \"-\" 10.0.0.5",
    );
}

#[test]
fn a_websocket_over_tls_reads_like_the_documented_example() {
    let targets = [attempt("10.0.0.171:8010", Some(101))];
    let record = Record {
        kind: Kind::Wss,
        client: "10.0.0.140:44244".parse().unwrap(),
        elb_status_code: Some(101),
        received_bytes: 218,
        sent_bytes: 786,
        request: RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Https,
            host: b"10.0.0.30",
            port: 443,
            path_and_query: b"/",
            version: Version::Http11,
        },
        user_agent: None,
        ssl_cipher: Some("ECDHE-RSA-AES128-GCM-SHA256"),
        ssl_protocol: Some("TLSv1.2"),
        target_group_arn: Some("arn:tg"),
        domain_name: Some("ws.example.com"),
        chosen_cert: ChosenCertificate::Arn("arn:aws:acm:us-east-2:123456789012:certificate/c"),
        matched_rule: MatchedRule::Priority(1),
        ..record(&targets)
    };
    check(
        &record,
        "wss 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.0.140:44244 \
         10.0.0.171:8010 0.000 0.001 0.000 101 101 218 786 \"GET https://10.0.0.30:443/ HTTP/1.1\" \"-\" \
         ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:tg \"Root=1-58337262-36d228ad5d99923122bbe354\" \
         \"ws.example.com\" \"arn:aws:acm:us-east-2:123456789012:certificate/c\" 1 \
         2018-07-02T22:22:48.364000Z \"forward\" \"-\" \"-\" \"10.0.0.171:8010\" \"101\" \"-\" \"-\" \
         TID_3180a73013c8ca4bac2f731159d4b0fe \"-\" \"-\" \"-\" 10.0.0.5",
    );
}

#[test]
fn the_keep_alive_race_has_its_signature() {
    let targets = [attempt("10.0.0.1:80", None)];
    let record = Record {
        request_processing_time: Some(Duration::from_millis(1)),
        target_processing_time: Some(Duration::from_millis(4205)),
        response_processing_time: None,
        elb_status_code: Some(502),
        received_bytes: 94,
        sent_bytes: 326,
        ..record(&targets)
    };
    let line = line(&record);
    assert_eq!(fields(&line)[5..12], ["0.001", "4.205", "-1", "502", "-", "94", "326"]);
    assert_eq!(fields(&line)[25..27], ["\"10.0.0.1:80\"", "\"-\""]);
}

#[test]
fn a_request_caught_by_goaway_has_three_noughts() {
    let line = line(&Record { elb_status_code: Some(0), ..record(&[]) });
    assert_eq!(fields(&line)[8], "000");
}

#[test]
fn a_request_that_could_not_be_read_leaves_most_fields_empty() {
    let record = Record {
        request_processing_time: None,
        target_processing_time: None,
        response_processing_time: None,
        elb_status_code: Some(400),
        request: RequestLine::Unreadable { scheme: Scheme::Http, local: "10.0.0.30:80".parse().unwrap() },
        user_agent: None,
        target_group_arn: None,
        trace_id: None,
        matched_rule: MatchedRule::NotReached,
        actions_executed: &[],
        ip_address: None,
        ..record(&[])
    };
    check(
        &record,
        "http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 - -1 -1 \
         -1 400 - 34 366 \"- http://10.0.0.30:80- -\" \"-\" - - - \"-\" \"-\" \"-\" - \
         2018-07-02T22:22:48.364000Z \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" \"-\" TID_3180a73013c8ca4bac2f731159d4b0fe \"-\" \
         \"-\" \"-\" -",
    );
}

#[test]
fn the_remaining_fields_stand_where_they_belong() {
    let targets = [attempt("10.0.0.1:80", None), attempt("[2001:db8::1]:81", Some(503))];
    let record = Record {
        chosen_cert: ChosenCertificate::SessionReused,
        matched_rule: MatchedRule::EvaluationError,
        actions_executed: &[ActionExecuted::Waf, ActionExecuted::Redirect],
        redirect_url: Some("https://example.com:443/"),
        error_reason: Some("WAFConnectionError"),
        classification: Some(Classification::Ambiguous),
        classification_reason: Some("UndefinedContentLengthSemantics"),
        transformed_host: Some(b"a.example"),
        transformed_uri: Some(b"/b"),
        request_transform_status: Some("Success"),
        ..record(&targets)
    };
    let line = line(&record);
    let fields = fields(&line);
    assert_eq!(fields[4], "[2001:db8::1]:81");
    assert_eq!(fields[9], "503");
    assert_eq!(fields[19..21], ["\"session-reused\"", "-1"]);
    assert_eq!(
        fields[22..29],
        [
            "\"waf,redirect\"",
            "\"https://example.com:443/\"",
            "\"WAFConnectionError\"",
            "\"10.0.0.1:80 [2001:db8::1]:81\"",
            "\"- 503\"",
            "\"Ambiguous\"",
            "\"UndefinedContentLengthSemantics\"",
        ]
    );
    assert_eq!(fields[30..33], ["\"a.example\"", "\"/b\"", "\"Success\""]);
}

#[test]
fn the_port_is_always_in_the_url() {
    for (host, expected) in [
        ("example.com", "example.com:8443"),
        ("example.com:81", "example.com:81"),
        ("[2001:db8::1]", "[2001:db8::1]:8443"),
        ("[2001:db8::1]:81", "[2001:db8::1]:81"),
        ("", ":8443"),
        ("example.com:", "example.com::8443"),
    ] {
        let request = RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Https,
            host: host.as_bytes(),
            port: 8443,
            path_and_query: b"/a?b",
            version: Version::Http20,
        };
        let line = line(&Record { request, ..record(&[]) });
        assert_eq!(fields(&line)[12], format!("\"GET https://{expected}/a?b HTTP/2.0\""));
    }
}

#[test]
fn hostile_bytes_are_escaped_and_long_agents_cut() {
    let agent = b"a\"b\\c\x00\x7f\xff\r\nd";
    let line_of = |agent: &[u8]| line(&Record { user_agent: Some(agent), ..record(&[]) });
    assert_eq!(fields(&line_of(agent))[13], "\"a\\x22b\\x5cc\\x00\\x7f\\xff\\x0d\\x0ad\"");
    assert_eq!(fields(&line_of(&[b'a'; 9000]))[13].len(), MAX_USER_AGENT + 2);
}

#[test]
fn seconds_are_cut() {
    let time = Duration::new(4, 36_999_999);
    let mut out = Vec::new();
    number::seconds::<3>(&mut out, time);
    out.push(b' ');
    number::seconds::<9>(&mut out, time);
    assert_eq!(String::from_utf8(out).unwrap(), "4.036 4.036999999");
}

#[test]
fn json_has_the_names_of_elb_and_null_for_what_is_missing() {
    let json = |record: &Record<'_>| -> serde_json::Value {
        let line = line_in(Format::Json, record);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        serde_json::from_str(&line).unwrap()
    };
    let agent = b"a\"b\\c\x00\r\nd\xff\xc3\xa9";
    let value = json(&Record { user_agent: Some(agent), ..record(&[attempt("10.0.0.1:80", Some(200))]) });
    assert_eq!(
        value,
        serde_json::json!({
            "type": "http",
            "time": "2018-07-02T22:23:00.186641Z",
            "elb": "app/my-loadbalancer/50dc6c495c0c9188",
            "client:port": "192.168.131.39:2817",
            "target:port": "10.0.0.1:80",
            "request_processing_time": 0.0,
            "target_processing_time": 0.001,
            "response_processing_time": 0.0,
            "elb_status_code": 200,
            "target_status_code": 200,
            "received_bytes": 34,
            "sent_bytes": 366,
            "request": "GET http://www.example.com:80/ HTTP/1.1",
            "user_agent": "a\"b\\c\0\r\nd\u{fffd}é",
            "ssl_cipher": null,
            "ssl_protocol": null,
            "target_group_arn":
                "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067",
            "trace_id": "Root=1-58337262-36d228ad5d99923122bbe354",
            "domain_name": null,
            "chosen_cert_arn": null,
            "matched_rule_priority": 0,
            "request_creation_time": "2018-07-02T22:22:48.364000Z",
            "actions_executed": "forward",
            "redirect_url": null,
            "error_reason": null,
            "target:port_list": "10.0.0.1:80",
            "target_status_code_list": "200",
            "classification": null,
            "classification_reason": null,
            "conn_trace_id": "TID_3180a73013c8ca4bac2f731159d4b0fe",
            "transformed_host": null,
            "transformed_uri": null,
            "request_transform_status": null,
            "ip_address": "10.0.0.5",
        })
    );
    let empty = Record {
        request_processing_time: None,
        elb_status_code: None,
        matched_rule: MatchedRule::EvaluationError,
        ip_address: None,
        actions_executed: &[],
        ..record(&[])
    };
    let value = json(&empty);
    assert_eq!(value["request_processing_time"], -1);
    assert_eq!(value["matched_rule_priority"], -1);
    for field in ["elb_status_code", "ip_address", "actions_executed", "target:port", "target:port_list"] {
        assert!(value[field].is_null(), "{field}");
    }
}

/// A record whose every text is `text`.
fn stuffed(text: &[u8]) -> Record<'_> {
    let request = RequestLine::Readable {
        method: std::str::from_utf8(text).unwrap_or("GET"),
        scheme: Scheme::Http,
        host: text,
        port: 80,
        path_and_query: text,
        version: Version::Http11,
    };
    let words = std::str::from_utf8(text).ok();
    Record {
        request,
        user_agent: Some(text),
        trace_id: Some(text),
        domain_name: words,
        redirect_url: words,
        transformed_host: Some(text),
        transformed_uri: Some(text),
        ..record(&[])
    }
}

#[test]
fn no_line_is_longer_than_the_limit() {
    for byte in [0_u8, b'a', b'"', 0xff] {
        let text = vec![byte; 100_000];
        for format in [Format::Elb, Format::Json] {
            let length = line_in(format, &stuffed(&text)).len();
            assert!(length <= MAX_LINE, "{byte}: {length}");
        }
    }
}

#[test]
fn numbers_have_no_fewer_and_no_more_digits_than_needed() {
    for (value, expected) in [(0, "0"), (9, "9"), (10, "10"), (u64::MAX, "18446744073709551615")] {
        let mut out = Vec::new();
        number::decimal(&mut out, value);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn a_line_has_34_fields_whatever_clients_send(
        agent in any::<Vec<u8>>(),
        host in any::<Vec<u8>>(),
        path in any::<Vec<u8>>(),
        trace in any::<Option<Vec<u8>>>(),
        received in any::<u64>(),
    ) {
        let request = RequestLine::Readable {
            method: "GET",
            scheme: Scheme::Http,
            host: &host,
            port: 80,
            path_and_query: &path,
            version: Version::Http11,
        };
        let record = Record {
            request,
            trace_id: trace.as_deref(),
            received_bytes: received,
            ..stuffed(&agent)
        };
        let line = line(&record);
        prop_assert_eq!(fields(&line).len(), 34);
        prop_assert_eq!(fields(&line)[10].parse::<u64>().ok(), Some(received));
    }

    #[test]
    fn json_is_one_object_of_34_members_whatever_clients_send(text in any::<Vec<u8>>()) {
        let line = line_in(Format::Json, &stuffed(&text));
        prop_assert_eq!(line.matches('\n').count(), 1);
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(object.len(), 34);
        let expected = String::from_utf8_lossy(&text);
        prop_assert_eq!(object["user_agent"].as_str(), Some(expected.as_ref()));
    }

    #[test]
    fn times_agree_with_the_usual_formatter(micros in 0_u64..4_000_000_000_000_000) {
        let mut out = Vec::new();
        number::timestamp(&mut out, at(micros));
        let text = String::from_utf8(out).unwrap();
        let format = time::macros::format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
        );
        prop_assert_eq!(text, OffsetDateTime::from(at(micros)).format(format).unwrap());
    }
}
