use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::model::{
    Action, Condition,
    rule::{FixedResponse, Patterns, QueryPattern, Rewrite, Transforms as Rewrites},
};

fn answer(text: &str) -> Actions {
    Actions::from(Action::FixedResponse(FixedResponse {
        status: StatusCode::OK,
        content_type: None,
        message_body: text.to_owned().into(),
    }))
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn hosts(values: &[&str]) -> Condition {
    Condition::HostHeader(Patterns::Wildcards(strings(values)))
}

fn paths(values: &[&str]) -> Condition {
    Condition::PathPattern(Patterns::Wildcards(strings(values)))
}

fn header(name: &str, values: &[&str]) -> Condition {
    Condition::HttpHeader { name: name.to_owned(), patterns: Patterns::Wildcards(strings(values)) }
}

fn ranges(values: &[&str]) -> Condition {
    Condition::SourceIp(values.iter().map(|value| value.parse().unwrap()).collect())
}

fn listener(rules: Vec<(u16, Vec<Condition>)>) -> RuleSet {
    let rules: Vec<Rule> = rules
        .into_iter()
        .map(|(priority, conditions)| Rule {
            arn: String::new(),
            priority,
            conditions,
            transforms: Rewrites::default(),
            actions: answer(&priority.to_string()),
        })
        .collect();
    RuleSet::compile(&rules, &answer("default"))
}

/// The priority of the rule that a request matches.
fn matched(rules: &RuleSet, change: impl FnOnce(&mut Received)) -> u16 {
    let mut received = Received::default();
    change(&mut received);
    let matched = rules.evaluate(Request {
        host: received.host,
        target: received.target,
        method: received.method,
        headers: &received.headers,
        source: received.source,
    });
    let expected = match matched.priority {
        0 => answer("default"),
        priority => answer(&priority.to_string()),
    };
    assert_eq!(*matched.actions, expected);
    matched.priority
}

/// A request, changed by each test in what it is about.
struct Received {
    host: &'static str,
    target: &'static str,
    method: &'static str,
    headers: HeaderMap,
    source: IpAddr,
}

impl Default for Received {
    fn default() -> Self {
        let source = Ipv4Addr::new(203, 0, 113, 7).into();
        Self { host: "example.com", target: "/", method: "GET", headers: HeaderMap::new(), source }
    }
}

#[track_caller]
fn check(rules: &RuleSet, host: &'static str, target: &'static str, priority: u16) {
    let found = matched(rules, |request| (request.host, request.target) = (host, target));
    assert_eq!(found, priority, "{host} {target}");
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

#[test]
fn regular_expressions_follow_the_case_of_their_condition() {
    let regex = |values: &[&str]| Patterns::Regex(strings(values));
    let rules = listener(vec![
        (1, vec![Condition::HostHeader(regex(&["^api[0-9]\\.", "^EU\\."]))]),
        (2, vec![Condition::PathPattern(regex(&["^/v[12]/(Users|orders)$"]))]),
        (
            3,
            vec![Condition::HttpHeader {
                name: "User-Agent".to_owned(),
                patterns: regex(&["chrome/(9|1[0-9])[0-9]"]),
            }],
        ),
    ]);
    check(&rules, "API7.example.com:8080", "/", 1);
    check(&rules, "eu.example.com", "/", 1);
    check(&rules, "x.api7.example.com", "/", 0);
    check(&rules, "h", "/v1/Users?x", 2);
    check(&rules, "h", "/v3/../v2/orders", 2);
    check(&rules, "h", "/v1/users", 0);
    let agent = |value| {
        matched(&rules, |request| {
            request.headers.insert("user-agent", HeaderValue::from_static(value));
        })
    };
    assert_eq!(agent("Mozilla Chrome/118.0"), 3);
    assert_eq!(agent("Mozilla Chrome/88.0"), 0);
}

#[test]
fn each_line_of_a_header_is_looked_at() {
    let rules = listener(vec![(1, vec![header("X-Tenant", &["gold*", "silver"])])]);
    let tenants = |lines: &[&'static [u8]]| {
        matched(&rules, |request| {
            for line in lines {
                let value = HeaderValue::from_bytes(line).unwrap();
                request.headers.append(HeaderName::from_static("x-tenant"), value);
            }
        })
    };
    assert_eq!(tenants(&[b"GOLD-1"]), 1);
    assert_eq!(tenants(&[b"bronze", b"Silver"]), 1);
    assert_eq!(tenants(&[b"bronze, silver"]), 0, "a line is matched as a whole");
    assert_eq!(tenants(&[b"gold\xff"]), 1);
    assert_eq!(tenants(&[]), 0);
    let nameless = listener(vec![(1, vec![header("not a name", &["*"])])]);
    assert_eq!(matched(&nameless, |_| ()), 0);
}

#[test]
fn methods_are_exact() {
    let rules = listener(vec![(1, vec![Condition::HttpRequestMethod(strings(&["GET", "PURGE_ALL"]))])]);
    let method = |method| matched(&rules, |request| request.method = method);
    assert_eq!((method("GET"), method("PURGE_ALL")), (1, 1));
    assert_eq!((method("get"), method("HEAD"), method("GETS")), (0, 0, 0));
}

#[test]
fn source_ip_is_a_range_of_either_family() {
    let rules = listener(vec![(1, vec![ranges(&["10.1.0.0/16", "192.0.2.9/32", "2001:db8::/32"])])]);
    let source = |text: &str| matched(&rules, |request| request.source = text.parse().unwrap());
    for inside in ["10.1.255.1", "192.0.2.9", "2001:db8:1::1", "::ffff:10.1.0.1"] {
        assert_eq!(source(inside), 1, "{inside}");
    }
    for outside in ["10.2.0.0", "192.0.2.8", "2001:db9::1", "::a01:1"] {
        assert_eq!(source(outside), 0, "{outside}");
    }
}

#[test]
fn a_query_string_is_matched_beside_the_path() {
    let pattern = QueryPattern { key: Some("v".to_owned()), value: "1".to_owned() };
    let rules = listener(vec![(1, vec![paths(&["/a"]), Condition::QueryString(vec![pattern])])]);
    check(&rules, "h", "/a?x&v=1", 1);
    check(&rules, "h", "/b?v=1", 0);
    check(&rules, "h", "/a", 0);
    check(&rules, "h", "/a?u=?v=1", 0);
}

#[test]
fn transforms_belong_to_the_rule_that_matched() {
    let rewrite = Rewrite { regex: "^/a".to_owned(), replace: "/b".to_owned() };
    let rule = |priority, path, transforms| Rule {
        arn: String::new(),
        priority,
        conditions: vec![paths(&[path])],
        transforms,
        actions: answer("x"),
    };
    let rewrites = Rewrites { url_rewrite: Some(rewrite), ..Rewrites::default() };
    let rules = [rule(1, "/a", rewrites), rule(2, "/plain", Rewrites::default())];
    let rules = RuleSet::compile(&rules, &answer("default"));
    let headers = HeaderMap::new();
    let source = Ipv4Addr::LOCALHOST.into();
    let transforms = |target| {
        rules.evaluate(Request { host: "h", target, method: "GET", headers: &headers, source }).transforms
    };
    let rewritten = transforms("/a").unwrap().apply("h", b"/a").unwrap();
    assert_eq!(rewritten.uri.as_deref(), Some("/b"));
    assert!(transforms("/plain").is_none() && transforms("/default").is_none());
}

#[test]
fn evaluations_are_counted_up_to_the_match() {
    let rules = listener((1..=100).map(|priority| (priority, vec![hosts(&["never"])])).collect());
    let headers = HeaderMap::new();
    let source = Ipv4Addr::LOCALHOST.into();
    let evaluated = |host| {
        rules.evaluate(Request { host, target: "/", method: "GET", headers: &headers, source }).evaluated
    };
    assert_eq!((evaluated("never"), evaluated("h")), (1, 100));
}

/// Patterns and expressions that take a backtracking matcher ages; its deadline is the test runner's.
#[test]
fn a_hundred_hostile_rules_do_not_take_ages() {
    let wildcards = || Patterns::Wildcards(vec!["*a".repeat(3) + "*b"; 3]);
    let regex = || Patterns::Regex(strings(&["(a*)*(a|aa)+(a?){30}b$", "^(([a-z])+.)+[0-9]([a-z])+$"]));
    let rules = (1..=100)
        .map(|priority| match priority % 4 {
            0 => (priority, vec![Condition::PathPattern(wildcards())]),
            1 => (priority, vec![Condition::PathPattern(regex())]),
            2 => (priority, vec![Condition::HostHeader(regex())]),
            _ => (priority, vec![Condition::HttpHeader { name: "cookie".to_owned(), patterns: regex() }]),
        })
        .collect();
    let rules = listener(rules);
    let long = "a".repeat(16_000);
    let mut headers = HeaderMap::new();
    headers.append("cookie", HeaderValue::from_str(&long).unwrap());
    let target = format!("/{long}!");
    let source = Ipv4Addr::LOCALHOST.into();
    let request = Request { host: &long, target: &target, method: "GET", headers: &headers, source };
    assert_eq!(rules.evaluate(request).priority, 0);
}

proptest! {
    #[test]
    fn no_request_makes_evaluation_panic(host in "\\PC{0,20}", target in "[/.?%&=a-c0-9\\PC]{0,40}") {
        let any = QueryPattern { key: Some("a*".to_owned()), value: "*b?".to_owned() };
        let rules = listener(vec![
            (1, vec![hosts(&["*.b"]), paths(&["/a*/?"])]),
            (2, vec![Condition::QueryString(vec![any])]),
            (3, vec![Condition::PathPattern(Patterns::Regex(strings(&["^/(a|b)*c$"])))]),
        ]);
        let headers = HeaderMap::new();
        let source = Ipv4Addr::LOCALHOST.into();
        let matched = rules.evaluate(Request { host: &host, target: &target, method: "GET", headers: &headers, source });
        prop_assert!(matched.evaluated >= 1 && matched.evaluated <= 3);
    }
}
