use super::*;

const THRESHOLDS: Thresholds = Thresholds { healthy: 3, unhealthy: 2 };

/// Checks states after each outcome: `+` passed, `-` failed, `t` timeout, `5` answered 503, `i` our own error.
#[track_caller]
fn check(mut tracker: Tracker, outcomes: &str, expected: &[&str]) {
    let mut states = Vec::new();
    for outcome in outcomes.chars() {
        let outcome = match outcome {
            '+' => Outcome::Passed(200),
            '-' => Outcome::ConnectionReset,
            't' => Outcome::Timeout,
            '5' => Outcome::ResponseCodeMismatch(503),
            'i' => Outcome::InternalError,
            other => panic!("no outcome {other}"),
        };
        tracker.handle_outcome(outcome, THRESHOLDS);
        states.push(tracker.health().state.as_str());
    }
    assert_eq!(states, expected, "{outcomes}");
}

fn new() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.handle_checks_started();
    tracker
}

fn after(outcomes: &[Outcome]) -> Tracker {
    let mut tracker = new();
    for &outcome in outcomes {
        tracker.handle_outcome(outcome, THRESHOLDS);
    }
    tracker
}

#[track_caller]
fn reason(tracker: &Tracker, code: &str, description: &str) {
    let reason = tracker.health().reason.expect("a reason");
    assert_eq!((reason.code(), reason.to_string().as_str()), (code, description));
}

#[test]
fn a_new_target_is_healthy_after_one_passed_check() {
    check(new(), "+", &["healthy"]);
    check(new(), "-+", &["initial", "healthy"]);
}

#[test]
fn a_new_target_stays_initial_until_the_unhealthy_threshold() {
    check(new(), "--", &["initial", "unhealthy"]);
    check(new(), "t5", &["initial", "unhealthy"]);
}

#[test]
fn a_check_that_could_not_be_made_has_failed() {
    check(new(), "+ii", &["healthy", "healthy", "unhealthy"]);
    let tracker = after(&[Outcome::InternalError; 2]);
    reason(&tracker, "Elb.InternalError", "Health checks failed due to an internal error");
}

#[test]
fn a_healthy_target_turns_unhealthy_only_by_failures_in_a_row() {
    check(new(), "+-+-+", &["healthy"; 5]);
    check(new(), "+--", &["healthy", "healthy", "unhealthy"]);
}

#[test]
fn an_unhealthy_target_recovers_only_by_passes_in_a_row() {
    check(
        new(),
        "--++-+++",
        &["initial", "unhealthy", "unhealthy", "unhealthy", "unhealthy", "unhealthy", "unhealthy", "healthy"],
    );
}

#[test]
fn outcomes_do_not_revive_draining_or_unused_targets() {
    let mut draining = new();
    draining.handle_deregistered();
    check(draining.clone(), "+--", &["draining"; 3]);
    draining.handle_not_in_use();
    assert_eq!(draining.health().state, State::Draining);
    let mut unused = new();
    unused.handle_not_in_use();
    check(unused, "+--", &["unused"; 3]);
}

#[test]
fn reasons_tell_what_the_last_failed_check_found() {
    let mut tracker = Tracker::new();
    reason(&tracker, "Elb.RegistrationInProgress", "Target registration is in progress");
    tracker.handle_checks_started();
    reason(&tracker, "Elb.InitialHealthChecking", "Initial health checks in progress");
    tracker.handle_outcome(Outcome::ConnectionReset, THRESHOLDS);
    reason(&tracker, "Elb.InitialHealthChecking", "Initial health checks in progress");
    tracker.handle_outcome(Outcome::ResponseCodeMismatch(503), THRESHOLDS);
    reason(&tracker, "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]");
    tracker.handle_outcome(Outcome::Timeout, THRESHOLDS);
    reason(&tracker, "Target.Timeout", "Request timed out");
    tracker.handle_outcome(Outcome::Passed(200), THRESHOLDS);
    reason(&tracker, "Target.Timeout", "Request timed out");
    tracker.handle_outcome(Outcome::ConnectionReset, THRESHOLDS);
    reason(&tracker, "Target.FailedHealthChecks", "Health checks failed");
    tracker.handle_deregistered();
    reason(&tracker, "Target.DeregistrationInProgress", "Target deregistration is in progress");
    tracker.handle_delay_over();
    assert_eq!(tracker.health().state, State::Unused);
    reason(&tracker, "Target.NotRegistered", "Target is not registered to the target group");
}

#[test]
fn a_healthy_target_has_no_reason() {
    assert_eq!(after(&[Outcome::Passed(200)]).health(), Health { state: State::Healthy, reason: None });
}

#[test]
fn a_group_out_of_use_forgets_health_and_begins_anew() {
    let mut tracker = after(&[Outcome::Passed(200)]);
    tracker.handle_not_in_use();
    reason(
        &tracker,
        "Target.NotInUse",
        "Target group is not configured to receive traffic from the load balancer",
    );
    tracker.handle_checks_started();
    assert_eq!(tracker.health().state, State::Initial);
    check(tracker, "+", &["healthy"]);
}

#[test]
fn restarted_checks_keep_the_health_known_so_far() {
    for mut tracker in
        [after(&[Outcome::Passed(200)]), after(&[Outcome::ConnectionReset, Outcome::ConnectionReset])]
    {
        let before = tracker.health();
        tracker.handle_checks_started();
        assert_eq!(tracker.health(), before);
    }
}

#[test]
fn what_is_forced_stands_above_the_checks_until_it_is_left_to_them() {
    let mut tracker = Tracker::new();
    tracker.handle_checks_started();
    tracker.handle_forced(Some(Forced::Healthy));
    assert_eq!(tracker.health(), Health::HEALTHY);
    for _ in 0..2 {
        tracker.handle_outcome(Outcome::Timeout, Thresholds { healthy: 2, unhealthy: 2 });
    }
    assert_eq!(tracker.health(), Health::HEALTHY);
    tracker.handle_forced(None);
    assert_eq!(tracker.health(), Health::because(State::Unhealthy, Reason::Timeout));
    tracker.handle_forced(Some(Forced::Unhealthy));
    assert_eq!(tracker.health(), Health::because(State::Unhealthy, Reason::AdministrativeOverride));
    tracker.handle_deregistered();
    assert_eq!(tracker.health().state, State::Draining);
}

#[test]
fn an_unhealthy_target_that_keeps_its_flows_is_draining_until_the_interval_is_over() {
    let now = Instant::now();
    let at = |seconds| now + std::time::Duration::from_secs(seconds);
    let mut tracker = after(&[Outcome::Timeout, Outcome::Timeout]);
    tracker.handle_flows_kept(at(10));
    assert_eq!(tracker.health(), Health::because(State::UnhealthyDraining, Reason::Timeout));
    // A check that fails otherwise is the new reason, and changes nothing else.
    tracker.handle_outcome(Outcome::ConnectionReset, THRESHOLDS);
    tracker.handle_time(at(9));
    assert_eq!(tracker.health(), Health::because(State::UnhealthyDraining, Reason::FailedHealthChecks));
    tracker.handle_time(at(10));
    assert_eq!(tracker.health(), Health::because(State::Unhealthy, Reason::FailedHealthChecks));
}

#[test]
fn recovery_ends_the_unhealthy_draining_interval() {
    let later = Instant::now() + std::time::Duration::from_secs(10);
    let mut tracker = after(&[Outcome::Timeout, Outcome::Timeout]);
    tracker.handle_flows_kept(later);
    check(tracker.clone(), "+++", &["unhealthy.draining", "unhealthy.draining", "healthy"]);
    check(
        tracker.clone(),
        "++-+++",
        &[
            "unhealthy.draining",
            "unhealthy.draining",
            "unhealthy.draining",
            "unhealthy.draining",
            "unhealthy.draining",
            "healthy",
        ],
    );
    // The next time it is unhealthy it has no interval until it is given one.
    check(
        tracker.clone(),
        "+++--",
        &["unhealthy.draining", "unhealthy.draining", "healthy", "healthy", "unhealthy"],
    );
    tracker.handle_forced(Some(Forced::Healthy));
    tracker.handle_forced(None);
    assert_eq!(tracker.health().state, State::Unhealthy);
}

#[test]
fn a_deregistered_target_drains_by_its_delay_whatever_interval_ran() {
    let now = Instant::now();
    let mut tracker = after(&[Outcome::Timeout, Outcome::Timeout]);
    tracker.handle_flows_kept(now);
    tracker.handle_deregistered();
    assert_eq!(tracker.health(), Health::because(State::Draining, Reason::DeregistrationInProgress));
    tracker.handle_time(now);
    assert_eq!(tracker.health().state, State::Draining);
}

#[test]
fn a_target_that_is_not_unhealthy_keeps_no_flows_by_interval() {
    let now = Instant::now();
    let mut tracker = after(&[Outcome::Passed(200)]);
    tracker.handle_flows_kept(now);
    check(tracker.clone(), "--", &["healthy", "unhealthy"]);
    tracker.handle_forced(Some(Forced::Unhealthy));
    tracker.handle_flows_kept(now);
    assert_eq!(tracker.health(), Health::because(State::UnhealthyDraining, Reason::AdministrativeOverride));
}
