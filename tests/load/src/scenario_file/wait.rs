//! Waits until a service is up.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout_at};

use super::plan::WaitFor;
use crate::client::{
    connection::Connector,
    http::{Http, Request},
};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks until it answers: an `http` URL by a request, another by a connection,
/// with TLS if it is secure.
///
/// # Errors
///
/// It did not by the deadline; what it did last is told.
pub(crate) async fn wait(wait_for: &WaitFor) -> Result<()> {
    let WaitFor { target, deadline, .. } = wait_for;
    let end = Instant::now() + *deadline;
    let mut last = "no answer".to_owned();
    loop {
        match timeout_at(end, ask(wait_for)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => last = format!("{error:#}"),
            Err(_) => bail!("{} is not up within {deadline:?}: {last}", target.url),
        }
        if timeout_at(end, sleep(PAUSE)).await.is_err() {
            bail!("{} is not up within {deadline:?}: {last}", target.url);
        }
    }
}

async fn ask(WaitFor { target, status, .. }: &WaitFor) -> Result<()> {
    let connector = Connector::for_target(target).await?;
    if !target.url.starts_with("http") {
        connector.connect(0).await?;
        return Ok(());
    }
    let mut http = Http::connect(&connector, 0).await?;
    let answered = http.request(&Request::get(connector.path())).await?.head.status;
    match status {
        Some(status) if answered == *status => Ok(()),
        None if answered < 500 => Ok(()),
        _ => bail!("it answers {answered}"),
    }
}
