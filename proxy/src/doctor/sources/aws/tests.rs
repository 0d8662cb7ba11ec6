//! What is understood of answers of `aws elbv2 describe-*`.

mod dump;

use std::path::Path;

use proptest::prelude::*;

use crate::doctor::{
    diagnose,
    sources::{self, SourceError},
    system::{Action, System},
};

/// A load balancer for websockets as people have it, with the mistakes that they make.
const DUMP: &str = include_str!("../../../../../conf/reference/doctor/elbv2-dump.json");

/// The system that some files describe.
pub(in crate::doctor::sources) fn system_of(files: &[(&str, &str)]) -> Result<System, SourceError> {
    let mut system = System::default();
    for (file, text) in files {
        sources::add(&(*file).into(), text, Path::new(file), &|_| None, &mut system)?;
    }
    sources::resolve(&mut system, &|_| None);
    Ok(system)
}

/// What the sources could not make use of.
pub(in crate::doctor::sources) fn notes(system: &System) -> Vec<String> {
    system.notes.iter().map(|note| format!("{}: {}", note.place, note.message)).collect()
}

/// One line for each listener, rule and target group: what leads where.
pub(in crate::doctor::sources) fn outline(system: &System) -> String {
    let mut lines = Vec::new();
    for balancer in &system.load_balancers {
        lines.push(format!("{} {}", balancer.title(), balancer.name.place));
        for listener in &balancer.listeners {
            lines.push(format!("  {} {}", listener.title(balancer), listener.protocol.place));
            for rule in &listener.rules {
                let priority =
                    rule.priority.value.map_or_else(|| "default".to_owned(), |number| number.to_string());
                let conditions: Vec<_> = rule
                    .conditions
                    .iter()
                    .map(|condition| {
                        let values: Vec<_> =
                            condition.values.iter().map(|value| value.value.as_str()).collect();
                        format!("{:?}={}", condition.field, values.join("|"))
                    })
                    .collect();
                let actions: Vec<_> = rule.actions.iter().map(action).collect();
                lines.push(format!("    {priority} [{}] {}", conditions.join(" "), actions.join(", ")));
            }
        }
    }
    for group in &system.target_groups {
        lines.push(format!("{} {}", group.title(), group.name.place));
    }
    lines.join("\n")
}

fn action(action: &Action) -> String {
    match action {
        Action::Forward { target_groups, stickiness } => {
            let groups: Vec<_> = target_groups
                .iter()
                .map(|group| {
                    let weight = group.weight.as_ref().map(|weight| format!("*{}", weight.value));
                    format!("{}{}", group.target_group.value, weight.unwrap_or_default())
                })
                .collect();
            let stickiness = stickiness.as_ref().map(|on| format!(" sticky={}", on.value));
            format!("forward {}{}", groups.join("+"), stickiness.unwrap_or_default())
        }
        Action::Redirect { protocol, host, port, path, query } => {
            let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
            let [host, port, path, query] = [host, port, path, query].map(part);
            format!("redirect {}://{host}:{port}{path}?{query}", protocol.value)
        }
        Action::FixedResponse(status) => format!("fixed {}", status.value),
        Action::Authenticate(kind) => kind.value.clone(),
    }
}

#[test]
fn a_dump_is_a_system() {
    let system = system_of(&[("elbv2.json", DUMP)]).unwrap();
    insta::assert_snapshot!(outline(&system), @"
    load balancer websocket-alb elbv2.json:8:13
      listener HTTPS:443 of websocket-alb elbv2.json:121:13
        10 [PathPattern=/ws/*] forward websocket-tg*1 sticky=false
        default [] forward websocket-tg*1 sticky=false
      listener HTTP:80 of websocket-alb elbv2.json:154:13
        default [] redirect HTTPS://#{host}:443/#{path}?#{query}
    target group websocket-tg elbv2.json:293:13
    ");
    assert_eq!(notes(&system), [""; 0]);
}

#[test]
fn attributes_are_known_with_their_place() {
    let system = system_of(&[("elbv2.json", DUMP)]).unwrap();
    let idle = system.load_balancers[0].attributes.seconds("idle_timeout.timeout_seconds").unwrap();
    assert_eq!((idle.value.as_secs(), idle.place.to_string()), (60, "elbv2.json:51:13".to_owned()));
    let group = &system.target_groups[0];
    let sticky = group.attributes.flag("stickiness.enabled").unwrap();
    assert_eq!((sticky.value, sticky.place.to_string()), (false, "elbv2.json:326:13".to_owned()));
    let server = "routing.http.response.server.enabled";
    assert!(system.load_balancers[0].listeners[0].attributes.given(server).is_some());
}

#[test]
fn health_checks_and_targets_are_known() {
    let system = system_of(&[("elbv2.json", DUMP)]).unwrap();
    let group = &system.target_groups[0];
    let check = &group.health_check;
    assert_eq!(check.interval.as_ref().unwrap().value.as_secs(), 15);
    assert_eq!(check.timeout.as_ref().unwrap().value.as_secs(), 5);
    assert_eq!(check.healthy_threshold.as_ref().unwrap().value, 2);
    assert_eq!(check.unhealthy_threshold.as_ref().unwrap().value, 3);
    assert_eq!(check.matcher.as_ref().unwrap().value, "200");
    assert_eq!(check.path.as_ref().unwrap().value, "/actuator/health");
    assert_eq!(group.targets.as_ref().unwrap().value, 2);
}

const BALANCER: &str = r#"{"LoadBalancers": [{"LoadBalancerArn": "arn:a:b:c:d:loadbalancer/app/web/1",
  "LoadBalancerName": "web", "Type": "application"}]}"#;
const IDLE: &str = r#"{"Attributes": [{"Key": "idle_timeout.timeout_seconds", "Value": "90"}]}"#;

#[track_caller]
fn idle(files: &[(&str, &str)], expected: u64) {
    let system = system_of(files).unwrap();
    let idle = system.load_balancers[0].attributes.seconds("idle_timeout.timeout_seconds").unwrap();
    assert_eq!(idle.value.as_secs(), expected, "{:?}", notes(&system));
}

#[test]
fn answers_stand_in_one_file_or_in_many_in_any_order() {
    idle(&[("a.json", BALANCER), ("b.json", IDLE)], 90);
    idle(&[("b.json", IDLE), ("a.json", BALANCER)], 90);
    idle(&[("a.json", &format!("{BALANCER}{IDLE}"))], 90);
    let merged = format!("{},{}", BALANCER.strip_suffix('}').unwrap(), IDLE.strip_prefix('{').unwrap());
    idle(&[("a.json", &merged)], 90);
    let yaml = "LoadBalancers:\n- LoadBalancerName: web\n  LoadBalancerArn: a\n---\nAttributes:\n\
                - Key: idle_timeout.timeout_seconds\n  Value: '90'\n";
    idle(&[("a.yaml", yaml)], 90);
}

#[test]
fn attributes_of_nobody_are_noted() {
    let other = BALANCER.replace("web", "api").replace("/1", "/2");
    let both = [("a.json", BALANCER), ("b.json", &other)];
    let system = system_of(&[both[0], both[1], ("c.json", IDLE)]).unwrap();
    insta::assert_snapshot!(notes(&system).join("\n"), @"
    a.json:2:3: ELB's defaults are assumed for load balancer web: no answer of describe-load-balancer-attributes tells its attributes
    b.json:2:3: ELB's defaults are assumed for load balancer api: no answer of describe-load-balancer-attributes tells its attributes
    c.json:1:2: attributes of an unknown load balancer: add a member LoadBalancerArn, name the file after it, or use scripts/elbv2-dump
    ");
    idle(&[both[0], both[1], ("web.json", IDLE)], 90);
}

#[test]
fn what_is_missing_is_noted() {
    let listener = r#"{"Listeners": [{"ListenerArn": "arn:aws:e:r:a:listener/net/front/1/2", "Port": 443,
      "Protocol": "TLS", "DefaultActions": [{"Type": "forward",
      "TargetGroupArn": "arn:aws:e:r:a:targetgroup/gone/3"}]}]}"#;
    let rule = r#"{"Rules": [{"RuleArn": "arn:aws:e:r:a:listener-rule/app/web/1/2/3", "Priority": "1"}]}"#;
    let attributes = IDLE.replace("{\"Attributes\"", "{\"LoadBalancerArn\": \"arn:gone\", \"Attributes\"");
    let health = r#"{"TargetHealthDescriptions": []}"#;
    let files = [("l.json", listener), ("r.json", rule), ("a.json", &*attributes), ("h.json", health)];
    let system = system_of(&files).unwrap();
    insta::assert_snapshot!(outline(&system), @"
    load balancer front l.json:1:17
      listener TLS:443 of front l.json:2:7
        default [] forward gone
    ");
    insta::assert_snapshot!(notes(&system).join("\n"), @"
    a.json:1:33: attributes of a load balancer that nothing describes: arn:gone
    h.json:1:2: targets of an unknown target group: add a member TargetGroupArn, name the file after it, or use scripts/elbv2-dump
    l.json:1:17: ELB's defaults are assumed for load balancer front: nothing describes it
    l.json:3:7: a rule forwards to target group gone, which nothing describes
    r.json:1:69: a rule of a listener that nothing describes: arn:aws:e:r:a:listener/app/web/1/2
    ");
    let policy = system.load_balancers[0].listeners[0].ssl_policy.as_ref().unwrap();
    assert_eq!((policy.value.as_str(), policy.place.is_file()), ("ELBSecurityPolicy-2016-08", false));
}

#[test]
fn every_kind_of_rule_is_understood() {
    let listener = r#"{"Listeners": [{"ListenerArn": "arn:aws:e:r:a:listener/app/web/1/2", "Port": 80,
      "Protocol": "HTTP", "DefaultActions": [{"Type": "fixed-response", "FixedResponseConfig":
      {"StatusCode": "404"}}]}]}"#;
    let rules = r##"{"Rules": [
      {"RuleArn": "arn:aws:e:r:a:listener-rule/app/web/1/2/9", "Priority": "20", "Conditions": [
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Beta", "Values": ["1", "2"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}, {"Value": "c"}]}},
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}],
       "Actions": [
        {"Type": "forward", "Order": 2, "ForwardConfig": {"TargetGroups": [
          {"TargetGroupArn": "arn:aws:e:r:a:targetgroup/a/1", "Weight": 3},
          {"TargetGroupArn": "arn:aws:e:r:a:targetgroup/b/2", "Weight": 0}],
          "TargetGroupStickinessConfig": {"Enabled": true, "DurationSeconds": 60}}},
        {"Type": "authenticate-oidc", "Order": 1}]},
      {"RuleArn": "arn:aws:e:r:a:listener-rule/app/web/1/2/8", "Priority": "3", "Conditions": [
        {"Field": "host-header", "Values": ["*.example.com"]},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}}],
       "Actions": [{"Type": "redirect", "RedirectConfig": {"Port": "443", "Path": "/new"}}]}]}"##;
    let system = system_of(&[("a.json", listener), ("b.json", rules)]).unwrap();
    insta::assert_snapshot!(outline(&system), @r#"
    load balancer web a.json:1:17
      listener HTTP:80 of web a.json:2:7
        3 [HostHeader=*.example.com HttpRequestMethod=GET] redirect #{protocol}://-:443/new?-
        20 [HttpHeader("x-beta")=1|2 QueryString=a=b|c SourceIp=10.0.0.0/8] authenticate-oidc, forward a*3+b*0 sticky=true
        default [] fixed 404
    "#);
}

#[test]
fn what_is_not_of_elb_is_passed_over() {
    let system = system_of(&[(
        "a.json",
        r#"{"LoadBalancers": [{"Type": "gateway", "LoadBalancerName": "g"},
        {"LoadBalancerName": 7}, 3, null], "TargetGroups": [{"Protocol": "GENEVE", "TargetGroupName": "g"}, []],
        "Listeners": [{"Port": "x"}, {}], "Rules": {"RuleArn": []}}"#,
    )]);
    insta::assert_snapshot!(outline(&system.unwrap()), @"load balancer 7 a.json:2:10");
    assert!(system_of(&[("a.json", "{\"Vpcs\": []}")]).is_err());
    assert!(system_of(&[("a.json", "{\"Attributes\": {\"a\": 1}}")]).is_err());
}

#[test]
fn a_dump_is_enough_for_findings_beside_an_application() {
    // The rules say nothing about what nobody told, and find nothing in the dump alone that needs the application.
    let system = system_of(&[("elbv2.json", DUMP)]).unwrap();
    assert!(diagnose(&system).iter().all(|finding| finding.code != "keep-alive-race"));
    assert_eq!(system.hops().len(), 1, "the redirect of port 80 leads nowhere");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        member in "LoadBalancers|Listeners|Rules|TargetGroups|TargetHealthDescriptions|Attributes",
        text in r#"[\[\]{}:,"\\a-c0-9 \n-]{0,60}"#,
    ) {
        drop(system_of(&[("a.json", &format!("{{\"{member}\": {text}}}"))]));
        drop(system_of(&[("a.json", &text)]));
    }
}
