//! Many clients at once.

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::client::connection::Connector;
use crate::client::failure::Failure;
use crate::client::messenger::{Messenger, Options};
use crate::scenario::Run;

/// Clients that connect at the same time: fewer than servers let wait.
pub(crate) const CONNECTING: usize = 64;

/// A client that has connected and subscribed, and when it had.
pub(crate) type Joined = (Messenger, Instant);

/// Connects and subscribes clients with these numbers, and hands each, or how it
/// failed, to `ready`. No more begin when the run is to end.
///
/// # Errors
/// When a task of this program breaks.
pub(crate) async fn connect(
    connector: &Connector,
    numbers: std::ops::Range<usize>,
    options: &Options,
    run: &Run,
    mut ready: impl FnMut(Result<Joined, Failure>),
) -> Result<()> {
    let mut joined = |client: Result<Joined, Failure>| {
        run.progress.advance();
        match client {
            Ok(_) => run.progress.opened(),
            Err(_) => run.progress.failed(),
        }
        ready(client);
    };
    let mut connecting: JoinSet<Result<Joined, Failure>> = JoinSet::new();
    for number in numbers {
        if run.stop.is_cancelled() {
            break;
        }
        if connecting.len() >= CONNECTING
            && let Some(client) = connecting.join_next().await
        {
            joined(client?);
        }
        let (connector, options) = (connector.clone(), options.clone());
        connecting.spawn(async move {
            let opening = async {
                let mut client = Messenger::connect(&connector, number, &options).await?;
                client.subscribe().await?;
                Ok((client, Instant::now()))
            };
            timeout(connector.patience(), opening).await.unwrap_or(Err(Failure::TimedOut))
        });
    }
    while let Some(client) = connecting.join_next().await {
        joined(client?);
    }
    Ok(())
}
