//! A rule logs users in, and its path is a WebSocket's.
//!
//! ELB: without a valid cookie the action answers 302 to the identity provider,
//! which neither an upgrade nor an XHR can follow.

use super::{Finding, Rule, Severity, System};
use crate::doctor::{
    setting::Setting,
    system::{Action, Listener, Rule as ListenerRule},
};

pub(super) const RULE: Rule = Rule {
    code: "authenticate-on-web-socket",
    severity: Severity::Warning,
    title: "an authenticate action on the path of a WebSocket",
    check,
};

fn check(system: &System, findings: &mut Vec<Finding>) {
    for (hop, application) in system.last_hops() {
        for path in &application.web_socket_paths {
            let Some((rule, login)) = login(hop.listener, &path.value) else { continue };
            let to_it = rule.forwards().any(|(groups, _)| {
                groups.iter().any(|group| group.target_group.value == hop.target_group.name.value)
            });
            if !to_it {
                continue;
            }
            findings.push(Finding {
                code: RULE.code,
                severity: RULE.severity,
                subject: rule.title(hop.listener, hop.load_balancer),
                problem: format!(
                    "{} has {}, and {} is a path of WebSockets",
                    rule.title(hop.listener, hop.load_balancer),
                    login.value,
                    path.value
                ),
                symptom: "when the login has expired, reconnects fail for ever: \"Unexpected response code: 302\", close \
                          code 1006, CORS errors of the identity provider's host for XHR"
                    .to_owned(),
                fix: format!(
                    "add a rule for {} before this one, with jwt-validation or with authentication in the application",
                    path.value
                ),
                evidence: vec![login.evidence(), path.evidence()],
            });
        }
    }
}

/// The first rule that takes a path, and its login, if it has one.
fn login<'a>(listener: &'a Listener, path: &str) -> Option<(&'a ListenerRule, &'a Setting<String>)> {
    let rule = listener.rules.iter().find(|rule| rule.takes_path(path))?;
    let login = rule.actions.iter().find_map(|action| match action {
        Action::Authenticate(what) if what.value.starts_with("authenticate") => Some(what),
        _ => None,
    })?;
    Some((rule, login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::rules::tests::build::{Given, alb, forward, path, set};

    fn system(action: &str) -> Given {
        let login = Action::Authenticate(set("actions.type", action.to_owned()));
        let given = alb().app(|app| app.web_socket_paths = vec![set("endpoint", "/ws".to_owned())]);
        given.listener(|listener| listener.rules[0].actions = vec![login, forward(&[("web", 1)])])
    }

    #[test]
    fn an_upgrade_cannot_follow_a_redirect() {
        system("authenticate-oidc").expect(RULE.code, Some(Severity::Warning));
        system("jwt-validation").expect(RULE.code, None);
        let apart = system("authenticate-oidc").rule(&[path(&["/ws", "/ws/*"])], &[forward(&[("web", 1)])]);
        apart.expect(RULE.code, None);
        system("authenticate-oidc").app(|app| app.web_socket_paths.clear()).expect(RULE.code, None);
    }
}
