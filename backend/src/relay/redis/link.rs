//! One connection: to a server, or to a cluster.

use std::collections::HashMap;

use futures_util::future::{join_all, try_join_all};
use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{FromRedisValue, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value};

use crate::relay::inbox::{Arrived, Event};
use crate::relay::interests::Subscription;

/// Subscriptions asked for in one command.
const CHUNK: usize = 512;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// Redis did not answer in time, or answered with an error.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// It was not there in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// Redis closed it.
    #[error("the connection was closed")]
    Closed,
    /// A sharded channel is served by another node now.
    #[error("a channel moved to another node")]
    Moved,
    /// A cluster has more than one.
    #[error("streams need one primary")]
    NoPrimary,
}

/// How many subscribers a message reached, or why Redis refused it.
pub(super) type Reach = Result<u64, String>;

/// Commands of the relay. Clones share the connection.
#[derive(Clone)]
pub(super) enum Link {
    /// A server.
    Single(Box<MultiplexedConnection>),
    /// A cluster with sharded channels.
    Cluster(ClusterConnection),
}

impl Link {
    /// Ready when Redis confirmed all of them.
    pub(super) async fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), LinkError> {
        let (channels, patterns) = split(subscriptions);
        match self.clone() {
            Self::Single(mut connection) => {
                for chunk in channels.chunks(CHUNK) {
                    connection.subscribe(chunk).await?;
                }
                for chunk in patterns.chunks(CHUNK) {
                    connection.psubscribe(chunk).await?;
                }
            }
            // Channels of one command must share a slot.
            Self::Cluster(connection) => {
                for chunk in channels.chunks(CHUNK) {
                    let each = chunk.iter().map(|channel| {
                        let mut connection = connection.clone();
                        async move { connection.ssubscribe(channel).await }
                    });
                    try_join_all(each).await?;
                }
            }
        }
        Ok(())
    }

    /// Ready when Redis confirmed all of them.
    pub(super) async fn unsubscribe(&self, subscriptions: &[Subscription]) -> Result<(), LinkError> {
        let (channels, patterns) = split(subscriptions);
        match self.clone() {
            Self::Single(mut connection) => {
                for chunk in channels.chunks(CHUNK) {
                    connection.unsubscribe(chunk).await?;
                }
                for chunk in patterns.chunks(CHUNK) {
                    connection.punsubscribe(chunk).await?;
                }
            }
            Self::Cluster(connection) => {
                for chunk in channels.chunks(CHUNK) {
                    let each = chunk.iter().map(|channel| {
                        let mut connection = connection.clone();
                        async move { connection.sunsubscribe(channel).await }
                    });
                    try_join_all(each).await?;
                }
            }
        }
        Ok(())
    }

    /// Publishes messages, those of one channel in their order; the answers are
    /// in the order of the messages.
    pub(super) async fn publish(&self, messages: &[(String, Vec<u8>)]) -> Result<Vec<Reach>, LinkError> {
        match self.clone() {
            Self::Single(mut connection) => {
                let mut pipeline = Pipeline::with_capacity(messages.len());
                for (channel, payload) in messages {
                    pipeline.cmd("PUBLISH").arg(channel).arg(payload);
                }
                reaches(pipeline.ignore_errors().query_async(&mut *connection).await)
            }
            Self::Cluster(connection) => {
                let mut by_channel: HashMap<&str, (Pipeline, Vec<usize>)> = HashMap::new();
                for (index, (channel, payload)) in messages.iter().enumerate() {
                    let (pipeline, indices) = by_channel.entry(channel).or_default();
                    pipeline.cmd("SPUBLISH").arg(channel).arg(payload);
                    indices.push(index);
                }
                let each = by_channel.into_values().map(|(mut pipeline, indices)| {
                    let mut connection = connection.clone();
                    async move {
                        let answers = pipeline.ignore_errors().query_async(&mut connection).await;
                        Ok::<_, LinkError>(indices.into_iter().zip(reaches(answers)?).collect::<Vec<_>>())
                    }
                });
                let mut answers = Vec::with_capacity(messages.len());
                for answered in join_all(each).await {
                    answers.extend(answered?);
                }
                answers.sort_by_key(|(index, _)| *index);
                Ok(answers.into_iter().map(|(_, reach)| reach).collect())
            }
        }
    }

    /// Whether Redis is there.
    pub(super) async fn ping(&self) -> Result<(), LinkError> {
        let ping = redis::cmd("PING");
        match self.clone() {
            Self::Single(mut connection) => ping.exec_async(&mut *connection).await?,
            Self::Cluster(mut connection) => ping.exec_async(&mut connection).await?,
        }
        Ok(())
    }

    /// `redis_version`; none where we may not ask.
    pub(super) async fn version(&self) -> Result<Option<String>, LinkError> {
        let mut info = redis::cmd("INFO");
        info.arg("server");
        let answer = match self.clone() {
            Self::Single(mut connection) => info.query_async(&mut *connection).await,
            Self::Cluster(mut connection) => {
                let anywhere = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                connection.route_command(info, anywhere).await.and_then(|v| Ok(String::from_redis_value(v)?))
            }
        };
        let text: Option<String> = permitted(answer)?;
        Ok(text.and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("redis_version:")).map(|v| v.trim().to_owned())
        }))
    }

    /// How many subscribe to a channel; none where it cannot be told.
    pub(super) async fn subscribers(&self, channel: &str) -> Result<Option<u64>, LinkError> {
        let Self::Single(mut connection) = self.clone() else { return Ok(None) };
        let answer = redis::cmd("PUBSUB").arg("NUMSUB").arg(channel).query_async(&mut *connection).await;
        let counts: Option<HashMap<String, u64>> = permitted(answer)?;
        Ok(counts.and_then(|counts| counts.get(channel).copied()))
    }
}

/// Nothing where Redis refuses, as for want of a permission.
pub(super) fn permitted<T>(answer: RedisResult<T>) -> Result<Option<T>, LinkError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether Redis answered, with an error.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    error.code().is_some() && !error.is_io_error() && !error.is_unrecoverable_error()
}

fn reaches(answers: RedisResult<Vec<RedisResult<u64>>>) -> Result<Vec<Reach>, LinkError> {
    Ok(answers?.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect())
}

fn split(subscriptions: &[Subscription]) -> (Vec<&str>, Vec<&str>) {
    let (mut channels, mut patterns) = (Vec::new(), Vec::new());
    for subscription in subscriptions {
        match subscription {
            Subscription::Channel(channel) => channels.push(channel.as_str()),
            Subscription::Pattern(pattern) => patterns.push(pattern.as_str()),
        }
    }
    (channels, patterns)
}

/// What a push says; none if it is none of ours, or malformed.
pub(super) fn event(push: PushInfo) -> Option<Event> {
    let mut data = push.data.into_iter();
    let mut bytes = || match data.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        _ => None,
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let event = match push.kind {
        PushKind::Disconnection => Event::Disconnected,
        PushKind::Message | PushKind::SMessage => {
            let channel = bytes().and_then(text)?;
            Event::Message(Arrived { pattern: None, channel, payload: bytes()? })
        }
        PushKind::PMessage => {
            let pattern = Some(bytes().and_then(text)?);
            let channel = bytes().and_then(text)?;
            Event::Message(Arrived { pattern, channel, payload: bytes()? })
        }
        PushKind::Subscribe | PushKind::SSubscribe => {
            Event::Subscribed(Subscription::Channel(bytes().and_then(text)?))
        }
        PushKind::PSubscribe => Event::Subscribed(Subscription::Pattern(bytes().and_then(text)?)),
        PushKind::Unsubscribe | PushKind::SUnsubscribe => {
            Event::Unsubscribed(Subscription::Channel(bytes().and_then(text)?))
        }
        PushKind::PUnsubscribe => Event::Unsubscribed(Subscription::Pattern(bytes().and_then(text)?)),
        _ => return None,
    };
    Some(event)
}
