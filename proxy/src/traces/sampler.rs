//! To which trace a request belongs, and whether it is recorded. Pure: what is random is passed in.

use super::{
    amzn_trace_id,
    id::{SpanId, TraceId},
    traceparent::{self, TraceParent},
};
use crate::model::traces::{Sampler, Traces};

/// What a request says of its trace.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// The one `traceparent`; `None` if there is none, or more than one.
    pub traceparent: Option<&'a [u8]>,
    /// X-Amzn-Trace-Id, as it goes to the target or, where it goes to none, as it came.
    pub amzn_trace_id: Option<&'a [u8]>,
}

/// Identifiers for a request that brings none.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// Wall clock, in seconds since 1970.
    pub epoch_seconds: u64,
    /// Random.
    pub trace: [u8; 12],
}

/// The trace of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Joined {
    /// The trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub parent_id: Option<SpanId>,
    /// Whether the caller named the trace by `traceparent`.
    pub by_traceparent: bool,
    /// Whether the request is recorded.
    pub sampled: bool,
}

/// Decides for the requests of one configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    sampler: Sampler,
    /// Traces whose low 63 bits are below are sampled.
    bound: u64,
}

impl Sampling {
    /// Decides as `traces` says.
    #[must_use]
    pub fn new(traces: &Traces) -> Self {
        Self { sampler: traces.sampler, bound: bound(traces.sampling_ratio) }
    }

    /// The trace of a request: that of its `traceparent`, else of its X-Amzn-Trace-Id, else a new one.
    #[must_use]
    pub fn join(&self, incoming: Incoming<'_>, fresh: Fresh) -> Joined {
        if let Some(parent) = incoming.traceparent.and_then(traceparent::parse) {
            let TraceParent { trace_id, parent_id, sampled } = parent;
            let sampled = self.decide(trace_id, Some(sampled));
            return Joined { trace_id, parent_id: Some(parent_id), by_traceparent: true, sampled };
        }
        let amzn = incoming.amzn_trace_id.map(amzn_trace_id::parse).unwrap_or_default();
        let trace_id = amzn.trace_id.unwrap_or_else(|| TraceId::at(fresh.epoch_seconds, fresh.trace));
        let sampled = self.decide(trace_id, amzn.sampled);
        Joined { trace_id, parent_id: amzn.parent_id, by_traceparent: false, sampled }
    }

    /// The ratio's part is what OpenTelemetry's `TraceIdRatioBased` samplers do, so that services with the same
    /// ratio sample the same traces.
    const fn decide(&self, trace_id: TraceId, caller: Option<bool>) -> bool {
        match (self.sampler, caller) {
            (Sampler::ParentBasedTraceIdRatio, Some(sampled)) => sampled,
            _ => trace_id.low() >> 1 < self.bound,
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 2^63")]
fn bound(ratio: f64) -> u64 {
    (ratio.clamp(0.0, 1.0) * (1_u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Fresh = Fresh { epoch_seconds: 0x6733_6abc, trace: [0xee; 12] };
    const NEW: &str = "67336abceeeeeeeeeeeeeeeeeeeeeeee";
    const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    const AMZN: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    fn sampling(sampler: Sampler, ratio: f64) -> Sampling {
        Sampling { sampler, bound: bound(ratio) }
    }

    fn join(sampling: Sampling, traceparent: &str, amzn: &str) -> Joined {
        let bytes = |text: &'static str| (!text.is_empty()).then_some(text.as_bytes());
        let (traceparent, amzn) = (traceparent.to_owned().leak(), amzn.to_owned().leak());
        sampling.join(Incoming { traceparent: bytes(traceparent), amzn_trace_id: bytes(amzn) }, FRESH)
    }

    /// Joined by a parent-based sampler of which the ratio samples nothing: `trace parent sampled`.
    #[track_caller]
    fn check(traceparent: &str, amzn: &str, expected: &str) {
        let never = sampling(Sampler::ParentBasedTraceIdRatio, 0.0);
        let joined = join(never, traceparent, amzn);
        let parent = joined.parent_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        assert_eq!(format!("{} {parent} {}", joined.trace_id, joined.sampled), expected);
    }

    #[test]
    fn traceparent_comes_before_x_amzn_trace_id_and_that_before_a_new_trace() {
        let w3c = "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7";
        check(&format!("{W3C}-01"), &format!("{AMZN};Sampled=0"), &format!("{w3c} true"));
        check(&format!("{W3C}-00"), &format!("{AMZN};Sampled=1"), &format!("{w3c} false"));
        let amzn = "5759e988bd862e3fe1be46a994272793";
        check("", &format!("{AMZN};Sampled=1"), &format!("{amzn} - true"));
        check("", &format!("{AMZN};Parent=00f067aa0ba902b7"), &format!("{amzn} 00f067aa0ba902b7 false"));
        check("00-nonsense", &format!("{AMZN};Sampled=1"), &format!("{amzn} - true"));
        check("", "", &format!("{NEW} - false"));
        check("", "Root=mine;Sampled=1", &format!("{NEW} - false"));
    }

    #[test]
    fn the_ratio_decides_where_the_caller_says_nothing() {
        for (ratio, expected) in [(0.0, false), (1.0, true)] {
            let joined = join(sampling(Sampler::ParentBasedTraceIdRatio, ratio), "", AMZN);
            assert_eq!(joined.sampled, expected, "{ratio}");
        }
        let always = sampling(Sampler::ParentBasedTraceIdRatio, 1.0);
        assert!(!join(always, &format!("{W3C}-00"), "").sampled);
        assert!(!join(always, "", &format!("{AMZN};Sampled=0")).sampled);
        assert!(join(always, "", &format!("{AMZN};Sampled=?")).sampled);
    }

    #[test]
    fn without_parents_the_ratio_decides_whatever_the_caller_says() {
        assert!(!join(sampling(Sampler::TraceIdRatio, 0.0), &format!("{W3C}-01"), "").sampled);
        assert!(join(sampling(Sampler::TraceIdRatio, 1.0), &format!("{W3C}-00"), "").sampled);
    }

    #[test]
    fn a_ratio_takes_its_share_of_the_traces() {
        let tenth = sampling(Sampler::TraceIdRatio, 0.1);
        let sampled = (0..10_000_u64).filter(|number| {
            let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let mut random = [0; 12];
            random[4..].copy_from_slice(&spread);
            tenth.decide(TraceId::at(1, random), None)
        });
        let share = sampled.count();
        assert!((900..=1100).contains(&share), "{share}");
    }
}
