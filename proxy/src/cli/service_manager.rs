//! What systemd is told of the life of the process (`sd_notify(3)`), if it asks for it by `NOTIFY_SOCKET`.

use std::{convert::Infallible, future::pending, time::Duration};

use sd_notify::NotifyState;

/// The watchdog is fed this many times in the time that it waits.
const FEEDINGS: u32 = 3;

/// The service is up, and `status` is what it does.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is read again; [`ready`] says when that is over.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("Reloading")]),
        Err(error) => tracing::warn!(%error, "systemd cannot be told of the reload"),
    }
}

/// The program is started again, which takes a moment.
pub(super) fn upgrading() {
    tell(&[NotifyState::Status("Starting the program again")]);
}

/// The process `pid` is the service from now on.
pub(super) fn main_pid(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// The service is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("Draining")]);
}

/// Feeds the watchdog of `WatchdogSec=` for as long as the runtime turns.
pub(super) async fn watchdog() -> Infallible {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return pending().await;
    };
    let pause = limit.checked_div(FEEDINGS).unwrap_or(Duration::from_secs(1));
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(pause).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}
