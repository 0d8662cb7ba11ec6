//! One connection: it beats, and notes what the server does.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    super::{clock::Clock, watch::close},
    client::{Client, Seen},
};
use crate::{outcome::Close, progress::Progress};

/// What was seen of one connection, in the service's time.
#[derive(Debug, Default)]
pub(super) struct Life {
    /// Between two heart-beats of the server, or from the opening to the first.
    pub(super) intervals: Vec<Duration>,
    /// From the server's last heart-beat, or the opening, to the end.
    pub(super) silence: Duration,
    /// From pings to their pongs, really.
    pub(super) trips: Vec<Duration>,
    /// Its end, if that came too early.
    pub(super) close: Option<Close>,
}

/// Beats and listens for so long, or until the connection ends.
pub(super) async fn live(
    mut client: Client,
    every: Duration,
    clock: Clock,
    (progress, stop): (&Progress, &CancellationToken),
    lasting: Duration,
) -> Life {
    let opened = Instant::now();
    let (mut life, mut used, mut server_beat) = (Life::default(), opened, opened);
    let mut pinged: Option<Instant> = None;
    let mut beat = interval_at(opened + every, every.max(Duration::from_millis(1)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let closed = loop {
        tokio::select! {
            () = sleep_until(opened + lasting) => break None,
            () = stop.cancelled() => break None,
            _ = beat.tick() => match client.beat().await {
                Ok(sent) => {
                    used = Instant::now();
                    if sent {
                        pinged.get_or_insert(used);
                    }
                }
                Err(closed) => break Some(closed),
            },
            seen = client.next() => {
                let now = Instant::now();
                match seen {
                    Seen::Closed(closed) => break Some(closed),
                    Seen::ServerBeat => {
                        life.intervals.push(clock.told(now - server_beat));
                        server_beat = now;
                    }
                    Seen::Pong => {
                        if let Some(trip) = pinged.take().map(|at| now - at) {
                            progress.answered(trip);
                            life.trips.push(trip);
                        }
                    }
                    Seen::Other => {}
                }
                used = now;
            }
        }
    };
    let end = closed.as_ref().map_or_else(Instant::now, |closed| closed.at);
    life.silence = clock.told(end.saturating_duration_since(server_beat));
    life.close = closed.map(|closed| close(clock, opened, used, &closed));
    life
}
