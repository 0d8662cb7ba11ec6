//! What is done.

use serde_json::{Value, json};

use super::{Server, serving};

/// Address and state of each target of `web`.
async fn targets(server: &Server) -> Vec<(String, u64, String)> {
    let (_, answer) = server.read("/targets?Names=web").await;
    let targets = answer["TargetGroups"][0]["TargetHealthDescriptions"].as_array().unwrap();
    targets
        .iter()
        .map(|target| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&target["Target"]["Id"]),
                target["Target"]["Port"].as_u64().unwrap(),
                text(&target["TargetHealth"]["State"]),
            )
        })
        .collect()
}

fn of(id: &str, port: u64, state: &str) -> (String, u64, String) {
    (id.to_owned(), port, state.to_owned())
}

async fn refused(server: &Server, path: &str, body: Value) -> (String, String) {
    let (status, answer) = server.act(if path == "/attributes" { "PUT" } else { "POST" }, path, body).await;
    assert_eq!(status, 400, "{answer}");
    let text = |member: &str| answer["Error"][member].as_str().unwrap().to_owned();
    (text("Code"), text("Message"))
}

fn error(code: &str, message: &str) -> (String, String) {
    (code.to_owned(), message.to_owned())
}

async fn arn(server: &Server, list: &str, path: &str, member: &str) -> String {
    server.read(path).await.1[list][0][member].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn targets_come_go_and_come_again() {
    let server = serving().await;
    let web = |targets: Value| json!({ "TargetGroupName": "web", "Targets": targets });
    let new = json!([{ "Id": "10.0.0.9" }, { "Id": "10.0.0.1", "Port": 8080 }]);
    for _ in 0..2 {
        assert_eq!(server.act("POST", "/targets/register", web(new.clone())).await, (200, json!({})));
    }
    let initial = ["10.0.0.1", "10.0.0.2", "10.0.0.9"];
    let ports = [8080, 80, 80];
    let expected: Vec<_> = initial.into_iter().zip(ports).map(|(id, port)| of(id, port, "initial")).collect();
    assert_eq!(targets(&server).await, expected);
    for _ in 0..2 {
        let answer =
            server.act("POST", "/targets/deregister", web(json!([{ "Id": "10.0.0.1", "Port": 8080 }]))).await;
        assert_eq!(answer, (200, json!({})));
    }
    assert_eq!(
        targets(&server).await,
        [of("10.0.0.2", 80, "initial"), of("10.0.0.9", 80, "initial"), of("10.0.0.1", 8080, "draining")]
    );
    let (_, overrides) = server.read("/overrides").await;
    assert_eq!(
        overrides["Targets"],
        json!([{
            "TargetGroupName": "web",
            "Registered": [{ "Id": "10.0.0.9", "Port": 80 }],
            "Deregistered": [{ "Id": "10.0.0.1", "Port": 8080 }],
        }])
    );
    assert_eq!(server.act("DELETE", "/overrides", json!({})).await.0, 200);
    let now = targets(&server).await;
    assert_eq!(now[..2], [of("10.0.0.1", 8080, "initial"), of("10.0.0.2", 80, "initial")]);
    assert_eq!(now[2..].iter().filter(|target| target.2 == "draining").count(), 2);
}

#[tokio::test]
async fn a_whole_group_is_drained() {
    let server = serving().await;
    assert_eq!(server.act("POST", "/targets/drain", json!({ "TargetGroupName": "web" })).await.0, 200);
    assert!(targets(&server).await.iter().all(|target| target.2 == "draining"));
}

#[tokio::test]
async fn health_is_forced_and_left_to_the_checks_again() {
    let server = serving().await;
    let force =
        |state| json!({ "TargetGroupName": "web", "Targets": [{ "Id": "10.0.0.2" }], "State": state });
    for (state, shown, reason) in [
        ("healthy", "healthy", Value::Null),
        ("unhealthy", "unhealthy", json!("Albeit.AdministrativeOverride")),
    ] {
        assert_eq!(server.act("POST", "/targets/health", force(state)).await, (200, json!({})));
        let (_, answer) = server.read("/targets?Names=web").await;
        let target = &answer["TargetGroups"][0]["TargetHealthDescriptions"][1];
        assert_eq!(target["TargetHealth"]["State"], shown);
        assert_eq!(target["TargetHealth"].get("Reason").cloned().unwrap_or_default(), reason);
        assert_eq!(target["AdministrativeOverride"]["State"], format!("albeit_forced_{state}"));
    }
    let (_, overrides) = server.read("/overrides").await;
    assert_eq!(overrides["ForcedHealth"][0]["State"], "albeit_forced_unhealthy");
    server.act("POST", "/targets/health", force("auto")).await;
    assert_eq!(targets(&server).await[1], of("10.0.0.2", 80, "initial"));
    let unknown = json!({ "TargetGroupName": "web", "Targets": [{ "Id": "10.0.0.2" }, { "Id": "10.0.0.7" }], "State": "healthy" });
    assert_eq!(
        refused(&server, "/targets/health", unknown).await,
        error("InvalidTarget", "The target '10.0.0.7' port '80' is not registered with the target group")
    );
    assert_eq!(targets(&server).await[1], of("10.0.0.2", 80, "initial"), "all or none");
}

#[tokio::test]
async fn attributes_change_and_speak_the_words_of_aws() {
    let server = serving().await;
    let group = arn(&server, "TargetGroups", "/target-groups?Names=web", "TargetGroupArn").await;
    let set = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        json!({ "TargetGroupArn": group, "Attributes": pairs })
    };
    let (status, answer) =
        server.act("PUT", "/attributes", set(&[("deregistration_delay.timeout_seconds", "7")])).await;
    assert_eq!(status, 200);
    assert!(
        answer["Attributes"]
            .as_array()
            .unwrap()
            .contains(&json!({ "Key": "deregistration_delay.timeout_seconds", "Value": "7" }))
    );
    assert_eq!(
        server.state.control.in_force().model.target_groups[0].attributes.deregistration_delay.as_secs(),
        7
    );
    for (pairs, code, message) in [
        (
            set(&[("deregistration_delay.timeout_seconds", "3601")]),
            "ValidationError",
            "'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
        ),
        (set(&[("nonsense", "1")]), "ValidationError", "'nonsense' is not a known attribute"),
        (set(&[]), "ValidationError", "'Attributes' must have between '1-20' elements inclusive"),
        (
            set(&[("stickiness.enabled", "true"), ("stickiness.enabled", "false")]),
            "ValidationError",
            "'stickiness.enabled' can only be there once",
        ),
        (
            set(&[("stickiness.type", "source_ip")]),
            "InvalidConfigurationRequest",
            "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol (set through the admin API)",
        ),
        (
            json!({ "TargetGroupArn": "x", "Attributes": [{ "Key": "a", "Value": "b" }] }),
            "TargetGroupNotFound",
            "One or more target groups not found",
        ),
        (
            json!({ "Attributes": [{ "Key": "a", "Value": "b" }] }),
            "ValidationError",
            "exactly one of 'LoadBalancerArn', 'ListenerArn' and 'TargetGroupArn' is needed",
        ),
    ] {
        assert_eq!(refused(&server, "/attributes", pairs).await, error(code, message));
    }
    assert_eq!(
        server.state.control.in_force().overrides.target_groups["web"].len(),
        1,
        "refusals leave nothing"
    );
    for (list, path, member, key) in [
        ("LoadBalancers", "/load-balancers", "LoadBalancerArn", "client_keep_alive.seconds"),
        ("Listeners", "/listeners", "ListenerArn", "routing.http.response.server.enabled"),
    ] {
        let arn = arn(&server, list, path, member).await;
        let value = if list == "Listeners" { "true" } else { "90" };
        let change = json!({ member: arn, "Attributes": [{ "Key": key, "Value": value }] });
        let (status, answer) = server.act("PUT", "/attributes", change).await;
        assert_eq!(status, 200, "{answer}");
    }
    let (_, overrides) = server.read("/overrides").await;
    assert_eq!(overrides["Listeners"][0]["Port"], 8080);
    assert_eq!(overrides["LoadBalancers"][0]["LoadBalancerName"], "edge");
}

#[tokio::test]
async fn what_is_wrong_with_targets_is_named() {
    let server = serving().await;
    let body = |target: Value| json!({ "TargetGroupName": "web", "Targets": [target] });
    for (request, code, message) in [
        (json!({ "TargetGroupName": "web" }), "ValidationError", "'Targets' must have at least one element"),
        (
            json!({ "Targets": [] }),
            "ValidationError",
            "exactly one of 'TargetGroupArn' and 'TargetGroupName' is needed",
        ),
        (
            json!({ "TargetGroupName": "none", "Targets": [] }),
            "TargetGroupNotFound",
            "One or more target groups not found",
        ),
        (
            body(json!({ "Id": "10.0.0.300" })),
            "ValidationError",
            "The target ID '10.0.0.300' is neither an IP address nor a host name",
        ),
        (
            body(json!({ "Id": "10.0.0.3", "Port": 0 })),
            "ValidationError",
            "'Port' value '0' must be between '1-65535' inclusive",
        ),
        (
            body(json!({ "Id": "10.0.0.3", "AvailabilityZone": "a" })),
            "ValidationError",
            "'AvailabilityZone' value 'a' must be 'all'",
        ),
        (
            json!({ "TargetGroupName": "spare", "Targets": [{ "Id": "10.0.0.9" }] }),
            "ValidationError",
            "'Port' is needed: the target group has none",
        ),
    ] {
        assert_eq!(refused(&server, "/targets/register", request).await, error(code, message));
    }
    let many: Vec<_> = (1..=1000).map(|port| json!({ "Id": "10.0.0.9", "Port": port })).collect();
    let many = json!({ "TargetGroupName": "web", "Targets": many });
    assert_eq!(refused(&server, "/targets/register", many).await.0, "TooManyTargets");
    assert_eq!(targets(&server).await.len(), 2);
}

#[tokio::test]
async fn a_failed_reload_says_why_and_actions_are_counted() {
    let server = serving().await;
    assert_eq!(
        refused(&server, "/reload", json!({})).await,
        error("InvalidConfigurationRequest", "the file is gone")
    );
    let counted = |action, status| server.state.metrics.admin_action(action, status).actions.get();
    assert_eq!((counted("Reload", "400"), counted("Reload", "200")), (1, 0));
    server.act("DELETE", "/overrides", json!({})).await;
    assert_eq!(counted("ClearOverrides", "200"), 1);
}

#[tokio::test]
async fn requests_that_may_not_act_do_nothing() {
    let server = serving().await;
    let body = r#"{"TargetGroupName":"web"}"#;
    for (headers, status) in [
        ("Host: localhost\r\nContent-Type: text/plain\r\n", "415"),
        ("Host: evil.example\r\nContent-Type: application/json\r\n", "403"),
        ("Host: localhost\r\nOrigin: http://evil.example\r\nContent-Type: application/json\r\n", "403"),
    ] {
        let request = format!(
            "POST /targets/drain HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = server.send(&request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let long = format!("{{\"TargetGroupName\":\"{}\"}}", "a".repeat(300 * 1024));
    let head = "POST /targets/drain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let answer = server
        .send(&format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n{long}", long.len()))
        .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(targets(&server).await.iter().all(|target| target.2 == "initial"));
}
