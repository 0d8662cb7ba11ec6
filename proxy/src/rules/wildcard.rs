//! Wildcard patterns of rule conditions: `*` stands for any number of
//! characters, `?` for exactly one.
//!
//! ELB page: "Condition types for listener rules". Matching costs at most
//! pattern length times subject length, whatever the pattern; the common forms
//! (no wildcard, one `*` at the end) cost a comparison.

use memchr::memchr2;

/// Whether letters of different case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `A` and `a` differ.
    Sensitive,
    /// `A` and `a` are the same (ASCII).
    Insensitive,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    case: Case,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// No wildcard.
    Exact(Vec<u8>),
    /// Text followed by one `*`.
    Prefix(Vec<u8>),
    /// Anything else, runs of `*` folded into one.
    General(Vec<u8>),
}

impl Pattern {
    /// Compiles `pattern`.
    #[must_use]
    pub fn new(pattern: &str, case: Case) -> Self {
        let mut bytes = pattern.as_bytes().to_vec();
        bytes.dedup_by(|next, previous| *next == b'*' && *previous == b'*');
        let shape = match memchr2(b'*', b'?', &bytes) {
            None => Shape::Exact(bytes),
            Some(first) if first + 1 == bytes.len() && bytes.ends_with(b"*") => {
                bytes.truncate(first);
                Shape::Prefix(bytes)
            }
            Some(_) => Shape::General(bytes),
        };
        Self { case, shape }
    }

    /// Whether the whole of `subject` matches.
    #[must_use]
    pub fn matches(&self, subject: &[u8]) -> bool {
        match &self.shape {
            Shape::Exact(text) => self.same_text(text, subject),
            Shape::Prefix(text) => subject.get(..text.len()).is_some_and(|start| self.same_text(text, start)),
            Shape::General(pattern) => self.general(pattern, subject),
        }
    }

    fn same_text(&self, left: &[u8], right: &[u8]) -> bool {
        match self.case {
            Case::Sensitive => left == right,
            Case::Insensitive => left.eq_ignore_ascii_case(right),
        }
    }

    const fn same_byte(&self, left: u8, right: u8) -> bool {
        match self.case {
            Case::Sensitive => left == right,
            Case::Insensitive => left.eq_ignore_ascii_case(&right),
        }
    }

    /// Goes back to the last `*` only: an earlier one never needs another try,
    /// because what came after it has already matched as far left as possible.
    fn general(&self, pattern: &[u8], subject: &[u8]) -> bool {
        let (mut at_pattern, mut at_subject) = (0, 0);
        let mut last_star: Option<(usize, usize)> = None;
        while let Some(&byte) = subject.get(at_subject) {
            match pattern.get(at_pattern) {
                Some(b'*') => {
                    at_pattern += 1;
                    last_star = Some((at_pattern, at_subject));
                }
                Some(&wanted) if wanted == b'?' || self.same_byte(wanted, byte) => {
                    at_pattern += 1;
                    at_subject += 1;
                }
                _ => {
                    let Some((after_star, swallowed)) = last_star else { return false };
                    at_pattern = after_star;
                    at_subject = swallowed + 1;
                    last_star = Some((after_star, at_subject));
                }
            }
        }
        pattern.get(at_pattern..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, subject: &str, expected: bool) {
        let sensitive = Pattern::new(pattern, Case::Sensitive);
        assert_eq!(sensitive.matches(subject.as_bytes()), expected, "{pattern} on {subject}");
    }

    /// The definition, word for word; exponential, so for short inputs only.
    fn reference(pattern: &[u8], subject: &[u8]) -> bool {
        match (pattern.split_first(), subject.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                (0..=subject.len()).any(|skipped| reference(rest, &subject[skipped..]))
            }
            (Some((b'?', rest)), Some((_, tail))) => reference(rest, tail),
            (Some((wanted, rest)), Some((byte, tail))) => wanted == byte && reference(rest, tail),
            _ => false,
        }
    }

    #[test]
    fn the_wildcards_mean_any_number_and_exactly_one() {
        check("/img/*", "/img/", true);
        check("/img/*", "/img/a/b", true);
        check("/img/*", "/img", false);
        check("/img/*/pics", "/img/a/b/pics", true);
        check("/a?c", "/abc", true);
        check("/a?c", "/ac", false);
        check("/a?c", "/abbc", false);
        check("*", "", true);
        check("?*", "", false);
        check("/**", "/x", true);
        check("", "", true);
        check("", "/", false);
    }

    #[test]
    fn letters_differ_only_where_case_matters() {
        for pattern in ["API.example.com", "API.*", "?PI.example.com"] {
            assert!(!Pattern::new(pattern, Case::Sensitive).matches(b"api.example.com"));
            assert!(Pattern::new(pattern, Case::Insensitive).matches(b"api.example.com"));
        }
    }

    #[test]
    fn a_hostile_pattern_is_no_slower_than_pattern_times_subject() {
        let pattern = Pattern::new(&"*a".repeat(60), Case::Sensitive);
        let subject = format!("{}b", "a".repeat(16_000));
        assert!(!pattern.matches(subject.as_bytes()));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", subject in "[abc]{0,10}") {
            let expected = reference(pattern.as_bytes(), subject.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern, Case::Sensitive).matches(subject.as_bytes()), expected);
        }
    }
}
