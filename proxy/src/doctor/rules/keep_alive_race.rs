//! The target closes idle connections before the load balancer does, so that
//! now and then a request meets a connection that is just being closed.
//!
//! ELB: "The target closed the connection with a TCP RST or a TCP FIN while the
//! load balancer had an outstanding request to the target" (HTTP 502). A limit
//! on requests per connection (Tomcat's 100) is no such race: the last answer
//! says `Connection: close`.

use std::time::Duration;

use super::{Finding, Rule, Severity, System};
use crate::doctor::setting::human;

pub(super) const RULE: Rule = Rule {
    code: "keep-alive-race",
    severity: Severity::Error,
    title: "the target's keep-alive timeout is not longer than the idle timeout",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        let (Some(keep_alive), true) = (&application.keep_alive_timeout, hop.load_balancer.is_application())
        else {
            continue;
        };
        let Some(idle) = hop.idle_timeout() else { continue };
        // Zero is no limit in Node.js, Tomcat, Jetty, Netty and Undertow, and no keep-alive at all in Gunicorn.
        if keep_alive.value > idle.value || keep_alive.value.is_zero() {
            continue;
        }
        findings.push(Finding {
            code: RULE.code,
            severity: RULE.severity,
            subject: hop.target_group.title(),
            problem: format!(
                "{} closes idle connections after {}, {} keeps them for {}",
                application.title(),
                human(keep_alive.value),
                hop.load_balancer.title(),
                human(idle.value)
            ),
            symptom:
                "sporadic 502 at low traffic; in the access log elb_status_code 502, target_status_code -, \
                      response_processing_time -1"
                    .to_owned(),
            fix: format!(
                "set {} to more than {}, such as {}",
                keep_alive.key,
                human(idle.value),
                keep_alive.in_its_unit(idle.value.saturating_add(Duration::from_secs(10)))
            ),
            evidence: vec![keep_alive.evidence(), idle.evidence()],
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, nlb, secs};

    #[test]
    fn the_target_must_keep_connections_for_longer() {
        for (keep_alive, idle, expected) in [
            (20, "60", Some(Severity::Error)),
            (60, "60", Some(Severity::Error)),
            (70, "60", None),
            (70, "3600", Some(Severity::Error)),
            (0, "60", None),
        ] {
            let system = alb().lb("idle_timeout.timeout_seconds", idle);
            let system =
                system.app(|app| app.keep_alive_timeout = Some(secs("keep-alive-timeout", keep_alive)));
            system.expect(RULE.code, expected);
        }
        alb().expect(RULE.code, None);
    }

    #[test]
    fn a_network_load_balancer_reuses_no_connection() {
        let system = nlb().app(|app| app.keep_alive_timeout = Some(secs("keep-alive-timeout", 20)));
        system.expect(RULE.code, None);
    }

    #[test]
    fn the_finding_names_both_values_and_the_key_to_change() {
        let system =
            alb().app(|app| app.keep_alive_timeout = Some(secs("server.tomcat.keep-alive-timeout", 20)));
        let [finding] = system.findings(RULE.code).try_into().unwrap();
        let evidence =
            finding.evidence.iter().map(|it| format!("{} = {} ({})", it.key, it.written, it.place));
        let evidence = evidence.collect::<Vec<_>>().join("\n");
        let Finding { subject, problem, symptom, fix, .. } = finding;
        insta::assert_snapshot!(format!("{subject}\n{problem}\n{symptom}\n{fix}\n{evidence}"), @"
        target group web
        application app closes idle connections after 20 s, load balancer web keeps them for 60 s
        sporadic 502 at low traffic; in the access log elb_status_code 502, target_status_code -, response_processing_time -1
        set server.tomcat.keep-alive-timeout to more than 60 s, such as 70s
        server.tomcat.keep-alive-timeout = 20s (given.yaml:1:1)
        idle_timeout.timeout_seconds = 60 (default of an Application Load Balancer)
        ");
    }
}
