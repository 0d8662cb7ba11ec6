//! Forward actions with weights and group stickiness, and the stickiness of their groups.

use std::time::Duration;

use super::{check, load};
use crate::model::{
    Action, TargetGroupIndex,
    rule::{Forward, WeightedTargetGroup},
    target_group::{Algorithm, Stickiness},
};

const AT: &str = "load_balancers[0].listeners[0].default_actions[0].forward";

/// A forward action to `blue` and `green`, which have these attributes.
fn forward(action: &str, blue: &str, green: &str) -> String {
    format!(
        "load_balancers:
  - name: edge
    listeners: [{{ protocol: HTTP, port: 80, default_actions: [{{ forward: {{ {action} }} }}] }}]
target_groups:
  - {{ name: blue, protocol: HTTP, port: 1, attributes: {{ {blue} }} }}
  - {{ name: green, protocol: HTTP, port: 2, attributes: {{ {green} }} }}
"
    )
}

const BOTH: &str = "target_groups: [{ target_group: blue, weight: 999 }, { target_group: green, weight: 0 }]";
const LB_COOKIE: &str = "stickiness.enabled: true";
const APP_COOKIE: &str =
    "stickiness.enabled: true, stickiness.type: app_cookie, stickiness.app_cookie.cookie_name: SESSION";

#[track_caller]
fn converted(yaml: &str, expected: &Forward) {
    let model = load(yaml).unwrap_or_else(|errors| panic!("{errors}\nin\n{yaml}")).model;
    let action = &model.load_balancers[0].listeners[0].default_actions.action;
    assert_eq!(action, &Action::Forward(expected.clone()));
}

fn groups(weights: &[(usize, u16)]) -> Vec<WeightedTargetGroup> {
    let group = |&(index, weight)| WeightedTargetGroup { target_group: TargetGroupIndex(index), weight };
    weights.iter().map(group).collect()
}

#[test]
fn weights_and_group_stickiness_become_the_model() {
    let both = groups(&[(0, 999), (1, 0)]);
    converted(&forward(BOTH, "", ""), &Forward { target_groups: both.clone(), stickiness: None });
    let sticky = format!("{BOTH}, target_group_stickiness_config: {{ enabled: true, duration: 1h }}");
    let stickiness = Some(Duration::from_secs(3600));
    converted(&forward(&sticky, LB_COOKIE, ""), &Forward { target_groups: both.clone(), stickiness });
    let off = format!("{BOTH}, target_group_stickiness_config: {{ enabled: false, duration: 1h }}");
    converted(&forward(&off, "", ""), &Forward { target_groups: both, stickiness: None });
    let unweighted = "target_groups: [{ target_group: green }, { target_group: blue }]";
    let target_groups = groups(&[(1, 1), (0, 1)]);
    converted(&forward(unweighted, "", ""), &Forward { target_groups, stickiness: None });
}

#[test]
fn an_enabled_group_stickiness_needs_a_duration_of_at_most_seven_days() {
    let config =
        |config: &str| forward(&format!("{BOTH}, target_group_stickiness_config: {{ {config} }}"), "", "");
    let at = format!("{AT}.target_group_stickiness_config.duration");
    check(&config("enabled: true"), &[&format!("{at}: is missing")]);
    check(&config("enabled: true, duration: 604800s"), &[]);
    for (duration, message) in [
        ("604801s", "'604801' must be between '1-604800' seconds inclusive"),
        ("0s", "'0' must be between '1-604800' seconds inclusive"),
        ("1500ms", "must be a whole number of seconds"),
    ] {
        let expected = format!("{at}: target group stickiness duration {message}");
        check(&config(&format!("enabled: true, duration: {duration}")), &[&expected]);
    }
}

#[test]
fn a_group_stands_in_an_action_once() {
    let twice = "target_groups: [{ target_group: blue }, { target_group: blue }]";
    let mistake =
        format!("{AT}.target_groups[1].target_group: the action forwards to the same target group twice");
    check(&forward(twice, "", ""), &[&mistake]);
}

#[test]
fn app_cookie_is_for_actions_with_one_group() {
    let mistake = format!(
        "{AT}.target_groups[1].target_group: stickiness of type 'app_cookie' is not supported with more than \
         one target group; use 'lb_cookie'"
    );
    check(&forward(BOTH, "", APP_COOKIE), &[&mistake]);
    check(&forward("target_groups: [{ target_group: green, weight: 5 }]", "", APP_COOKIE), &[]);
}

#[test]
fn target_stickiness_that_the_weights_would_undo_is_warned_of() {
    let warnings = |action: &str| {
        let loaded = load(&forward(action, LB_COOKIE, "")).unwrap();
        let about_groups = loaded.warnings.iter().filter(|warning| warning.path.starts_with(AT));
        about_groups.map(|warning| warning.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warnings(BOTH), [format!("{AT}.target_groups[0].target_group")]);
    let sticky = format!("{BOTH}, target_group_stickiness_config: {{ enabled: true, duration: 1h }}");
    assert_eq!(warnings(&sticky), [""; 0]);
    assert_eq!(warnings("target_group: blue"), [""; 0]);
}

#[test]
fn every_algorithm_and_stickiness_becomes_typed() {
    let attributes = |given: &str| {
        let model = load(&forward("target_group: blue", given, "")).unwrap().model;
        model.target_groups[0].attributes.clone()
    };
    let stickiness = |duration| {
        let cookie_name = "SESSION".to_owned();
        Some(Stickiness::AppCookie { cookie_name, duration: Duration::from_secs(duration) })
    };
    assert_eq!(attributes(APP_COOKIE).stickiness, stickiness(86_400));
    let minute = format!("{APP_COOKIE}, stickiness.app_cookie.duration_seconds: 60");
    assert_eq!(attributes(&minute).stickiness, stickiness(60));
    let random = "load_balancing.algorithm.type: weighted_random";
    assert_eq!(attributes(random).algorithm, Algorithm::WeightedRandom { anomaly_mitigation: false });
    let mitigated = format!("{random}, load_balancing.algorithm.anomaly_mitigation: on");
    assert_eq!(attributes(&mitigated).algorithm, Algorithm::WeightedRandom { anomaly_mitigation: true });
    assert_eq!(attributes("slow_start.duration_seconds: 30").slow_start, Some(Duration::from_secs(30)));
    assert_eq!(attributes("slow_start.duration_seconds: 0").slow_start, None);
    let failover = "target_group_health.dns_failover.minimum_healthy_targets";
    let failover = attributes(&format!("{failover}.count: off, {failover}.percentage: 50")).dns_failover;
    assert_eq!((failover.count, failover.percentage), (0, Some(50)));
}
