//! Faults that are on are not to be forgotten: they are in the log when they change, and again and again as
//! long as they last, and in the metrics.
//!
//! That a file has faults is also among its warnings, which name the attributes and their lines.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    metrics::Metrics,
    model::{
        Model, TargetGroup,
        fault::{Fault, FaultAttributes},
    },
};

/// How often the log is reminded of faults that are on. Not scaled: it is people who are reminded.
const REMINDER: Duration = Duration::from_secs(300);

/// The faults that are on now.
#[derive(Debug)]
pub(super) struct FaultsOn(Mutex<State>);

#[derive(Debug)]
struct State {
    /// By the names of their target groups.
    groups: BTreeMap<String, GroupFaults>,
    reminded: Instant,
}

#[derive(Debug, PartialEq, Eq)]
struct GroupFaults {
    /// The group in metrics.
    metric_name: String,
    faults: FaultAttributes,
}

impl FaultsOn {
    /// None so far.
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(State { groups: BTreeMap::new(), reminded: now }))
    }

    /// Takes over those of the configuration that is in force from now on.
    pub(super) fn apply(&self, model: &Model, metrics: &Metrics) {
        let faulty = model.target_groups.iter().filter(|group| group.attributes.faults.is_any_on());
        let on: BTreeMap<_, _> = faulty.map(|group| (group.name.clone(), GroupFaults::of(group))).collect();
        let mut state = self.0.lock();
        for (name, GroupFaults { metric_name, faults }) in &state.groups {
            if model.target_groups.iter().any(|group| group.name == *name) {
                faults.all_on().for_each(|fault| metrics.fault(metric_name, fault.as_str()).enabled.set(0));
            } else {
                Fault::ALL.iter().for_each(|fault| metrics.forget_fault(metric_name, fault.as_str()));
            }
            if !on.contains_key(name) {
                tracing::info!(target_group = name, "faults are off");
            }
        }
        for (name, group) in &on {
            for fault in group.faults.all_on() {
                metrics.fault(&group.metric_name, fault.as_str()).enabled.set(1);
            }
            if state.groups.get(name) != Some(group) {
                tracing::warn!(target_group = name, faults = described(&group.faults), "faults are on");
            }
        }
        state.groups = on;
    }

    /// Reminds the log, if it is time again.
    pub(super) fn remind(&self, now: Instant) {
        let mut state = self.0.lock();
        if now.saturating_duration_since(state.reminded) < REMINDER {
            return;
        }
        state.reminded = now;
        for (name, GroupFaults { faults, .. }) in &state.groups {
            tracing::warn!(target_group = name, faults = described(faults), "faults are still on");
        }
    }
}

impl GroupFaults {
    fn of(group: &TargetGroup) -> Self {
        Self { metric_name: group.metric_name.clone(), faults: group.attributes.faults.clone() }
    }
}

/// `delay: 30 % wait 250 ms; reset: 5 % are reset`.
fn described(faults: &FaultAttributes) -> String {
    let one = |fault: Fault| Some(format!("{}: {}", fault.as_str(), faults.describe(fault)?));
    faults.all_on().filter_map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn model(groups: &str) -> Model {
        let listener =
            "{ protocol: HTTP, port: 80, default_actions: [{ fixed_response: { status_code: 200 } }] }";
        let text = format!(
            "load_balancers: [{{ name: edge, type: application, listeners: [{listener}] }}]\ntarget_groups: [{groups}]\n"
        );
        config::parse(&text, std::path::Path::new(""), "test.yaml", &|_| None).unwrap().model
    }

    fn series(metrics: &Metrics) -> Vec<String> {
        let text = metrics.render().unwrap();
        text.lines().filter(|line| line.starts_with("albeit_fault_enabled")).map(str::to_owned).collect()
    }

    #[test]
    fn the_gauge_says_what_is_on_and_off_again() {
        let metrics = Metrics::try_new().unwrap();
        let faults = FaultsOn::new(Instant::now());
        faults.apply(&model("{ name: web, protocol: HTTP }"), &metrics);
        assert!(series(&metrics).is_empty(), "no series for groups without faults");
        let faulty = "{ name: web, protocol: HTTP, attributes: { albeit.fault.reset.percent: 5, albeit.fault.slow_target.bytes_per_second: 10 } }";
        faults.apply(&model(faulty), &metrics);
        let of = |fault: &str, value: u8| {
            let id = crate::model::arn::target_group_path("web");
            format!("albeit_fault_enabled{{fault=\"{fault}\",target_group=\"{id}\"}} {value}")
        };
        assert_eq!(series(&metrics), [of("reset", 1), of("slow_target", 1)]);
        let less = "{ name: web, protocol: HTTP, attributes: { albeit.fault.reset.percent: 5 } }";
        faults.apply(&model(less), &metrics);
        assert_eq!(series(&metrics), [of("reset", 1), of("slow_target", 0)]);
        faults.apply(&model(""), &metrics);
        assert!(series(&metrics).is_empty(), "gone with its group");
    }

    #[test]
    fn the_log_is_reminded_from_time_to_time() {
        let begin = Instant::now();
        let faults = FaultsOn::new(begin);
        let reminded = |after: u64| {
            let now = begin + Duration::from_secs(after);
            faults.remind(now);
            faults.0.lock().reminded == now
        };
        assert_eq!([299, 300, 301, 600].map(reminded), [false, true, false, true]);
    }
}
