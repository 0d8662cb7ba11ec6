//! `DescribeListeners` and `DescribeRules`.

use super::{
    action, arn, condition,
    item::Item,
    resources::{ListenerOf, RuleOf},
};
use crate::{
    doctor::{
        attributes::Attributes,
        setting::Setting,
        system::{Listener, Rule},
    },
    model::{LoadBalancerType, attributes::Resource, security_policy},
};

/// A listener; `None` if it lacks its protocol or its load balancer.
pub(in crate::doctor::sources) fn read(described: &Item<'_>) -> Option<ListenerOf> {
    let listener_arn = described.text("ListenerArn");
    let load_balancer = described
        .text("LoadBalancerArn")
        .or_else(|| listener_arn.clone()?.filter_map(|arn| arn::load_balancer_of_listener(&arn)))?;
    let listener = listener(described, described.text("Protocol")?);
    let id =
        listener_arn.map_or_else(|| format!("{}:{:?}", load_balancer.value, listener.port), |arn| arn.value);
    Some(ListenerOf { id, load_balancer, listener })
}

/// A listener of a protocol, with its default rule.
pub(in crate::doctor::sources) fn listener(described: &Item<'_>, protocol: Setting<String>) -> Listener {
    let kind = kind(&protocol.value);
    let with_tls = matches!(protocol.value.as_str(), "HTTPS" | "TLS");
    let ssl_policy = described.text("SslPolicy").or_else(|| {
        let default = security_policy::DEFAULT;
        let key = described.key("SslPolicy");
        with_tls.then(|| Setting::default_of("ELB", default.to_owned(), &key, default))
    });
    let rules = vec![Rule {
        priority: Setting::new(
            None,
            &described.key("DefaultActions"),
            "default",
            described.node().place.clone(),
        ),
        conditions: Vec::new(),
        actions: action::read(&described.all("DefaultActions")),
    }];
    Listener {
        port: described.value("Port"),
        ssl_policy: ssl_policy.filter(|_| with_tls),
        attributes: Attributes::new(Resource::Listener, kind),
        rules,
        proxy_protocol: None,
        protocol,
    }
}

/// The type of the load balancers that have listeners and target groups of a protocol.
pub(in crate::doctor::sources) fn kind(protocol: &str) -> LoadBalancerType {
    if protocol.starts_with("HTTP") { LoadBalancerType::Application } else { LoadBalancerType::Network }
}

/// A rule of `DescribeRules`; `None` if it does not say which listener's it is.
pub(in crate::doctor::sources) fn rule(described: &Item<'_>) -> Option<RuleOf> {
    let listener = arn::listener_of_rule(&described.text("RuleArn")?.value)?;
    Some(RuleOf { listener, rule: of(described)? })
}

/// A rule; `None` if it has no priority.
pub(in crate::doctor::sources) fn of(described: &Item<'_>) -> Option<Rule> {
    Some(Rule {
        priority: described.text("Priority")?.map(|text| text.parse().ok()),
        conditions: described.all("Conditions").iter().flat_map(condition::read).collect(),
        actions: action::read(&described.all("Actions")),
    })
}
