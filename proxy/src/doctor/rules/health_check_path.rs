//! Health checks ask for another path than the one the application answers.

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "health-check-path",
    severity: Severity::Warning,
    title: "health checks ask for a path that the application does not have",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let check = &hop.target_group.health_check;
        let (Some(path), Some(health)) = (&check.path, &application.health_path) else { continue };
        let tcp = check.protocol.as_ref().is_some_and(|protocol| protocol.value == "TCP");
        let asked = path.value.split('?').next().unwrap_or_default().trim_end_matches('/');
        let own = health.value.trim_end_matches('/');
        let same = asked.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if tcp || same {
            continue;
        }
        // Any other path may be one of the application's own.
        let severity = if asked.contains("/actuator") {
            Severity::Warning
        } else if asked.is_empty() {
            Severity::Info
        } else {
            continue;
        };
        findings.push(Finding {
            code: RULE.code,
            severity,
            subject: hop.target_group.title(),
            problem: format!("health checks ask for {}, {} answers {}", path.value, application.title(), health.value),
            symptom: "targets are unhealthy, \"Health checks failed with these codes: [404]\" (or 401, 302), though the \
                      application works"
                .to_owned(),
            fix: format!("set {} to {}", path.key, health.value),
            evidence: vec![path.evidence(), health.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, set};

    #[test]
    fn the_path_must_be_the_applications() {
        for (asked, health, expected) in [
            (Some("/actuator/health"), Some("/api/actuator/health"), Some(Severity::Warning)),
            (Some("/api/actuator/health"), Some("/api/actuator/health"), None),
            (Some("/actuator/health/readiness"), Some("/actuator/health"), None),
            (Some("/"), Some("/actuator/health"), Some(Severity::Info)),
            (Some("/ping"), Some("/actuator/health"), None),
            (None, Some("/actuator/health"), None),
            (Some("/"), None, None),
        ] {
            let system = alb().target_group(|group| {
                group.health_check.path = asked.map(|path| set("health_check.path", path.to_owned()));
            });
            let health = health.map(|path| set("management.endpoints.web.base-path", path.to_owned()));
            system.app(|app| app.health_path = health).expect(RULE.code, expected);
        }
    }
}
