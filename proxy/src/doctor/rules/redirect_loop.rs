//! A redirect that leads to itself.
//!
//! ELB: "You must modify at least one of the following components to avoid a
//! redirect loop: protocol, port, hostname or path". A component that names what
//! is there already is accepted, and loops.

use super::{Finding, Rule, Severity, System};
use crate::{
    doctor::system::{Action, ConditionField, Listener, Rule as ListenerRule},
    rules::wildcard::{Case, Pattern},
};

pub(super) const RULE: Rule =
    Rule { code: "redirect-loop", severity: Severity::Error, title: "a redirect leads to itself", check };

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (of, listener) in system.listeners() {
        for (number, rule) in listener.rules.iter().enumerate() {
            let earlier = listener.rules.get(..number).unwrap_or_default();
            for action in &rule.actions {
                let Action::Redirect { protocol, .. } = action else { continue };
                if !Target::of(action, listener).is_some_and(|target| target.comes_back(rule, earlier)) {
                    continue;
                }
                let title = rule.title(listener, of);
                findings.push(Finding {
                    code: RULE.code,
                    severity: RULE.severity,
                    subject: title.clone(),
                    problem: format!("what {title} redirects to is matched by the same rule and redirected again"),
                    symptom: "ERR_TOO_MANY_REDIRECTS in browsers, \"Maximum (50) redirects followed\" of curl; \
                              HTTP_Redirect_Count rises, targets see nothing"
                        .to_owned(),
                    fix: "change protocol, host, port or path to what this rule does not match, or put a rule before it \
                          that takes it"
                        .to_owned(),
                    evidence: vec![protocol.evidence()],
                });
            }
        }
    }
}

/// Where a redirect of a listener leads, if to the same listener: `None` for what stays as it is.
struct Target<'a> {
    host: Option<&'a str>,
    path: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn of(action: &'a Action, listener: &Listener) -> Option<Self> {
        let Action::Redirect { protocol, host, port, path, .. } = action else { return None };
        let own_port = listener.port.as_ref().map(|port| port.value.to_string());
        let same_port =
            port.as_deref().is_none_or(|port| port == "#{port}" || Some(port) == own_port.as_deref());
        let same_protocol = protocol.value == "#{protocol}" || protocol.value == listener.protocol.value;
        let host = literal(host.as_deref(), "#{host}")?;
        let path = literal(path.as_deref(), "/#{path}")?;
        (same_port && same_protocol).then_some(Self { host, path })
    }

    /// Whether a rule takes what it has redirected, and none before it does.
    fn comes_back(&self, rule: &ListenerRule, earlier: &[ListenerRule]) -> bool {
        // A redirect may well take away what such a condition asks for.
        let query = rule.conditions_on(&ConditionField::QueryString).next().is_some();
        let moved = self.host.is_some() || self.path.is_some();
        !query && self.is_taken_by(rule) && !(moved && earlier.iter().any(|other| self.is_taken_by(other)))
    }

    fn is_taken_by(&self, rule: &ListenerRule) -> bool {
        let mut hosts = rule.conditions_on(&ConditionField::HostHeader).peekable();
        let matches =
            |host: &str, pattern: &str| Pattern::new(pattern, Case::Insensitive).matches(host.as_bytes());
        let host = match self.host {
            Some(host) => hosts.peek().is_none() || hosts.any(|pattern| matches(host, &pattern.value)),
            None => true,
        };
        host && self.path.is_none_or(|path| rule.takes_path(path))
    }
}

/// `None` inside for what stays, `None` for what depends on the request.
fn literal<'a>(part: Option<&'a str>, same: &str) -> Option<Option<&'a str>> {
    match part {
        None => Some(None),
        Some(part) if part == same => Some(None),
        Some(part) if part.contains("#{") => None,
        Some(part) => Some(Some(part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{alb, condition, forward, path, set};

    fn redirect(protocol: &str, host: Option<&str>, port: Option<&str>, path: Option<&str>) -> Action {
        Action::Redirect {
            protocol: set("redirect.protocol", protocol.to_owned()),
            host: host.map(str::to_owned),
            port: port.map(str::to_owned),
            path: path.map(str::to_owned),
            query: None,
        }
    }

    #[test]
    fn something_must_change() {
        for (action, expected) in [
            (redirect("HTTPS", None, Some("443"), None), Some(Severity::Error)),
            (redirect("#{protocol}", Some("#{host}"), None, Some("/#{path}")), Some(Severity::Error)),
            (redirect("HTTPS", None, Some("8443"), None), None),
            (redirect("#{protocol}", None, None, Some("/new/#{path}")), None),
            (redirect("#{protocol}", None, None, Some("/maintenance")), Some(Severity::Error)),
        ] {
            alb().default_action(action).expect(RULE.code, expected);
        }
    }

    #[test]
    fn from_http_to_https_is_no_loop() {
        let plain = alb().listener(|listener| listener.protocol = set("protocol", "HTTP".to_owned()));
        plain.default_action(redirect("HTTPS", None, Some("443"), None)).expect(RULE.code, None);
    }

    #[test]
    fn conditions_decide_whether_it_comes_back() {
        for (host, expected) in [("old.example.com", None), ("*.example.com", Some(Severity::Error))] {
            let to = redirect("#{protocol}", Some("www.example.com"), None, None);
            alb().rule(&[condition(ConditionField::HostHeader, &[host])], &[to]).expect(RULE.code, expected);
        }
    }

    #[test]
    fn an_earlier_rule_may_take_it() {
        let fixed = redirect("#{protocol}", None, None, Some("/maintenance"));
        let system = alb().rule(&[path(&["/maintenance"])], &[forward(&[("web", 1)])]);
        system.default_action(fixed).expect(RULE.code, None);
    }
}
