//! Regular expressions of conditions (`RegexValues`) and transforms.
//!
//! ELB page: "Listener rules for your Application Load Balancer": no
//! look-around, no back-references, no atomic groups, no possessive quantifiers,
//! no recursion, no Unicode classes. That is the syntax of the `regex` crate
//! without Unicode, and matching takes time linear in the subject. The crate
//! reads `a++` as a repeated repetition and `(?R)` as a flag; both are refused
//! here, since whoever writes them means the others.
//!
//! An expression is looked for anywhere in its subject; `^` and `$` bind it to
//! the ends.

use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

use super::wildcard::Case;

/// Most memory that a compiled expression, and its search cache in each thread, may take, in bytes.
///
/// ELB's own limit is unknown. A search takes at most time in proportion to this and to the subject.
const MOST_MEMORY: usize = 256 * 1024;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RegexError {
    /// Its syntax is wrong, or of a kind that is not served.
    #[error("{0}")]
    Syntax(String),
    /// It would take too much memory and time.
    #[error("the compiled expression is larger than {MOST_MEMORY} bytes")]
    TooBig,
}

/// Compiles `pattern`.
///
/// # Errors
///
/// [`RegexError`] for what ELB refuses as well.
pub fn compile(pattern: &str, case: Case) -> Result<Regex, RegexError> {
    if has_possessive_quantifier(pattern) {
        return Err(RegexError::Syntax("possessive quantifiers are not supported".to_owned()));
    }
    if pattern.contains("(?R)") {
        return Err(RegexError::Syntax("recursion is not supported".to_owned()));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(case == Case::Insensitive)
        .unicode(false)
        .size_limit(MOST_MEMORY)
        .dfa_size_limit(MOST_MEMORY)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => RegexError::TooBig,
            other => RegexError::Syntax(last_line(&other.to_string())),
        })
}

/// The reason alone, without the drawing of the place that the crate puts before it.
fn last_line(error: &str) -> String {
    let line = error.lines().next_back().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// Whether a `+` follows a quantifier, outside classes and escapes.
fn has_possessive_quantifier(pattern: &str) -> bool {
    let mut depth = 0_usize;
    let mut in_counter = false;
    let mut after_quantifier = false;
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let quantifier = match byte {
            b'\\' => {
                let escaped = bytes.next();
                // The braces of `\x{41}` count nothing.
                if escaped.is_some_and(|byte| b"xuUb".contains(&byte)) && bytes.peek() == Some(&b'{') {
                    bytes.by_ref().find(|&byte| byte == b'}');
                }
                false
            }
            b'[' => {
                depth += 1;
                // Here a bracket is a member of the class and not its end.
                bytes.next_if_eq(&b'^');
                bytes.next_if_eq(&b']');
                false
            }
            b']' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ if depth > 0 => false,
            b'+' if after_quantifier => return true,
            b'{' => {
                in_counter = true;
                false
            }
            b'}' => std::mem::take(&mut in_counter),
            b'*' | b'+' | b'?' => true,
            _ => false,
        };
        after_quantifier = quantifier;
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_elb_does_not_know_is_refused() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            r"(a)\1",
            "(?>a)",
            "a++",
            "a*+",
            "a?+",
            "a{1,2}+",
            r"\d{2}+",
            r"\x{41}++",
            r"\pL",
            "(?R)",
            "(a",
            "[",
            "*",
        ] {
            assert!(matches!(compile(pattern, Case::Sensitive), Err(RegexError::Syntax(_))), "{pattern}");
        }
        assert_eq!(compile("((a{50}){50}){50}", Case::Sensitive).unwrap_err(), RegexError::TooBig);
    }

    #[test]
    fn the_reason_takes_one_line() {
        let error = compile("(?=a)", Case::Sensitive).unwrap_err().to_string();
        assert_eq!(error, "look-around, including look-ahead and look-behind, is not supported");
        assert_eq!(compile("a(b", Case::Sensitive).unwrap_err().to_string(), "unclosed group");
    }

    #[test]
    fn a_plus_after_anything_else_is_a_quantifier() {
        for pattern in [
            r"\++",
            r"\*+",
            "[*+]+",
            "[]?+]",
            "(a?)+",
            "a{2}b+",
            r"[\]*+]+",
            "a+b+",
            "a+?",
            r"\x{41}+",
            r"[\x{41}]+",
        ] {
            assert!(compile(pattern, Case::Sensitive).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn subjects_are_searched_by_bytes() {
        let found = |pattern, case, subject: &[u8]| compile(pattern, case).unwrap().is_match(subject);
        assert!(found("b", Case::Sensitive, b"abc"));
        assert!(!found("^b", Case::Sensitive, b"abc"));
        assert!(found("^A.C$", Case::Insensitive, b"a\xffc"));
        assert!(!found("^A.C$", Case::Sensitive, b"abc"));
        assert!(found(r"^/\w+/\d{4}$", Case::Sensitive, b"/news/2025"));
    }

    proptest! {
        #[test]
        fn no_pattern_makes_it_panic(pattern in r"([ab+*?{}()\[\]\\|^$.,0-9:=!<>-]|\PC){0,40}", subject in "\\PC{0,40}") {
            if let Ok(regex) = compile(&pattern, Case::Insensitive) {
                regex.is_match(subject.as_bytes());
            }
        }
    }
}
