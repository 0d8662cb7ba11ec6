//! Wildcard patterns of rule conditions: `*` stands for any number of
//! characters, `?` for exactly one.
//!
//! ELB page: "Condition types for listener rules". Matching costs at most
//! pattern length times subject length, whatever the pattern; the common forms
//! (no wildcard, one `*` at the end) cost a comparison.

/// Whether letters of different case are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `A` and `a` differ.
    Sensitive,
    /// `A` and `a` are the same (ASCII).
    Insensitive,
}

/// Whether a pattern can name the wildcards themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// It cannot: a backslash is a backslash.
    None,
    /// `\*`, `\?` and `\\` stand for `*`, `?` and `\`; any other backslash is one.
    Backslash,
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
    General(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`.
    Any,
    /// `?`.
    One,
    Byte(u8),
}

/// How many wildcards `pattern` has. Those that are escaped do not count.
#[must_use]
pub fn count_wildcards(pattern: &str, escapes: Escapes) -> usize {
    tokens(pattern, escapes).iter().filter(|token| !matches!(token, Token::Byte(_))).count()
}

fn tokens(pattern: &str, escapes: Escapes) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'*' => Token::Any,
            b'?' => Token::One,
            b'\\' if escapes == Escapes::Backslash => {
                Token::Byte(bytes.next_if(|next| b"*?\\".contains(next)).unwrap_or(byte))
            }
            _ => Token::Byte(byte),
        });
    }
    tokens
}

/// The text of tokens that hold no wildcard.
fn text(tokens: &[Token]) -> Option<Vec<u8>> {
    let byte = |token: &Token| if let Token::Byte(byte) = token { Some(*byte) } else { None };
    tokens.iter().map(byte).collect()
}

impl Pattern {
    /// Compiles `pattern`, in which a backslash is a backslash.
    #[must_use]
    pub fn new(pattern: &str, case: Case) -> Self {
        Self::with_escapes(pattern, case, Escapes::None)
    }

    /// Compiles `pattern`.
    #[must_use]
    pub fn with_escapes(pattern: &str, case: Case, escapes: Escapes) -> Self {
        let mut tokens = tokens(pattern, escapes);
        tokens.dedup_by(|next, previous| *next == Token::Any && *previous == Token::Any);
        let shape = match (text(&tokens), tokens.split_last()) {
            (Some(text), _) => Shape::Exact(text),
            (None, Some((Token::Any, start))) => match text(start) {
                Some(text) => Shape::Prefix(text),
                None => Shape::General(tokens),
            },
            (None, _) => Shape::General(tokens),
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
    fn general(&self, pattern: &[Token], subject: &[u8]) -> bool {
        let (mut at_pattern, mut at_subject) = (0, 0);
        let mut last_star: Option<(usize, usize)> = None;
        while let Some(&byte) = subject.get(at_subject) {
            #[cfg(test)]
            tests::STEPS.with(|steps| steps.set(steps.get() + 1));
            let token = pattern.get(at_pattern);
            if token == Some(&Token::Any) {
                at_pattern += 1;
                last_star = Some((at_pattern, at_subject));
            } else if token.is_some_and(|&token| self.takes(token, byte)) {
                at_pattern += 1;
                at_subject += 1;
            } else {
                let Some((after_star, swallowed)) = last_star else { return false };
                at_pattern = after_star;
                at_subject = swallowed + 1;
                last_star = Some((after_star, at_subject));
            }
        }
        pattern.get(at_pattern..).is_some_and(|rest| rest.iter().all(|&token| token == Token::Any))
    }

    /// Whether a token that stands for one character stands for `byte`.
    const fn takes(&self, token: Token, byte: u8) -> bool {
        match token {
            Token::One => true,
            Token::Byte(wanted) => self.same_byte(wanted, byte),
            Token::Any => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    thread_local! {
        /// How often `general` has looked at a byte.
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

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
    fn escapes_name_the_wildcards_where_they_are_allowed() {
        let escaped = |pattern, subject: &str| {
            Pattern::with_escapes(pattern, Case::Sensitive, Escapes::Backslash).matches(subject.as_bytes())
        };
        assert!(escaped(r"a\*b", "a*b") && !escaped(r"a\*b", "axb"));
        assert!(escaped(r"a\?", "a?") && !escaped(r"a\?", "ab"));
        assert!(escaped(r"a\\*", r"a\xyz") && !escaped(r"a\\*", "a*"));
        assert!(escaped(r"a\b\", r"a\b\"));
        check(r"a\*", r"a\anything", true);
        assert_eq!(count_wildcards(r"\**\?\\?", Escapes::Backslash), 2);
        assert_eq!(count_wildcards(r"\**", Escapes::None), 2);
    }

    #[test]
    fn steps_grow_with_the_subject_and_no_faster() {
        let steps = |pattern: &str, length: usize| {
            let subject = format!("{}b", "a".repeat(length));
            STEPS.with(|steps| steps.set(0));
            let pattern = Pattern::new(pattern, Case::Sensitive);
            assert!(!pattern.matches(subject.as_bytes()) || STEPS.with(Cell::get) > 0);
            STEPS.with(Cell::get)
        };
        for pattern in ["*a".repeat(64), "*aaaaaaaaac*".repeat(10), "?*".repeat(64), "*?a*c".repeat(25)] {
            let (once, twice) = (steps(&pattern, 2_000), steps(&pattern, 4_000));
            assert!(twice <= 2 * once + 2 * pattern.len(), "{pattern}: {once}, then {twice}");
            assert!(once <= pattern.len() * 2_002, "{pattern}: {once}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*?]{0,8}", subject in "[abc]{0,10}") {
            let expected = reference(pattern.as_bytes(), subject.as_bytes());
            prop_assert_eq!(Pattern::new(&pattern, Case::Sensitive).matches(subject.as_bytes()), expected);
        }

        #[test]
        fn agrees_with_the_definition_whatever_the_case(pattern in "[aA*?]{0,8}", subject in "[aAb]{0,10}") {
            let lower = |text: &str| text.to_ascii_lowercase();
            let expected = reference(lower(&pattern).as_bytes(), lower(&subject).as_bytes());
            let compiled = Pattern::new(&pattern, Case::Insensitive);
            prop_assert_eq!(compiled.matches(subject.as_bytes()), expected);
        }

        #[test]
        fn a_text_with_all_of_it_escaped_matches_itself_only(text in r"[a*?\\]{0,10}", other in r"[a*?\\]{0,10}") {
            let escaped: String =
                text.chars().flat_map(|c| ['\\', c].into_iter().skip(usize::from(c == 'a'))).collect();
            let pattern = Pattern::with_escapes(&escaped, Case::Sensitive, Escapes::Backslash);
            prop_assert!(pattern.matches(text.as_bytes()));
            prop_assert_eq!(pattern.matches(other.as_bytes()), text == other);
        }

        #[test]
        fn no_bytes_make_it_panic(pattern in "\\PC{0,40}", subject in prop::collection::vec(any::<u8>(), 0..200)) {
            std::hint::black_box(Pattern::with_escapes(&pattern, Case::Insensitive, Escapes::Backslash).matches(&subject));
        }
    }
}
