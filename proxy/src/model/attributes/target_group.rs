//! Target group attributes.

use super::{
    AppliesTo::{self, Application, Both, Lambda, Network},
    Attribute,
    DefaultValue::{self, Always},
    Resource, Support,
    ValueType::{self, Boolean, CookieName, Integer, OffOrInteger, OneOf, ZeroOrInteger},
};

const NO_ZONES: &str = "Albeit has no availability zones: every target is in reach of every node";
const NO_WAF: &str = "Albeit asks no web application firewall";

/// Seven days, the longest a cookie may bind a client.
const SEVEN_DAYS: u32 = 604_800;
/// More targets than a load balancer can have.
const MOST_TARGETS: u32 = 1000;

const fn row(
    key: &'static str,
    applies_to: AppliesTo,
    value: ValueType,
    default: DefaultValue,
    support: Support,
    doc: &'static str,
) -> Attribute {
    Attribute { key, resource: Resource::TargetGroup, applies_to, value, default, support, doc }
}

/// Every target group attribute.
pub(super) const TABLE: &[Attribute] = &[
    row(
        "deregistration_delay.timeout_seconds",
        Both,
        Integer(0, 3600),
        Always("300"),
        Support::Acts,
        "Seconds that requests in flight and open WebSockets of a deregistered target may go on.",
    ),
    row("stickiness.enabled", Both, Boolean, Always("false"), Support::Acts, "Binds a client to a target."),
    row(
        "stickiness.type",
        Both,
        OneOf(&["lb_cookie", "app_cookie", "source_ip"]),
        DefaultValue::ByType { application: "lb_cookie", network: "source_ip" },
        Support::Acts,
        "What a client is recognised by.",
    ),
    row(
        "stickiness.lb_cookie.duration_seconds",
        Application,
        Integer(1, SEVEN_DAYS),
        Always("86400"),
        Support::Acts,
        "Seconds a load balancer cookie binds a client.",
    ),
    row(
        "stickiness.app_cookie.cookie_name",
        Application,
        CookieName,
        Always(""),
        Support::Acts,
        "Name of the application's cookie.",
    ),
    row(
        "stickiness.app_cookie.duration_seconds",
        Application,
        Integer(1, SEVEN_DAYS),
        Always("86400"),
        Support::Acts,
        "Seconds an application cookie binds a client.",
    ),
    row(
        "load_balancing.algorithm.type",
        Application,
        OneOf(&["round_robin", "least_outstanding_requests", "weighted_random"]),
        Always("round_robin"),
        Support::Acts,
        "How a target is chosen.",
    ),
    row(
        "load_balancing.algorithm.anomaly_mitigation",
        Application,
        OneOf(&["on", "off"]),
        Always("off"),
        Support::Acts,
        "Sends less to targets that behave unlike the others; only with weighted_random.",
    ),
    row(
        "slow_start.duration_seconds",
        Application,
        ZeroOrInteger(30, 900),
        Always("0"),
        Support::Acts,
        "Seconds in which the share of a new target grows linearly.",
    ),
    row(
        "load_balancing.cross_zone.enabled",
        Both,
        OneOf(&["true", "false", "use_load_balancer_configuration"]),
        Always("use_load_balancer_configuration"),
        Support::NoEffect(NO_ZONES),
        "Each node uses the group's targets of all zones.",
    ),
    row(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        Both,
        OffOrInteger(1, MOST_TARGETS),
        Always("1"),
        Support::Acts,
        "Fewest healthy targets of a zone that stays in DNS; there is none: only the metrics HealthyStateDNS and UnhealthyStateDNS follow it.",
    ),
    row(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        Both,
        OffOrInteger(1, 100),
        Always("off"),
        Support::Acts,
        "Smallest share of healthy targets of a zone that stays in DNS; only those two metrics follow it.",
    ),
    row(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        Both,
        Integer(1, MOST_TARGETS),
        Always("1"),
        Support::Acts,
        "With fewer healthy targets the group fails open: all targets get traffic.",
    ),
    row(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        Both,
        OffOrInteger(1, 100),
        Always("off"),
        Support::Acts,
        "With a smaller share of healthy targets the group fails open.",
    ),
    row(
        "lambda.multi_value_headers.enabled",
        Lambda,
        Boolean,
        Always("false"),
        Support::NotYet,
        "Headers are exchanged with the function as lists of values.",
    ),
    row(
        "waf.http2.traffic_inspection_behavior",
        Application,
        OneOf(&["inspect_after_sufficient_data"]),
        Always("inspect_after_sufficient_data"),
        Support::NoEffect(NO_WAF),
        "When the web application firewall looks at streamed bodies.",
    ),
    row(
        "deregistration_delay.connection_termination.enabled",
        Network,
        Boolean,
        Always("false"),
        Support::Acts,
        "Cuts flows at the end of the deregistration delay.",
    ),
    row(
        "preserve_client_ip.enabled",
        Network,
        Boolean,
        DefaultValue::ByTargetType { ip: "false", alb: "true" },
        Support::Acts,
        "Targets see the client's address.",
    ),
    row(
        "proxy_protocol_v2.enabled",
        Network,
        Boolean,
        Always("false"),
        Support::Acts,
        "Sends a PROXY protocol v2 header to targets.",
    ),
    row(
        "target_health_state.unhealthy.connection_termination.enabled",
        Network,
        Boolean,
        Always("true"),
        Support::Acts,
        "Resets flows when their target turns unhealthy.",
    ),
    row(
        "target_health_state.unhealthy.draining_interval_seconds",
        Network,
        Integer(0, 360_000),
        Always("0"),
        Support::Acts,
        "Seconds flows of an unhealthy target may go on; only if they are not reset.",
    ),
];
