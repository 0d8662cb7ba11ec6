//! ARNs of ELB, as far as they name resources.
//!
//! `arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`, `…:targetgroup/NAME/ID`,
//! `…:listener/app/NAME/ID/LISTENER`, `…:listener-rule/app/NAME/ID/LISTENER/RULE`.

use crate::model::LoadBalancerType;

/// The segments behind the kind of resource, if it is `kind`.
fn segments<'a>(arn: &'a str, kind: &str) -> Option<Vec<&'a str>> {
    let resource = arn.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
    let mut segments = resource.split('/');
    (segments.next()? == kind).then(|| segments.collect())
}

/// The name of a target group.
pub(in crate::doctor::sources) fn target_group_name(arn: &str) -> Option<&str> {
    segments(arn, "targetgroup")?.first().copied()
}

/// The type and name of a load balancer; `None` for a Gateway Load Balancer, too.
pub(in crate::doctor::sources) fn load_balancer_name(arn: &str) -> Option<(LoadBalancerType, &str)> {
    match segments(arn, "loadbalancer")?.as_slice() {
        ["app", name, ..] => Some((LoadBalancerType::Application, name)),
        ["net", name, ..] => Some((LoadBalancerType::Network, name)),
        _ => None,
    }
}

/// The ARN of the listener that a rule belongs to.
pub(in crate::doctor::sources) fn listener_of_rule(arn: &str) -> Option<String> {
    segments(arn, "listener-rule")?;
    let (listener, _rule) = arn.rsplit_once('/')?;
    Some(listener.replacen(":listener-rule/", ":listener/", 1))
}

/// The ARN of the load balancer that a listener belongs to.
pub(in crate::doctor::sources) fn load_balancer_of_listener(arn: &str) -> Option<String> {
    segments(arn, "listener")?;
    let (load_balancer, _listener) = arn.rsplit_once('/')?;
    Some(load_balancer.replacen(":listener/", ":loadbalancer/", 1))
}

/// The part of an ARN behind its account: what file names have of it.
pub(in crate::doctor::sources) fn last_segment(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:";

    #[test]
    fn names_stand_in_arns() {
        let group = format!("{PREFIX}targetgroup/web/0123456789abcdef");
        assert_eq!(target_group_name(&group), Some("web"));
        assert_eq!(target_group_name("aws_lb_target_group.web"), None);
        let balancer = format!("{PREFIX}loadbalancer/net/front/0123456789abcdef");
        assert_eq!(load_balancer_name(&balancer), Some((LoadBalancerType::Network, "front")));
        assert_eq!(load_balancer_name(&group), None);
        assert_eq!(last_segment(&balancer), "0123456789abcdef");
    }

    #[test]
    fn the_arn_of_a_part_leads_to_the_whole() {
        let rule = format!("{PREFIX}listener-rule/app/web/1/2/3");
        assert_eq!(listener_of_rule(&rule), Some(format!("{PREFIX}listener/app/web/1/2")));
        let listener = format!("{PREFIX}listener/app/web/1/2");
        assert_eq!(load_balancer_of_listener(&listener), Some(format!("{PREFIX}loadbalancer/app/web/1")));
        assert_eq!(listener_of_rule(&listener), None);
    }
}
