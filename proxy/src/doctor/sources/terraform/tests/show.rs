//! What is understood of `terraform show -json`.

use proptest::prelude::*;

use super::{notes, outline, system_of, told};

/// A state: ARNs are known, and all arguments stand there with their defaults.
const STATE: &str = r#"{"format_version": "1.0", "terraform_version": "1.9.5", "values": {"root_module": {
  "resources": [
    {"address": "aws_lb.web", "mode": "managed", "type": "aws_lb", "name": "web", "values": {
      "arn": "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/a", "name": "web",
      "load_balancer_type": "application", "idle_timeout": 60, "client_keep_alive": 3600,
      "enable_cross_zone_load_balancing": false, "dns_record_client_routing_policy": null,
      "access_logs": [{"bucket": "", "enabled": false, "prefix": ""}]}},
    {"address": "aws_ecs_task_definition.app", "mode": "managed", "type": "aws_ecs_task_definition", "values": {
      "arn": "arn:aws:ecs:r:1:task-definition/app:3", "family": "app", "requires_compatibilities": ["EC2"],
      "container_definitions": "[{\"name\":\"app\",\"stopTimeout\":20,\n\"portMappings\":[{\"containerPort\":80}]}]"}},
    {"address": "aws_ecs_service.app", "mode": "managed", "type": "aws_ecs_service", "values": {
      "name": "app", "task_definition": "arn:aws:ecs:r:1:task-definition/app:3", "desired_count": 3,
      "health_check_grace_period_seconds": 30, "load_balancer": [{"container_name": "app", "container_port": 80,
        "target_group_arn": "arn:aws:elasticloadbalancing:r:1:targetgroup/web/b"}]}},
    {"address": "aws_vpc.main", "mode": "managed", "type": "aws_vpc", "values": {}}],
  "child_modules": [{"address": "module.web[0]", "resources": [
    {"address": "module.web[0].aws_lb_target_group.this", "mode": "managed", "type": "aws_lb_target_group",
     "values": {"arn": "arn:aws:elasticloadbalancing:r:1:targetgroup/web/b", "name": "web", "protocol": "HTTP",
      "port": 80, "deregistration_delay": "300", "stickiness": [{"type": "lb_cookie", "enabled": false,
      "cookie_duration": 86400, "cookie_name": ""}]}},
    {"address": "module.web[0].aws_lb_listener.this", "mode": "managed", "type": "aws_lb_listener",
     "values": {"arn": "arn:aws:elasticloadbalancing:r:1:listener/app/web/a/c", "port": 80, "protocol": "HTTP",
      "load_balancer_arn": "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/a", "default_action":
      [{"type": "forward", "order": 1, "target_group_arn": "arn:aws:elasticloadbalancing:r:1:targetgroup/web/b",
        "forward": [], "redirect": []}]}}]}]}}}"#;

#[test]
fn a_state_is_a_system() {
    let system = system_of(&[("state.json", STATE)]).unwrap();
    insta::assert_snapshot!(outline(&system), @"
    load balancer web state.json:4:73
      listener HTTP:80 of web state.json:22:93
        default [] forward web
    target group web state.json:18:78
    ");
    assert_eq!(notes(&system), [""; 0]);
    let [application] = &system.applications[..] else { panic!("{:?}", system.applications) };
    let (balancer, group) = (&system.load_balancers[0].attributes, &system.target_groups[0].attributes);
    let lines = [
        told(balancer.given("idle_timeout.timeout_seconds")),
        told(balancer.given("load_balancing.cross_zone.enabled")),
        told(balancer.given("access_logs.s3.bucket")),
        told(group.given("stickiness.enabled")),
        told(group.given("stickiness.lb_cookie.duration_seconds")),
        told(application.shutdown.stop_timeout.as_ref()),
        told(application.startup.health_check_grace_period.as_ref()),
        told(application.instances.as_ref()),
        application.target_groups.join(" "),
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    aws_lb.web.idle_timeout = 60 at state.json:5:44
    -
    -
    module.web[0].aws_lb_target_group.this.stickiness.enabled = false at state.json:19:87
    module.web[0].aws_lb_target_group.this.stickiness.cookie_duration = 86400 at state.json:20:7
    aws_ecs_task_definition.app.container_definitions.stopTimeout = 20 at state.json:10:7
    aws_ecs_service.app.health_check_grace_period_seconds = 30 at state.json:13:7
    aws_ecs_service.app.desired_count = 3 at state.json:12:82
    web
    ");
}

/// A plan: of what is to be made no ARN is known, but who refers to whom is.
const PLAN: &str = r#"{"format_version": "1.2", "terraform_version": "1.9.5", "planned_values": {"root_module": {
  "child_modules": [{"address": "module.web", "resources": [
    {"address": "module.web.aws_lb.this[0]", "type": "aws_lb", "values": {"name": "web", "idle_timeout": 120}},
    {"address": "module.web.aws_lb_target_group.this", "type": "aws_lb_target_group",
     "values": {"name": "web", "protocol": "HTTP", "stickiness": []}},
    {"address": "module.web.aws_lb_listener.this", "type": "aws_lb_listener",
     "values": {"port": 80, "protocol": "HTTP", "default_action": [{"type": "forward"}]}},
    {"address": "module.web.aws_lb_listener_rule.this", "type": "aws_lb_listener_rule",
     "values": {"priority": 5, "condition": [{"path_pattern": [{"values": ["/a"]}]}]}}]}]}},
  "configuration": {"root_module": {"module_calls": {"web": {"module": {"resources": [
    {"address": "aws_lb.this", "expressions": {"name": {"constant_value": "web"}}},
    {"address": "aws_lb_target_group.this", "expressions": {"deregistration_delay": {"references": ["var.delay"]}}},
    {"address": "aws_lb_listener.this", "expressions": {
      "load_balancer_arn": {"references": ["aws_lb.this[0].arn", "aws_lb.this[0]", "aws_lb.this"]},
      "default_action": [{"type": {"constant_value": "forward"},
        "target_group_arn": {"references": ["aws_lb_target_group.this.arn", "aws_lb_target_group.this"]}}]}},
    {"address": "aws_lb_listener_rule.this", "expressions": {
      "listener_arn": {"references": ["aws_lb_listener.this.arn", "aws_lb_listener.this"]},
      "action": [{"type": {"constant_value": "forward"},
        "target_group_arn": {"references": ["aws_lb_target_group.this.arn", "aws_lb_target_group.this"]}}]}}
  ]}}}}}}"#;

#[test]
fn a_plan_is_a_system() {
    let system = system_of(&[("plan.json", PLAN)]).unwrap();
    insta::assert_snapshot!(outline(&system), @"
    load balancer web plan.json:3:75
      listener HTTP:80 of web plan.json:7:29
        5 [PathPattern=/a] forward web
        default [] forward web
    target group web plan.json:5:17
    ");
    assert_eq!(notes(&system), [""; 0]);
    let delay = system.target_groups[0].attributes.seconds("deregistration_delay.timeout_seconds");
    assert_eq!(delay, None, "the plan does not know it, so that ELB's default is none");
}

#[test]
fn an_empty_state_is_one() {
    let system =
        system_of(&[("state.json", r#"{"format_version": "1.0", "terraform_version": "1.9.5"}"#)]).unwrap();
    assert!(system.load_balancers.is_empty());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        kind in "aws_lb|aws_lb_listener|aws_lb_listener_rule|aws_lb_target_group|aws_ecs_task_definition",
        text in r#"[\[\]{}:,"\\a-c0-9 \n-]{0,60}"#,
    ) {
        let state = format!(
            "{{\"values\": {{\"root_module\": {{\"resources\": [{{\"type\": \"{kind}\", \"address\": \"a\",\n\
             \"values\": {text}}}]}}}}}}"
        );
        drop(system_of(&[("a.json", &state)]));
    }
}
