//! The last requests, for whoever looks at them now.
//!
//! Kept in memory, whether there is an access log or not: the last 500 of all, and the last 500 that failed, so
//! that a failure is still there after a flood of successes. Failures are always kept; successes only while
//! somebody watches, and cost one relaxed load otherwise. What a client sent is cut, so that the ring has a
//! bound in bytes, too.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;

use super::{
    entry,
    format::{self, MAX_USER_AGENT},
    meaning::Meaning,
    record::{ActionsExecuted, ConnTraceId, MatchedRule, Record},
};

/// Entries that are kept, of all and of those that failed.
pub const KEPT: usize = 500;

/// Bytes of the line that are kept: 16 KiB.
const LONGEST_LINE: usize = 16 * 1024;

/// Bytes of the request line and the user agent that are kept each: 2 KiB.
const LONGEST_TEXT: usize = 2 * 1024;

/// A request that has ended, as the access log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which request of the process it was of those that were kept, from 1.
    pub number: u64,
    /// Whether the load balancer answered it with an error, or the target with 5XX, or its WebSocket was cut.
    pub has_failed: bool,
    /// The load balancer.
    pub load_balancer_arn: Arc<str>,
    /// `time`.
    pub time: SystemTime,
    /// `type`.
    pub kind: &'static str,
    /// `client:port`.
    pub client: SocketAddr,
    /// `target:port`.
    pub target: Option<SocketAddr>,
    /// `elb_status_code`.
    pub elb_status_code: Option<u16>,
    /// `target_status_code`.
    pub target_status_code: Option<u16>,
    /// `request_processing_time`.
    pub request_processing_time: Option<Duration>,
    /// `target_processing_time`.
    pub target_processing_time: Option<Duration>,
    /// `response_processing_time`.
    pub response_processing_time: Option<Duration>,
    /// `received_bytes`.
    pub received_bytes: u64,
    /// `sent_bytes`.
    pub sent_bytes: u64,
    /// `request`, escaped as in the log.
    pub request: String,
    /// `user_agent`.
    pub user_agent: Option<String>,
    /// `target_group_arn`.
    pub target_group_arn: Option<String>,
    /// `matched_rule_priority`.
    pub matched_rule: MatchedRule,
    /// `actions_executed`.
    pub actions: ActionsExecuted,
    /// `error_reason`.
    pub error_reason: Option<String>,
    /// `conn_trace_id`.
    pub conn_trace_id: ConnTraceId,
    /// `trace_id`.
    pub trace_id: Option<String>,
    /// The line, in ELB's format.
    pub line: String,
    /// What it means.
    pub meaning: Meaning,
}

impl Entry {
    /// What `record` says. The number is given by the ring.
    #[must_use]
    pub fn new(
        record: &Record<'_>,
        load_balancer_arn: Arc<str>,
        actions: ActionsExecuted,
        has_failed: bool,
        meaning: Meaning,
    ) -> Self {
        let last = record.targets.last();
        let mut line = Vec::new();
        format::alb(record, &mut line);
        let agent = record.user_agent.map(|agent| agent.get(..MAX_USER_AGENT).unwrap_or(agent));
        Self {
            number: 0,
            has_failed,
            load_balancer_arn,
            time: record.time,
            kind: record.kind.as_str(),
            client: record.client,
            target: last.map(|target| target.addr),
            elb_status_code: record.elb_status_code,
            target_status_code: last.and_then(|target| target.status_code),
            request_processing_time: record.request_processing_time,
            target_processing_time: record.target_processing_time,
            response_processing_time: record.response_processing_time,
            received_bytes: record.received_bytes,
            sent_bytes: record.sent_bytes,
            request: text(entry::request_text(&record.request).as_bytes(), LONGEST_TEXT),
            user_agent: agent.map(|agent| text(agent, LONGEST_TEXT)),
            target_group_arn: record.target_group_arn.map(str::to_owned),
            matched_rule: record.matched_rule,
            actions,
            error_reason: record.error_reason.map(str::to_owned),
            conn_trace_id: record.conn_trace_id,
            trace_id: record.trace_id.map(|id| text(id, LONGEST_TEXT)),
            line: text(line.trim_ascii_end(), LONGEST_LINE),
            meaning,
        }
    }
}

/// Text from outside, cut after `longest` bytes.
fn text(bytes: &[u8], longest: usize) -> String {
    match bytes.get(..longest).filter(|_| bytes.len() > longest) {
        Some(beginning) => format!("{}…", String::from_utf8_lossy(beginning)),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The last requests of the process.
#[derive(Debug, Default)]
pub struct Recent {
    watching: AtomicUsize,
    rings: Mutex<Rings>,
}

#[derive(Debug, Default)]
struct Rings {
    last: u64,
    all: VecDeque<Arc<Entry>>,
    failed: VecDeque<Arc<Entry>>,
}

impl Recent {
    /// Whether a request is to be kept. One relaxed load for one that has not failed.
    #[must_use]
    pub fn wants(&self, has_failed: bool) -> bool {
        has_failed || self.watching.load(Ordering::Relaxed) > 0
    }

    /// Keeps a request.
    pub fn push(&self, mut entry: Entry) {
        let mut rings = self.rings.lock();
        rings.last += 1;
        entry.number = rings.last;
        let entry = Arc::new(entry);
        if entry.has_failed {
            keep(&mut rings.failed, &entry);
        }
        keep(&mut rings.all, &entry);
    }

    /// Has all requests kept until the guard is dropped.
    #[must_use]
    pub fn watch(self: &Arc<Self>) -> Watching {
        self.watching.fetch_add(1, Ordering::Relaxed);
        Watching(Arc::clone(self))
    }

    /// The number of the last request that was kept.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.rings.lock().last
    }

    /// The requests after that number that are still there, in their order.
    #[must_use]
    pub fn since(&self, number: u64) -> Vec<Arc<Entry>> {
        let rings = self.rings.lock();
        let later = rings.all.iter().rev().take_while(|entry| entry.number > number);
        let mut later: Vec<_> = later.cloned().collect();
        later.reverse();
        later
    }

    /// What is kept, the newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<Arc<Entry>> {
        let rings = self.rings.lock();
        let mut entries: Vec<_> = rings.all.iter().rev().cloned().collect();
        let oldest = rings.all.front().map_or(u64::MAX, |entry| entry.number);
        // What of the failures is no longer among all.
        entries.extend(rings.failed.iter().rev().skip_while(|entry| entry.number >= oldest).cloned());
        entries
    }
}

fn keep(ring: &mut VecDeque<Arc<Entry>>, entry: &Arc<Entry>) {
    if ring.len() == KEPT {
        ring.pop_front();
    }
    ring.push_back(Arc::clone(entry));
}

/// Somebody watches; dropping it ends that.
#[derive(Debug)]
pub struct Watching(Arc<Recent>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watching.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access_log::{format::tests::record, meaning::Severity};

    fn entry(has_failed: bool) -> Entry {
        let meaning = Meaning { title: "t".into(), text: "".into(), severity: Severity::Ok, more: None };
        Entry::new(&record(&[]), "arn".into(), ActionsExecuted::default(), has_failed, meaning)
    }

    #[test]
    fn successes_are_wanted_only_while_somebody_watches() {
        let recent = Arc::new(Recent::default());
        assert_eq!((recent.wants(false), recent.wants(true)), (false, true));
        let watching = (recent.watch(), recent.watch());
        assert!(recent.wants(false));
        drop(watching);
        assert!(!recent.wants(false));
    }

    #[test]
    fn failures_outlive_a_flood_of_successes() {
        let recent = Recent::default();
        recent.push(entry(true));
        recent.push(entry(false));
        recent.push(entry(true));
        (0..KEPT).for_each(|_| recent.push(entry(false)));
        let kept = recent.newest_first();
        let numbers: Vec<_> = kept.iter().map(|entry| entry.number).collect();
        assert_eq!((numbers.len(), numbers[0], &numbers[KEPT - 1..]), (KEPT + 2, 503, &[4, 3, 1][..]));
        assert_eq!(recent.last(), 503);
        let since: Vec<_> = recent.since(501).iter().map(|entry| entry.number).collect();
        assert_eq!(since, [502, 503]);
        (0..2 * KEPT).for_each(|_| recent.push(entry(true)));
        assert_eq!(recent.newest_first().len(), KEPT);
    }

    #[test]
    fn an_entry_is_what_the_log_line_says_and_no_longer_than_it_may_be() {
        let record = record(&[]);
        let mut line = Vec::new();
        format::alb(&record, &mut line);
        let plain = entry(false);
        assert_eq!(plain.line.as_bytes(), line.trim_ascii_end());
        assert!(plain.line.contains(&format!("\"{}\"", plain.request)), "{plain:?}");
        let long = text("ä".repeat(LONGEST_LINE).as_bytes(), LONGEST_LINE);
        assert_eq!(long.len(), LONGEST_LINE + "…".len());
    }
}
