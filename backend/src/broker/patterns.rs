//! Ant patterns of destinations, as in Spring's simple broker.
//!
//! `?` is one character, `*` any characters within a segment, `{name}` the same
//! under a name that nothing here reads, `**` any number of segments, also none.
//! Segments are what slashes separate, empty ones included. Matching takes time
//! in proportion to pattern times destination, whatever they are.

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

/// Why a pattern cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A brace without its other one in the same segment.
    #[error("a brace is not closed, or not opened")]
    Braces,
    /// `{name:expression}`.
    #[error("a variable has a regular expression, where only its name is allowed")]
    Expression,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`.
    AnyNumber,
    /// One segment with these characters.
    One(Box<[Token]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`.
    Any,
    /// `*` and `{name}`.
    AnyNumber,
}

impl Pattern {
    /// Whether a destination is a pattern and no name.
    #[must_use]
    pub fn is_pattern(destination: &str) -> bool {
        destination.contains(['*', '?', '{', '}'])
    }

    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Its braces are not those of `{name}`.
    pub fn try_new(text: &str) -> Result<Self, PatternError> {
        let segments = text.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), segments })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a destination matches.
    #[must_use]
    pub fn matches(&self, destination: &str) -> bool {
        let parts: Vec<&str> = destination.split('/').collect();
        matches_all(
            &self.segments,
            &parts,
            |segment| *segment == Segment::AnyNumber,
            |segment, part| match segment {
                Segment::AnyNumber => true,
                Segment::One(tokens) => matches_segment(tokens, part),
            },
        )
    }
}

fn segment(text: &str) -> Result<Segment, PatternError> {
    if text == "**" {
        return Ok(Segment::AnyNumber);
    }
    let mut tokens = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        tokens.push(match c {
            '?' => Token::Any,
            '*' => Token::AnyNumber,
            '{' => {
                variable(&mut rest)?;
                Token::AnyNumber
            }
            '}' => return Err(PatternError::Braces),
            _ => Token::Literal(c),
        });
    }
    Ok(Segment::One(tokens.into()))
}

/// Skips a variable up to and with its closing brace.
fn variable(rest: &mut std::str::Chars<'_>) -> Result<(), PatternError> {
    loop {
        match rest.next() {
            Some('}') => return Ok(()),
            Some(':') => return Err(PatternError::Expression),
            Some('{') | None => return Err(PatternError::Braces),
            Some(_) => {}
        }
    }
}

fn matches_segment(tokens: &[Token], part: &str) -> bool {
    let characters: Vec<char> = part.chars().collect();
    matches_all(
        tokens,
        &characters,
        |token| *token == Token::AnyNumber,
        |token, c| match token {
            Token::Literal(literal) => literal == c,
            Token::Any | Token::AnyNumber => true,
        },
    )
}

/// Whether all `items` match `wanted` in order, where one that `is_star` stands
/// for any number of items. Only the last star is ever tried again: an earlier
/// one cannot help where a later one could not.
fn matches_all<W, I>(
    wanted: &[W],
    items: &[I],
    is_star: impl Fn(&W) -> bool,
    fits: impl Fn(&W, &I) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    // After the last star, and the item to go on with when it takes one more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (wanted.get(at), items.get(item)) {
            (None, None) => return true,
            (Some(star), _) if is_star(star) => {
                at += 1;
                retry = Some((at, item));
                continue;
            }
            (Some(one), Some(this)) if fits(one, this) => {
                at += 1;
                item += 1;
                continue;
            }
            (Some(_), None) => return false,
            _ => {}
        }
        let Some((after_star, first)) = retry else {
            return false;
        };
        retry = Some((after_star, first + 1));
        (at, item) = (after_star, first + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, destination: &str, expected: bool) {
        let pattern = Pattern::try_new(pattern).unwrap();
        assert_eq!(pattern.matches(destination), expected, "{} {destination}", pattern.as_str());
    }

    #[test]
    fn wildcards_are_those_of_ant() {
        check("/topic/*", "/topic/a", true);
        check("/topic/*", "/topic/a/b", false);
        check("/topic/*", "/topic", false);
        check("/topic/room.*", "/topic/room.general", true);
        check("/topic/room.*", "/topic/rooms", false);
        check("/topic/**", "/topic", true);
        check("/topic/**", "/topic/a/b/c", true);
        check("/topic/**", "/queue/a", false);
        check("/topic/**/end", "/topic/end", true);
        check("/topic/**/end", "/topic/a/b/end", true);
        check("/topic/**/end", "/topic/a/ends", false);
        check("/topic/room.?", "/topic/room.é", true);
        check("/topic/room.?", "/topic/room.", false);
        check("/topic/{room}", "/topic/general", true);
        check("/topic/{room}.{kind}", "/topic/a.b", true);
        check("/topic/{room}.{kind}", "/topic/a", false);
        check("/topic/a", "/topic/A", false);
        check("/topic/a*b*c", "/topic/aXbYbZc", true);
    }

    #[test]
    fn a_variable_is_a_name_in_braces() {
        assert_eq!(Pattern::try_new("/topic/{a"), Err(PatternError::Braces));
        assert_eq!(Pattern::try_new("/topic/a}"), Err(PatternError::Braces));
        assert_eq!(Pattern::try_new("/topic/{a/b}"), Err(PatternError::Braces));
        assert_eq!(Pattern::try_new("/topic/{a:[0-9]+}"), Err(PatternError::Expression));
    }

    /// Tries everything.
    fn naive_segments(pattern: &[&str], parts: &[&str]) -> bool {
        match (pattern.split_first(), parts.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), parts_split) => {
                naive_segments(rest, parts)
                    || parts_split.is_some_and(|(_, more)| naive_segments(pattern, more))
            }
            (Some((first, rest)), Some((part, more))) => {
                let first: Vec<char> = first.replace("{v}", "*").chars().collect();
                let part: Vec<char> = part.chars().collect();
                naive_characters(&first, &part) && naive_segments(rest, more)
            }
            _ => false,
        }
    }

    fn naive_characters(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((&'*', rest)), text_split) => {
                naive_characters(rest, text)
                    || text_split.is_some_and(|(_, more)| naive_characters(pattern, more))
            }
            (Some((p, rest)), Some((c, more))) => (*p == '?' || p == c) && naive_characters(rest, more),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_a_naive_matcher_does(
            pattern in prop::collection::vec("(\\*\\*|[ab?*]{0,4}|a?\\{v\\}b?)", 1..6),
            destination in prop::collection::vec("[ab]{0,4}", 1..6),
        ) {
            let parts: Vec<&str> = destination.iter().map(String::as_str).collect();
            let wanted: Vec<&str> = pattern.iter().map(String::as_str).collect();
            let compiled = Pattern::try_new(&pattern.join("/")).unwrap();
            prop_assert_eq!(compiled.matches(&destination.join("/")), naive_segments(&wanted, &parts));
        }

        #[test]
        fn a_destination_without_wildcards_matches_itself_alone(a in "/[a-c/]{0,8}", b in "/[a-c/]{0,8}") {
            prop_assert_eq!(Pattern::try_new(&a).unwrap().matches(&b), a == b);
        }

        #[test]
        fn no_text_panics(pattern in "\\PC{0,20}", destination in "\\PC{0,20}") {
            if let Ok(pattern) = Pattern::try_new(&pattern) {
                let _matches = pattern.matches(&destination);
            }
        }
    }
}
