//! The last requests, as a list and as events.

use std::time::Duration;

use super::{events::Events, *};
use crate::access_log::{
    meaning::{Meaning, Severity},
    recent::Entry,
    record::{ActionExecuted, ActionsExecuted, ConnTraceId, MatchedRule},
};

fn entry(load_balancer_arn: &str, has_failed: bool) -> Entry {
    let mut actions = ActionsExecuted::default();
    actions.push(ActionExecuted::Forward);
    Entry {
        number: 0,
        has_failed,
        load_balancer_arn: load_balancer_arn.into(),
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500_000_000_123),
        kind: "http",
        client: "10.0.0.9:4000".parse().unwrap(),
        target: Some("10.0.0.1:8080".parse().unwrap()),
        elb_status_code: Some(502),
        target_status_code: None,
        request_processing_time: Some(Duration::from_micros(1234)),
        target_processing_time: Some(Duration::from_millis(5)),
        response_processing_time: None,
        received_bytes: 100,
        sent_bytes: 200,
        request: "GET http://a.test:80/ HTTP/1.1".to_owned(),
        user_agent: Some("curl/8".to_owned()),
        target_group_arn: Some("arn:aws:elasticloadbalancing:local:0:targetgroup/web/01d1".to_owned()),
        matched_rule: MatchedRule::Default,
        actions,
        error_reason: None,
        conn_trace_id: ConnTraceId(7),
        trace_id: None,
        line: "http 2017-07-14T02:40:00.123000Z …".to_owned(),
        meaning: Meaning {
            title: "Title".into(),
            text: "Text.".into(),
            severity: Severity::Error,
            more: Some("docs/findings/keep-alive-race.md"),
        },
    }
}

/// The ARN of the only load balancer.
async fn arn(server: &Server) -> String {
    let (_, edge) = server.read("/load-balancers?Names=edge").await;
    edge["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_last_requests_are_listed_newest_first() {
    let server = serving().await;
    let (edge, recent) = (arn(&server).await, &server.state.dashboard.recent);
    recent.push(entry(&edge, true));
    recent.push(entry(&edge, false));
    recent.push(entry("gone", true));
    let numbers = async |parameters: &str| -> Vec<u64> {
        let (status, page) = server.read(&format!("/requests?{parameters}")).await;
        assert_eq!(status, 200, "{page}");
        page["Requests"].as_array().unwrap().iter().map(|it| it["Number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers("").await, [3, 2, 1]);
    assert_eq!(numbers("Errors=true").await, [3, 1]);
    assert_eq!(numbers(&format!("LoadBalancerArn={edge}")).await, [2, 1]);
    assert_eq!(numbers("PageSize=1&Marker=1").await, [2]);
    assert_eq!(server.read("/requests?Errors=yes").await.0, 400);
    let (_, page) = server.read("/requests?PageSize=1&Marker=2").await;
    assert_eq!(
        page["Requests"][0],
        json!({
            "Number": 1,
            "Time": "2017-07-14T02:40:00.123Z",
            "LoadBalancerArn": edge,
            "Type": "http",
            "Client": "10.0.0.9:4000",
            "Target": "10.0.0.1:8080",
            "ElbStatusCode": 502,
            "TargetStatusCode": null,
            "RequestProcessingTime": 0.001,
            "TargetProcessingTime": 0.005,
            "ResponseProcessingTime": -1,
            "ReceivedBytes": 100,
            "SentBytes": 200,
            "Request": "GET http://a.test:80/ HTTP/1.1",
            "UserAgent": "curl/8",
            "TargetGroup": "web",
            "TargetGroupArn": "arn:aws:elasticloadbalancing:local:0:targetgroup/web/01d1",
            "MatchedRulePriority": 0,
            "Actions": ["forward"],
            "ErrorReason": null,
            "ConnTraceId": "TID_00000000000000000000000000000007",
            "TraceId": null,
            "Line": "http 2017-07-14T02:40:00.123000Z …",
            "Failed": true,
            "Meaning": {
                "Title": "Title", "Text": "Text.", "Severity": "error", "More": "docs/findings/keep-alive-race.md",
            },
        })
    );
}

#[tokio::test]
async fn requests_are_told_of_as_they_end_and_failures_first() {
    let server = serving().await;
    let (edge, recent) = (arn(&server).await, &server.state.dashboard.recent);
    recent.push(entry(&edge, true));
    let mut events = Events::open(&server).await;
    events.next("tick").await;
    timeout(LIMIT, async {
        while !recent.wants(false) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("somebody watches");
    // What was there before is in the list.
    (0..70).for_each(|_| recent.push(entry(&edge, false)));
    recent.push(entry(&edge, true));
    let (mut told, mut skipped) = (Vec::new(), 0);
    while told.len() + skipped < 71 {
        let request = events.next("request").await;
        match request["Number"].as_u64() {
            Some(number) => told.push((number, request["Failed"].as_bool().unwrap())),
            None => skipped += usize::try_from(request["Skipped"].as_u64().unwrap()).unwrap(),
        }
    }
    assert!(told.contains(&(72, true)), "{told:?}");
    assert!(!told.iter().any(|(number, _)| *number == 1), "{told:?}");
    assert!(skipped >= 10, "{skipped} of {}", told.len());
}
