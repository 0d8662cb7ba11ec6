//! Health: what counts for what, who is asked how often, and what is shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use tokio::time::Duration;

use super::*;

struct Fixed(Health);

impl HealthIndicator for Fixed {
    fn health(&self) -> BoxFuture<'_, Health> {
        std::future::ready(self.0.clone()).boxed()
    }
}

struct Counted(Arc<AtomicUsize>);

impl HealthIndicator for Counted {
    fn health(&self) -> BoxFuture<'_, Health> {
        self.0.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::task::yield_now().await;
            Health::up()
        }
        .boxed()
    }
}

struct Stuck;

impl HealthIndicator for Stuck {
    fn health(&self) -> BoxFuture<'_, Health> {
        pending().boxed()
    }
}

fn registry(settings: Settings) -> Registry {
    let registry = Registry::new(settings);
    registry.register("redis", Fixed(Health::down("connection refused")));
    registry
}

async fn report(registry: &Registry, check: Check<'_>) -> (u16, String) {
    let report = registry.report(check, &Lifecycle::default()).await.unwrap();
    (report.code.as_u16(), report.body)
}

#[tokio::test]
async fn draining_takes_readiness_away_and_leaves_liveness() {
    let (registry, lifecycle) = (Registry::default(), Lifecycle::default());
    let codes = async || {
        let mut codes = Vec::new();
        for check in [Check::Overall, Check::Readiness, Check::Liveness] {
            codes.push(registry.report(check, &lifecycle).await.unwrap().code.as_u16());
        }
        codes
    };
    assert_eq!(codes().await, [200, 200, 200]);
    lifecycle.draining().cancel();
    assert_eq!(codes().await, [503, 503, 200]);
    let overall = registry.report(Check::Overall, &lifecycle).await.unwrap();
    assert_eq!(overall.body, r#"{"status":"OUT_OF_SERVICE"}"#);
}

#[tokio::test]
async fn a_component_that_is_down_counts_unless_it_is_optional() {
    let counting = registry(Settings::default());
    assert_eq!(report(&counting, Check::Overall).await, (503, r#"{"status":"DOWN"}"#.to_owned()));
    let optional = registry(Settings { optional: vec!["redis".to_owned()], ..Settings::default() });
    assert_eq!(report(&optional, Check::Overall).await.0, 200);
    assert_eq!(report(&optional, Check::Component("redis")).await.0, 503);
}

#[tokio::test]
async fn readiness_depends_on_what_it_includes_and_liveness_on_nothing() {
    let apart = registry(Settings::default());
    assert_eq!(report(&apart, Check::Readiness).await.0, 200);
    let included = registry(Settings { readiness: vec!["redis".to_owned()], ..Settings::default() });
    assert_eq!(report(&included, Check::Readiness).await.0, 503);
    assert_eq!(report(&included, Check::Liveness).await.0, 200);
    assert!(included.missing().is_empty());
    let wrong = Settings { readiness: vec!["rediss".to_owned()], ..Settings::default() };
    assert_eq!(registry(wrong).missing(), ["rediss"]);
}

#[tokio::test]
async fn details_are_shown_when_asked_for() {
    let shown = Settings { details: Details::Shown, ..Settings::default() };
    let registry = Registry::new(shown);
    registry.register("redis", Fixed(Health::up().with("redis", "Connected")));
    assert_eq!(
        report(&registry, Check::Overall).await.1,
        r#"{"status":"UP","components":{"livenessState":{"status":"UP"},"ping":{"status":"UP"},"#.to_owned()
            + r#""readinessState":{"status":"UP"},"#
            + r#""redis":{"status":"UP","details":{"redis":"Connected"}}},"#
            + r#""groups":["liveness","readiness"]}"#
    );
    assert_eq!(
        report(&registry, Check::Component("redis")).await.1,
        r#"{"status":"UP","details":{"redis":"Connected"}}"#
    );
    assert_eq!(registry.report(Check::Component("nothing"), &Lifecycle::default()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_component_is_asked_once_for_all_who_want_to_know() {
    let asked = Arc::new(AtomicUsize::new(0));
    let registry = Registry::default();
    registry.register("db", Counted(Arc::clone(&asked)));
    let both = tokio::join!(registry.component("db"), registry.component("db"));
    assert_eq!(both, (Some(Health::up()), Some(Health::up())));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    tokio::time::advance(Settings::default().time_to_live).await;
    registry.component("db").await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_does_not_answer_is_down() {
    let registry = Registry::new(Settings { timeout: Duration::from_millis(50), ..Settings::default() });
    registry.register("db", Stuck);
    assert_eq!(registry.component("db").await, Some(Health::down("no answer within 50 ms")));
}
