use proptest::prelude::*;

use super::{
    super::format::tests::{at, fields, line_in},
    *,
};
use crate::model::load_balancer::LogFormat as Format;

fn record() -> HealthCheckRecord<'static> {
    HealthCheckRecord {
        kind: "http",
        time: at(1_761_914_699_875_678),
        latency: Duration::from_nanos(19_584_011),
        target_addr: "172.31.20.97:80".parse().unwrap(),
        target_group_id: "HCLogsTestIPs",
        status_code: Some(200),
        reason_code: None,
        elb: "app/my-loadbalancer/50dc6c495c0c9188",
        ip_address: IpAddr::from([10, 0, 0, 5]),
    }
}

#[test]
fn checks_read_like_the_documented_examples() {
    let failed = HealthCheckRecord {
        time: at(1_761_914_698_901_409),
        latency: Duration::from_nanos(1_121_980_746),
        target_addr: "172.31.31.9:80".parse().unwrap(),
        status_code: Some(502),
        reason_code: Some(ReasonCode::TargetError),
        ..record()
    };
    let silent = HealthCheckRecord {
        latency: Duration::from_secs(5),
        status_code: None,
        reason_code: Some(ReasonCode::TimedOut),
        ..record()
    };
    let end = "app/my-loadbalancer/50dc6c495c0c9188 10.0.0.5\n";
    for (record, expected) in [
        (record(), "http 2025-10-31T12:44:59.875678Z 0.019584011 172.31.20.97:80 HCLogsTestIPs PASS 200 -"),
        (
            failed,
            "http 2025-10-31T12:44:58.901409Z 1.121980746 172.31.31.9:80 HCLogsTestIPs FAIL 502 TargetError",
        ),
        (
            silent,
            "http 2025-10-31T12:44:59.875678Z 5.000000000 172.31.20.97:80 HCLogsTestIPs FAIL - TimedOut",
        ),
    ] {
        let line = line_in(Format::Elb, &record);
        assert_eq!(line, format!("{expected} {end}"));
        assert_eq!(fields(&line).len(), 10);
    }
}

#[test]
fn json_has_numbers_and_null() {
    let value: serde_json::Value = serde_json::from_str(&line_in(Format::Json, &record())).unwrap();
    assert_eq!(
        value,
        serde_json::json!({
            "type": "http",
            "time": "2025-10-31T12:44:59.875678Z",
            "latency": 0.019_584_011,
            "target_addr": "172.31.20.97:80",
            "target_group_id": "HCLogsTestIPs",
            "status": "PASS",
            "status_code": 200,
            "reason_code": null,
            "elb": "app/my-loadbalancer/50dc6c495c0c9188",
            "ip_address": "10.0.0.5",
        })
    );
}

proptest! {
    #[test]
    fn a_line_has_10_fields_whatever_a_group_is_called(name in ".*") {
        let record = HealthCheckRecord { target_group_id: &name, ..record() };
        let line = line_in(Format::Elb, &record);
        prop_assert_eq!(fields(&line).len(), 10);
    }
}
