//! Network load balancers, as the API would describe them.

use std::path::Path;

use serde_json::{Value, json};

use super::{Server, serving_file};
use crate::config::Source;

const FILE: &str = "
load_balancers:
  - name: front
    type: network
    listeners:
      - protocol: TCP
        port: 33335
        default_actions:
          - forward:
              target_groups: [{ target_group: flows }, { target_group: to-web }]
              target_group_stickiness_config: { enabled: true }
  - name: web
    listeners: [{ protocol: HTTP, port: 80, default_actions: [{ fixed_response: { status_code: 200 } }] }]
target_groups:
  - { name: flows, protocol: TCP, port: 9001 }
  - { name: to-web, protocol: TCP, target_type: alb, targets: [{ id: web, port: 80 }] }
";

async fn serving() -> Server {
    serving_file(Source::from_text(FILE, Path::new(""), "nlb.yaml")).await
}

async fn group(server: &Server, name: &str) -> Value {
    server.read(&format!("/target-groups?Names={name}")).await.1["TargetGroups"][0].clone()
}

#[tokio::test]
async fn groups_say_what_their_targets_are_and_how_they_are_checked() {
    let server = serving().await;
    let flows = group(&server, "flows").await;
    assert_eq!((&flows["TargetType"], &flows["HealthCheckProtocol"]), (&json!("ip"), &json!("TCP")));
    for absent in ["ProtocolVersion", "HealthCheckPath", "Matcher"] {
        assert_eq!(flows.get(absent), None, "{absent}");
    }
    let to_web = group(&server, "to-web").await;
    assert_eq!((&to_web["TargetType"], &to_web["HealthCheckProtocol"]), (&json!("alb"), &json!("HTTP")));
    assert_eq!(
        (&to_web["HealthCheckPath"], &to_web["Matcher"]["HttpCode"]),
        (&json!("/"), &json!("200-399"))
    );
    assert_eq!(to_web["HealthCheckTimeoutSeconds"], 6);
}

#[tokio::test]
async fn attributes_of_a_group_with_a_load_balancer_have_their_own_defaults_and_keep_them() {
    let server = serving().await;
    for (name, preserved) in [("flows", "false"), ("to-web", "true")] {
        let arn = group(&server, name).await["TargetGroupArn"].as_str().unwrap().to_owned();
        let (_, answer) = server.read(&format!("/attributes?TargetGroupArn={arn}")).await;
        let expected = json!({ "Key": "preserve_client_ip.enabled", "Value": preserved });
        assert!(answer["Attributes"].as_array().unwrap().contains(&expected), "{answer}");
        let pairs = json!([{ "Key": "preserve_client_ip.enabled", "Value": "false" }]);
        let change = json!({ "TargetGroupArn": arn, "Attributes": pairs });
        let (status, answer) = server.act("PUT", "/attributes", change).await;
        assert_eq!(status, if name == "flows" { 200 } else { 400 }, "{answer}");
    }
}

#[tokio::test]
async fn nothing_is_registered_beside_a_load_balancer() {
    let server = serving().await;
    let body = |name| json!({ "TargetGroupName": name, "Targets": [{ "Id": "10.0.0.2", "Port": 80 }] });
    assert_eq!(server.act("POST", "/targets/register", body("flows")).await, (200, json!({})));
    let (status, answer) = server.act("POST", "/targets/register", body("to-web")).await;
    let message = "the target of 'to-web' is a load balancer, which the file names";
    assert_eq!((status, &answer["Error"]["Code"]), (400, &json!("InvalidTarget")));
    assert_eq!(answer["Error"]["Message"], message);
}

#[tokio::test]
async fn stickiness_of_a_forward_action_has_no_duration() {
    let server = serving().await;
    let (_, answer) = server.read("/load-balancers?Names=front").await;
    let arn = answer["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned();
    let (_, answer) = server.read(&format!("/listeners?LoadBalancerArn={arn}")).await;
    let config = &answer["Listeners"][0]["DefaultActions"][0]["ForwardConfig"];
    assert_eq!(config["TargetGroupStickinessConfig"], json!({ "Enabled": true }), "{answer}");
}
