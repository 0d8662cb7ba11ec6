//! Many clients at once.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::legacy::Client;
use crate::target::Target;

/// Clients that connect at the same time.
const CONNECTING: usize = 64;

/// Connects and subscribes clients, and hands each to `ready`.
pub(crate) async fn connect(
    server: &Target,
    count: usize,
    heart_beat: Duration,
    mut ready: impl FnMut(Client),
) -> Result<()> {
    let mut connecting: JoinSet<Result<Client>> = JoinSet::new();
    for number in 0..count {
        if connecting.len() >= CONNECTING
            && let Some(client) = connecting.join_next().await
        {
            ready(client??);
        }
        let server = server.clone();
        connecting.spawn(async move {
            let opening = async {
                let mut client = Client::connect(&server.url, server.protocol, number, heart_beat).await?;
                client.subscribe().await?;
                Ok(client)
            };
            timeout(server.patience, opening).await.context("a client takes too long")?
        });
    }
    while let Some(client) = connecting.join_next().await {
        ready(client??);
    }
    Ok(())
}
