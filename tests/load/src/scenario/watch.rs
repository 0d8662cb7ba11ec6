//! Open WebSockets that are watched until they end, or until we leave.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use crate::{
    client::{
        connection::Connector,
        failure::Failure,
        messenger::{Incoming, Messenger, Options},
        web_socket::Closed,
    },
    outcome::Close,
    progress::Progress,
};

/// Clients that connect at the same time.
const CONNECTING: usize = 64;

/// WebSockets under watch.
#[derive(Debug)]
pub(crate) struct Watch {
    clock: Clock,
    open: Arc<AtomicU64>,
    leaving: CancellationToken,
    tasks: JoinSet<Option<Close>>,
    closes: Vec<Close>,
    failures: BTreeMap<String, u64>,
    progress: Progress,
}

/// What became of them.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Those that ended while they were watched.
    pub(crate) closes: Vec<Close>,
    /// How many were open when we left.
    pub(crate) open: u64,
    /// How connecting failed, and how often.
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Watch {
    /// Connects so many clients; those that fail are counted.
    pub(crate) async fn open(
        connector: &Connector,
        options: &Options,
        count: usize,
        clock: Clock,
        progress: &Progress,
    ) -> Self {
        let mut watch = Self {
            clock,
            open: Arc::default(),
            leaving: CancellationToken::new(),
            tasks: JoinSet::new(),
            closes: Vec::new(),
            failures: BTreeMap::new(),
            progress: progress.clone(),
        };
        let mut connecting: JoinSet<Result<Messenger, Failure>> = JoinSet::new();
        for number in 0..count {
            if connecting.len() >= CONNECTING {
                watch.connected(connecting.join_next().await);
            }
            let (connector, options) = (connector.clone(), options.clone());
            connecting.spawn(async move { Messenger::connect(&connector, number, &options).await });
        }
        while !connecting.is_empty() {
            watch.connected(connecting.join_next().await);
        }
        watch
    }

    fn connected(&mut self, joined: Option<Result<Result<Messenger, Failure>, tokio::task::JoinError>>) {
        let messenger = match joined {
            Some(Ok(Ok(messenger))) => messenger,
            Some(Ok(Err(failure))) => {
                self.progress.failed();
                return *self.failures.entry(failure.name().into_owned()).or_default() += 1;
            }
            // A task of ours that panicked has said so itself.
            Some(Err(_)) | None => return,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        self.progress.opened();
        let progress = self.progress.clone();
        let (clock, open, leaving) = (self.clock, Arc::clone(&self.open), self.leaving.clone());
        self.tasks.spawn(async move {
            let watched = leaving.run_until_cancelled(until_closed(messenger, clock)).await;
            if watched.is_some() {
                open.fetch_sub(1, Ordering::Relaxed);
                progress.closed();
            }
            watched
        });
    }

    /// Waits until none is open any more.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn all_closed(&mut self) {
        while let Some(joined) = self.tasks.join_next().await {
            self.closes.extend(joined.ok().flatten());
        }
    }

    /// Leaves those that are still open.
    pub(crate) async fn leave(mut self) -> Watched {
        let open = self.open.load(Ordering::Relaxed);
        self.leaving.cancel();
        self.all_closed().await;
        self.closes.sort_by(|one, other| one.at.total_cmp(&other.at));
        Watched { closes: self.closes, open, failures: self.failures }
    }
}

/// Keeps a client open, with the heart-beats that it has, until it is closed.
async fn until_closed(mut messenger: Messenger, clock: Clock) -> Close {
    let opened = Instant::now();
    let mut used = opened;
    loop {
        match messenger.next().await {
            Incoming::Delivery(_) | Incoming::HeartBeat => used = Instant::now(),
            Incoming::Closed(closed) => {
                let used = messenger.beaten().map_or(used, |beaten| beaten.max(used));
                return close(clock, opened, used, &closed);
            }
        }
    }
}

/// An end as an outcome tells it.
pub(crate) fn close(clock: Clock, opened: Instant, used: Instant, closed: &Closed) -> Close {
    Close {
        at: clock.moment(closed.at),
        age: clock.seconds(closed.at.saturating_duration_since(opened)),
        idle: clock.seconds(closed.at.saturating_duration_since(used)),
        how: closed.how.kind().into_owned(),
        code: Some(closed.how.browser_code()),
        target: None,
    }
}

/// How some ended, for people: `4 FIN, 1 close frame 1001`.
pub(crate) fn ends_in_words<'a>(closes: impl IntoIterator<Item = &'a Close>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for close in closes {
        let name = match (close.how.as_str(), close.code) {
            ("close frame", Some(code)) => format!("close frame {code}"),
            (how, _) => how.to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    let parts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(how: &str, code: u16) -> Close {
        Close { at: 0.0, age: 0.0, idle: 0.0, how: how.to_owned(), code: Some(code), target: None }
    }

    #[test]
    fn ends_are_counted_by_how_they_came() {
        let closes = [ended("FIN", 1006), ended("close frame", 1001), ended("FIN", 1006)];
        assert_eq!(ends_in_words(&closes), "2 FIN, 1 close frame 1001");
    }
}
