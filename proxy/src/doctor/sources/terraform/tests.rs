//! What is understood of Terraform.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::super::{
    aws::tests::{notes, outline, system_of},
    read_all,
};
use crate::doctor::{
    setting::Setting,
    system::{Application, System, TargetGroup},
};

mod show;

/// `KEY = WRITTEN at PLACE`.
pub(super) fn told<T>(setting: Option<&Setting<T>>) -> String {
    setting.map_or_else(|| "-".to_owned(), |it| format!("{} = {} at {}", it.key, it.written, it.place))
}

/// What files of a directory say; `named` are those that are given to the doctor.
#[track_caller]
fn read(files: &[(&str, &str)], named: &[&str]) -> System {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let paths: Vec<_> = named.iter().map(|name| directory.path().join(name)).collect();
    read_all(paths.iter().map(|path| &**path), &|_| None).unwrap()
}

#[test]
fn a_directory_is_a_system() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/reference/doctor");
    let system = read_all([&*directory], &|_| None).unwrap();
    let here = format!("{}/", directory.display());
    insta::assert_snapshot!(outline(&system).replace(&here, ""), @"
    load balancer websocket-alb main.tf:10:3
      listener HTTPS:443 of websocket-alb main.tf:24:3
        default [] forward websocket-tg
    target group websocket-tg main.tf:34:3
    ");
    assert_eq!(notes(&system), [""; 0]);
    let balancer = &system.load_balancers[0];
    let group = &system.target_groups[0];
    let [Application { name, target_groups, shutdown, startup, environment, instances, image, .. }] =
        &system.applications[..]
    else {
        panic!("one application: {:?}", system.applications);
    };
    assert_eq!((name.as_str(), &target_groups[..]), ("websocket-app", &["websocket-tg".to_owned()][..]));
    let lines = [
        told(balancer.attributes.given("idle_timeout.timeout_seconds")),
        told(balancer.attributes.given("access_logs.s3.enabled")),
        told(balancer.listeners[0].ssl_policy.as_ref()),
        told(group.attributes.given("stickiness.enabled")),
        told(group.attributes.given("stickiness.lb_cookie.duration_seconds")),
        told(Some(&group.attributes.text("deregistration_delay.timeout_seconds"))),
        told(group.health_check.interval.as_ref()),
        told(shutdown.stop_timeout.as_ref()),
        told(startup.start_period.as_ref()),
        told(startup.health_check_grace_period.as_ref()),
        told(environment.get("SERVER_TOMCAT_KEEPALIVETIMEOUT")),
        told(instances.as_ref()),
        told(image.as_ref()),
    ];
    insta::assert_snapshot!(lines.join("\n").replace(&here, ""), @"
    aws_lb.websocket.idle_timeout = 3600 at main.tf:13:3
    aws_lb.websocket.access_logs.enabled = true at main.tf:17:5
    aws_lb_listener.https.ssl_policy = ELBSecurityPolicy-2016-08 at default of ELB
    aws_lb_target_group.websocket.stickiness.enabled = true at default of Terraform's AWS provider
    aws_lb_target_group.websocket.stickiness.cookie_duration = 86400 at main.tf:51:5
    deregistration_delay.timeout_seconds = 300 at default of an Application Load Balancer
    aws_lb_target_group.websocket.health_check.interval = 15 at main.tf:45:5
    aws_ecs_task_definition.websocket.container_definitions.stopTimeout = 60 at main.tf:79:7
    aws_ecs_task_definition.websocket.container_definitions.healthCheck.startPeriod = 60 at main.tf:77:9
    aws_ecs_service.websocket.health_check_grace_period_seconds = 0 at default of Amazon ECS
    SERVER_TOMCAT_KEEPALIVETIMEOUT = 20000 at main.tf:70:52
    aws_ecs_service.websocket.desired_count = 2 at main.tf:88:3
    aws_ecs_task_definition.websocket.container_definitions.image = ${var.repository}:1.8.3 at main.tf:65:7
    ");
}

const BALANCER: &str = "resource \"aws_lb\" \"web\" {\n  idle_timeout = var.idle\n}\n";
const VARIABLES: &str = "variable \"idle\" {\n  default = 90\n}\n";

#[track_caller]
fn idle(files: &[(&str, &str)], named: &[&str], expected: Option<u64>) {
    let system = read(files, named);
    let [balancer] = &system.load_balancers[..] else { panic!("{:?}", system.load_balancers) };
    let idle = balancer.attributes.seconds("idle_timeout.timeout_seconds");
    assert_eq!(idle.map(|idle| idle.value.as_secs()), expected);
}

#[test]
fn variables_are_those_of_the_directory() {
    idle(&[("main.tf", BALANCER)], &["main.tf"], None);
    idle(&[("main.tf", BALANCER), ("variables.tf", VARIABLES)], &["main.tf"], Some(90));
    idle(&[("main.tf", BALANCER), ("variables.tf", VARIABLES)], &["main.tf", "variables.tf"], Some(90));
    let values = ("terraform.tfvars", "idle = 120\n");
    idle(&[("main.tf", BALANCER), ("variables.tf", VARIABLES), values], &["main.tf"], Some(120));
    let auto = ("a.auto.tfvars", "idle = 150\n");
    idle(&[("main.tf", BALANCER), values, auto], &["main.tf"], Some(150));
    let production = ("production.tfvars", "idle = 180\n");
    idle(&[("main.tf", BALANCER), values, production], &["main.tf"], Some(120));
    idle(&[("main.tf", BALANCER), values, production], &["production.tfvars", "main.tf"], Some(180));
    // Somebody else's mistake.
    idle(&[("main.tf", BALANCER), ("b.tf", "{"), ("variables.tf", VARIABLES)], &["main.tf"], Some(90));
}

#[track_caller]
fn group(arguments: &str) -> TargetGroup {
    let text = format!("resource \"aws_lb_target_group\" \"web\" {{\n{arguments}\n}}\n");
    let system = read(&[("main.tf", &text)], &["main.tf"]);
    let [group] = system.target_groups.try_into().unwrap();
    group
}

#[track_caller]
fn attribute(arguments: &str, key: &str, expected: &str) {
    assert_eq!(group(arguments).attributes.text(key).value, expected);
}

#[test]
fn arguments_are_attributes() {
    attribute("deregistration_delay = 30", "deregistration_delay.timeout_seconds", "30");
    attribute("deregistration_delay = \"30\"", "deregistration_delay.timeout_seconds", "30");
    attribute("", "deregistration_delay.timeout_seconds", "300");
    attribute("deregistration_delay = null", "deregistration_delay.timeout_seconds", "300");
    attribute("stickiness {\n type = \"lb_cookie\"\n}", "stickiness.enabled", "true");
    attribute("stickiness {\n type = \"lb_cookie\"\n enabled = false\n}", "stickiness.enabled", "false");
    attribute("", "stickiness.enabled", "false");
    let app_cookie = "stickiness {\n type = \"app_cookie\"\n cookie_name = \"sid\"\n cookie_duration = 60\n}";
    attribute(app_cookie, "stickiness.app_cookie.cookie_name", "sid");
    attribute(app_cookie, "stickiness.app_cookie.duration_seconds", "60");
    attribute(app_cookie, "stickiness.lb_cookie.duration_seconds", "86400");
    let tcp = "protocol = \"TCP\"\nconnection_termination = true\nproxy_protocol_v2 = true\n\
               target_health_state {\n enable_unhealthy_connection_termination = false\n}";
    attribute(tcp, "deregistration_delay.connection_termination.enabled", "true");
    attribute(tcp, "proxy_protocol_v2.enabled", "true");
    attribute(tcp, "target_health_state.unhealthy.connection_termination.enabled", "false");
}

#[test]
fn what_terraform_alone_knows_is_unknown() {
    let unknown =
        group("deregistration_delay = var.delay\nstickiness {\n type = \"lb_cookie\"\n enabled = var.on\n}");
    assert_eq!(unknown.attributes.seconds("deregistration_delay.timeout_seconds"), None);
    assert_eq!(unknown.attributes.flag("stickiness.enabled"), None);
    assert_eq!(unknown.name.value, "aws_lb_target_group.web");
    let dynamic = "resource \"aws_lb\" \"a\" {\n  dynamic \"access_logs\" {\n    for_each = []\n  }\n}\n\
                   resource \"aws_lb\" \"b\" {\n  load_balancer_type = var.type\n}\n\
                   resource \"aws_lb\" \"c\" {\n  count = 0\n}\n\
                   resource \"aws_lb_listener\" \"d\" {\n  load_balancer_arn = module.lb.arn\n}\n\
                   resource \"aws_ecs_task_definition\" \"e\" {\n  container_definitions = file(\"e.json\")\n}\n";
    let system = system_of(&[("nowhere.tf", dynamic)]);
    let system = system.unwrap();
    insta::assert_snapshot!(outline(&system), @"load balancer aws_lb.a nowhere.tf:1:1");
    insta::assert_snapshot!(notes(&system).join("\n"), @"
    nowhere.tf:2:3: only Terraform knows the dynamic blocks of aws_lb.a: access_logs
    nowhere.tf:6:1: only Terraform knows the type of aws_lb.b: ${var.type}
    nowhere.tf:13:3: a listener of a load balancer that nothing describes: ${module.lb.arn}
    nowhere.tf:16:3: only Terraform knows the containers of aws_ecs_task_definition.e
    ");
}

#[test]
fn health_checks_have_the_defaults_of_provider_and_elb() {
    let lines = |arguments: &str| {
        let check = group(arguments).health_check;
        [
            told(check.protocol.as_ref()),
            told(check.interval.as_ref()),
            told(check.timeout.as_ref()),
            told(check.healthy_threshold.as_ref()),
            told(check.unhealthy_threshold.as_ref()),
            told(check.path.as_ref()),
            told(check.matcher.as_ref()),
        ]
        .join("\n")
    };
    insta::assert_snapshot!(lines("protocol = \"HTTP\"").replace("aws_lb_target_group.web.", ""), @"
    health_check.protocol = HTTP at default of ELB
    health_check.interval = 30 at default of ELB
    health_check.timeout = 5 at default of ELB
    health_check.healthy_threshold = 5 at default of ELB
    health_check.unhealthy_threshold = 2 at default of ELB
    health_check.path = / at default of ELB
    health_check.matcher = 200 at default of ELB
    ");
    insta::assert_snapshot!(
        lines("protocol = \"HTTP\"\nhealth_check {\n}").replace("aws_lb_target_group.web.", ""), @"
    health_check.protocol = HTTP at default of Terraform's AWS provider
    health_check.interval = 30 at default of Terraform's AWS provider
    health_check.timeout = 5 at default of ELB
    health_check.healthy_threshold = 3 at default of Terraform's AWS provider
    health_check.unhealthy_threshold = 3 at default of Terraform's AWS provider
    health_check.path = / at default of ELB
    health_check.matcher = 200 at default of ELB
    ");
    insta::assert_snapshot!(lines("protocol = \"TCP\"").replace("aws_lb_target_group.web.", ""), @"
    health_check.protocol = TCP at default of ELB
    health_check.interval = 30 at default of ELB
    health_check.timeout = 10 at default of ELB
    health_check.healthy_threshold = 5 at default of ELB
    health_check.unhealthy_threshold = 2 at default of ELB
    -
    -
    ");
    assert!(group("health_check {\n  interval = var.x\n}").health_check.interval.is_none());
}

#[test]
fn rules_and_attachments_find_what_they_name() {
    let text = r#"
resource "aws_alb" "front" {
  name               = "front"
  load_balancer_type = "network"
  idle_timeout       = 4000
}
resource "aws_alb_listener" "tcp" {
  load_balancer_arn        = aws_alb.front.id
  port                     = 5000
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = 600
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.many["a"].arn
  }
}
resource "aws_lb_target_group" "many" {
  for_each = var.groups
  protocol = "TCP"
  port     = 5000
}
resource "aws_lb_target_group_attachment" "a" {
  target_group_arn = aws_lb_target_group.many["a"].arn
}
resource "aws_lb_target_group_attachment" "b" {
  target_group_arn = aws_lb_target_group.many["a"].arn
}
resource "aws_lb" "web" {}
resource "aws_lb_listener" "web" {
  load_balancer_arn = aws_lb.web.arn
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}
resource "aws_lb_listener_rule" "ws" {
  listener_arn = aws_lb_listener.web.arn
  priority     = 10
  condition {
    path_pattern {
      values = ["/ws/*"]
    }
  }
  condition {
    query_string {
      key   = "v"
      value = "2"
    }
    query_string {
      value = "beta"
    }
  }
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.many["a"].arn
        weight = 1
      }
      stickiness {
        enabled  = true
        duration = 60
      }
    }
  }
}
"#;
    let system = read(&[("main.tf", text)], &["main.tf"]);
    let outline = outline(&system);
    let lines: Vec<_> = outline.lines().map(|line| line.split(" /").next().unwrap()).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    load balancer front
      listener TCP:5000 of front
        default [] forward aws_lb_target_group.many
    load balancer aws_lb.web
      listener HTTP of aws_lb.web
        10 [PathPattern=/ws/* QueryString=v=2|beta] forward aws_lb_target_group.many*1 sticky=true
        default [] redirect HTTPS://-:443-?-
    target group aws_lb_target_group.many
    ");
    assert_eq!(notes(&system), [""; 0]);
    let front = &system.load_balancers[0];
    assert_eq!(front.attributes.given("idle_timeout.timeout_seconds"), None, "no attribute of its type");
    let idle = front.listeners[0].attributes.seconds("tcp.idle_timeout.seconds").unwrap();
    assert_eq!((idle.value.as_secs(), &*idle.key), (600, "aws_alb_listener.tcp.tcp_idle_timeout_seconds"));
    assert_eq!(system.target_groups[0].targets.as_ref().unwrap().value, 2);
}

#[test]
fn a_directory_without_terraform_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(read_all([directory.path()], &|_| None).is_err());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        kind in "aws_lb|aws_lb_listener|aws_lb_target_group|aws_ecs_task_definition|aws_ecs_service",
        text in r#"[a-c0-9 \n={}\[\]()"$\\.,:?!+*/<-]{0,60}"#,
    ) {
        drop(system_of(&[("nowhere.tf", &format!("resource \"{kind}\" \"a\" {{\n{text}\n}}\n"))]));
    }
}
