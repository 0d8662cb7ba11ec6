use super::{
    super::{Known, KnownHost},
    *,
};
use crate::health::Forced;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";

/// Another process's registry that begins with what is known in `world`.
fn successor(world: &World) -> World {
    let next = World::new();
    next.registry.begin_with(world.registry.known());
    next
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_with_what_is_known_of_targets() {
    let world = World::new();
    world.script.answer(B, CheckOutcome::ResponseCodeMismatch(503));
    let before = world.apply_one(group("web", &[A, B, C]));
    before.force_health(addr(C), Some(Forced::Unhealthy));
    let states = [(A, State::Healthy), (B, State::Unhealthy), (C, State::Unhealthy)];
    world.reach(&before, &states).await;

    let next = successor(&world);
    let after = next.apply_one(group("web", &[A, B, C]));
    // At once, before any check.
    assert_eq!(after.describe(), before.describe());
    assert!(!after.select(None, no_draw).unwrap().fail_open);
    after.force_health(addr(C), None);
    assert_eq!(super::states(&after)[2], (addr(C), State::Healthy), "its checks go on below");
}

#[tokio::test(start_paused = true)]
async fn another_process_knows_host_names_before_it_has_asked_for_them() {
    let world = World::new();
    world.script.host("app.internal", &[A]);
    let before = world.apply_one(group("web", &["app.internal:80"]));
    world.reach(&before, &[(A, State::Healthy)]).await;
    let known = world.registry.known().remove("web").unwrap();
    let host = KnownHost { name: "app.internal".to_owned(), port: 80, addresses: vec![addr(A)] };
    assert_eq!(known.hosts, [host]);

    // Here nobody answers.
    let next = successor(&world);
    let after = next.apply_one(group("web", &["app.internal:80"]));
    assert_eq!(states(&after), [(addr(A), State::Healthy)]);
    next.registry.resolved().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_for_the_first_configuration_only() {
    let world = World::new();
    let group_a = group("web", &[A]);
    let before = world.apply_one(group_a.clone());
    world.reach(&before, &[(A, State::Healthy)]).await;
    let next = successor(&world);
    next.apply_one(group("web", &[]));
    let after = next.apply_one(group_a);
    assert_eq!(states(&after), [(addr(A), State::Initial)]);
    assert_eq!(successor(&World::new()).registry.known().remove("web"), None::<Known>);
}
