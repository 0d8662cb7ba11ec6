use super::{
    super::format::tests::{at, fields, line_in},
    *,
};
use crate::model::load_balancer::LogFormat as Format;

fn record() -> FlowRecord<'static> {
    FlowRecord {
        protocol: Protocol::Tcp,
        time: at(1_585_731_102_250_999),
        elb: "net/my-network-loadbalancer/c6e77e28c25b2234",
        listener: "g3d4b5e8bb8464cd",
        client: "72.21.218.154:51341".parse().unwrap(),
        destination: "172.100.100.185:5432".parse().unwrap(),
        target: Some("10.0.0.1:5432".parse().unwrap()),
        target_group_arn: Some(
            "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/db/73e2d6bc24d8a067",
        ),
        connection_time: Duration::from_micros(350_001_999),
        connect_time: Some(Duration::from_micros(1_999)),
        received_bytes: 98,
        sent_bytes: 246,
        close_reason: CloseReason::IdleTimeout,
        flow_creation_time: at(1_585_730_752_249_000),
    }
}

#[track_caller]
fn check(record: &FlowRecord<'_>, expected: &str) {
    let line = line_in(Format::Elb, record);
    assert_eq!(line, format!("{expected}\n"));
    assert_eq!(fields(&line).len(), 15);
}

#[test]
fn a_flow_tells_who_ended_it_and_what_the_target_took() {
    check(
        &record(),
        "tcp 1.0 2020-04-01T08:51:42.250999Z net/my-network-loadbalancer/c6e77e28c25b2234 \
         g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:5432 10.0.0.1:5432 \
         arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/db/73e2d6bc24d8a067 350001 1 98 246 \
         idle_timeout 2020-04-01T08:45:52.249000Z",
    );
}

#[test]
fn a_flow_without_a_target_has_no_target_and_no_connect_time() {
    let nobody = FlowRecord {
        protocol: Protocol::Tls,
        client: "[2001:db8::1]:51341".parse().unwrap(),
        destination: "[2001:db8::2]:443".parse().unwrap(),
        target: None,
        target_group_arn: None,
        connection_time: Duration::ZERO,
        connect_time: None,
        received_bytes: 0,
        sent_bytes: 0,
        close_reason: CloseReason::NoTarget,
        ..record()
    };
    check(
        &nobody,
        "tls 1.0 2020-04-01T08:51:42.250999Z net/my-network-loadbalancer/c6e77e28c25b2234 \
         g3d4b5e8bb8464cd [2001:db8::1]:51341 [2001:db8::2]:443 - - 0 - 0 0 no_target \
         2020-04-01T08:45:52.249000Z",
    );
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &nobody)).unwrap();
    assert!(json["target:port"].is_null() && json["connect_time"].is_null(), "{json}");
}

#[test]
fn json_has_numbers_as_numbers_and_every_field() {
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &record())).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 15);
    assert_eq!((&json["connection_time"], &json["connect_time"]), (&350_001.into(), &1.into()));
    assert_eq!((&json["received_bytes"], &json["sent_bytes"]), (&98.into(), &246.into()));
    assert_eq!(json["version"], "1.0");
    assert_eq!(json["close_reason"], "idle_timeout");
    assert_eq!(json["target:port"], "10.0.0.1:5432");
}

#[test]
fn every_close_reason_stands_in_its_field() {
    for &close_reason in CloseReason::ALL {
        let line = line_in(Format::Elb, &FlowRecord { close_reason, ..record() });
        assert_eq!(fields(&line)[13], close_reason.as_str());
    }
}

#[test]
fn the_documentation_names_every_close_reason_and_field() {
    let text = include_str!("../../../../docs/logs.md");
    for reason in CloseReason::ALL {
        assert!(text.contains(&format!("`{}`", reason.as_str())), "{reason:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &record())).unwrap();
    for field in json.as_object().unwrap().keys() {
        assert!(text.contains(&format!("| `{field}` |")), "{field}");
    }
}
