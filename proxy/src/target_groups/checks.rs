//! Health check tasks: one per registered target.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Environment, Group, Target,
    check_log::{self, Checked},
};
use crate::{
    health::{
        Thresholds,
        schedule::{self, Schedule},
    },
    model::HealthCheck,
};

/// Distance between the first checks of targets registered together, divided by the time scale.
const SPREAD: Duration = Duration::from_millis(20);

/// Beyond this many places the spread begins anew, so that no first check waits long.
const SPREAD_PLACES: u32 = 25;

/// Starts checking `target`, the `place`th of its group, until `stop`.
pub(super) fn start(
    environment: &Arc<Environment>,
    (group, target): (Weak<Group>, Arc<Target>),
    settings: &Arc<HealthCheck>,
    place: usize,
    stop: CancellationToken,
) {
    let scale = environment.scale;
    let schedule = Schedule { first: scale.apply(spread(place)), interval: scale.apply(settings.interval) };
    let limit = scale.apply(settings.timeout);
    let thresholds = Thresholds::from(settings.as_ref());
    let addr = SocketAddr::new(target.addr().ip(), settings.port.unwrap_or_else(|| target.addr().port()));
    let (environment, settings) = (Arc::clone(environment), Arc::clone(settings));
    let tracker = environment.tracker.clone();
    tracker.spawn(schedule::run(schedule, stop, move || {
        let (environment, settings) = (Arc::clone(&environment), Arc::clone(&settings));
        let (group, target) = (group.clone(), Arc::clone(&target));
        async move {
            let kind = check_log::kind(&settings);
            let (begun, started) = (SystemTime::now(), Instant::now());
            let outcome = environment.checker.check(addr, &settings, limit).await;
            if let Some(group) = group.upgrade() {
                group.log_check(&Checked { begun, latency: started.elapsed(), addr, outcome, kind });
                group.handle_outcome(&target, outcome, thresholds);
            }
        }
    }));
}

fn spread(place: usize) -> Duration {
    let place = u32::try_from(place).unwrap_or(u32::MAX).checked_rem(SPREAD_PLACES).unwrap_or(0);
    SPREAD.saturating_mul(place)
}
