//! An application cookie has a name that the load balancer uses itself.
//!
//! ELB: "AWSALB, AWSALBAPP and AWSALBTG are reserved".

use super::{Finding, Rule, Severity, System};

pub(super) const RULE: Rule = Rule {
    code: "app-cookie-reserved-name",
    severity: Severity::Error,
    title: "the application cookie has a name that is reserved",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for group in system.groups_of_albs() {
        let Some(name) = group.attributes.given("stickiness.app_cookie.cookie_name") else { continue };
        // AWSALBAPP and AWSALBTG begin so, too.
        if !name.value.to_ascii_uppercase().starts_with("AWSALB") {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: group.title(),
            problem: format!("{} is {}, a name of the load balancer's own cookies", name.key, name.written),
            symptom: "ELB refuses the name".to_owned(),
            fix: format!(
                "set {} to the name of the cookie that the application sets, such as JSESSIONID",
                name.key
            ),
            evidence: vec![name.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::alb;

    #[test]
    fn names_of_the_load_balancer_are_refused() {
        for (name, expected) in
            [("AWSALBAPP-0", Some(Severity::Error)), ("AWSALB", Some(Severity::Error)), ("JSESSIONID", None)]
        {
            alb().group("stickiness.app_cookie.cookie_name", name).expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }
}
