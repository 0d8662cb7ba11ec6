//! Health checks are answered with a redirect, which does not pass.
//!
//! ELB: an Application Load Balancer's checks pass with 200 unless the matcher
//! says otherwise; checks carry no `X-Forwarded-Proto`.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::{Evidence, Setting},
    system::{Action, Application, TargetGroup},
};

pub(super) const RULE: Rule = Rule {
    code: "health-check-redirect",
    severity: Severity::Warning,
    title: "health checks are answered with a redirect",
    check,
};

/// Environment variables by which applications are told to send everybody to HTTPS.
const REDIRECTS: &[&str] =
    &["SECURE_SSL_REDIRECT", "DJANGO_SECURE_SSL_REDIRECT", "RAILS_FORCE_SSL", "FORCE_SSL", "FORCE_HTTPS"];

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        if let Some(setting) = redirects(application) {
            let who =
                format!("{} sends requests without TLS to HTTPS ({})", application.title(), setting.key);
            findings.extend(finding(hop.target_group, &who, setting.evidence()));
        }
    }
    for chain in system.chains() {
        let Some(listener) = chain.listener.filter(|listener| listener.protocol.value == "HTTP") else {
            continue;
        };
        let default = listener.rules.last().filter(|_| listener.rules.len() == 1);
        let redirect = default.and_then(|rule| {
            rule.actions.iter().find_map(|action| match action {
                Action::Redirect { protocol, .. } => Some(protocol),
                _ => None,
            })
        });
        if let Some(redirect) = redirect {
            let who = format!("{} redirects everything", listener.title(chain.behind));
            findings.extend(finding(chain.front.target_group, &who, redirect.evidence()));
        }
    }
}

fn redirects(application: &Application) -> Option<&Setting<String>> {
    let on = |setting: &&Setting<String>| {
        matches!(setting.value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
    };
    REDIRECTS.iter().find_map(|name| application.environment.get(*name)).filter(on)
}

/// The finding, if checks are plain HTTP and a redirect does not pass.
fn finding(group: &TargetGroup, who: &str, because: Evidence) -> Option<Finding> {
    let check = &group.health_check;
    let matcher = check.matcher.as_ref().filter(|matcher| !passes(&matcher.value, 301))?;
    let plain = check.protocol.as_ref().is_none_or(|protocol| protocol.value == "HTTP");
    plain.then(|| Finding {
        code: RULE.code,
        severity: RULE.severity,
        subject: group.title(),
        problem: format!("{who}, and health checks pass with {} only", matcher.value),
        symptom: "targets are unhealthy with Target.ResponseCodeMismatch, \"Health checks failed with these codes: \
                  [301]\", though the application works"
            .to_owned(),
        fix: format!("let the path of health checks answer 200 without a redirect, or set {} to 200,301", matcher.key),
        evidence: [Some(matcher.evidence()), check.path.as_ref().map(Setting::evidence), Some(because)]
            .into_iter()
            .flatten()
            .collect(),
    })
}

/// Whether a matcher such as `200,202` or `200-399` takes a status.
fn passes(matcher: &str, status: u16) -> bool {
    matcher.split(',').any(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u16>(), last.trim().parse::<u16>());
        // What cannot be read may take anything.
        first.is_err()
            || last.is_err()
            || first.is_ok_and(|first| first <= status) && last.is_ok_and(|last| status <= last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb_before_alb, set};

    #[test]
    fn a_matcher_is_a_list_of_ranges() {
        for (matcher, expected) in [
            ("200", false),
            ("200,301", true),
            ("200-399", true),
            ("200-299,400", false),
            ("var.matcher", true),
        ] {
            assert_eq!(passes(matcher, 301), expected, "{matcher}");
        }
    }

    #[test]
    fn an_application_that_insists_on_https_fails_its_checks() {
        let system = |matcher: &str, value: &str| {
            let given = alb().app(|app| {
                app.environment
                    .insert("SECURE_SSL_REDIRECT".to_owned(), set("SECURE_SSL_REDIRECT", value.to_owned()));
            });
            given.target_group(|group| group.health_check.matcher = Some(set("matcher", matcher.to_owned())))
        };
        system("200", "True").expect(RULE.code, Some(Severity::Warning));
        system("200,301", "True").expect(RULE.code, None);
        system("200", "False").expect(RULE.code, None);
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_listener_that_redirects_fails_the_checks_from_in_front() {
        let redirect = Action::Redirect {
            protocol: set("protocol", "HTTPS".to_owned()),
            host: None,
            port: Some("443".to_owned()),
            path: None,
            query: None,
        };
        let system = |matcher: &str| {
            let plain =
                nlb_before_alb().listener(|listener| listener.protocol = set("protocol", "HTTP".to_owned()));
            plain.default_action(redirect.clone()).with(|system| {
                system.target_groups[1].health_check.matcher = Some(set("matcher", matcher.to_owned()));
            })
        };
        system("200").expect(RULE.code, Some(Severity::Warning));
        system("200-399").expect(RULE.code, None);
    }
}
