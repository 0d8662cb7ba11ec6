use http::StatusCode;

use super::*;
use crate::model::{
    Action,
    rule::{FixedResponse, Transforms},
};

fn answer(text: &str) -> Actions {
    Actions::from(Action::FixedResponse(FixedResponse {
        status: StatusCode::OK,
        content_type: None,
        message_body: text.to_owned(),
    }))
}

fn hosts(values: &[&str]) -> Condition {
    Condition::HostHeader(Patterns::Wildcards(values.iter().map(|&value| value.to_owned()).collect()))
}

fn paths(values: &[&str]) -> Condition {
    Condition::PathPattern(Patterns::Wildcards(values.iter().map(|&value| value.to_owned()).collect()))
}

fn listener(rules: Vec<(u16, Vec<Condition>)>) -> RuleSet {
    let rules: Vec<Rule> = rules
        .into_iter()
        .map(|(priority, conditions)| Rule {
            arn: String::new(),
            priority,
            conditions,
            transforms: Transforms::default(),
            actions: answer(&priority.to_string()),
        })
        .collect();
    RuleSet::compile(&rules, &answer("default"))
}

#[track_caller]
fn check(rules: &RuleSet, host: &str, path: &str, priority: u16) {
    let matched = rules.evaluate(host, path);
    assert_eq!(matched.priority, priority, "{host} {path}");
    let expected = if priority == 0 { answer("default") } else { answer(&priority.to_string()) };
    assert_eq!(*matched.actions, expected);
}

#[test]
fn the_lowest_priority_number_wins_whatever_the_order_of_the_file() {
    let rules = listener(vec![(20, vec![paths(&["/chat/*"])]), (10, vec![paths(&["/chat/room*"])])]);
    check(&rules, "example.com", "/chat/room1", 10);
    check(&rules, "example.com", "/chat/x", 20);
    check(&rules, "example.com", "/", 0);
}

#[test]
fn conditions_must_all_match_and_values_are_alternatives() {
    let rules = listener(vec![(1, vec![hosts(&["a.com", "b.com"]), paths(&["/x", "/y"])])]);
    check(&rules, "a.com", "/x", 1);
    check(&rules, "b.com", "/y", 1);
    check(&rules, "a.com", "/z", 0);
    check(&rules, "c.com", "/x", 0);
}

#[test]
fn host_header_ignores_case_and_port() {
    let rules = listener(vec![(1, vec![hosts(&["*.Example.com"])])]);
    check(&rules, "WWW.example.COM:8443", "/", 1);
    check(&rules, "www.example.com", "/", 1);
    check(&rules, "example.com", "/", 0);
    check(&rules, "", "/", 0);
}

#[test]
fn path_pattern_is_case_sensitive_and_does_not_see_the_query() {
    let rules = listener(vec![(1, vec![paths(&["/Img/*.png"])])]);
    check(&rules, "h", "/Img/a.png", 1);
    check(&rules, "h", "/Img/a.png?size=2", 1);
    check(&rules, "h", "/img/a.png", 0);
    check(&rules, "h", "/x?/Img/a.png", 0);
}

#[test]
fn a_path_is_normalised_before_it_is_matched() {
    let rules = listener(vec![(1, vec![paths(&["/admin/*"])])]);
    check(&rules, "h", "/public/../admin/users", 1);
    check(&rules, "h", "/public/%2e%2E/admin/users", 1);
    check(&rules, "h", "/%61dmin/users", 1);
    check(&rules, "h", "/admin/../public", 0);
}

#[test]
fn the_port_is_cut_off_names_and_literals() {
    for (host, name) in [
        ("example.com", "example.com"),
        ("example.com:80", "example.com"),
        ("example.com:", "example.com"),
        ("127.0.0.1:8080", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:8443", "[::1]"),
        ("", ""),
        (":80", ""),
    ] {
        assert_eq!(without_port(host), name);
    }
}
