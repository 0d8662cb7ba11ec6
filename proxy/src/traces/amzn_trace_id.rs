//! The trace that `X-Amzn-Trace-Id` names, as X-Ray reads it: `Root=1-<8 hex digits>-<24>` is the trace
//! with these 32 digits, `Parent` the caller's span, `Sampled` its decision.

use super::id::{Letters, SpanId, TraceId, from_hex};
use crate::headers::trace_id::fields;

/// What the header says of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AmznTraceId {
    /// Of `Root`; of `Self` if there is no root that can be read.
    pub trace_id: Option<TraceId>,
    /// Of `Parent`, if the trace is that of `Root`.
    pub parent_id: Option<SpanId>,
    /// Of `Sampled`, if the trace is that of `Root`; `?` leaves it to us.
    pub sampled: Option<bool>,
}

/// Reads a value. Of fields that are there twice the first counts; what cannot be read is as if it were not there.
#[must_use]
pub fn parse(value: &[u8]) -> AmznTraceId {
    let first = |name: &[u8]| fields(value).find_map(|field| field.strip_prefix(name)?.strip_prefix(b"="));
    let Some(trace_id) = first(b"Root").and_then(trace_id) else {
        return AmznTraceId { trace_id: first(b"Self").and_then(trace_id), ..AmznTraceId::default() };
    };
    let parent_id = first(b"Parent").and_then(|parent| SpanId::new(from_hex(parent, Letters::Any)?));
    let sampled = match first(b"Sampled") {
        Some(b"1") => Some(true),
        Some(b"0") => Some(false),
        _ => None,
    };
    AmznTraceId { trace_id: Some(trace_id), parent_id, sampled }
}

/// Of `1-<8>-<24>`.
fn trace_id(value: &[u8]) -> Option<TraceId> {
    let digits = value.strip_prefix(b"1-")?;
    let (time, rest) = digits.split_at_checked(8)?;
    let time: [u8; 4] = from_hex(time, Letters::Any)?;
    let random: [u8; 12] = from_hex(rest.strip_prefix(b"-")?, Letters::Any)?;
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(time.into_iter().chain(random)) {
        *byte = from;
    }
    TraceId::new(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";
    const TRACE: &str = "5759e988bd862e3fe1be46a994272793";
    const PARENT: &str = "53995c3f42cd8ad8";

    #[track_caller]
    fn check(value: &str, trace: Option<&str>, parent: Option<&str>, sampled: Option<bool>) {
        let read = parse(value.as_bytes());
        assert_eq!(read.trace_id.map(|id| id.to_string()).as_deref(), trace, "{value}");
        assert_eq!(read.parent_id.map(|id| id.to_string()).as_deref(), parent, "{value}");
        assert_eq!(read.sampled, sampled, "{value}");
    }

    #[test]
    fn a_root_is_the_trace() {
        check(ROOT, Some(TRACE), None, None);
        check(&format!("CalledFrom=app; {ROOT}"), Some(TRACE), None, None);
        check(&ROOT.to_uppercase().replace("ROOT", "Root"), Some(TRACE), None, None);
        check(&format!("Self=1-00000001-{};{ROOT}", "1".repeat(24)), Some(TRACE), None, None);
    }

    #[test]
    fn without_a_readable_root_our_own_self_is_the_trace() {
        let own = format!("Self=1-00000001-{}", "1".repeat(24));
        check(
            &format!("{own};Root=mine;Sampled=1"),
            Some(&format!("00000001{}", "1".repeat(24))),
            None,
            None,
        );
        check("Root=mine", None, None, None);
    }

    #[test]
    fn parent_and_sampled_go_with_the_root() {
        check(&format!("{ROOT};Parent={PARENT};Sampled=1"), Some(TRACE), Some(PARENT), Some(true));
        check(&format!("{ROOT};Sampled=0;Parent={PARENT}"), Some(TRACE), Some(PARENT), Some(false));
        check(&format!("{ROOT};Sampled=?"), Some(TRACE), None, None);
        check(&format!("{ROOT};Sampled=1;Sampled=0"), Some(TRACE), None, Some(true));
        check(&format!("{ROOT};Parent=1;Sampled=yes"), Some(TRACE), None, None);
        check(&format!("{ROOT};Parent={}", "0".repeat(16)), Some(TRACE), None, None);
        check(&format!("Parent={PARENT};Sampled=1"), None, None, None);
    }

    #[test]
    fn what_is_no_root_is_not_taken_for_one() {
        for bad in ["2-5759e988-bd862e3fe1be46a994272793", "1-5759e988bd862e3fe1be46a994272793", "1-", ""] {
            check(&format!("Root={bad}"), None, None, None);
        }
        check(&format!("Root=1-00000000-{}", "0".repeat(24)), None, None, None);
        check(&format!("{ROOT}0"), None, None, None);
        check("root=1-5759e988-bd862e3fe1be46a994272793", None, None, None);
        check("Rooted=1-5759e988-bd862e3fe1be46a994272793", None, None, None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_passed_over(value in prop::collection::vec(any::<u8>(), 0..120)) {
            let _read = parse(&value);
        }

        #[test]
        fn fields_around_a_root_do_not_hide_it(before in "[a-z=,. ]{0,20}", after in "[a-z=,. ]{0,20}") {
            let read = parse(format!("{before};{ROOT};{after}").as_bytes());
            prop_assert_eq!(read.trace_id.map(|id| id.to_string()), Some(TRACE.to_owned()));
        }
    }
}
