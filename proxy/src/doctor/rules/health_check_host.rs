//! Health checks name the target's address as host, and the application
//! answers its own names only.

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::Setting;

pub(super) const RULE: Rule = Rule {
    code: "health-check-host",
    severity: Severity::Warning,
    title: "the application refuses the host of health checks",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let Some(hosts) = &application.allowed_hosts else { continue };
        let check = &hop.target_group.health_check;
        let http = match &check.protocol {
            Some(protocol) => protocol.value.starts_with("HTTP"),
            None => hop.load_balancer.is_application(),
        };
        // `*`, or a list that a program made of addresses.
        if !http || hosts.value.is_empty() || hosts.value.contains(['*', '$']) || names_address(&hosts.value)
        {
            continue;
        }
        let path = check.path.as_ref().map_or("/", |path| path.value.as_str());
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "health checks ask for {path} with the target's address as Host, {} answers only {}",
                application.title(),
                hosts.value
            ),
            symptom: "targets are unhealthy, \"Health checks failed with these codes: [400]\", while the site works by \
                      its name; the log says Invalid HTTP_HOST header"
                .to_owned(),
            fix: format!("answer {path} before hosts are checked, or add the target's own address to {}", hosts.key),
            evidence: [Some(hosts.evidence()), check.path.as_ref().map(Setting::evidence)]
                .into_iter()
                .flatten()
                .collect(),
        });
    }
}

/// Whether some host of a list is an address that is not the machine's own loopback.
fn names_address(hosts: &str) -> bool {
    let parts = hosts.split([',', ' ', ';', '"', '\'', '[', ']']);
    parts.filter_map(|part| part.parse::<std::net::IpAddr>().ok()).any(|address| !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, set};

    #[test]
    fn an_address_is_no_name() {
        for (hosts, expected) in [
            ("app.example.com", Some(Severity::Warning)),
            ("localhost,127.0.0.1,app.example.com", Some(Severity::Warning)),
            ("*", None),
            ("app.example.com,10.0.1.10", None),
        ] {
            let hosts = Some(set("ALLOWED_HOSTS", hosts.to_owned()));
            alb().app(|app| app.allowed_hosts = hosts.clone()).expect(RULE.code, expected);
            nlb().app(|app| app.allowed_hosts = hosts).expect(RULE.code, None);
        }
        alb().expect(RULE.code, None);
    }
}
