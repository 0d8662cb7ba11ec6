//! What every scenario gets and gives.
//!
//! A scenario is a file: `Arguments` for the command line, and
//! `run(&Arguments, &Run) -> anyhow::Result<Outcome>`. It says what it expects,
//! measures, and lets the outcome tell whether that held; an error is only what
//! keeps it from measuring at all. Its module is named here, and the command in
//! one line of `arguments.rs`.

mod clock;
pub(crate) mod drain;
mod during;
pub(crate) mod echo;
pub(crate) mod fan_out;
mod figures;
pub(crate) mod handshakes;
pub(crate) mod heartbeat;
pub(crate) mod hold;
pub(crate) mod idle_cut;
pub(crate) mod keepalive_race;
mod messaging;
pub(crate) mod reload;
mod steady;
pub(crate) mod sticky;
#[cfg(test)]
mod testing;
pub(crate) mod throughput;
mod trigger;
mod watch;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    outcome::{Outcome, SCHEMA},
    progress::Progress,
    target::Target,
};

/// One run, as it begins.
#[derive(Debug)]
pub(crate) struct Run {
    /// Cancelled when the run is to end early and tell what it has.
    pub(crate) stop: CancellationToken,
    /// What to tell while it runs.
    pub(crate) progress: Progress,
    /// When it began, for people.
    pub(crate) wall_clock: OffsetDateTime,
    /// When it began.
    pub(crate) started: Instant,
}

impl Run {
    /// Waits so long, or until the run is to end.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn wait(&self, time: Duration) {
        self.stop.run_until_cancelled(sleep(time)).await;
    }

    /// An outcome without any result yet.
    pub(crate) fn outcome(
        &self,
        scenario: &str,
        target: &Target,
        method: &str,
        settings: BTreeMap<String, String>,
    ) -> Result<Outcome> {
        Ok(Outcome {
            schema: SCHEMA,
            scenario: scenario.to_owned(),
            title: scenario.to_owned(),
            url: target.url.clone(),
            protocol: target.protocol.name(),
            started: self.wall_clock.format(&Rfc3339)?,
            seconds: self.started.elapsed().as_secs_f64(),
            method: method.to_owned(),
            settings,
            expectations: Vec::new(),
            figures: BTreeMap::new(),
            histograms: Vec::new(),
            series: Vec::new(),
            targets: BTreeMap::new(),
            closes: Vec::new(),
            errors: BTreeMap::new(),
        })
    }
}
