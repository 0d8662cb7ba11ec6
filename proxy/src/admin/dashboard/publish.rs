//! Who makes the events: one task of the process, which sleeps while nobody watches.
//!
//! Requests are sent as they end, ten times a second, failures first where there are more of them than people
//! can read.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{
    configuration::configuration,
    rates::Rates,
    streams::{First, event},
    tick::tick,
};
use crate::{
    access_log::Recent,
    admin::{AdminState, control::InForce, overrides, requests},
};

/// How often there is something to say: ten times a second. Not scaled.
const BEAT: Duration = Duration::from_millis(100);

/// Beats of a tick.
const BEATS: u32 = 10;

/// Requests that are told of in a second.
const REQUESTS: usize = 50;

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
    let _watching = state.dashboard.recent.watch();
    let mut rates = Rates::default();
    let mut news = News { told: state.dashboard.recent.last(), ..News::default() };
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut beat = 0;
    while state.dashboard.streams.is_watched() {
        beats.tick().await;
        refresh(state).await;
        send(state, None, news.gather(&state.dashboard.recent));
        if beat == 0 {
            send(state, None, news.end_second());
            let in_force = state.control.in_force();
            let mut text = String::new();
            event("tick", &tick(state, &in_force, &mut rates, Instant::now()), &mut text);
            send(state, Some(First::Tick), text);
        }
        beat = (beat + 1) % BEATS;
    }
}

/// What requests have been told of.
#[derive(Debug, Default)]
struct News {
    /// The number of the last.
    told: u64,
    /// How many in this second.
    sent: usize,
    /// How many were passed over in this second.
    skipped: u64,
}

impl News {
    /// Events of the requests since, as many as there may be in this second; failures go first.
    fn gather(&mut self, recent: &Recent) -> String {
        let later = recent.since(self.told);
        let Some(last) = later.last() else { return String::new() };
        let ended = last.number.saturating_sub(self.told);
        self.told = last.number;
        let room = REQUESTS.saturating_sub(self.sent);
        let failed = later.iter().filter(|entry| entry.has_failed).count().min(room);
        let (mut failures, mut successes) = (failed, room - failed);
        let mut text = String::new();
        let mut sent = 0;
        for entry in &later {
            let left = if entry.has_failed { &mut failures } else { &mut successes };
            if *left > 0 {
                *left -= 1;
                sent += 1;
                event("request", &requests::describe(entry), &mut text);
            }
        }
        self.sent += sent;
        self.skipped += ended.saturating_sub(u64::try_from(sent).unwrap_or(u64::MAX));
        text
    }

    /// Begins another second; an event of how many were passed over in the last, if any were.
    fn end_second(&mut self) -> String {
        let skipped = std::mem::take(&mut self.skipped);
        self.sent = 0;
        let mut text = String::new();
        if skipped > 0 {
            event("request", &json!({ "Skipped": skipped }), &mut text);
        }
        text
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
    if text.is_empty() {
        return;
    }
    let dropped = state.dashboard.streams.publish(first, &Bytes::from(text));
    if dropped > 0 {
        state.metrics.process().event_streams_dropped.inc_by(dropped);
        tracing::info!(dropped, "streams of the dashboard cut: their readers are too slow");
    }
}
