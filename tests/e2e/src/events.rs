//! The dashboard's server-sent events, read as a browser does.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    time::timeout_at,
};

use crate::{
    albeit::Albeit,
    client::{Client, Stream},
    wait::SOON,
};

/// A stream of events.
pub struct Events(BufReader<Box<dyn Stream>>);

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Events")
    }
}

impl Events {
    /// Opens a stream.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn open(albeit: &Albeit) -> Result<Self> {
        let mut client = Client::connect(albeit.config.admin.addr()).await?;
        client.send("GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await?;
        let mut events = Self(BufReader::new(client.into_stream()?));
        let status = events.line(tokio::time::Instant::now() + SOON).await?.context("no answer")?;
        ensure!(status == "HTTP/1.1 200 OK", "{status}");
        Ok(events)
    }

    /// The next event of that name.
    ///
    /// # Errors
    /// When there is none soon, or the stream ends.
    pub async fn next(&mut self, name: &str) -> Result<Value> {
        self.find(name, |_| true).await
    }

    /// The next event of that name that is `wanted`.
    ///
    /// # Errors
    /// When there is none soon, or the stream ends: shows the last that was not.
    pub async fn find(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = tokio::time::Instant::now() + SOON;
        let mut last = Value::Null;
        // Lines between are the lengths of chunks, and events of other names.
        loop {
            let line = self.line(deadline).await;
            let Some(line) = line.with_context(|| format!("no such {name}, but {last}"))? else {
                bail!("the stream has ended without such a {name}, but with {last}");
            };
            if line != format!("event: {name}") {
                continue;
            }
            let data = self.line(deadline).await?.context("an event without data")?;
            let data = data.strip_prefix("data: ").context("no data")?;
            last = serde_json::from_str(data)?;
            if wanted(&last) {
                return Ok(last);
            }
        }
    }

    /// Reads until the stream ends.
    ///
    /// # Errors
    /// When it does not end soon.
    pub async fn ended(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + SOON;
        while self.line(deadline).await?.is_some() {}
        Ok(())
    }

    async fn line(&mut self, deadline: tokio::time::Instant) -> Result<Option<String>> {
        let mut line = String::new();
        let read = timeout_at(deadline, self.0.read_line(&mut line)).await.context("not in time")??;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }
}
