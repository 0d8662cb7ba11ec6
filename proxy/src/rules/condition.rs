//! Conditions of rules, compiled.
//!
//! ELB page: "Condition types for listener rules". A header that stands on
//! several lines is matched line by line, so `a, b` on one line is not `b`; an
//! HTTP/2 client may send its cookies as lines of their own. Header values are
//! matched as the client sent them, X-Forwarded-For included.

use std::{borrow::Cow, cell::OnceCell, net::IpAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use regex::bytes::Regex;

use super::{
    path,
    query_string::QueryPatterns,
    regex_values,
    wildcard::{Case, Pattern},
    without_port,
};
use crate::model::{Condition, rule::Patterns};

/// What rules look at in a request, as received.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Host header or `:authority`, with or without a port.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Method.
    pub method: &'a str,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// The TCP peer.
    pub source: IpAddr,
}

/// A request with what several conditions look at, worked out once.
pub(super) struct Subject<'a> {
    request: Request<'a>,
    host: &'a str,
    /// Normalised when a condition first asks for it.
    path: OnceCell<Cow<'a, str>>,
}

impl<'a> Subject<'a> {
    pub(super) fn new(request: Request<'a>) -> Self {
        Self { request, host: without_port(request.host), path: OnceCell::new() }
    }

    fn path(&self) -> &str {
        self.path.get_or_init(|| path::normalise(self.request.target))
    }

    /// Without the question mark.
    fn query(&self) -> &'a str {
        self.request.target.split_once('?').map_or("", |(_path, query)| query)
    }
}

/// A condition: its values are alternatives.
#[derive(Debug, Clone)]
pub(super) enum CompiledCondition {
    HostHeader(Matchers),
    PathPattern(Matchers),
    /// Each line of the header is matched by itself. `None`: a name that no header has.
    HttpHeader(Option<HeaderName>, Matchers),
    HttpRequestMethod(Vec<String>),
    QueryString(QueryPatterns),
    SourceIp(Vec<IpNet>),
}

impl CompiledCondition {
    pub(super) fn new(condition: &Condition) -> Self {
        match condition {
            Condition::HostHeader(patterns) => Self::HostHeader(Matchers::new(patterns, Case::Insensitive)),
            Condition::PathPattern(patterns) => Self::PathPattern(Matchers::new(patterns, Case::Sensitive)),
            Condition::HttpHeader { name, patterns } => Self::HttpHeader(
                HeaderName::from_bytes(name.as_bytes()).ok(),
                Matchers::new(patterns, Case::Insensitive),
            ),
            Condition::HttpRequestMethod(methods) => Self::HttpRequestMethod(methods.clone()),
            Condition::QueryString(patterns) => Self::QueryString(QueryPatterns::new(patterns)),
            Condition::SourceIp(ranges) => Self::SourceIp(ranges.clone()),
        }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        let request = &subject.request;
        match self {
            Self::HostHeader(matchers) => matchers.any(subject.host.as_bytes()),
            Self::PathPattern(matchers) => matchers.any(subject.path().as_bytes()),
            Self::HttpHeader(name, matchers) => name.as_ref().is_some_and(|name| {
                request.headers.get_all(name).iter().any(|value| matchers.any(value.as_bytes()))
            }),
            Self::HttpRequestMethod(methods) => methods.iter().any(|method| method == request.method),
            Self::QueryString(patterns) => patterns.matches(subject.query()),
            // An IPv4 client of an IPv6 socket is an IPv4 client.
            Self::SourceIp(ranges) => {
                let source = request.source.to_canonical();
                ranges.iter().any(|range| range.contains(&source))
            }
        }
    }
}

/// `Values` or `RegexValues`.
#[derive(Debug, Clone)]
pub(super) enum Matchers {
    Wildcards(Vec<Pattern>),
    Regex(Vec<Regex>),
}

impl Matchers {
    fn new(patterns: &Patterns, case: Case) -> Self {
        match patterns {
            Patterns::Wildcards(values) => {
                Self::Wildcards(values.iter().map(|value| Pattern::new(value, case)).collect())
            }
            // `config` has compiled each of them before: none is left out.
            Patterns::Regex(values) => Self::Regex(
                values.iter().filter_map(|value| regex_values::compile(value, case).ok()).collect(),
            ),
        }
    }

    fn any(&self, subject: &[u8]) -> bool {
        match self {
            Self::Wildcards(patterns) => patterns.iter().any(|pattern| pattern.matches(subject)),
            Self::Regex(expressions) => expressions.iter().any(|regex| regex.is_match(subject)),
        }
    }
}
