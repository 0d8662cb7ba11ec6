//! One side speaks the PROXY protocol, the other does not.
//!
//! ELB: with `proxy_protocol_v2.enabled` every connection to a target begins
//! with a header, health checks included. Application Load Balancers send none.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    path::Chain,
    setting::{Evidence, Setting},
    system::{Application, Hop},
};

pub(super) const RULE: Rule = Rule {
    code: "proxy-protocol-one-sided",
    severity: Severity::Error,
    title: "only one side speaks the PROXY protocol",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        findings.extend(between(&hop, application));
    }
    for chain in system.chains() {
        findings.extend(within(&chain));
    }
}

/// Load balancer and application.
fn between(hop: &Hop<'_>, application: &Application) -> Option<Finding> {
    let key = "proxy_protocol_v2.enabled";
    let sends = if hop.load_balancer.is_application() {
        Setting::default_of("an Application Load Balancer", false, "PROXY protocol", "never sent")
    } else {
        hop.target_group.attributes.flag(key)?
    };
    let sender = hop.load_balancer.title();
    match (sends.value, &application.proxy_protocol) {
        (true, Some(expects)) if !expects.value => {
            let problem = format!(
                "{sender} begins connections with a PROXY header, {} takes none",
                application.title()
            );
            let fix = format!(
                "set {} to let the application read the header, or {} to false",
                expects.key, sends.key
            );
            Some(finding(Severity::Error, hop, problem, fix, vec![expects.evidence(), sends.evidence()]))
        }
        (true, None) => {
            let problem = format!(
                "{sender} begins connections with a PROXY header, and nothing says that {} reads it",
                application.title()
            );
            let fix =
                format!("switch the PROXY protocol on in the application, or set {} to false", sends.key);
            Some(finding(Severity::Warning, hop, problem, fix, vec![sends.evidence()]))
        }
        (false, Some(expects)) if expects.value => {
            let problem = format!("{} waits for a PROXY header, {sender} sends none", application.title());
            let fix = match hop.load_balancer.is_application() {
                true => format!("switch {} off: the client's address is in X-Forwarded-For", expects.key),
                false => format!("set {} to true, or switch {} off", sends.key, expects.key),
            };
            Some(finding(Severity::Error, hop, problem, fix, vec![sends.evidence(), expects.evidence()]))
        }
        _ => None,
    }
}

/// Network and Application Load Balancer.
fn within(chain: &Chain<'_>) -> Option<Finding> {
    let expects = chain.listener?.proxy_protocol.as_ref().filter(|expects| expects.value)?;
    let sends =
        chain.front.target_group.attributes.flag("proxy_protocol_v2.enabled").filter(|sends| !sends.value)?;
    let problem = format!(
        "{} waits for a PROXY header, {} sends none",
        chain.behind.title(),
        chain.front.load_balancer.title()
    );
    let fix = format!("set {} to off: targets of type alb know the client's address without it", expects.key);
    Some(finding(Severity::Error, &chain.front, problem, fix, vec![expects.evidence(), sends.evidence()]))
}

fn finding(
    severity: Severity,
    hop: &Hop<'_>,
    problem: String,
    fix: String,
    evidence: Vec<Evidence>,
) -> Finding {
    Finding {
        code: RULE.code,
        severity,
        subject: hop.target_group.title(),
        problem,
        symptom: "every request fails: 400, a TLS handshake error or a connection that is closed at once; targets turn \
                  unhealthy, since health checks are alike"
            .to_owned(),
        fix,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, nlb_before_alb, set};

    #[test]
    fn both_sides_or_neither() {
        for (sends, expects, expected) in [
            ("true", Some(true), None),
            ("true", Some(false), Some(Severity::Error)),
            ("true", None, Some(Severity::Warning)),
            ("false", Some(true), Some(Severity::Error)),
            ("false", Some(false), None),
            ("false", None, None),
            ("var.ppv2", Some(true), None),
        ] {
            let system = nlb().group("proxy_protocol_v2.enabled", sends);
            let expects = expects.map(|expects| set("server.proxy-protocol.mode", expects));
            system.app(|app| app.proxy_protocol = expects).expect(RULE.code, expected);
        }
    }

    #[test]
    fn another_load_balancer_may_be_what_reads_the_header() {
        let system = |target_groups: Vec<String>| {
            let given = nlb_before_alb().with(|system| {
                let front = &mut system.target_groups[1];
                front.target_type = None;
                front.port = None;
                front
                    .attributes
                    .give("proxy_protocol_v2.enabled", set("proxy_protocol_v2", "true".to_owned()));
            });
            given.app(|app| app.target_groups = target_groups)
        };
        system(vec![]).expect(RULE.code, None);
        system(vec!["web".to_owned(), "net".to_owned()]).expect(RULE.code, Some(Severity::Warning));
    }

    #[test]
    fn an_application_load_balancer_sends_none() {
        let expects = |given: bool| alb().app(|app| app.proxy_protocol = Some(set("proxy-protocol", given)));
        expects(true).expect(RULE.code, Some(Severity::Error));
        expects(false).expect(RULE.code, None);
    }

    #[test]
    fn a_listener_of_ours_waits_in_vain() {
        let expects = |given: bool| {
            nlb_before_alb()
                .listener(|listener| listener.proxy_protocol = Some(set("albeit.proxy_protocol", given)))
        };
        expects(true).expect(RULE.code, Some(Severity::Error));
        expects(false).expect(RULE.code, None);
        let alone =
            alb().listener(|listener| listener.proxy_protocol = Some(set("albeit.proxy_protocol", true)));
        alone.expect(RULE.code, None);
    }
}
