use super::*;
use crate::config::target_id;

fn target(id: &str) -> Target {
    Target { id: target_id(id).unwrap(), port: 80 }
}

fn health(state: HealthState, reason: Option<Reason>) -> Health {
    Health { state, reason }
}

fn carried() -> Carried {
    let attributes: AttributeOverrides = [("idle_timeout.timeout_seconds".to_owned(), "7".to_owned())].into();
    let mut overrides = Overrides::default();
    overrides.load_balancers.insert("edge".to_owned(), attributes.clone());
    overrides.listeners.insert(("edge".to_owned(), "[::]:443".parse().unwrap()), attributes.clone());
    overrides.target_groups.insert("web".to_owned(), attributes);
    let name = TargetId::LoadBalancer { name: "inner".to_owned(), address: [127, 0, 0, 1].into() };
    let registered = [target("10.0.0.1"), target("app.internal"), Target { id: name, port: 8080 }].into();
    let targets = TargetOverrides { registered, deregistered: [target("fd00::1")].into() };
    overrides.targets.insert("web".to_owned(), targets);
    let known = [
        (health(HealthState::Healthy, None), None),
        (health(HealthState::Unhealthy, Some(Reason::ResponseCodeMismatch(503))), Some(Forced::Healthy)),
        (health(HealthState::Unhealthy, Some(Reason::Timeout)), Some(Forced::Unhealthy)),
        (health(HealthState::Unhealthy, Some(Reason::InternalError)), None),
        (health(HealthState::Unhealthy, Some(Reason::FailedHealthChecks)), None),
    ];
    let targets = (1..).zip(known).map(|(port, (checked, forced))| KnownTarget {
        addr: SocketAddr::new([10, 0, 0, 1].into(), port),
        checked,
        forced,
    });
    let addresses = vec!["10.0.0.7:80".parse().unwrap()];
    let hosts = vec![KnownHost { name: "app.internal".to_owned(), port: 80, addresses }];
    Carried {
        stickiness_key: Some([7; KEY_LENGTH]),
        tickets: Some(TicketKeys {
            sealing: [1; KEY_LENGTH],
            former: Some([2; KEY_LENGTH]),
            until: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        }),
        overrides,
        known: HashMap::from([("web".to_owned(), Known { targets: targets.collect(), hosts })]),
        upgrades: 3,
    }
}

#[test]
fn all_of_it_comes_through() {
    let state = State::from(carried());
    let read = State::from_bytes(&state.to_bytes()).unwrap();
    assert_eq!(read, state);
    assert_eq!(Carried::from(read), carried());
}

#[test]
fn keys_are_not_shown() {
    let shown = format!("{:?} {:?}", State::from(carried()), carried());
    assert!(!shown.contains("1, 1") && !shown.contains("7, 7"), "{shown}");
}

#[test]
fn another_version_may_say_more_or_less() {
    let read = |text: &str| State::from_bytes(text.as_bytes()).map(Carried::from);
    assert_eq!(read("{}").unwrap(), Carried::default());
    let more = r#"{"moon": 1, "groups": {"web": {"phase": 2, "targets": [
        {"address": "10.0.0.1:80", "state": "dozing", "mood": "good"},
        {"address": "10.0.0.2:80", "state": "unhealthy", "reason": "Target.Bored", "forced": "maybe"}
    ]}}}"#;
    let known = read(more).unwrap().known.remove("web").unwrap();
    let checked: Vec<_> = known.targets.iter().map(|known| (known.checked, known.forced)).collect();
    let initial = health(HealthState::Initial, Some(Reason::RegistrationInProgress));
    let failed = health(HealthState::Unhealthy, Some(Reason::FailedHealthChecks));
    assert_eq!(checked, [(initial, None), (failed, None)]);
    assert!(read("nonsense").is_err());
}
