//! Patterns: from Spring's (Ant's) to those of Redis.

/// A text that stands for itself in a Redis pattern.
pub(super) fn literal(text: &str) -> String {
    let mut glob = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            glob.push('\\');
        }
        glob.push(c);
    }
    glob
}

/// A Redis pattern that matches all that an Ant pattern matches, and may match
/// more: the broker compares again. `/**` also stands for nothing, and Redis
/// compares bytes, so that its `?` is no character.
pub(super) fn of_ant(pattern: &str) -> String {
    let mut glob = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (taken, is_wild) = match c {
            '/' if rest.starts_with("/**") => (3, true),
            '*' | '?' => (1, true),
            '{' => match rest.find('}') {
                Some(end) => (end + 1, true),
                None => (1, false),
            },
            _ => (c.len_utf8(), false),
        };
        let (piece, after) = rest.split_at_checked(taken).unwrap_or((rest, ""));
        if !is_wild {
            glob.push_str(&literal(piece));
        } else if !ends_wild(&glob) {
            glob.push('*');
        }
        rest = after;
    }
    glob
}

/// Whether the last character is a star that stands for anything.
fn ends_wild(glob: &str) -> bool {
    let before = glob.strip_suffix('*').map(|before| before.len() - before.trim_end_matches('\\').len());
    before.is_some_and(|backslashes| backslashes % 2 == 0)
}

/// Whether Redis finds a channel to match a pattern of [`literal`] texts and
/// stars.
pub(super) fn matches(glob: &str, channel: &str) -> bool {
    let (mut glob, mut text) = (glob.as_bytes(), channel.as_bytes());
    // Where to go on when what follows the last star does not fit.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (glob, text) {
            ([b'*', rest @ ..], _) => {
                retry = Some((rest, text));
                glob = rest;
            }
            ([b'\\', g, rest @ ..], [t, tail @ ..]) if g == t => (glob, text) = (rest, tail),
            ([g, rest @ ..], [t, tail @ ..]) if g == t && *g != b'\\' => (glob, text) = (rest, tail),
            ([], []) => return true,
            _ => {
                let Some((rest, [_, tail @ ..])) = retry else { return false };
                retry = Some((rest, tail));
                (glob, text) = (rest, tail);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ant_patterns_become_globs_that_match_as_much() {
        for (ant, glob, yes, no) in [
            ("/topic/room.*", "/topic/room.*", "/topic/room.general", "/topic/bid.1"),
            ("/topic/**", "/topic*", "/topic", "/queue/a"),
            ("/topic/**/x", "/topic*/x", "/topic/x", "/topic/y"),
            ("/topic/a?c", "/topic/a*c", "/topic/aéc", "/topic/abd"),
            ("/topic/{room}/new", "/topic/*/new", "/topic/a/new", "/topic/a/old"),
            ("/topic/[a]*", "/topic/\\[a\\]*", "/topic/[a]b", "/topic/ab"),
            ("/topic/{a", "/topic/{a", "/topic/{a", "/topic/a"),
        ] {
            assert_eq!(of_ant(ant), glob);
            assert!(matches(glob, yes), "{glob} {yes}");
            assert!(!matches(glob, no), "{glob} {no}");
        }
    }

    proptest! {
        #[test]
        fn a_literal_matches_itself_only(text in r"[*?\[\]\\ab/é]{0,12}", other in r"[*?\[\]\\ab/é]{0,12}") {
            prop_assert!(matches(&literal(&text), &text));
            prop_assert_eq!(matches(&literal(&text), &other), text == other);
            let around = format!("*{}*", literal(&text));
            prop_assert_eq!(matches(&around, &other), other.contains(&text));
        }
    }
}
