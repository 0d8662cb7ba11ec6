//! `query-string` conditions: key and value, or value alone.
//!
//! ELB page: "Condition types for listener rules", query string conditions. The
//! query is taken apart at `&`, each part at its first `=`; a part without one
//! is a key with an empty value. Keys and values are compared in the form that
//! paths have for rules, unreserved characters decoded and others as the client
//! encoded them, so that `%61` is `a`, while `%26` is no `&` and `+` no space.
//! ELB does not say whether it decodes.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    path::decode_unreserved,
    wildcard::{Case, Escapes, Pattern},
};
use crate::model::rule::QueryPattern;

/// The patterns of one condition, compiled. They are alternatives.
#[derive(Debug, Clone)]
pub(super) struct QueryPatterns(Vec<KeyAndValue>);

#[derive(Debug, Clone)]
struct KeyAndValue {
    /// `None`: any key.
    key: Option<Pattern>,
    value: Pattern,
}

impl QueryPatterns {
    pub(super) fn new(patterns: &[QueryPattern]) -> Self {
        let compile = |text: &str| Pattern::with_escapes(text, Case::Insensitive, Escapes::Backslash);
        let one = |pattern: &QueryPattern| KeyAndValue {
            key: pattern.key.as_deref().map(compile),
            value: compile(&pattern.value),
        };
        Self(patterns.iter().map(one).collect())
    }

    /// Whether a part of `query` matches one of the patterns. Without a query there are no parts.
    pub(super) fn matches(&self, query: &str) -> bool {
        let query = match memchr(b'%', query.as_bytes()) {
            // Separators are reserved characters: decoding makes no new ones.
            Some(_) => Cow::Owned(decode_unreserved(query)),
            None => Cow::Borrowed(query),
        };
        query.split('&').filter(|part| !part.is_empty()).any(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            self.0.iter().any(|pattern| {
                pattern.key.as_ref().is_none_or(|wanted| wanted.matches(key.as_bytes()))
                    && pattern.value.matches(value.as_bytes())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(key: Option<&str>, value: &str) -> QueryPatterns {
        QueryPatterns::new(&[QueryPattern { key: key.map(str::to_owned), value: value.to_owned() }])
    }

    #[track_caller]
    fn check(key: Option<&str>, value: &str, query: &str, expected: bool) {
        assert_eq!(condition(key, value).matches(query), expected, "{key:?}={value} on {query}");
    }

    #[test]
    fn key_and_value_stand_in_one_part() {
        check(Some("version"), "v1", "version=v1", true);
        check(Some("version"), "v1", "a=b&VERSION=V1&c", true);
        check(Some("version"), "v1", "version=v2&other=v1", false);
        check(Some("version"), "v1", "xversion=v1", false);
        check(Some("v*"), "?1", "version=v1", true);
        check(Some("a"), "b=c", "a=b=c", true);
    }

    #[test]
    fn a_value_alone_goes_with_any_key() {
        check(None, "*example*", "a=b&q=my-Example-1", true);
        check(None, "example", "example=1", false);
        check(None, "*", "", false);
        check(None, "*", "a", true);
    }

    #[test]
    fn a_key_without_a_value_has_an_empty_one() {
        check(Some("debug"), "*", "debug", true);
        check(Some("debug"), "?*", "debug&debug=", false);
        check(None, "debug", "debug", false);
    }

    #[test]
    fn wildcards_can_be_escaped() {
        check(Some("q"), r"what\?", "q=what?", true);
        check(Some("q"), r"what\?", "q=whats", false);
        check(Some(r"\*"), r"\\", r"*=\", true);
    }

    #[test]
    fn unreserved_characters_are_decoded_and_no_others() {
        check(Some("debug"), "true", "d%65bug=%74rue", true);
        check(Some("a"), "b&c", "a=b%26c", false);
        check(Some("a"), "b%26c", "a=b%26c", true);
        check(Some("a"), "b c", "a=b+c", false);
        check(Some("a"), "x%2fy", "a=x%2Fy", true);
        check(Some("a"), "100%", "a=100%", true);
    }

    proptest! {
        #[test]
        fn a_part_is_found_wherever_it_stands(
            before in "[a-c=&%1]{0,12}", key in "[a-z]{1,5}", value in "[a-z0-9]{0,5}", after in "[a-c=&%1]{0,12}",
        ) {
            let query = format!("{before}&{key}={value}&{after}");
            prop_assert!(condition(Some(&key), &value).matches(&query));
        }

        #[test]
        fn no_query_makes_it_panic(query in "\\PC{0,60}", key in "\\PC{0,8}", value in "\\PC{0,8}") {
            std::hint::black_box(condition(Some(&key), &value).matches(&query));
        }
    }
}
