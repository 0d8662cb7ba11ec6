//! The values of each system: in the files, in the README, and in force.

use std::{collections::BTreeSet, fs};

use albeit_e2e::topology::stage::repository;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    spring_stomp,
    system::{Plan, System, text},
};

/// Lines of the files, which the README beside them has in its table.
const FILES: [(&str, &[&str]); 9] = [
    (
        "a-auction/alb.yaml",
        &["protocol: HTTPS", "stickiness.enabled: true", "stickiness.type: lb_cookie", "port: 8080"],
    ),
    (
        "a-auction/application.yml",
        &[
            "use-forward-headers: true",
            "max-http-header-size: 8192",
            "connection-timeout: 20000",
            "path: /ws",
            "stream-bytes-limit: 512KiB",
            "http-message-cache-size: 1000",
            "disconnect-delay: 30s",
            "required: true",
        ],
    ),
    ("c-keep-alive-race/alb.yaml", &["idle_timeout.timeout_seconds: 60"]),
    ("c-keep-alive-race/application.yml", &["connection-timeout: 20000"]),
    ("c-keep-alive-race/application-cured.yml", &["keep-alive-timeout: 70000"]),
    (
        "d-chat/alb.yaml",
        &[
            "stickiness.enabled: true",
            "stickiness.type: lb_cookie",
            "stickiness.lb_cookie.duration_seconds: 86400",
            "load_balancing.algorithm.type: least_outstanding_requests",
            "deregistration_delay.timeout_seconds: 30",
        ],
    ),
    ("d-chat/backend.yaml", &["ping-timeout: 60s", "ping-interval: 25s", "heartbeat-interval: 30s"]),
    (
        "e-spring-stomp/alb.yaml",
        &[
            "ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06",
            "idle_timeout.timeout_seconds: 3600",
            "access_logs.s3.enabled: true",
            "target_type: ip",
            "port: 8080",
            "path: /actuator/health",
            "healthy_threshold: 2",
            "unhealthy_threshold: 3",
            "timeout: 5s",
            "interval: 15s",
            "matcher: 200",
            "stickiness.lb_cookie.duration_seconds: 86400",
            "heartbeat_interval: 25s",
            "stop_timeout: 60s",
        ],
    ),
    (
        "e-spring-stomp/application.yml",
        &[
            "max-connections: 10000",
            "accept-count: 200",
            "connection-timeout: 20000",
            "keep-alive-timeout: ${KEEP_ALIVE_TIMEOUT:20000}",
            "timeout-per-shutdown-phase: 30s",
            "timeout: 2000",
            "pool: { max-active: 20, max-idle: 10, min-idle: 5 }",
            "channel-prefix: \"ws:\"",
            "subscribe: pattern",
            "envelope: plain",
            "notice: 2s",
            "grace: 5s",
            "reconnect-in: 30s",
            "heart-beat: [25s, 25s]",
        ],
    ),
];

#[test]
fn files_and_readme_have_every_value() -> Result<()> {
    for (file, lines) in FILES {
        let path = repository().join("conf/reference").join(file);
        let text = fs::read_to_string(&path)?;
        let readme = fs::read_to_string(path.with_file_name("README.md"))?;
        for line in lines {
            let is_line = |it: &str| it.trim().trim_start_matches("- ") == *line;
            ensure!(text.lines().any(is_line), "{line} is not in {file}");
            ensure!(readme.contains(&format!("`{line}`")), "`{line}` of {file} is not in the README");
        }
    }
    Ok(())
}

/// What the admin API says of listeners, target groups and attributes, each as `Key=Value`.
async fn in_force(system: &System) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (path, list, arn) in [
        ("/load-balancers", "LoadBalancers", "LoadBalancerArn"),
        ("/listeners", "Listeners", "ListenerArn"),
        ("/target-groups", "TargetGroups", "TargetGroupArn"),
    ] {
        let answer = system.admin(path).await?;
        let resources = answer[list].as_array().with_context(|| format!("{answer}"))?;
        for resource in resources {
            for (key, value) in resource.as_object().context("no object")? {
                found.insert(format!(
                    "{key}={}",
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                ));
            }
            found.insert(format!("HttpCode={}", text(resource, "/Matcher/HttpCode")));
            let attributes =
                system.admin(&format!("/attributes?{arn}={}", text(resource, &format!("/{arn}")))).await?;
            let attributes = attributes["Attributes"].as_array().into_iter().flatten();
            found.extend(attributes.map(|it| format!("{}={}", text(it, "/Key"), text(it, "/Value"))));
        }
    }
    Ok(found)
}

async fn check(system: &System, expected: &[&str]) -> Result<()> {
    let found = in_force(system).await?;
    for value in expected {
        ensure!(found.contains(*value), "{value} is not among {found:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_auctions_load_balancer_is_as_its_readme_says() -> Result<()> {
    let system = Plan::of("a-auction", "application.yml").start().await?;
    let expected = [
        "Protocol=HTTPS",
        "stickiness.enabled=true",
        "stickiness.type=lb_cookie",
        "HealthCheckPath=/actuator/health",
        "Port=8080",
    ];
    check(&system, &expected).await
}

#[tokio::test]
async fn the_chats_load_balancer_is_as_its_readme_says() -> Result<()> {
    let system = Plan::of("d-chat", "backend.yaml").start().await?;
    let expected = [
        "stickiness.enabled=true",
        "stickiness.type=lb_cookie",
        "stickiness.lb_cookie.duration_seconds=86400",
        "load_balancing.algorithm.type=least_outstanding_requests",
        "deregistration_delay.timeout_seconds=30",
        "HealthCheckPath=/health/websocket",
    ];
    check(&system, &expected).await
}

#[tokio::test]
async fn the_stomp_services_load_balancer_is_as_its_readme_says() -> Result<()> {
    let Some((system, _redis)) = spring_stomp::start().await? else { return Ok(()) };
    let expected = [
        "SslPolicy=ELBSecurityPolicy-TLS13-1-2-2021-06",
        "idle_timeout.timeout_seconds=3600",
        "access_logs.s3.enabled=true",
        "Protocol=HTTP",
        "Port=8080",
        "TargetType=ip",
        "HealthCheckPath=/actuator/health",
        "HealthyThresholdCount=2",
        "UnhealthyThresholdCount=3",
        "HealthCheckTimeoutSeconds=5",
        "HealthCheckIntervalSeconds=15",
        "HttpCode=200",
        "stickiness.enabled=true",
        "stickiness.type=lb_cookie",
        "stickiness.lb_cookie.duration_seconds=86400",
    ];
    check(&system, &expected).await
}

/// What the files say of a system's parts that this machine has none of.
#[test]
fn the_task_and_its_scaling_are_as_the_readme_says() -> Result<()> {
    let read = |name: &str| -> Result<Value> {
        let path = repository().join("conf/reference/e-spring-stomp").join(name);
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    };
    let task = read("ecs-task-definition.json")?;
    let container = &task["containerDefinitions"][0];
    ensure!(task["cpu"] == "1024" && task["memory"] == "2048", "{task:#}");
    ensure!(container["stopTimeout"] == 60, "{container:#}");
    ensure!(container["ulimits"][0]["softLimit"] == 65_536, "{container:#}");
    let health = &container["healthCheck"];
    for (key, value) in [("interval", 15), ("timeout", 5), ("retries", 3), ("startPeriod", 60)] {
        ensure!(health[key] == value, "{key} of {health:#}");
    }
    let secrets = container["secrets"].as_array().context("no secrets")?;
    let names: Vec<String> = secrets.iter().map(|secret| text(secret, "/name")).collect();
    ensure!(names == ["DB_USERNAME", "DB_PASSWORD", "REDIS_HOST", "JWT_SECRET"], "{names:?}");
    let scaling = read("autoscaling.json")?;
    let (target, policy) = (&scaling["ScalableTarget"], &scaling["ScalingPolicy"]);
    ensure!(target["MinCapacity"] == 2 && target["MaxCapacity"] == 20, "{target:#}");
    let policy = &policy["TargetTrackingScalingPolicyConfiguration"];
    ensure!(policy["TargetValue"] == 5000.0, "{policy:#}");
    ensure!(policy["ScaleInCooldown"] == 300 && policy["ScaleOutCooldown"] == 60, "{policy:#}");
    let metric = &policy["CustomizedMetricSpecification"];
    ensure!(metric["MetricName"] == "websocket.connections.active", "{metric:#}");
    ensure!(metric["Statistic"] == "Average", "{metric:#}");
    Ok(())
}
