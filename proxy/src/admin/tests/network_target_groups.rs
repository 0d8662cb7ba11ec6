//! Target groups of network load balancers.

use super::*;
use crate::model::{
    HealthCheckProtocol, LoadBalancerType, TargetGroup, TargetGroupProtocol, TargetType,
    target_group::TargetId,
};

/// The usual file, with the group `web` made one of a network load balancer.
async fn serving_network(change: impl FnOnce(&mut TargetGroup)) -> Server {
    let mut in_force =
        in_force(Source::from_text(FILE, Path::new(""), "alb.yaml"), Overrides::default()).unwrap();
    let mut model = Model::clone(&in_force.model);
    let group = model.target_groups.iter_mut().find(|group| group.name == "web").unwrap();
    group.protocol = TargetGroupProtocol::Tcp;
    change(group);
    in_force.model = Arc::new(model);
    serving_in_force(in_force).await
}

async fn described(server: &Server) -> Value {
    server.read("/targets?Names=web").await.1["TargetGroups"][0]["TargetHealthDescriptions"].take()
}

#[tokio::test]
async fn unhealthy_draining_is_shown() {
    let server = serving_network(|group| {
        group.attributes.flows.unhealthy_termination = false;
        group.attributes.flows.unhealthy_draining_interval = Duration::from_secs(3600);
    })
    .await;
    let force = json!({ "TargetGroupName": "web", "Targets": [{ "Id": "10.0.0.2" }], "State": "unhealthy" });
    assert_eq!(server.act("POST", "/targets/health", force).await.0, 200);
    let health = &described(&server).await[1]["TargetHealth"];
    assert_eq!(health["State"], "unhealthy.draining");
    assert_eq!(health["Reason"], "Albeit.AdministrativeOverride");
}

#[tokio::test]
async fn a_load_balancer_that_is_a_target_goes_by_its_arn() {
    let server = serving_network(|group| {
        group.target_type = TargetType::Alb;
        let (name, address) = ("edge".to_owned(), Ipv4Addr::LOCALHOST.into());
        group.targets =
            vec![crate::model::Target { id: TargetId::LoadBalancer { name, address }, port: 8080 }];
    })
    .await;
    let scope = server.state.control.in_force().model.scope.clone();
    let arn = scope.load_balancer(LoadBalancerType::Application, "edge");
    assert_eq!(described(&server).await[0]["Target"], json!({ "Id": arn, "Port": 8080 }));
    let force =
        |id: &str| json!({ "TargetGroupName": "web", "Targets": [{ "Id": id }], "State": "unhealthy" });
    let (status, refused) = server.act("POST", "/targets/health", force("127.0.0.1")).await;
    assert_eq!((status, &refused["Error"]["Code"]), (400, &json!("InvalidTarget")));
    assert_eq!(server.act("POST", "/targets/health", force(&arn)).await, (200, json!({})));
    assert_eq!(described(&server).await[0]["TargetHealth"]["State"], "unhealthy");
    let (_, overrides) = server.read("/overrides").await;
    assert_eq!(overrides["ForcedHealth"][0]["Target"], json!({ "Id": arn, "Port": 8080 }));
    let (_, groups) = server.read("/target-groups?Names=web").await;
    assert_eq!(groups["TargetGroups"][0]["TargetType"], "alb");
}

#[tokio::test]
async fn tcp_checks_have_neither_path_nor_matcher() {
    for (protocol, expected) in [(HealthCheckProtocol::Tcp, false), (HealthCheckProtocol::Http, true)] {
        let server = serving_network(|group| group.health_check.protocol = protocol).await;
        let (_, groups) = server.read("/target-groups?Names=web").await;
        let group = &groups["TargetGroups"][0];
        assert_eq!(group["HealthCheckProtocol"], protocol.as_str());
        for key in ["HealthCheckPath", "Matcher"] {
            assert_eq!(group.get(key).is_some(), expected, "{key}: {group}");
        }
        assert_eq!((&group["Protocol"], group.get("ProtocolVersion")), (&json!("TCP"), None));
    }
}
