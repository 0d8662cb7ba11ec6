use serde_json::json;

use super::*;

fn target(id: &str, state: &str) -> Target {
    let reason = (state == "unhealthy").then(|| "Target.Timeout".to_owned());
    Target {
        id: api::Id { id: id.to_owned(), port: 80 },
        state: state.to_owned(),
        description: reason.as_ref().map(|_| "Request timed out".to_owned()),
        reason,
        outstanding_requests: 3,
        administrative_override: None,
    }
}

fn status(in_use: bool, states: &[&str], days_left: i64) -> Status {
    let targets = states.iter().enumerate().map(|(index, state)| target(&format!("10.0.0.{index}"), state));
    let mut status = Status {
        health: Health::Ok,
        problems: Vec::new(),
        address: "127.0.0.1:9901".to_owned(),
        version: Some("1.2.3".to_owned()),
        start_time: Some("2026-11-21T00:00:00Z".to_owned()),
        uptime_seconds: Some(7200),
        phase: "ready".to_owned(),
        load_balancers: vec![LoadBalancer {
            load_balancer_name: "edge".to_owned(),
            kind: "application".to_owned(),
            listeners: vec![
                Listener { protocol: "HTTPS".to_owned(), address: "::".to_owned(), port: 8443 },
                Listener { protocol: "HTTP".to_owned(), address: "0.0.0.0".to_owned(), port: 8080 },
            ],
            active_connection_count: Some(12),
            open_web_sockets: Some(8),
            active_flow_count: None,
        }],
        target_groups: vec![TargetGroup {
            target_group_name: "web".to_owned(),
            health: Health::Ok,
            in_use,
            targets: targets.collect(),
        }],
        certificates: vec![Certificate {
            name: "localhost".to_owned(),
            not_after: Some("2027-01-01T00:00:00Z".to_owned()),
            days_left: Some(days_left),
            in_use: true,
        }],
        findings: Some([("error".to_owned(), 1), ("warning".to_owned(), 2)].into()),
        overrides: 1,
    };
    status.judge();
    status
}

#[track_caller]
fn check(status: &Status, expected: Exit, problem: &str) {
    assert_eq!(status.health.exit(), expected, "{:?}", status.problems);
    let first = status.problems.first().map(String::as_str).unwrap_or_default();
    assert!(first.contains(problem) && first.is_empty() == problem.is_empty(), "{first}");
}

#[test]
fn the_exit_status_is_that_of_the_worst_problem() {
    check(&status(true, &["healthy", "healthy"], 90), Exit::Done, "");
    check(&status(true, &["healthy", "draining"], 90), Exit::Done, "");
    check(&status(true, &["healthy", "initial"], 90), Exit::Warning, "web/10.0.0.1:80 is initial");
    check(&status(true, &["initial"], 90), Exit::Warning, "web/10.0.0.0:80 is initial");
    check(&status(true, &["healthy", "unhealthy"], 90), Exit::Warning, "is unhealthy (Target.Timeout)");
    check(&status(true, &["unhealthy", "draining"], 90), Exit::Error, "web has no healthy target");
    check(&status(true, &[], 90), Exit::Error, "web has no healthy target");
    check(&status(false, &["unused"], 90), Exit::Done, "");
    check(&status(true, &["healthy"], 14), Exit::Done, "");
    check(&status(true, &["healthy"], 13), Exit::Warning, "certificate localhost expires in 13 days");
    check(&status(true, &["healthy"], -1), Exit::Error, "certificate localhost has expired");
    let mut draining = status(true, &["healthy"], 90);
    draining.phase = "draining".to_owned();
    draining.judge();
    check(&draining, Exit::Warning, "it is draining");
}

#[test]
fn a_certificate_that_expires_within_a_day_has_no_day_left() {
    let now = OffsetDateTime::parse("2026-11-21T12:00:00Z", &Rfc3339).unwrap();
    let left = |end: &str| {
        let certificate = json!({ "Name": "a", "NotAfter": end, "Listeners": [{}] });
        Certificate::new(serde_json::from_value(certificate).unwrap(), now).days_left
    };
    assert_eq!(left("2026-11-22T11:00:00Z"), Some(0));
    assert_eq!(left("2026-11-21T11:59:59Z"), Some(-1));
    assert_eq!(left("2026-12-05T12:00:00Z"), Some(14));
    assert_eq!(left("soon"), None);
}

#[test]
fn people_see_what_is_wrong_first() {
    let text = text::text(&status(true, &["healthy", "unhealthy"], 90));
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @r"
    albeit 1.2.3 at 127.0.0.1:9901: ready, up 2h, needs a look
      ! target web/10.0.0.1:80 is unhealthy (Target.Timeout)

    LOAD BALANCER  TYPE         LISTENERS                           CONNECTIONS  WEBSOCKETS
    edge           application  HTTPS [::]:8443, HTTP 0.0.0.0:8080  12           8

    TARGET GROUP  TARGET       STATE      IN FLIGHT  WHY
    web           10.0.0.0:80  healthy    3
                  10.0.0.1:80  unhealthy  3          Target.Timeout: Request timed out

    CERTIFICATE  EXPIRES               IN
    localhost    2027-01-01T00:00:00Z  90 days

    findings: 1 error, 2 warnings (GET /findings)
    overrides: 1 not as the file says (GET /overrides)
    ");
}

#[test]
fn the_names_in_json_stay() {
    let json = serde_json::to_value(status(true, &["unhealthy"], 90)).unwrap();
    let expected = json!({
        "Health": "error",
        "Problems": [
            "target group web has no healthy target",
            "target web/10.0.0.0:80 is unhealthy (Target.Timeout)",
        ],
        "Address": "127.0.0.1:9901",
        "Version": "1.2.3",
        "StartTime": "2026-11-21T00:00:00Z",
        "UptimeSeconds": 7200,
        "Phase": "ready",
        "LoadBalancers": [{
            "LoadBalancerName": "edge",
            "Type": "application",
            "Listeners": [
                { "Protocol": "HTTPS", "Address": "::", "Port": 8443 },
                { "Protocol": "HTTP", "Address": "0.0.0.0", "Port": 8080 },
            ],
            "ActiveConnectionCount": 12,
            "OpenWebSockets": 8,
            "ActiveFlowCount": null,
        }],
        "TargetGroups": [{
            "TargetGroupName": "web",
            "Health": "error",
            "InUse": true,
            "Targets": [{
                "Id": "10.0.0.0",
                "Port": 80,
                "State": "unhealthy",
                "Reason": "Target.Timeout",
                "Description": "Request timed out",
                "OutstandingRequests": 3,
                "AdministrativeOverride": null,
            }],
        }],
        "Certificates": [
            { "Name": "localhost", "NotAfter": "2027-01-01T00:00:00Z", "DaysLeft": 90, "InUse": true },
        ],
        "Findings": { "error": 1, "warning": 2 },
        "Overrides": 1,
    });
    assert_eq!(json, expected);
}
