//! Answers of `aws elbv2 describe-*` as a user saves them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

const ARN: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012";

/// The type of the load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Application,
    Network,
}

/// One load balancer with one listener and one target group of two targets, all sound.
#[derive(Debug, Clone)]
pub(super) struct Dump {
    kind: Kind,
    load_balancer: BTreeMap<String, String>,
    target_group: BTreeMap<String, String>,
    health_path: String,
}

impl Dump {
    pub(super) fn new(kind: Kind) -> Self {
        let attribute = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let load_balancer = match kind {
            Kind::Application => vec![("idle_timeout.timeout_seconds", "60")],
            Kind::Network => vec![("load_balancing.cross_zone.enabled", "true")],
        };
        Self {
            kind,
            load_balancer: load_balancer.into_iter().map(attribute).collect(),
            target_group: [("stickiness.enabled", "false")].into_iter().map(attribute).collect(),
            health_path: "/actuator/health".to_owned(),
        }
    }

    /// Sets an attribute of the target group.
    pub(super) fn group(mut self, key: &str, value: &str) -> Self {
        self.target_group.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Sets the path of health checks.
    pub(super) fn health_path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.health_path);
        self
    }

    /// The answers, one after the other.
    pub(super) fn text(&self) -> String {
        let (kind, short, protocol, port, group_protocol) = match self.kind {
            Kind::Application => ("application", "app", "HTTPS", 443, "HTTP"),
            Kind::Network => ("network", "net", "TCP", 80, "TCP"),
        };
        let balancer = format!("{ARN}:loadbalancer/{short}/shop/50dc6c495c0c9188");
        let group = format!("{ARN}:targetgroup/shop-web/73e2d6bc24d8a067");
        let listener = format!("{ARN}:listener/{short}/shop/50dc6c495c0c9188/f2f7dc8efc522ab2");
        let mut described = json!({
            "ListenerArn": listener, "LoadBalancerArn": balancer, "Port": port, "Protocol": protocol,
            "DefaultActions": [{ "Type": "forward", "TargetGroupArn": group }],
        });
        if self.kind == Kind::Application {
            described["SslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-2021-06");
        }
        let answers = [
            json!({ "LoadBalancers": [{ "LoadBalancerArn": balancer, "LoadBalancerName": "shop", "Type": kind }] }),
            json!({ "LoadBalancerArn": balancer, "Attributes": attributes(&self.load_balancer) }),
            json!({ "Listeners": [described] }),
            json!({ "TargetGroups": [{
                "TargetGroupArn": group, "TargetGroupName": "shop-web", "Protocol": group_protocol, "Port": 8080,
                "TargetType": "ip", "LoadBalancerArns": [balancer], "HealthCheckProtocol": "HTTP",
                "HealthCheckPath": self.health_path, "HealthCheckIntervalSeconds": 15,
                "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 2, "UnhealthyThresholdCount": 3,
                "Matcher": { "HttpCode": "200" },
            }] }),
            json!({ "TargetGroupArn": group, "Attributes": attributes(&self.target_group) }),
            json!({ "TargetGroupArn": group, "TargetHealthDescriptions": [target("10.0.1.10"), target("10.0.2.10")] }),
        ];
        answers.iter().map(|answer| format!("{answer:#}\n")).collect()
    }
}

fn attributes(given: &BTreeMap<String, String>) -> Vec<Value> {
    given.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn target(id: &str) -> Value {
    json!({ "Target": { "Id": id, "Port": 8080 }, "TargetHealth": { "State": "healthy" } })
}
