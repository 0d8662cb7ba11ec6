//! A source-ip condition on a listener that another proxy is in front of.
//!
//! ELB: "If a client is behind a proxy, this is the IP address of the proxy, not
//! the IP address of the client".

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::Setting,
    system::{ConditionField, Listener},
};

pub(super) const RULE: Rule = Rule {
    code: "source-ip-behind-proxy",
    severity: Severity::Warning,
    title: "a source-ip condition sees the address of another proxy",
    check,
};

/// Headers that CDNs and proxies add, and that nobody asks for without one in front.
const OF_PROXIES: &[&str] =
    &["x-forwarded-for", "x-real-ip", "true-client-ip", "x-origin-verify", "x-amz-cf-id"];
/// Beginnings of such names.
const FAMILIES: &[&str] = &["cf-", "cloudfront-", "fastly-", "x-azure-"];

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners().filter(|(of, _)| of.is_application()) {
        // A PROXY header tells who the client is.
        if listener.proxy_protocol.as_ref().is_some_and(|expects| expects.value) {
            continue;
        }
        let Some((header, value)) = proxy(listener) else { continue };
        for rule in &listener.rules {
            let Some(source) = rule.conditions_on(&ConditionField::SourceIp).next() else { continue };
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: rule.title(listener, of),
                problem: format!(
                    "{} asks for the source {}, but the listener is behind a proxy that adds {header}",
                    rule.title(listener, of),
                    source.value
                ),
                symptom: "the rule matches nobody or everybody: the source of every connection is the proxy".to_owned(),
                fix: "ask for an http-header condition that the proxy sets, or let the proxy (AWS WAF) filter by address"
                    .to_owned(),
                evidence: vec![source.evidence(), value.evidence()],
            });
        }
    }
}

/// What shows that requests come through another proxy.
fn proxy(listener: &Listener) -> Option<(&str, &Setting<String>)> {
    listener.rules.iter().flat_map(|rule| &rule.conditions).find_map(|condition| match &condition.field {
        ConditionField::HttpHeader(name)
            if OF_PROXIES.contains(&name.as_str())
                || FAMILIES.iter().any(|family| name.starts_with(family)) =>
        {
            Some((name.as_str(), condition.values.first()?))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, condition, forward, set};

    fn system(header: &str) -> Given {
        let to = [forward(&[("web", 1)])];
        let header = condition(ConditionField::HttpHeader(header.to_owned()), &["secret"]);
        let source = condition(ConditionField::SourceIp, &["203.0.113.0/24"]);
        alb().rule(&[header], &to).rule(&[source], &to)
    }

    #[test]
    fn the_headers_of_proxies_betray_them() {
        for (header, expected) in [
            ("x-origin-verify", Some(Severity::Warning)),
            ("cloudfront-viewer-country", Some(Severity::Warning)),
            ("x-version", None),
        ] {
            system(header).expect(RULE.code, expected);
        }
        let told = system("x-origin-verify");
        told.listener(|listener| listener.proxy_protocol = Some(set("albeit.proxy_protocol", true)))
            .expect(RULE.code, None);
    }
}
