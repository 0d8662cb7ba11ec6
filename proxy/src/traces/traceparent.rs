//! `traceparent` of W3C Trace Context, level 1.

use std::fmt;

use super::id::{Letters, SpanId, TraceId, from_hex};

/// Length of version 00: `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;
/// The flag `sampled`. All others are reserved: not looked at, and not passed on.
const SAMPLED: u8 = 1;

/// What a caller says of its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub parent_id: SpanId,
    /// Whether the caller may have recorded it.
    pub sampled: bool,
}

/// Reads the one value of the header; `None` if it breaks the format.
///
/// A version higher than 00 is read by what 00 has, as section "Versioning of `traceparent`" asks for.
#[must_use]
pub fn parse(value: &[u8]) -> Option<TraceParent> {
    let (known, rest) = value.split_at_checked(LENGTH)?;
    let mut fields = known.split(|&byte| byte == b'-');
    let mut field = || fields.next().unwrap_or_default();
    let [version] = from_hex(field(), Letters::Lower)?;
    let trace_id = TraceId::new(from_hex(field(), Letters::Lower)?)?;
    let parent_id = SpanId::new(from_hex(field(), Letters::Lower)?)?;
    let [flags] = from_hex(field(), Letters::Lower)?;
    let is_whole = match version {
        0 => rest.is_empty(),
        u8::MAX => false,
        _ => rest.first().is_none_or(|&byte| byte == b'-'),
    };
    is_whole.then_some(TraceParent { trace_id, parent_id, sampled: flags & SAMPLED != 0 })
}

/// The header's value, in version 00.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = if self.sampled { SAMPLED } else { 0 };
        write!(f, "00-{}-{}-{flags:02x}", self.trace_id, self.parent_id)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    /// `expected` is whether it is sampled; `None` if it is not understood.
    #[track_caller]
    fn check(value: &str, expected: Option<bool>) {
        let parsed = parse(value.as_bytes());
        assert_eq!(parsed.map(|parent| parent.sampled), expected, "{value}");
        if let Some(parent) = parsed {
            assert_eq!(parent.trace_id.to_string(), TRACE);
            assert_eq!(parent.parent_id.to_string(), PARENT);
        }
    }

    #[test]
    fn version_00_has_exactly_four_fields() {
        check(&format!("00-{TRACE}-{PARENT}-01"), Some(true));
        check(&format!("00-{TRACE}-{PARENT}-00"), Some(false));
        for bad in ["01-", "01-x", "0", "011", "0x", "-1", " 1"] {
            check(&format!("00-{TRACE}-{PARENT}-{bad}"), None);
        }
        check("", None);
        check(&format!("00-{TRACE}-{PARENT}"), None);
        check(&format!(" 00-{TRACE}-{PARENT}-01"), None);
        check(&format!("00_{TRACE}_{PARENT}_01"), None);
    }

    #[test]
    fn only_the_flag_sampled_counts() {
        check(&format!("00-{TRACE}-{PARENT}-ff"), Some(true));
        check(&format!("00-{TRACE}-{PARENT}-02"), Some(false));
        let parent = parse(format!("00-{TRACE}-{PARENT}-ff").as_bytes()).unwrap();
        assert_eq!(parent.to_string(), format!("00-{TRACE}-{PARENT}-01"));
    }

    #[test]
    fn a_higher_version_is_read_by_what_is_known_of_it() {
        check(&format!("cc-{TRACE}-{PARENT}-01"), Some(true));
        check(&format!("01-{TRACE}-{PARENT}-01-what-the-future-will-be-like"), Some(true));
        check(&format!("01-{TRACE}-{PARENT}-01."), None);
        check(&format!("ff-{TRACE}-{PARENT}-01"), None);
    }

    #[test]
    fn capital_letters_zeros_and_other_lengths_are_refused() {
        check(&format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), None);
        check(&format!("00-{TRACE}-{}-01", PARENT.to_uppercase()), None);
        check(&format!("00-{}-{PARENT}-01", "0".repeat(32)), None);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{TRACE}0-{}-01", PARENT.strip_prefix('0').unwrap()), None);
        check(&format!("0-0{TRACE}-{PARENT}-01"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _parsed = parse(&value);
        }

        #[test]
        fn what_is_nearly_right_is_either_refused_or_means_what_it_says(
            value in "[0-9a-fA-F]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}(-.{0,5})?"
        ) {
            if let Some(parent) = parse(value.as_bytes()) {
                let fields: Vec<&str> = value.split('-').collect();
                prop_assert_eq!(parent.trace_id.to_string(), fields[1]);
                prop_assert_eq!(parent.parent_id.to_string(), fields[2]);
                prop_assert_eq!(parse(parent.to_string().as_bytes()), Some(parent));
            }
        }
    }
}
