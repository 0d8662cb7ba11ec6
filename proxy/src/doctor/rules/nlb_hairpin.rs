//! A target calls the Network Load Balancer that it is behind.
//!
//! ELB: with client addresses preserved, a target cannot be its own client
//! ("NAT loopback, also known as hairpinning, is not supported").

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "nlb-hairpin",
    severity: Severity::Warning,
    title: "a target calls its own Network Load Balancer with client addresses preserved",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops().filter(|(hop, _)| !hop.load_balancer.is_application()) {
        let instance = hop.target_group.target_type.as_ref().is_some_and(|kind| kind.value == "instance");
        let attributes = &hop.target_group.attributes;
        let preserve = match attributes.given("preserve_client_ip.enabled") {
            Some(given) if given.value == "true" => given.evidence(),
            None if instance => hop.target_group.name.evidence(),
            _ => continue,
        };
        // NAME-ID.elb.REGION.amazonaws.com
        let name = format!("{}-", hop.load_balancer.name.value);
        let calls = application
            .environment
            .values()
            .find(|variable| variable.value.contains(&name) && variable.value.contains(".elb."));
        let Some(calls) = calls else { continue };
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} calls {} ({}), which passes on client addresses",
                application.title(),
                hop.load_balancer.title(),
                calls.key
            ),
            symptom: "a share of those calls times out: those that come back to the target they left; with one target \
                      all of them"
                .to_owned(),
            fix: "set preserve_client_ip.enabled to false (with proxy_protocol_v2.enabled if the address is needed), or \
                  call the application directly"
                .to_owned(),
            evidence: vec![preserve, calls.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, nlb, set};

    fn calls(given: Given, url: &str) -> Given {
        given.app(|app| {
            app.environment.insert("SELF_URL".to_owned(), set("SELF_URL", url.to_owned()));
        })
    }

    #[test]
    fn a_target_is_not_its_own_client() {
        let own = "http://net-0a1b2c3d.elb.eu-central-1.amazonaws.com:443";
        let preserved = || nlb().group("preserve_client_ip.enabled", "true");
        calls(preserved(), own).expect(RULE.code, Some(Severity::Warning));
        calls(preserved(), "http://other-0a1b.elb.eu-central-1.amazonaws.com").expect(RULE.code, None);
        calls(nlb(), own).expect(RULE.code, None);
        preserved().expect(RULE.code, None);
    }

    #[test]
    fn targets_by_instance_keep_client_addresses_by_default() {
        let own = "net-0a1b2c3d.elb.eu-central-1.amazonaws.com";
        let instance = || {
            nlb().target_group(|group| group.target_type = Some(set("target_type", "instance".to_owned())))
        };
        calls(instance(), own).expect(RULE.code, Some(Severity::Warning));
        calls(instance().group("preserve_client_ip.enabled", "false"), own).expect(RULE.code, None);
    }
}
