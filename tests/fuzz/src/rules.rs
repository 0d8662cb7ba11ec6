//! Conditions and transforms of rules: what is configured meets what a client sends.

use std::net::{IpAddr, Ipv4Addr};

use albeit_proxy::{
    model::{
        Action, Condition, Rule,
        rule::{Actions, FixedResponse, Patterns, QueryPattern, Rewrite, Transforms},
    },
    rules::{Request, RuleSet, transforms},
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::{line, text};

fn answer() -> Actions {
    let response =
        FixedResponse { status: StatusCode::OK, content_type: None, message_body: String::new().into() };
    Actions::from(Action::FixedResponse(response))
}

/// A rule for each kind of condition, on one request.
pub(crate) fn rule(data: &[u8]) {
    let regex = || Patterns::Regex(vec![text(data, 0).into_owned()]);
    let query = QueryPattern { key: Some(text(data, 1).into_owned()), value: text(data, 2).into_owned() };
    let conditions = [
        Condition::PathPattern(regex()),
        Condition::HostHeader(regex()),
        Condition::HttpHeader { name: "x-tenant".to_owned(), patterns: regex() },
        Condition::QueryString(vec![query]),
    ];
    let rules: Vec<Rule> = (1..)
        .zip(conditions)
        .map(|(priority, condition)| Rule {
            arn: String::new(),
            priority,
            conditions: vec![condition],
            transforms: Transforms::default(),
            actions: answer(),
        })
        .collect();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(line(data, 5)) {
        headers.append("x-tenant", value);
    }
    let (target, host) = (text(data, 3), text(data, 4));
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let request = Request { host: &host, target: &target, method: "GET", headers: &headers, source };
    let rules = RuleSet::compile(&rules, &answer());
    let matched = rules.evaluate(request);
    assert!(matched.evaluated <= 4, "{} rules evaluated", matched.evaluated);
}

/// Both transforms with one expression.
pub(crate) fn transform(data: &[u8]) {
    let rewrite = Rewrite { regex: text(data, 0).into_owned(), replace: text(data, 1).into_owned() };
    let rewrites = Transforms { host_header_rewrite: Some(rewrite.clone()), url_rewrite: Some(rewrite) };
    let Some(transforms) = transforms::Transforms::compile(&rewrites) else { return };
    let Ok(rewritten) = transforms.apply(&text(data, 2), line(data, 3)) else { return };
    if let Some(uri) = rewritten.uri {
        assert!(uri.starts_with('/') && uri.bytes().all(|byte| byte.is_ascii_graphic()), "{uri:?}");
        assert!(uri.len() <= 16 * 1024, "{} bytes", uri.len());
    }
    if let Some(host) = rewritten.host {
        assert!(HeaderValue::from_str(&host).is_ok() && !host.contains('/'), "{host:?}");
    }
}
