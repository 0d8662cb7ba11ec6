//! What a user may send and subscribe to: rules by destination, as the
//! `simpDestMatchers` of Spring Security.

use crate::broker::Pattern;

use super::Principal;

/// What a frame wants with a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// SEND.
    Send,
    /// SUBSCRIBE.
    Subscribe,
}

impl Action {
    /// The value of the metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Subscribe => "subscribe",
        }
    }
}

/// Who may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody who is connected.
    Anyone,
    /// Everybody whom a token named.
    Authenticated,
    /// Users with this authority.
    Authority(String),
    /// Nobody.
    Nobody,
}

impl Access {
    fn is_granted(&self, principal: Option<&Principal>) -> bool {
        match self {
            Self::Anyone => true,
            Self::Authenticated => principal.is_some(),
            Self::Authority(authority) => principal.is_some_and(|principal| principal.has(authority)),
            Self::Nobody => false,
        }
    }
}

/// Who may do one thing with the destinations of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// With what it is done.
    pub action: Action,
    /// The destinations, as clients write them.
    pub pattern: Pattern,
    /// Who may.
    pub access: Access,
}

/// A frame without the authority for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("access denied")]
pub struct Denied;

/// Rules in order: the first one whose pattern matches decides. What none
/// matches is allowed to everybody who is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// Whether a client may do this.
    ///
    /// A subscription to a pattern would bring what it must not see along with
    /// what it may: it is granted only if no rule that refuses this client could
    /// have a destination in common with it.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn check(
        &self,
        action: Action,
        destination: &str,
        principal: Option<&Principal>,
    ) -> Result<(), Denied> {
        let mut rules = self.0.iter().filter(|rule| rule.action == action);
        let is_granted = if action == Action::Subscribe && Pattern::is_pattern(destination) {
            rules.all(|rule| {
                rule.access.is_granted(principal) || !may_overlap(rule.pattern.as_str(), destination)
            })
        } else {
            let decides = rules.find(|rule| rule.pattern.matches(destination));
            decides.is_none_or(|rule| rule.access.is_granted(principal))
        };
        if is_granted { Ok(()) } else { Err(Denied) }
    }
}

/// Whether two patterns could have a destination in common: false only where
/// what comes before their first wildcards differs.
fn may_overlap(a: &str, b: &str) -> bool {
    let literal = |text: &str| text.split(['*', '?', '{']).next().unwrap_or_default().to_owned();
    let (a, b) = (literal(a), literal(b));
    a.starts_with(&b) || b.starts_with(&a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: Action, pattern: &str, access: Access) -> Rule {
        Rule { action, pattern: Pattern::try_new(pattern).unwrap(), access }
    }

    fn rules() -> Rules {
        let bidder = || Access::Authority("bidder".to_owned());
        Rules(vec![
            rule(Action::Send, "/app/bid.demo", Access::Anyone),
            rule(Action::Send, "/app/bid.*", bidder()),
            rule(Action::Send, "/app/admin/**", Access::Nobody),
            rule(Action::Subscribe, "/topic/auction.*", bidder()),
            rule(Action::Subscribe, "/topic/members/**", Access::Authenticated),
        ])
    }

    #[track_caller]
    fn check(action: Action, destination: &str, who: &[Option<&[&str]>], expected: &[bool]) {
        let granted: Vec<_> = who
            .iter()
            .map(|authorities| {
                let principal = authorities.map(|authorities| Principal {
                    name: "ann".to_owned(),
                    authorities: authorities.iter().map(|&text| text.to_owned()).collect(),
                    expires_at: None,
                });
                rules().check(action, destination, principal.as_ref()).is_ok()
            })
            .collect();
        assert_eq!(granted, expected, "{destination}");
    }

    const WHO: [Option<&[&str]>; 3] = [None, Some(&["reader"]), Some(&["bidder"])];

    #[test]
    fn the_first_rule_that_matches_decides() {
        check(Action::Send, "/app/bid.demo", &WHO, &[true, true, true]);
        check(Action::Send, "/app/bid.7", &WHO, &[false, false, true]);
        check(Action::Send, "/app/admin/a/b", &WHO, &[false, false, false]);
        check(Action::Subscribe, "/topic/auction.7", &WHO, &[false, false, true]);
        check(Action::Subscribe, "/topic/members/a", &WHO, &[false, true, true]);
    }

    #[test]
    fn what_no_rule_matches_is_allowed() {
        check(Action::Send, "/app/room.a", &WHO, &[true, true, true]);
        check(Action::Send, "/topic/auction.7", &WHO, &[true, true, true]);
        check(Action::Subscribe, "/app/bid.7", &WHO, &[true, true, true]);
    }

    #[test]
    fn a_pattern_is_no_way_around_a_rule() {
        for pattern in
            ["/topic/**", "/**", "/topic/auction.*", "/topic/{any}", "/topic/auction.?", "/*/auction.7"]
        {
            let [anonymous, reader, _] = WHO;
            check(Action::Subscribe, pattern, &[anonymous, reader], &[false, false]);
        }
        check(Action::Subscribe, "/topic/**", &WHO, &[false, false, true]);
        check(Action::Subscribe, "/topic/room.*", &WHO, &[true, true, true]);
    }
}
