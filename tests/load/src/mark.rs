//! Marks in messages: whose a message is, which, and when it was sent.
//!
//! A mark is found wherever it lies, so that what a protocol wraps a message in
//! need not be read.

use std::fmt;
use std::time::Duration;

use memchr::memmem;

/// What a mark begins with.
const START: &[u8] = b"#load:";

/// One message of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Of the run, so that others' messages are not counted.
    pub(crate) run: u32,
    /// Counts messages from 0.
    pub(crate) number: u32,
    /// When it was sent, from the start of the run.
    pub(crate) sent: Duration,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, number, sent } = self;
        write!(formatter, "#load:{run}:{number}:{}#", sent.as_micros())
    }
}

/// All marks in what came.
pub(crate) fn marks(bytes: &[u8]) -> impl Iterator<Item = Mark> {
    memmem::find_iter(bytes, START).filter_map(|at| read(bytes.get(at + START.len()..)?))
}

fn read(bytes: &[u8]) -> Option<Mark> {
    let end = memchr::memchr(b'#', bytes.get(..bytes.len().min(64))?)?;
    let mut numbers = str::from_utf8(bytes.get(..end)?).ok()?.split(':');
    let (run, number) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    let sent = Duration::from_micros(numbers.next()?.parse().ok()?);
    numbers.next().is_none().then_some(Mark { run, number, sent })
}

/// A message of a size, or as long as its mark.
pub(crate) fn body(mark: Mark, size: usize) -> String {
    let mut body = mark.to_string();
    body.extend(std::iter::repeat_n('x', size.saturating_sub(body.len())));
    body
}

/// Which messages came: each once, twice, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    bits: Vec<u64>,
}

impl Seen {
    /// Notes one; false if it was noted before.
    pub(crate) fn note(&mut self, number: u32) -> bool {
        let (word, bit) = (usize::try_from(number / 64).unwrap_or(usize::MAX), 1_u64 << (number % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let Some(word) = self.bits.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_what_wraps_them() {
        let mark = |number| Mark { run: 7, number, sent: Duration::from_micros(1500) };
        let (one, two) = (body(mark(1), 100), body(mark(2), 0));
        assert_eq!(one.len(), 100);
        let frame = format!("a[\"MESSAGE\\nx:#load:\\n\\n{one}\\u0000\",\"{two}\"]");
        assert_eq!(marks(frame.as_bytes()).collect::<Vec<_>>(), [mark(1), mark(2)]);
    }

    #[test]
    fn what_is_no_mark_is_left_out() {
        for text in ["", "#load:", "#load:1:2#", "#load:1:2:x#", "#load:1:2:3:4#", "#load:1:2:3"] {
            assert_eq!(marks(text.as_bytes()).count(), 0, "{text}");
        }
    }

    #[test]
    fn each_message_is_new_once() {
        let mut seen = Seen::default();
        assert_eq!([3, 200, 3].map(|number| seen.note(number)), [true, true, false]);
    }
}
