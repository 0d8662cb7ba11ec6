//! One thing that several files describe.

use super::super::tests::system;
use crate::doctor::{diagnose, system::System};

const DUMP: &str = r#"{
  "LoadBalancers": [{
    "LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/web/1",
    "LoadBalancerName": "web", "Type": "application"}],
  "Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "60"}],
  "Listeners": [{
    "ListenerArn": "arn:aws:elasticloadbalancing:eu-central-1:1:listener/app/web/1/2",
    "LoadBalancerArn": "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/web/1",
    "Port": 80, "Protocol": "HTTP",
    "DefaultActions": [{"Type": "forward",
      "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/3"}]}],
  "TargetGroups": [{
    "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/3",
    "TargetGroupName": "web", "Protocol": "HTTP", "Port": 8080, "HealthCheckIntervalSeconds": 15}]
}"#;

const TERRAFORM: &str = r#"
resource "aws_lb" "web" {
  name         = "web"
  idle_timeout = 120
}
resource "aws_lb_listener" "web" {
  load_balancer_arn = aws_lb.web.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.web.arn
  }
}
resource "aws_lb_target_group" "web" {
  name                 = "web"
  port                 = 8080
  protocol             = "HTTP"
  deregistration_delay = 20
  health_check {
    interval = 10
  }
}
"#;

const APPLICATION: &str = "server:\n  tomcat:\n    keep-alive-timeout: 20s\n";

fn of(files: &[(&str, &str)]) -> System {
    system(files, &|_| None)
}

#[test]
fn the_account_counts_and_differences_are_noted() {
    let files = [("main.tf", TERRAFORM), ("elbv2.json", DUMP), ("application.yml", APPLICATION)];
    let system = of(&files);
    assert_eq!((system.load_balancers.len(), system.target_groups.len()), (1, 1));
    assert_eq!(system.load_balancers[0].listeners.len(), 1);
    let notes: Vec<_> = system.notes.iter().map(|note| format!("{}: {}", note.place, note.message)).collect();
    insta::assert_snapshot!(notes.join("\n"), @"
    main.tf:4:3: aws_lb.web.idle_timeout is 120, but idle_timeout.timeout_seconds is 60 (elbv2.json:5:58), which is what counts here
    main.tf:21:5: aws_lb_target_group.web.health_check.interval is 10, but HealthCheckIntervalSeconds is 15 (elbv2.json:14:65), which is what counts here
    ");
    let races = diagnose(&system).into_iter().filter(|finding| finding.code == "keep-alive-race");
    let settings: Vec<_> = races.flat_map(|finding| finding.evidence).map(|it| it.key.to_string()).collect();
    assert_eq!(settings, ["server.tomcat.keep-alive-timeout", "idle_timeout.timeout_seconds"]);
}

#[test]
fn the_others_fill_in_what_the_account_does_not_say() {
    let system = of(&[("elbv2.json", DUMP), ("main.tf", TERRAFORM)]);
    let delay = system.target_groups[0].attributes.given("deregistration_delay.timeout_seconds").unwrap();
    assert_eq!((&*delay.written, &*delay.key), ("20", "aws_lb_target_group.web.deregistration_delay"));
}

#[test]
fn two_of_one_kind_are_two() {
    let elsewhere = DUMP.replace("eu-central-1", "us-east-1");
    assert_eq!(of(&[("a.json", DUMP), ("b.json", &elsewhere)]).load_balancers.len(), 2);
}
