//! The table is sound, and `docs/config.md` is what it says.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path};

use super::*;

const APPLICATION: LoadBalancerType = LoadBalancerType::Application;
const NETWORK: LoadBalancerType = LoadBalancerType::Network;

#[test]
fn keys_are_unique_per_resource_and_within_awss_limits() {
    let mut seen = HashSet::new();
    for attribute in all() {
        assert!(seen.insert((format!("{:?}", attribute.resource), attribute.key)), "{}", attribute.key);
        assert!(attribute.key.len() <= 256, "{}", attribute.key);
        assert!(attribute.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_'));
        assert!(attribute.doc.ends_with('.'), "{}", attribute.key);
    }
}

#[test]
fn every_default_is_valid_and_accepted() {
    for attribute in all() {
        for kind in [APPLICATION, NETWORK] {
            let default = attribute.default.of(kind);
            if !attribute.applies_to.includes(kind) || default.is_empty() {
                continue;
            }
            assert_eq!(check(attribute.resource, kind, attribute.key, default), Ok(attribute));
        }
    }
}

#[test]
fn ranges_include_both_ends() {
    let idle = |value| check(Resource::LoadBalancer, APPLICATION, "idle_timeout.timeout_seconds", value);
    assert!(idle("1").is_ok() && idle("4000").is_ok());
    for bad in ["0", "4001", "", "-1", "+5", "1.5", " 5", "99999999999"] {
        assert_eq!(
            idle(bad).unwrap_err().to_string(),
            format!("'idle_timeout.timeout_seconds' value '{bad}' must be between '1-4000' inclusive")
        );
    }
    let slow = check(Resource::TargetGroup, APPLICATION, "slow_start.duration_seconds", "29").unwrap_err();
    assert_eq!(
        slow.to_string(),
        "'slow_start.duration_seconds' value '29' must be between '30-900' inclusive or '0' (off)"
    );
}

#[test]
fn signed_numbers_may_be_as_far_below_zero_as_above() {
    let skew =
        |value| check(Resource::TargetGroup, APPLICATION, "albeit.fault.cookie_clock_skew.seconds", value);
    for good in ["0", "-604800", "604800", "-0"] {
        assert!(skew(good).is_ok(), "{good}");
    }
    for bad in ["-604801", "604801", "--1", "-", "", "+1", "1.5"] {
        assert_eq!(
            skew(bad).unwrap_err().to_string(),
            format!(
                "'albeit.fault.cookie_clock_skew.seconds' value '{bad}' must be between '-604800' and '604800' inclusive"
            )
        );
    }
}

#[test]
fn faults_of_requests_are_not_for_flows() {
    for (key, value, fits_flows) in [
        ("albeit.fault.delay.percent", "100", true),
        ("albeit.fault.delay.milliseconds", "1", true),
        ("albeit.fault.abort.percent", "1", false),
        ("albeit.fault.abort.status_code", "599", false),
        ("albeit.fault.reset.percent", "1", true),
        ("albeit.fault.black_hole.percent", "1", true),
        ("albeit.fault.close_reused_connection.percent", "1", false),
        ("albeit.fault.slow_target.bytes_per_second", "1", true),
        ("albeit.fault.deregistration_propagation.seconds", "3600", true),
        ("albeit.fault.cookie_clock_skew.seconds", "-1", false),
    ] {
        assert!(check(Resource::TargetGroup, APPLICATION, key, value).is_ok(), "{key}");
        let flows = check(Resource::TargetGroup, NETWORK, key, value);
        assert_eq!(flows.is_ok(), fits_flows, "{key}: {flows:?}");
    }
}

#[test]
fn a_request_meets_one_of_three_ends_at_most() {
    let shares = |reset, black_hole, expected| {
        constraints(
            &[
                ("albeit.fault.abort.percent", "30"),
                ("albeit.fault.reset.percent", reset),
                ("albeit.fault.black_hole.percent", black_hole),
            ],
            "HTTP",
            APPLICATION,
            expected,
        );
    };
    shares("30", "40", &[]);
    shares(
        "30",
        "41",
        &[(
            "albeit.fault.black_hole.percent",
            "the shares of abort, reset and black_hole are 101 % together: at most 100 %",
        )],
    );
    shares(
        "71",
        "0",
        &[(
            "albeit.fault.reset.percent",
            "the shares of abort, reset and black_hole are 101 % together: at most 100 %",
        )],
    );
}

#[test]
fn cookie_names_of_the_load_balancer_are_reserved() {
    let name = |value| check(Resource::TargetGroup, APPLICATION, "stickiness.app_cookie.cookie_name", value);
    for reserved in ["AWSALB", "AWSALBTG", "AWSALBAPP-0"] {
        assert!(
            name(reserved).unwrap_err().to_string().contains("must not start with 'AWSALB'"),
            "{reserved}"
        );
    }
    assert!(name("SESSION").is_ok());
    assert!(matches!(name("a b"), Err(AttributeError::BadText { .. })));
}

/// The constraints that these target group attributes break, by key.
#[track_caller]
fn constraints(
    given: &[(&str, &str)],
    name: &'static str,
    kind: LoadBalancerType,
    expected: &[(&str, &str)],
) {
    let mut values = AttributeValues::new(Resource::TargetGroup, kind);
    for (key, value) in given {
        match values.set(key, value) {
            Ok(_) | Err(AttributeError::NotSupportedYet { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let broken = target_group_constraints(&values, GroupProtocol { name, kind });
    let broken: Vec<_> = broken.iter().map(|(key, message)| (*key, message.as_str())).collect();
    assert_eq!(broken, expected);
}

#[test]
fn combinations_that_elb_refuses_for_http_groups() {
    let http =
        |given: &[(&str, &str)], expected: &[(&str, &str)]| constraints(given, "HTTP", APPLICATION, expected);
    http(&[], &[]);
    http(
        &[("stickiness.type", "source_ip")],
        &[(
            "stickiness.type",
            "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
        )],
    );
    http(
        &[("stickiness.enabled", "true"), ("stickiness.type", "app_cookie")],
        &[(
            "stickiness.type",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
        )],
    );
    http(
        &[
            ("stickiness.enabled", "true"),
            ("stickiness.type", "app_cookie"),
            ("stickiness.app_cookie.cookie_name", "SESSION"),
        ],
        &[],
    );
    for algorithm in ["least_outstanding_requests", "weighted_random"] {
        http(
            &[("slow_start.duration_seconds", "30"), ("load_balancing.algorithm.type", algorithm)],
            &[(
                "slow_start.duration_seconds",
                &format!(
                    "You cannot enable both slow start and {} algorithm on a target group",
                    algorithm.replace('_', " ")
                ),
            )],
        );
    }
    http(
        &[("load_balancing.algorithm.anomaly_mitigation", "on")],
        &[(
            "load_balancing.algorithm.anomaly_mitigation",
            "anomaly mitigation is not supported with the algorithm 'round_robin'",
        )],
    );
    http(
        &[("stickiness.enabled", "true"), ("load_balancing.algorithm.type", "weighted_random")],
        &[(
            "load_balancing.algorithm.type",
            "You cannot have both stickiness and weighted random algorithm enabled on the same target group",
        )],
    );
    http(
        &[("stickiness.enabled", "true"), ("load_balancing.cross_zone.enabled", "false")],
        &[(
            "load_balancing.cross_zone.enabled",
            "stickiness cannot be enabled while cross-zone load balancing of the target group is off",
        )],
    );
    http(
        &[
            ("target_group_health.dns_failover.minimum_healthy_targets.percentage", "10"),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "20"),
        ],
        &[(
            "target_group_health.dns_failover.minimum_healthy_targets.percentage",
            "'target_group_health.dns_failover.minimum_healthy_targets.percentage' value '10' must be greater than or equal to '20', the value of 'target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage'",
        )],
    );
}

#[test]
fn combinations_that_elb_refuses_for_flows() {
    let flows = |given: &[(&str, &str)], name, expected: &[&str]| {
        let mut values = AttributeValues::new(Resource::TargetGroup, NETWORK);
        for (key, value) in given {
            assert!(matches!(values.set(key, value), Ok(_) | Err(AttributeError::NotSupportedYet { .. })));
        }
        let broken = target_group_constraints(&values, GroupProtocol { name, kind: NETWORK });
        assert_eq!(broken.iter().map(|(key, _)| *key).collect::<Vec<_>>(), expected, "{name} {given:?}");
    };
    flows(&[], "TCP", &[]);
    flows(&[("stickiness.type", "lb_cookie")], "TCP", &["stickiness.type"]);
    flows(&[("proxy_protocol_v2.enabled", "true")], "TCP", &[]);
    flows(&[("preserve_client_ip.enabled", "false")], "TCP", &[]);
    let termination = "target_health_state.unhealthy.connection_termination.enabled";
    let draining = "target_health_state.unhealthy.draining_interval_seconds";
    flows(&[(draining, "5")], "TCP", &[draining]);
    flows(&[(draining, "5"), (termination, "false")], "TCP", &[]);
}

#[test]
fn groups_with_a_load_balancer_as_target_keep_every_default() {
    let check = |given: &[(&str, &str)], expected: &[(&str, &str)]| {
        let mut values = AttributeValues::new(Resource::TargetGroup, NETWORK).for_targets(TargetType::Alb);
        for (key, value) in given {
            values.set(key, value).unwrap();
        }
        let broken = target_group_constraints(&values, GroupProtocol { name: "TCP", kind: NETWORK });
        let broken: Vec<_> = broken.iter().map(|(key, message)| (*key, message.as_str())).collect();
        assert_eq!(broken, expected);
    };
    check(&[("preserve_client_ip.enabled", "true"), ("deregistration_delay.timeout_seconds", "300")], &[]);
    check(
        &[("preserve_client_ip.enabled", "false"), ("proxy_protocol_v2.enabled", "true")],
        &[
            (
                "preserve_client_ip.enabled",
                "cannot be changed for targets of type alb: 'preserve_client_ip.enabled' always is 'true'",
            ),
            (
                "proxy_protocol_v2.enabled",
                "cannot be changed for targets of type alb: 'proxy_protocol_v2.enabled' always is 'false'",
            ),
        ],
    );
}

#[test]
fn each_bad_cidr_block_is_named() {
    let cidrs = |value| check(Resource::Listener, NETWORK, "albeit.proxy_protocol.trusted_cidrs", value);
    for good in ["", " ", "10.0.0.0/8", "10.0.0.1/8, 2001:db8::/32 ,0.0.0.0/0"] {
        assert!(cidrs(good).is_ok(), "{good}");
    }
    let prefix = "'albeit.proxy_protocol.trusted_cidrs' must be CIDR blocks such as '10.0.0.0/8', separated by commas:";
    for (bad, named) in [
        ("10.0.0.1", "'10.0.0.1' is none"),
        ("10.0.0.0/8,", "'' is none"),
        ("10.0.0.0/33, 10.0.0.0/8, vpc", "'10.0.0.0/33', 'vpc' are none"),
    ] {
        assert_eq!(cidrs(bad).unwrap_err().to_string(), format!("{prefix} {named}"));
    }
}

#[test]
fn the_edit_distance_counts_single_letters() {
    for (a, b, distance) in
        [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("kitten", "sitting", 3), ("é", "e", 1)]
    {
        assert_eq!(edit_distance(a, b), distance, "{a} {b}");
    }
}

#[test]
fn only_what_is_spelled_alike_is_suggested() {
    let near = |text: &str| nearest(["stickiness.enabled", "stickiness.type"].into_iter(), text);
    assert_eq!(near("stickyness.enabled"), Some("stickiness.enabled"));
    assert_eq!(near("colour"), None);
    assert_eq!(near(&"stickiness.enabled".repeat(100)), None);
}

#[test]
fn typed_defaults_are_the_tables_defaults() {
    use crate::model::{load_balancer::LoadBalancerAttributes, target_group::TargetGroupAttributes};
    let load_balancer = AttributeValues::new(Resource::LoadBalancer, APPLICATION);
    assert_eq!(
        LoadBalancerAttributes::from_values(&load_balancer, Path::new("")),
        LoadBalancerAttributes::default()
    );
    let group = AttributeValues::new(Resource::TargetGroup, APPLICATION);
    assert_eq!(TargetGroupAttributes::from(&group), TargetGroupAttributes::default());
}

const HEAD: &str = "# Attributes

Every attribute of load balancers, target groups and listeners, with AWS's keys
and spelling of values. Keys that begin with `albeit.` are Albeit's own. This
file is made from the table in `proxy/src/model/attributes`: change that, then
run `UPDATE_DOCS=1 cargo nextest run -p albeit-proxy config_md`. Target groups whose
target is an application load balancer (type alb) keep every default.

In the column *here*, *acts* means as in ELB; *no effect* means that the
attribute is accepted and changes nothing; *not yet* means that any value but
the default is refused when the file is read.
";

fn docs() -> String {
    let mut text = HEAD.to_owned();
    for (title, resource) in [
        ("Load balancers", Resource::LoadBalancer),
        ("Target groups", Resource::TargetGroup),
        ("Listeners", Resource::Listener),
    ] {
        write!(text, "\n## {title}\n\n| attribute | for | values | default | here | meaning |\n|---|---|---|---|---|---|\n")
            .unwrap();
        for row in of(resource) {
            writeln!(
                text,
                "| `{}` | {} | {} | {} | {} | {} |",
                row.key,
                applies_to(row.applies_to),
                values(row.value),
                default(row.default),
                support(row.support),
                row.doc
            )
            .unwrap();
        }
    }
    text
}

fn applies_to(applies_to: AppliesTo) -> &'static str {
    match applies_to {
        AppliesTo::Application => "ALB",
        AppliesTo::Network => "NLB",
        AppliesTo::Both => "ALB, NLB",
        AppliesTo::Lambda => "lambda targets",
    }
}

fn values(value: ValueType) -> String {
    match value {
        ValueType::Boolean => "`true`, `false`".to_owned(),
        ValueType::Integer(min, max) => format!("{min}–{max}"),
        ValueType::SignedInteger(most) => format!("-{most}–{most}"),
        ValueType::ZeroOrInteger(min, max) => format!("`0`, {min}–{max}"),
        ValueType::OffOrInteger(min, max) => format!("`off`, {min}–{max}"),
        ValueType::OneOf(words) => {
            let words: Vec<_> =
                words.iter().filter(|word| !word.is_empty()).map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        ValueType::Text(longest) => format!("up to {longest} characters"),
        ValueType::CookieName => "a cookie name".to_owned(),
        ValueType::HeaderValue(longest) => format!("up to {longest} bytes"),
        ValueType::FrameOptions(_) => "`DENY`, `SAMEORIGIN`, `ALLOW-FROM` with an origin".to_owned(),
        ValueType::Cidrs => "CIDR blocks, separated by commas".to_owned(),
        ValueType::HeaderName(longest) => format!("a header name, up to {longest} characters"),
    }
}

fn default(default: DefaultValue) -> String {
    match default {
        DefaultValue::Always("") => "–".to_owned(),
        DefaultValue::Always(value) => format!("`{value}`"),
        DefaultValue::ByType { application, network } => format!("ALB `{application}`, NLB `{network}`"),
        DefaultValue::ByTargetType { ip, alb } => format!("targets of type ip `{ip}`, alb `{alb}`"),
    }
}

fn support(support: Support) -> String {
    match support {
        Support::Acts => "acts".to_owned(),
        Support::NoEffect(reason) => format!("no effect: {reason}"),
        Support::NotYet => "not yet".to_owned(),
    }
}

#[test]
fn config_md_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, docs()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == docs(), "docs/config.md is out of date: run this test with UPDATE_DOCS=1");
}
