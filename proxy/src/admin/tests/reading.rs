//! What is shown.

use serde_json::{Value, json};

use super::{Server, serving};

const LB: &str = "arn:aws:elasticloadbalancing:local:000000000000:loadbalancer/app/edge/";

async fn first(server: &Server, path: &str, list: &str) -> Value {
    let (status, answer) = server.read(path).await;
    assert_eq!(status, 200, "{answer}");
    answer[list][0].clone()
}

async fn error(server: &Server, path: &str) -> (u16, String, String) {
    let (status, answer) = server.read(path).await;
    let text = |member: &str| answer["Error"][member].as_str().unwrap().to_owned();
    (status, text("Code"), text("Message"))
}

#[tokio::test]
async fn the_index_names_every_resource_and_action() {
    let server = serving().await;
    let (_, index) = server.read("/").await;
    let paths = index["Resources"].as_array().unwrap().iter().map(|it| it["Path"].as_str().unwrap());
    // There is no key with this id, and no such asset; and events do not end.
    for path in paths.filter(|path| !matches!(*path, "/public-keys/KID" | "/dashboard/NAME" | "/events")) {
        assert_ne!(server.ask("GET", path).await.0, 404, "{path}");
    }
    for action in index["Actions"].as_array().unwrap() {
        let (status, answer) =
            server.act(action["Method"].as_str().unwrap(), action["Path"].as_str().unwrap(), json!([])).await;
        assert_eq!((status, &answer["Error"]["Type"]), (400, &json!("Sender")), "{action}");
    }
}

#[tokio::test]
async fn load_balancers_and_listeners() {
    let server = serving().await;
    let load_balancer = first(&server, "/load-balancers?Names=edge", "LoadBalancers").await;
    let arn = load_balancer["LoadBalancerArn"].as_str().unwrap();
    assert!(arn.starts_with(LB), "{arn}");
    assert_eq!(load_balancer["State"], json!({ "Code": "active" }));
    assert_eq!(
        (&load_balancer["Type"], &load_balancer["IpAddressType"]),
        (&json!("application"), &json!("dualstack"))
    );
    let (_, listeners) = server.read(&format!("/listeners?LoadBalancerArn={arn}")).await;
    let ports: Vec<_> =
        listeners["Listeners"].as_array().unwrap().iter().map(|it| it["Port"].as_u64().unwrap()).collect();
    assert_eq!(ports, [8080, 8081]);
    assert_eq!(
        listeners["Listeners"][1]["DefaultActions"],
        json!([{
            "Type": "fixed-response",
            "Order": 1,
            "FixedResponseConfig": { "StatusCode": "404", "ContentType": "text/plain", "MessageBody": "no" },
        }])
    );
    let (_, page) = server.read("/listeners?PageSize=1&Marker=1").await;
    assert_eq!(page["Listeners"][0]["Port"], 8081);
    assert_eq!(page.get("NextMarker"), None);
    assert_eq!(
        error(&server, "/load-balancers?Names=edge&Names=none").await,
        (400, "LoadBalancerNotFound".to_owned(), "Load balancers '[none]' not found".to_owned())
    );
    assert_eq!(error(&server, "/listeners?LoadBalancerArn=x").await.1, "LoadBalancerNotFound");
    assert_eq!(error(&server, "/listeners?ListenerArns=x").await.1, "ListenerNotFound");
    assert_eq!(
        error(&server, "/listeners?Names=x").await,
        (
            400,
            "ValidationError".to_owned(),
            "unknown parameter 'Names', expected one of 'LoadBalancerArn, ListenerArns, PageSize, Marker'"
                .to_owned()
        )
    );
}

#[tokio::test]
async fn rules_come_in_their_order_with_the_default_last() {
    let server = serving().await;
    let listener =
        first(&server, "/listeners", "Listeners").await["ListenerArn"].as_str().unwrap().to_owned();
    server
        .state
        .metrics
        .rule(server.state.control.in_force().model.load_balancers[0].log_name.as_str(), "HTTP:8080", 7)
        .matched_requests
        .inc_by(3);
    let (_, rules) = server.read(&format!("/rules?ListenerArn={listener}")).await;
    let [rule, default] = rules["Rules"].as_array().unwrap().as_slice() else { panic!("{rules}") };
    assert_eq!(
        (&rule["Priority"], &rule["IsDefault"], &rule["MatchedRequestCount"]),
        (&json!("7"), &json!(false), &json!(3))
    );
    assert_eq!(
        rule["Conditions"],
        json!([
            { "Field": "path-pattern", "PathPatternConfig": { "Values": ["/old/*"] } },
            { "Field": "host-header", "HostHeaderConfig": { "Values": ["example.test"] } },
        ])
    );
    assert_eq!(
        rule["Actions"],
        json!([{
            "Type": "redirect",
            "Order": 1,
            "RedirectConfig": {
                "Protocol": "#{protocol}", "Host": "#{host}", "Port": "#{port}", "Path": "/new", "Query": "#{query}",
                "StatusCode": "HTTP_301",
            },
        }])
    );
    assert_eq!((&default["Priority"], &default["IsDefault"]), (&json!("default"), &json!(true)));
    assert_eq!(default["Actions"][0]["ForwardConfig"]["TargetGroups"][0]["Weight"], 1);
    let arn = default["RuleArn"].as_str().unwrap();
    assert_eq!(&first(&server, &format!("/rules?RuleArns={arn}"), "Rules").await, default);
    assert_eq!(error(&server, "/rules?RuleArns=x").await.1, "RuleNotFound");
}

#[tokio::test]
async fn target_groups_with_their_users_and_checks() {
    let server = serving().await;
    let group = first(&server, "/target-groups?Names=web", "TargetGroups").await;
    for (member, value) in [
        ("Protocol", json!("HTTP")),
        ("ProtocolVersion", json!("HTTP1")),
        ("Port", json!(80)),
        ("HealthCheckPort", json!("traffic-port")),
        ("HealthCheckIntervalSeconds", json!(30)),
        ("Matcher", json!({ "HttpCode": "200" })),
    ] {
        assert_eq!(group[member], value, "{member}");
    }
    let users = group["LoadBalancerArns"].as_array().unwrap();
    let user = users[0].as_str().unwrap();
    let (_, used) = server.read(&format!("/target-groups?LoadBalancerArn={user}")).await;
    assert_eq!(used["TargetGroups"].as_array().unwrap().len(), 1);
    assert_eq!(
        error(&server, "/target-groups?Names=none").await,
        (400, "TargetGroupNotFound".to_owned(), "One or more target groups not found".to_owned())
    );
}

#[tokio::test]
async fn targets_are_described_in_the_words_of_the_api() {
    let server = serving().await;
    let group = first(&server, "/targets?Names=spare", "TargetGroups").await;
    assert_eq!(group["TargetGroupName"], "spare");
    assert_eq!(
        group["TargetHealthDescriptions"],
        json!([{
            "Target": { "Id": "10.0.0.3", "Port": 81 },
            "HealthCheckPort": "81",
            "TargetHealth": {
                "State": "unused",
                "Reason": "Target.NotInUse",
                "Description": "Target group is not configured to receive traffic from the load balancer",
            },
            "AdministrativeOverride": {
                "State": "no_override",
                "Reason": "AdministrativeOverride.NoOverride",
                "Description": "No override is currently active on target",
            },
            "OutstandingRequests": 0,
            "AnomalyDetection": { "Result": "normal", "MitigationInEffect": "no" },
        }])
    );
    assert_eq!(error(&server, "/targets?Names=none").await.1, "TargetGroupNotFound");
}

#[tokio::test]
async fn attributes_are_effective_ones() {
    let server = serving().await;
    let (_, all) = server.read("/attributes").await;
    let resources = all["Resources"].as_array().unwrap();
    assert_eq!(resources.len(), 5);
    let value = |resource: &Value, key: &str| {
        let attributes = resource["Attributes"].as_array().unwrap();
        attributes.iter().find(|pair| pair["Key"] == key).map(|pair| pair["Value"].clone())
    };
    assert_eq!(value(&resources[0], "idle_timeout.timeout_seconds"), Some(json!("30")));
    assert_eq!(value(&resources[0], "client_keep_alive.seconds"), Some(json!("3600")));
    assert_eq!(value(&resources[0], "dns_record.client_routing_policy"), None);
    assert_eq!(value(&resources[1], "routing.http.response.server.enabled"), Some(json!("true")));
    let arn = resources[3]["TargetGroupArn"].as_str().unwrap();
    let (_, group) = server.read(&format!("/attributes?TargetGroupArn={arn}")).await;
    assert_eq!(value(&group, "deregistration_delay.timeout_seconds"), Some(json!("300")));
    assert_eq!(value(&group, "lambda.multi_value_headers.enabled"), None);
    assert_eq!(error(&server, "/attributes?TargetGroupArn=x&ListenerArn=y").await.1, "ValidationError");
}

#[tokio::test]
async fn nothing_is_overridden_at_first() {
    let server = serving().await;
    let nothing = json!({ "LoadBalancers": [], "Listeners": [], "TargetGroups": [], "Targets": [], "ForcedHealth": [] });
    assert_eq!(server.read("/overrides").await, (200, nothing));
    assert_eq!(server.read("/connections").await, (200, json!({ "Connections": [], "TotalCount": 0 })));
    assert_eq!(server.read("/certificates").await, (200, json!({ "Certificates": [] })));
}
