//! Who makes the events: one task of the process, which sleeps while nobody watches.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    configuration::configuration,
    rates::Rates,
    streams::{First, event},
    tick::tick,
};
use crate::admin::{AdminState, control::InForce, overrides};

/// How often there is something to say: ten times a second. Not scaled.
const BEAT: Duration = Duration::from_millis(100);

/// Beats of a tick.
const BEATS: u32 = 10;

/// What was published of the configuration.
#[derive(Debug)]
pub(super) struct Published {
    in_force: Arc<InForce>,
    overrides: Value,
}

/// Publishes events until `shutdown`, and then ends all streams.
///
/// # Cancel safety
/// Dropping the future leaves streams open that get no more events.
pub(in crate::admin) async fn publish(state: AdminState, shutdown: CancellationToken) {
    let publishing = async {
        loop {
            state.dashboard.streams.watched().await;
            watched(&state).await;
        }
    };
    shutdown.run_until_cancelled(publishing).await;
    state.dashboard.streams.close();
}

/// Publishes while somebody watches.
async fn watched(state: &AdminState) {
    let mut rates = Rates::default();
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = 0;
    while state.dashboard.streams.is_watched() {
        beats.tick().await;
        refresh(state).await;
        if beat == 0 {
            let in_force = state.control.in_force();
            let mut text = String::new();
            event("tick", &tick(state, &in_force, &mut rates, Instant::now()), &mut text);
            send(state, Some(First::Tick), text);
        }
        beat = (beat + 1) % BEATS;
    }
}

/// Publishes the configuration if it is another than was published last. Afterwards new streams begin with what
/// is in force.
pub(super) async fn refresh(state: &AdminState) {
    let mut published = state.dashboard.published.lock().await;
    let in_force = state.control.in_force();
    let overrides = overrides::list(state);
    let is_same = |it: &Published| Arc::ptr_eq(&it.in_force, &in_force) && it.overrides == overrides;
    if published.as_ref().is_some_and(is_same) {
        return;
    }
    let findings = state.dashboard.findings.of(&in_force).await;
    let mut text = String::new();
    event("configuration", &configuration(state, &in_force, &findings), &mut text);
    send(state, Some(First::Configuration), text);
    *published = Some(Published { in_force, overrides });
}

fn send(state: &AdminState, first: Option<First>, text: String) {
    let dropped = state.dashboard.streams.publish(first, &Bytes::from(text));
    if dropped > 0 {
        state.metrics.process().event_streams_dropped.inc_by(dropped);
        tracing::info!(dropped, "streams of the dashboard cut: their readers are too slow");
    }
}
