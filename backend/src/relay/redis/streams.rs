//! Streams: each is a shard of the channels, and every instance reads them all.
//!
//! Entries have one field, `m`, the envelope. Numbers in the envelope count the
//! messages of an origin on a stream; what was sent twice is known by them.
//! What Redis trimmed before we read it is counted from `entries-added`.

use std::collections::HashMap;

use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{FromRedisValue, Pipeline, RedisResult, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::relay::Shared;
use crate::relay::receiver::Receiver;
use crate::relay::sequence::Lower;

use super::link::{LinkError, is_refusal, permitted};
use super::{Batch, Inward, Unanswered};

/// Entries of a stream read at once.
const COUNT: usize = 256;

/// The field of an entry.
const FIELD: &str = "m";

/// What outlives a connection.
pub(super) struct Streams<'a> {
    shared: &'a Shared,
    receiver: Receiver,
    streams: Vec<Stream>,
}

/// How far a stream was read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    key: String,
    /// The entry read last; none before the first connection.
    last: Option<String>,
    /// Entries that were ever added up to that one, where Redis tells (7.0).
    position: Option<u64>,
}

/// What Redis says of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    last: String,
    added: Option<u64>,
    length: u64,
}

impl Stream {
    /// Compares with what Redis says, and moves on; how many entries are gone
    /// that were not read.
    fn compare(&mut self, report: &Report) -> u64 {
        if self.last.is_none() {
            self.last = Some(report.last.clone());
            self.position = report.added;
            return 0;
        }
        let (Some(position), Some(added)) = (self.position, report.added) else {
            self.position = report.added;
            return 0;
        };
        if added < position {
            // It was made anew: everything in it is new.
            self.last = Some("0-0".to_owned());
            self.position = Some(added.saturating_sub(report.length));
            return self.position.unwrap_or_default();
        }
        let trimmed = added.saturating_sub(report.length);
        self.position = Some(position.max(trimmed));
        trimmed.saturating_sub(position)
    }
}

impl<'a> Streams<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let limit = shared.config.message_size_limit;
        let stream = |shard| Stream { key: shared.stream(shard), last: None, position: None };
        Self {
            shared,
            receiver: Receiver::new(shared.origin.clone(), limit, Lower::Repeat),
            streams: (0..shared.config.streams.shards).map(stream).collect(),
        }
    }

    /// A pair of connections, from their begin to their end. Ends well when
    /// `stop` is cancelled and nothing waits to be published.
    pub(super) async fn session(
        &mut self,
        inward: &mut Inward<'_>,
        stop: &CancellationToken,
    ) -> Result<(), LinkError> {
        let shared = self.shared;
        let block = shared.config.redis.ping_interval;
        let mut reader = shared.connector.connect_plain(block).await?;
        let writer = shared.connector.connect_plain(std::time::Duration::ZERO).await?;
        let version = version(&mut reader).await?;
        self.compare(&mut reader, inward).await?;
        inward.connected(version);
        tokio::select! {
            ended = self.receive(reader, inward) => ended,
            ended = watch(shared, writer.clone()) => ended,
            ended = publish(shared, writer, stop) => ended,
        }
    }

    /// Reads on where it stopped.
    async fn receive(
        &mut self,
        mut reader: MultiplexedConnection,
        inward: &mut Inward<'_>,
    ) -> Result<(), LinkError> {
        let block = self.shared.config.redis.ping_interval.as_millis().max(1);
        loop {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(COUNT).arg("BLOCK").arg(u64::try_from(block).unwrap_or(u64::MAX));
            command.arg("STREAMS");
            for stream in &self.streams {
                command.arg(&stream.key);
            }
            for stream in &self.streams {
                command.arg(stream.last.as_deref().unwrap_or("$"));
            }
            let reply: Option<StreamReadReply> = command.query_async(&mut reader).await?;
            let mut is_behind = false;
            for read in reply.into_iter().flat_map(|reply| reply.keys) {
                is_behind |= read.ids.len() >= COUNT;
                for entry in read.ids {
                    if let Some(stream) = self.streams.iter_mut().find(|stream| stream.key == read.key) {
                        stream.last = Some(entry.id);
                        stream.position = stream.position.map(|position| position + 1);
                    }
                    let payload = match entry.map.get(FIELD) {
                        Some(Value::BulkString(payload)) => payload.as_slice(),
                        _ => &[],
                    };
                    let outcome = self.receiver.handle_entry(&read.key, payload);
                    inward.take(outcome).await;
                }
            }
            if is_behind {
                self.compare(&mut reader, inward).await?;
            }
            inward.notify().await;
        }
    }

    /// Counts what was trimmed before it was read.
    async fn compare(
        &mut self,
        reader: &mut MultiplexedConnection,
        inward: &mut Inward<'_>,
    ) -> Result<(), LinkError> {
        let mut pipeline = Pipeline::with_capacity(self.streams.len());
        for stream in &self.streams {
            pipeline.cmd("XINFO").arg("STREAM").arg(&stream.key);
        }
        let answers: Vec<RedisResult<HashMap<String, Value>>> =
            pipeline.ignore_errors().query_async(reader).await?;
        for (stream, answer) in self.streams.iter_mut().zip(answers) {
            let missed = stream.compare(&report(answer)?);
            if missed > 0 {
                inward.missed(missed);
                self.receiver.forget(&stream.key);
            }
        }
        Ok(())
    }
}

/// A stream that is not there is empty.
fn report(answer: RedisResult<HashMap<String, Value>>) -> Result<Report, LinkError> {
    let empty = Report { last: "0-0".to_owned(), added: Some(0), length: 0 };
    let mut fields = match answer {
        Ok(fields) => fields,
        Err(error) if is_refusal(&error) && error.detail().is_some_and(|d| d.contains("no such key")) => {
            return Ok(empty);
        }
        Err(error) => return Err(error.into()),
    };
    let mut number = |name: &str| fields.remove(name).and_then(|value| u64::from_redis_value(value).ok());
    let (added, length) = (number("entries-added"), number("length").unwrap_or_default());
    let last = fields.remove("last-generated-id").and_then(|value| String::from_redis_value(value).ok());
    Ok(Report { last: last.unwrap_or(empty.last), added, length })
}

async fn version(connection: &mut MultiplexedConnection) -> Result<Option<String>, LinkError> {
    let text: Option<String> = permitted(redis::cmd("INFO").arg("server").query_async(connection).await)?;
    Ok(text.and_then(|text| {
        text.lines().find_map(|line| line.strip_prefix("redis_version:")).map(|v| v.trim().to_owned())
    }))
}

/// Notices a link that swallows everything.
async fn watch(shared: &Shared, mut connection: MultiplexedConnection) -> Result<(), LinkError> {
    loop {
        let start = Instant::now();
        redis::cmd("PING").exec_async(&mut connection).await?;
        shared.status.pinged(start.elapsed(), None);
        tokio::time::sleep(shared.config.redis.ping_interval).await;
    }
}

async fn publish(
    shared: &Shared,
    mut connection: MultiplexedConnection,
    stop: &CancellationToken,
) -> Result<(), LinkError> {
    while let Some(batch) = Batch::next(shared, stop, Unanswered::SendAgain).await {
        let mut pipeline = Pipeline::new();
        for (stream, payload) in batch.encode() {
            let add = pipeline.cmd("XADD").arg(stream).arg("MAXLEN").arg("~");
            add.arg(shared.config.streams.max_length).arg("*").arg(FIELD).arg(payload);
        }
        let answers: Vec<RedisResult<Value>> = pipeline.ignore_errors().query_async(&mut connection).await?;
        let taken = answers.iter().filter(|answer| answer.is_ok()).count();
        let refusal = answers.into_iter().find_map(Result::err).map(|error| error.to_string());
        batch.answered(u64::try_from(taken).unwrap_or(u64::MAX), refusal.as_deref());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_trimmed_before_it_was_read_is_counted() {
        let report = |last: &str, added, length| Report { last: last.to_owned(), added: Some(added), length };
        let mut stream = Stream { key: "s".to_owned(), last: None, position: None };
        assert_eq!(stream.compare(&report("5-0", 100, 10)), 0);
        assert_eq!((stream.last.as_deref(), stream.position), (Some("5-0"), Some(100)));
        // 40 came, 20 of them are kept.
        assert_eq!(stream.compare(&report("9-0", 140, 20)), 20);
        assert_eq!((stream.last.as_deref(), stream.position), (Some("5-0"), Some(120)));
        assert_eq!(stream.compare(&report("9-0", 140, 20)), 0);
        // A new stream under the old name, that lost one already.
        assert_eq!(stream.compare(&report("12-0", 3, 2)), 1);
        assert_eq!((stream.last.as_deref(), stream.position), (Some("0-0"), Some(1)));
    }

    #[test]
    fn an_old_redis_tells_no_positions() {
        let report = |added| Report { last: "5-0".to_owned(), added, length: 10 };
        let mut stream = Stream { key: "s".to_owned(), last: None, position: None };
        assert_eq!(stream.compare(&report(None)), 0);
        assert_eq!(stream.compare(&report(None)), 0);
        assert_eq!(stream.compare(&report(Some(50))), 0);
        assert_eq!(stream.position, Some(50));
    }
}
